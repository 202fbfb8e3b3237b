"""Tables and queries of a real PostgreSQL, which the tests start on loopback if it is installed."""

import os
import pathlib
import shutil
import socket
import subprocess

import numpy as np
import pandas as pd
import pandas.testing as tm
import pytest
import weft.dataframe as dd

sqlalchemy = pytest.importorskip("sqlalchemy")


def _programs():
    """Where ``initdb`` and ``postgres`` are: on the path, or where distributions put them."""
    found = [os.path.dirname(p) for p in [shutil.which("postgres")] if p]
    found += sorted(str(p.parent) for p in pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres"))[::-1]
    return next(
        (p for p in found if os.access(f"{p}/initdb", os.X_OK) and os.access(f"{p}/postgres", os.X_OK)), None
    )


def _driver():
    for name in ("psycopg2", "psycopg", "pg8000", "asyncpg"):
        try:
            __import__(name)
        except ImportError:
            continue
        return name
    return None


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The address of a database of its own; the server ends with the tests."""
    programs, driver = _programs(), _driver()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: no initdb and postgres")
    if driver is None or driver == "asyncpg":
        pytest.skip("no driver for PostgreSQL is installed (psycopg, psycopg2 or pg8000)")
    base = tmp_path_factory.mktemp("postgres")
    data, log = base / "data", base / "log"
    options = {}
    if os.getuid() == 0:
        # The server refuses to run as root.
        import pwd

        try:
            user = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
        for folder in [base, *base.parents]:
            if folder.stat().st_uid == 0 and not folder.stat().st_mode & 0o001:
                folder.chmod(folder.stat().st_mode | 0o011)
        os.chown(base, user.pw_uid, user.pw_gid)
        options = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    run = {"cwd": base, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, **options}
    made = subprocess.run(
        [f"{programs}/initdb", "-D", data, "-U", "weft", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"],
        **run,
        check=False,
    )
    assert made.returncode == 0, made.stderr.decode()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [f"{programs}/postgres", "-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", base, "-F"]
    with open(log, "wb") as out:
        process = subprocess.Popen(command, cwd=base, stdout=out, stderr=out, **options)
    try:
        _until_it_answers(process, port, log)
        yield f"postgresql+{driver}://weft@127.0.0.1:{port}/postgres"
    finally:
        process.terminate()
        process.wait(60)


def _until_it_answers(process, port, log):
    # The server says so itself when it is ready; the pipe of its log is a file, so it is looked at again.
    import time

    for _ in range(1200):
        assert process.poll() is None, log.read_text()
        if "ready to accept connections" in log.read_text():
            return
        time.sleep(0.05)
    raise AssertionError(log.read_text())


FRAME = pd.DataFrame(
    {
        "name": ["Ärger", "b", None, "d"] * 25,
        "amount": np.arange(100) * 1.5,
        "day": pd.date_range("2020-01-01", periods=100, unit="us"),
        "good": [True, False] * 50,
    },
    index=pd.RangeIndex(100, name="number"),
)


@pytest.fixture(scope="module")
def table(server):
    dd.from_pandas(FRAME, npartitions=4).to_sql("things", server)
    return server


def test_a_table_comes_back_as_it_was_written(table):
    df = dd.read_sql_table("things", table, index_col="number", npartitions=5)
    assert df.npartitions == 5
    assert df.known_divisions
    got = df.compute()
    tm.assert_frame_equal(got, FRAME, check_dtype=False, check_index_type=False)
    assert [d.kind for d in got.dtypes] == [d.kind for d in FRAME.dtypes]


def test_columns_limits_and_divisions(table):
    df = dd.read_sql_table("things", table, index_col="number", columns=["amount"], divisions=[0, 10, 50, 99])
    assert df.divisions == (0, 10, 50, 99)
    assert df.partitions[1].compute().amount.tolist() == FRAME.amount[10:50].tolist()
    assert df.amount.sum().compute() == FRAME.amount.sum()


def test_partitions_by_time(table):
    df = dd.read_sql_table("things", table, index_col="day", npartitions=3)
    assert df.compute().amount.sort_index().tolist() == FRAME.amount.tolist()


def test_queries(table):
    things = sqlalchemy.sql.table("things", *[sqlalchemy.column(c) for c in ("number", "amount", "good")])
    query = sqlalchemy.select(things).where(things.c.good)
    got = dd.read_sql_query(query, table, index_col="number", npartitions=3).compute().sort_index()
    assert got.amount.tolist() == FRAME.amount[FRAME.good].tolist()


def test_appending_and_replacing(server):
    df = dd.from_pandas(FRAME, npartitions=2)
    df.to_sql("again", server)
    with pytest.raises(ValueError, match="again"):
        df.to_sql("again", server)
    df.to_sql("again", server, if_exists="append")
    assert len(pd.read_sql_table("again", server)) == 200
    df.to_sql("again", server, if_exists="replace", chunksize=7, method="multi")
    assert sorted(pd.read_sql_table("again", server).number) == list(range(100))


def test_a_table_that_is_not_there_is_named(server):
    with pytest.raises(Exception, match="nothing_here"):
        dd.read_sql_table("nothing_here", server, index_col="number")
