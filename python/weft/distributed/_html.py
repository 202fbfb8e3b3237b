"""Clients and clusters as notebooks show them."""

from __future__ import annotations

from html import escape
from typing import Any

from weft.utils import format_bytes


def _table(title: str, subtitle: str, rows: list[tuple[str, str]]) -> str:
    cells = "".join(
        f'<tr><td style="text-align: left;"><strong>{escape(name)}</strong></td>'
        f'<td style="text-align: left;">{value}</td></tr>'
        for name, value in rows
    )
    return (
        f'<div><h3 style="margin-bottom: 0px;">{escape(title)}</h3>'
        f'<p style="color: #9D9D9D; margin-bottom: 0px;">{escape(subtitle)}</p>'
        f'<table style="width: 100%; text-align: left;">{cells}</table></div>'
    )


def _link(address: str) -> str:
    if not address:
        return "none"
    return f'<a href="{escape(address)}" target="_blank">{escape(address)}</a>'


def _workers(infos: list[dict[str, Any]]) -> list[tuple[str, str]]:
    rows = [("Workers", str(len(infos))), ("Total threads", str(sum(w["nthreads"] for w in infos)))]
    limits = [w["memory_limit"] for w in infos]
    if limits and all(limits):
        rows.append(("Total memory", escape(format_bytes(sum(limits)))))
    return rows


def client_html(client: Any) -> str:
    """A client with its scheduler, its dashboard and its workers."""
    if client.status != "running":
        return _table("Client", client.id, [("Status", escape(client.status))])
    rows = [("Scheduler", escape(client.scheduler_address)), ("Dashboard", _link(client.dashboard_link))]
    return _table("Client", client.id, rows + _workers(client._core.workers()))


def cluster_html(cluster: Any) -> str:
    """A cluster with its dashboard and its workers."""
    rows = [("Status", escape(cluster.status)), ("Dashboard", _link(cluster.dashboard_link))]
    rows += [("Scheduler", escape(cluster.scheduler_address))]
    if cluster.status == "running":
        rows += _workers(list(cluster.scheduler_info["workers"].values()))
    return _table(type(cluster).__name__, cluster.name, rows)
