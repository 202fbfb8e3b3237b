"""The dashboard of a running scheduler: its answers to programs, and its page in a browser."""

from __future__ import annotations

import json
import os
import shutil
import urllib.error
import urllib.request
from urllib.parse import quote

import pytest
from weft.distributed import Client, wait


def inc(x):
    return x + 1


def fail(x):
    raise ZeroDivisionError(f"no {x} today")


@pytest.fixture(scope="module")
def busy():
    """A cluster that has something to show: results, a failure, tasks of three names."""
    with Client(n_workers=2, threads_per_worker=1, memory_limit="1GB", dashboard_address=":0") as client:
        numbers = client.map(inc, range(200))
        blocks = client.map(bytes, [1_000_000 + i for i in range(20)])
        failed = client.submit(fail, 3, key="fail-of-mine")
        total = client.submit(sum, numbers, key="total")
        wait([*numbers, *blocks, failed, total], timeout=60)
        client.busy = (numbers, blocks, failed, total)
        yield client


def get(client, path, **headers):
    base = client.dashboard_link.removesuffix("/status")
    with urllib.request.urlopen(urllib.request.Request(base + path, headers=headers), timeout=60) as answer:
        return answer.read().decode()


def test_programs_are_answered(busy, tools):
    assert get(busy, "/health").strip() == "ok"

    def measured():
        state = json.loads(get(busy, "/api/state"))
        return state if all(worker["memory"] > 0 for worker in state["workers"]) else None

    tools.until(measured)
    state = measured()
    assert [worker["nthreads"] for worker in state["workers"]] == [1, 1]
    assert {worker["status"] for worker in state["workers"]} == {"running"}
    assert all(worker["silent_s"] < 60 for worker in state["workers"])
    assert len(state["clients"]) == 1 and state["address"] == busy.scheduler_address
    prefixes = {prefix["name"]: prefix for prefix in state["prefixes"]}
    assert prefixes["inc"]["memory"] == 200 and prefixes["bytes"]["nbytes"] > 20_000_000
    assert prefixes["fail-of-mine"]["erred"] == 1 and prefixes["inc"]["seconds"] > 0
    runs = json.loads(get(busy, "/api/runs"))["runs"]
    assert sum(run["count"] for run in runs if run["name"] == "inc") == 200
    assert {run["kind"] for run in runs} == {"compute", "erred"}
    assert all(run["start_ms"] < run["stop_ms"] <= state["now_ms"] + 1000 for run in runs)
    assert {run["worker"] for run in runs} == {"0", "1"}
    metrics = get(busy, "/metrics")
    assert 'weft_scheduler_workers{state="running"} 2' in metrics
    assert 'weft_scheduler_tasks{state="erred"} 1' in metrics


def test_a_task_has_a_page(busy):
    task = json.loads(get(busy, "/api/task/" + quote("fail-of-mine")))
    assert task["state"] == "erred" and "ZeroDivisionError: no 3 today" in task["failure"]
    assert [step["to"] for step in task["story"]][-1] == "erred"
    total = json.loads(get(busy, "/api/task/total"))
    assert total["state"] == "memory" and len(total["dependencies"]) == 200 and total["workers"]
    with pytest.raises(urllib.error.HTTPError, match="404"):
        get(busy, "/api/task/nothing")
    lines = json.loads(get(busy, "/api/logs"))
    assert any("ZeroDivisionError" in line["text"] and line["level"] == "error" for line in lines)
    assert sum("joined" in line["text"] for line in lines) == 2


def test_a_page_of_another_site_is_not_answered(busy):
    with pytest.raises(urllib.error.HTTPError, match="403"):
        get(busy, "/api/state", Host="evil.example")
    assert get(busy, "/health", Host="evil.example").strip() == "ok"
    token = {"Authorization": f"Bearer {busy.cluster._token}", "Host": "evil.example"}
    assert json.loads(get(busy, "/api/state", **token))["workers"]


def test_links_to_it(busy):
    assert busy.dashboard_link.startswith("http://127.0.0.1:") and busy.dashboard_link.endswith("/status")
    assert busy.cluster.dashboard_link == busy.dashboard_link
    for html in (busy._repr_html_(), busy.cluster._repr_html_()):
        assert f'href="{busy.dashboard_link}"' in html and "1.86 GiB" in html


def test_a_port_that_is_taken(busy):
    port = busy.dashboard_link.split(":")[2].split("/")[0]
    with (
        pytest.warns(UserWarning, match=f"Port {port} is already in use"),
        Client(
            n_workers=1, processes=False, dashboard_address=f":{port}", set_as_default=False, memory_limit=0
        ) as other,
    ):
        assert other.dashboard_link not in ("", busy.dashboard_link)
        assert get(other, "/health").strip() == "ok"
    with Client(n_workers=1, processes=False, dashboard_address=None, set_as_default=False) as without:
        assert without.dashboard_link == ""


def test_the_page_in_a_browser(busy, tmp_path):
    playwright = pytest.importorskip("playwright.sync_api")
    problems = []
    with playwright.sync_playwright() as p:
        # The system's browser, or playwright's own.
        found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        if found is None and not os.path.exists(p.chromium.executable_path):
            pytest.skip("there is no Chromium: install one, or run playwright install chromium")
        browser = p.chromium.launch(executable_path=found)
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
        page.goto(busy.dashboard_link)
        page.wait_for_function("document.getElementById('link').textContent === 'live'")
        page.wait_for_function("document.getElementById('progress').textContent.includes('inc')")
        assert "2 workers" in page.inner_text("#summary") and "1 client" in page.inner_text("#summary")
        bars = page.inner_text("#progress")
        assert all(name in bars for name in ("inc", "bytes", "fail", "total"))
        assert not page.is_visible("#stream-empty")
        page.screenshot(path=os.environ.get("WEFT_SCREENSHOT", str(tmp_path / "status.png")))
        # Something was drawn on the task stream.
        colours = page.evaluate(
            "(() => { const c = document.getElementById('stream'); const d = c.getContext('2d')"
            ".getImageData(0, 0, c.width, c.height).data; const s = new Set();"
            "for (let i = 0; i < d.length; i += 4) s.add(d.slice(i, i + 4).join()); return s.size })()"
        )
        assert colours > 2
        page.goto(busy.dashboard_link + "#task=fail-of-mine")
        page.wait_for_function("document.body.innerText.includes('no 3 today')")
        page.goto(busy.dashboard_link + "#logs")
        page.wait_for_function("document.body.innerText.includes('joined from')")
        browser.close()
    assert problems == []
