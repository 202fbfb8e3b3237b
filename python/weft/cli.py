"""Commands: the cluster's servers (``weft scheduler``, ``weft worker``), settings and versions (``weft config …``,
``weft info versions``), and those that other packages add.

Packages add commands, and groups of them, through the entry points ``weft_cli`` and ``dask_cli``.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import sys
import warnings
from collections.abc import Iterable
from importlib.metadata import entry_points
from typing import Any

import click
import yaml

import weft
from weft import config as settings

__all__ = [
    "cli",
    "config",
    "config_find",
    "config_get",
    "config_list",
    "config_set",
    "info",
    "run_cli",
    "save_config",
    "versions",
]

#: The groups of entry points that are commands.
ENTRY_POINTS = ("weft_cli", "dask_cli")


class _Commands(click.Group):
    """The group of all commands; servers are imported when one is started."""

    SERVERS = ("scheduler", "worker")

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted({*super().list_commands(context), *self.SERVERS})

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name in self.SERVERS and name not in self.commands:
            from weft.distributed import _servers

            return getattr(_servers, name)
        return super().get_command(context, name)


@click.group(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(weft.__version__)
def cli() -> None:
    """Servers, settings and versions of weft."""


@cli.group()
def info() -> None:
    """What is installed."""


@info.command()
def versions() -> None:
    """Print the versions of weft and of what it works with, as JSON."""
    from weft.utils import show_versions

    show_versions()


@cli.group()
def config() -> None:
    """Read and change settings."""


def _show(value: Any) -> None:
    if isinstance(value, (list, dict)):
        click.echo_via_pager(yaml.dump(value))
    else:
        click.echo(str(value))


@config.command(name="get")
@click.argument("key")
def config_get(key: str) -> None:
    """Print a setting, or all settings below a name."""
    try:
        value = settings.get(key)
    except (KeyError, TypeError, IndexError):
        click.echo(click.style(f"Section not found: {key}", fg="red"), err=True)
        sys.exit(1)
    _show(value)


@config.command(name="list")
def config_list() -> None:
    """Print all settings."""
    _show(settings.config)


@config.command(name="find")
@click.argument("key")
def config_find(key: str) -> None:
    """Say which files set a key, and to what; the last one counts."""
    found = {
        str(path): settings.get(key, config=next(settings.collect_yaml([path])))
        for path in settings.paths_containing_key(key, settings.paths)
    }
    if not found:
        click.echo(f"Unable to find [{key}] in any of the following paths:")
        for path in settings.paths:
            click.echo(str(path))
        return
    click.echo(f"Found [{key}] in the following files:")
    width = max(map(len, found))
    for path, value in found.items():
        click.echo(f"{path:{width}}  [{key}={value}]")


@config.command(name="set")
@click.argument("key")
@click.argument("value")
@click.option(
    "--file",
    type=pathlib.Path,
    help="File to write to. By default the first that sets the key already, else weft.yaml where settings are kept: "
    "in $WEFT_CONFIG, or ~/.config/weft.",
)
def config_set(key: str, value: str, file: pathlib.Path | None) -> None:
    """Change a setting in a file."""
    parsed = settings.interpret_value(value)
    try:
        _, path = save_config(key, parsed, file)
    except RuntimeError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"Updated [{key}] to [{parsed}], config saved to {path}")


def save_config(
    key: str, value: Any, config_file: pathlib.Path | None = None
) -> tuple[dict[str, Any], pathlib.Path]:
    """Changes a setting in a file.

    Parameters
    ----------
    key : str
        With dots between its parts.
    value
        Anything that YAML can hold.
    config_file : pathlib.Path, optional
        By default the first file that sets the key, else ``weft.yaml`` in the user's directory of settings.

    Returns
    -------
    dict, pathlib.Path
        What the file holds then, and the file.

    Raises
    ------
    RuntimeError
        If the file cannot be written.
    """
    if config_file is None:
        place = pathlib.Path(settings.PATH)
        default = place if place.suffix in (".yaml", ".yml", ".json") else place / "weft.yaml"
        config_file = next(settings.paths_containing_key(key, settings.paths), default)
    content: dict[str, Any] = {}
    if config_file.exists():
        content = yaml.safe_load(config_file.read_text(encoding="utf-8")) or {}
    settings.set({key: value}, config=content)
    part = config_file.with_name(config_file.name + ".part")
    try:
        config_file.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(yaml.dump(content), encoding="utf-8")
        os.replace(part, config_file)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise RuntimeError(
            f"cannot write {config_file}: {error.strerror}. WEFT_CONFIG names another directory for settings"
        ) from error
    return content, config_file


def _register_command_ep(interface: click.Group, entry_point: Any) -> None:
    """Adds the command of an entry point; warns if it cannot be had, is none, or hides another."""
    try:
        command = entry_point.load()
    except Exception as error:
        warnings.warn(
            f"While registering the command with name '{entry_point.name}', an exception occurred; {error}.",
            stacklevel=2,
        )
        return
    if not isinstance(command, (click.Command, click.Group)):
        warnings.warn(
            f"entry points in {' and '.join(ENTRY_POINTS)} must be instances of click.Command or click.Group, not "
            f"{type(command).__name__}: {entry_point.name} is left out",
            stacklevel=2,
        )
        return
    if command.name in interface.commands:
        warnings.warn(
            f"While registering the command with name '{command.name}', an existing command or group; the original "
            "has been overwritten.",
            stacklevel=2,
        )
    interface.add_command(command)


def _register(interface: click.Group, groups: Iterable[str] = ENTRY_POINTS) -> None:
    for group in groups:
        for entry_point in entry_points(group=group):
            # What an installed Dask or distributed registers are its own servers.
            if entry_point.module.partition(".")[0] not in ("dask", "distributed"):
                _register_command_ep(interface, entry_point)


def run_cli(args: list[str] | None = None) -> int:
    """Runs a command line; the exit status."""
    _register(cli)
    try:
        return cli.main(args, prog_name="weft", standalone_mode=True) or 0
    except SystemExit as end:
        if isinstance(end.code, str):
            click.echo(end.code, err=True)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
