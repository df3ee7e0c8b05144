"""Files for other programs."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive.catalogs.curveexport import aavso
from ezarchive.errors import InputError

from .test_curvetable import curve, limits, set_column, together

STAR = {"name": "SS Cyg", "observer": "ABC"}


def rows(text):
    return [line.split(",") for line in text.splitlines() if not line.startswith("#")]


def test_the_file_by_hand(tmp_path):
    table = together(
        curve([60000.25], [100.0], [2.0]), limits([60001.5], [18.25], band="m600"), curve([60002.0], [-3.0], band="g", kind="forced")
    )
    path = table.write(tmp_path / "SS_Cyg.txt", format="aavso", **STAR)
    lines = path.read_text().splitlines()
    assert lines[0] == "#TYPE=Extended"
    assert lines[1] == "#OBSCODE=ABC"
    assert lines[2].startswith("#SOFTWARE=ezarchive")
    assert lines[3:6] == ["#DELIM=,", "#DATE=JD", "#OBSTYPE=CCD"]
    assert lines[6] == "#NAME,DATE,MAG,MERR,FILT,TRANS,MTYPE,CNAME,CMAG,KNAME,KMAG,AMASS,GROUP,CHART,NOTES"
    # 2 % of flux are 0.0217 mag; 0.01 of the zero point with it.
    assert lines[7] == "SS Cyg,2460000.750000,20.000,0.024,SR,NO,STD,ENSEMBLE,na,na,na,na,na,na,na"
    assert lines[8] == "SS Cyg,2460002.000000,<18.250,na,O,NO,STD,ENSEMBLE,na,na,na,na,na,na,filter m600"
    assert lines[9].split(",")[2:5] == ["<23.253", "na", "SG"]
    assert len(lines) == 10


def test_every_line_fits_the_format():
    text = aavso(together(curve(np.linspace(60000, 60010, 30), 50.0, 0.5)), **STAR, chart="X1", transformed=True, filters={"r": "CV"})
    assert text.isascii()
    for row in rows(text):
        assert len(row) == 15
        assert len(row[0]) <= 30
        assert len(row[1]) <= 16
        assert len(row[2]) <= 8
        assert len(row[3]) <= 6
        assert row[4:6] == ["CV", "YES"]
        assert row[13] == "X1"


def test_heliocentric_dates():
    table = curve([60000.0], 50.0)
    with pytest.raises(InputError, match="lacks the column 'hjd_utc'; light_curve"):
        aavso(table, **STAR, date="HJD")
    set_column(table, "hjd_utc", np.array([2460000.501]), "d", "")
    text = aavso(table, **STAR, date="HJD")
    assert "#DATE=HJD" in text
    assert rows(text)[0][1] == "2460000.501000"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": None}, "name=None: format='aavso' needs it"),
        ({"observer": " "}, "observer=' ': format='aavso' needs it"),
        ({"name": "a,b"}, "must be ASCII without a comma"),
        ({"observer": "Č"}, "must be ASCII"),
        ({"name": "x" * 31}, "must have at most 30 letters"),
        ({"date": "BJD"}, "date='BJD': must be JD or HJD"),
    ],
)
def test_wrong_arguments_are_named(given, message):
    with pytest.raises(InputError, match=message):
        aavso(curve([1.0], 1.0), **{**STAR, **given})


def test_nothing_calibrated_is_told():
    nothing = np.array([np.nan])
    with pytest.raises(InputError, match="no row has a calibrated magnitude or limit"):
        aavso(curve([1.0], 1.0, mag=nothing, mag_limit=nothing), **STAR)


def test_formats_are_told(tmp_path):
    table = curve([1.0], 1.0)
    with pytest.raises(InputError, match=r"the suffix must be one of .*\.aavso"):
        table.write(tmp_path / "curve.xyz")
    with pytest.raises(InputError, match="format='xyz': must be one of ecsv"):
        table.write(tmp_path / "curve.csv", format="xyz")
    with pytest.raises(InputError, match="name: is for format='aavso' alone"):
        table.write(tmp_path / "curve.csv", name="SS Cyg")
    assert not list(tmp_path.iterdir())
    assert table.write(tmp_path / "curve.aavso", **STAR).read_text().startswith("#TYPE")
