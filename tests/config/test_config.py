"""Where settings come from, which source wins, and what readers see while others write."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
import weft.config as wc
import yaml

ROOT = Path(wc.__file__).parent
SHIPPED = yaml.safe_load((ROOT / "weft.yaml").read_text())


def test_weft_wins_over_dask_in_the_environment():
    env = {"DASK_A__B": "1", "DASK_A__C": "2", "WEFT_A__B": "3", "WEFTED": "4", "WEFT_CONFIG": "/x"}
    assert wc.collect_env(env) == {"a": {"b": 3, "c": 2}}


def test_hyphens_do_not_make_two_settings_of_one():
    assert wc.collect_env({"DASK_NUM_WORKERS": "1", "WEFT_NUM_WORKERS": "2"}) == {"num_workers": 2}


def test_sources_in_order(tmp_path):
    dask, weft = tmp_path / "dask", tmp_path / "weft"
    dask.mkdir()
    weft.mkdir()
    (dask / "a.yaml").write_text("{a: 1, b: 1, c: 1, d: 1}")
    (weft / "a.yaml").write_text("{b: 2, c: 2, d: 2}")
    env = {"DASK_C": "3", "DASK_D": "3", "WEFT_D": "4"}
    config = {}
    wc.refresh(config=config, defaults=[{"a": 0, "e": 0}], paths=[dask, weft], env=env)
    assert config == {"a": 1, "b": 2, "c": 3, "d": 4, "e": 0}


def test_paths_prefer_wefts_file(monkeypatch):
    monkeypatch.setenv("DASK_CONFIG", "/from/dask")
    assert wc._get_paths()[-1].endswith("weft") and "/from/dask" in wc._get_paths()
    monkeypatch.setenv("WEFT_CONFIG", "/from/weft")
    assert wc._get_paths()[-1] == "/from/weft" and "/from/dask" not in wc._get_paths()


def test_inherited_configuration_is_below_the_variables():
    inherited = wc.serialize({"a": {"b": 1, "c": 1}})
    assert wc.collect_env({"WEFT_INTERNAL_INHERIT_CONFIG": inherited, "WEFT_A__B": "2"}) == {
        "a": {"b": 2, "c": 1}
    }


def test_set_does_not_change_the_users_mapping():
    mine = {"x": 1}
    with wc.set({"abc": mine}), wc.set({"abc.y": 2}):
        assert wc.get("abc") == {"x": 1, "y": 2}
    assert mine == {"x": 1}


def test_set_below_null_and_back():
    config = {"a": None}
    with wc.set({"a.b.c": 1}, config=config):
        assert config == {"a": {"b": {"c": 1}}}
    assert config == {"a": None}


def test_set_below_a_value_names_both_and_changes_nothing():
    config = {"a": 1, "b": 1}
    with pytest.raises(TypeError, match="cannot set 'a.x': 'a' holds 1, not a mapping"):
        wc.set({"b": 2, "a.x": 2}, config=config)
    assert config == {"a": 1, "b": 1}


def test_overlapping_contexts_undo_only_their_own():
    config = {"a": {"x": 0, "y": 0}}
    first = wc.set({"a.x": 1}, config=config)
    second = wc.set({"a.y": 1}, config=config)
    first.__exit__(None, None, None)
    assert config == {"a": {"x": 0, "y": 1}}
    second.__exit__(None, None, None)
    assert config == {"a": {"x": 0, "y": 0}}


def test_deprecated_name_warns_at_the_callers_line():
    with pytest.warns(FutureWarning, match="dataframe.shuffle.method") as seen:
        with wc.set({"dataframe.shuffle.algorithm": "tasks"}):
            assert wc.get("dataframe.shuffle.method") == "tasks"
    assert seen[0].filename == __file__


def test_malformed_file_is_named(tmp_path):
    (tmp_path / "bad.yaml").write_text("{")
    with pytest.raises(ValueError, match=r"bad\.yaml.*malformed"):
        wc.collect([tmp_path], env={})


def test_update_defaults_keeps_what_the_user_changed():
    config, defaults = {}, []
    wc.update_defaults({"a": {"x": 1, "y": 1}}, config=config, defaults=defaults)
    wc.set({"a.x": 5}, config=config)
    wc.update_defaults({"a": {"x": 2, "y": 2}}, config=config, defaults=defaults)
    assert config == {"a": {"x": 5, "y": 2}}


def test_threads_set_different_names_and_lose_none():
    config = {"n": {}}
    threads = 8
    barrier = threading.Barrier(threads)

    def work(i):
        barrier.wait()
        for k in range(200):
            wc.set({f"n.t{i}.k{k}": k}, config=config)

    pool = [threading.Thread(target=work, args=(i,)) for i in range(threads)]
    [t.start() for t in pool]
    [t.join() for t in pool]
    assert config["n"] == {f"t{i}": {f"k{k}": k for k in range(200)} for i in range(threads)}


def test_readers_see_both_halves_of_a_change_or_none():
    config = {"pair": {"a": 0, "b": 0}}
    stop = threading.Event()
    torn = []

    def read():
        while not stop.is_set():
            pair = wc.get("pair", config=config)
            if pair["a"] != pair["b"]:
                torn.append(pair)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for i in range(2000):
            with wc.set({"pair": {"a": i, "b": i}}, config=config):
                wc.refresh(config={}, defaults=[], paths=[], env={})
    finally:
        stop.set()
        reader.join()
    assert not torn


def test_refresh_never_hides_a_setting(monkeypatch):
    config = {}
    defaults = [{"a": {"b": 1}}]
    wc.refresh(config=config, defaults=defaults, paths=[], env={})
    stop = threading.Event()
    errors = []

    def read():
        while not stop.is_set():
            try:
                assert wc.get("a.b", config=config) == 1
            except Exception as e:
                errors.append(e)
                return

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for _ in range(500):
            wc.refresh(config=config, defaults=defaults, paths=[], env={})
    finally:
        stop.set()
        reader.join()
    assert not errors


def test_threads_that_load_together_agree():
    code = (
        "import threading, weft.config as c\n"
        "b = threading.Barrier(8); out = []\n"
        "def f():\n b.wait(); out.append(c.get('array.svg.size'))\n"
        "ts = [threading.Thread(target=f) for _ in range(8)]\n"
        "[t.start() for t in ts]; [t.join() for t in ts]\n"
        "assert out == [120] * 8 and len(c.defaults) == 1, out\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_lock_holder_may_be_the_first_to_ask():
    code = "import weft.config as c\nwith c.config_lock:\n assert c.get('array.svg.size') == 120"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_yaml_is_imported_only_when_a_setting_is_asked_for():
    code = (
        "import sys, weft.config\nassert 'yaml' not in sys.modules\n"
        "from weft.config import config\nassert config['array']['svg']['size'] == 120"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_variables_and_files_reach_a_new_process(tmp_path):
    (tmp_path / "x.yaml").write_text("{memory: {limit: 1GB}, temporary-directory: /somewhere}")
    env = {"WEFT_CONFIG": str(tmp_path), "WEFT_MEMORY__LIMIT": "2GB", "DASK_ARRAY__CHUNK_SIZE": "1MiB"}
    code = "import weft.config as c; print(*map(c.get, ['memory.limit', 'temporary_directory', 'array.chunk-size']))"
    out = subprocess.run([sys.executable, "-c", code], check=True, env=env, capture_output=True, text=True)
    assert out.stdout.split() == ["2GB", "/somewhere", "1MiB"]


def test_schema_names_every_setting_and_each_default_is_valid():
    schema = yaml.safe_load((ROOT / "weft-schema.yaml").read_text())
    kinds = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "null": type(None)}
    kinds |= {"array": list, "object": dict}

    def check(value, schema, name):
        if "enum" in schema:
            assert value in schema["enum"], name
            return
        allowed = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        assert any(isinstance(value, kinds[t]) for t in allowed), name
        assert not isinstance(value, bool) or "boolean" in allowed, name
        if isinstance(value, dict):
            assert list(value) == list(schema["properties"]), name
            for k, v in value.items():
                check(v, schema["properties"][k], f"{name}.{k}")
        else:
            assert schema.get("description"), name

    check(SHIPPED, schema, "weft")


@pytest.mark.parametrize("comment", [True, False])
def test_ensure_file_writes_once(tmp_path, comment):
    wc.ensure_file(ROOT / "weft.yaml", tmp_path / "there", comment=comment)
    [copy] = (tmp_path / "there").iterdir()
    assert yaml.safe_load(copy.read_text()) == (None if comment else SHIPPED)
    copy.write_text("mine: 1")
    wc.ensure_file(ROOT / "weft.yaml", tmp_path / "there", comment=comment)
    assert copy.read_text() == "mine: 1"
