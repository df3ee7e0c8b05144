from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ezarchive.config import CALIBRATION_LAYOUT, TUTORIAL_LAYOUT
from ezarchive.errors import ConfigError, InputError
from ezarchive.frames.layout import FIELDS, Layout, layout, printable

pytestmark = pytest.mark.pure

TUTORIAL = "7DT/7DT_C361K_HIGH_1x1/T00528/7DT14/m600/calib_7DT14_T00528_20250901_020304_m600_100.fits"
NAMED = "{night}/calib_{telname}_{objname}_{date}_{time}_{filter}_{exptime}.fits"


def test_tutorial_tree():
    assert Layout(TUTORIAL_LAYOUT).parse(TUTORIAL) == {
        "observatory": "7DT",
        "telkey": "7DT_C361K_HIGH_1x1",
        "objname": "T00528",
        "telname": "7DT14",
        "filter": "m600",
    }
    assert Layout(CALIBRATION_LAYOUT).parse("7DT/7DT_C361K_HIGH_1x1/bias/7DT14/a.fits")["imgtype"] == "bias"


@pytest.mark.parametrize(
    ("template", "path", "fields"),
    [
        ("", "a.fits", {}),
        ("/", "a.fits", {}),
        ("", "x/a.fits", {}),
        (
            "{night}/{telname}/{objname}/{filter}",
            "2025-09-01/7DT02/M 31/r/a.fits",
            {"night": "2025-09-01", "telname": "7DT02", "objname": "M 31", "filter": "r"},
        ),
        ("{night}/{telname}", "a.fits", {}),
        ("{night}/{telname}", "1/2/3/a.fits", {}),
        ("*/{telname}", "x y/7DT02/a.fits", {"telname": "7DT02"}),
        ("{_}/{telname}", "x/7DT02/a.fits", {"telname": "7DT02"}),
        ("raw/{telname}", "raw/7DT02/a.fits", {"telname": "7DT02"}),
        ("raw/{telname}", "red/7DT02/a.fits", {}),
        ("{telname}-{night}", "7DT02-2025-09-01/a.fits", {"telname": "7DT02", "night": "2025-09-01"}),
        ("{night}_gain*", "20250901_gain2750/a.fits", {"night": "20250901"}),
        ("v1.0/", "v1.0/a.fits", {}),
        ("{telname}.d/", "7DT02.d/a.fits", {"telname": "7DT02"}),
        ("{objname}", "a\nb'\"é/x.fits", {"objname": "a\nb'\"é"}),
        ("{objname}.fits", "M 31.fits.gz", {"objname": "M 31"}),
    ],
)
def test_parse(template, path, fields):
    assert Layout(template).parse(path) == fields


def test_file_names():
    got = Layout(NAMED).parse("20250901/calib_7DT14_NGC_1566_20250901_020304_m600_100.fits")
    assert got["telname"] == "7DT14"
    assert got["objname"] == "NGC_1566"
    assert (got["date"], got["time"], got["filter"], got["exptime"]) == ("20250901", "020304", "m600", "100")
    assert Layout(NAMED).parse("20250901/calib_7DT14_T00528_20250901_020304_m600_100.fits.fz")["objname"] == "T00528"
    assert Layout(NAMED).parse("20250901/notes.fits") == {}


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{nihgt}", r"field 'nihgt': did you mean 'night'\?"),
        ("{date}/{telname}", "field 'date'"),
        ("{night", "braces in '{night' must match"),
        ("night}", "must match"),
        ("{night}/{night}", "field 'night' must not be there twice"),
        ("{night}_{night}", "must not be there twice"),
        ("{night}//{telname}", "must not have empty components"),
        ("{}", "field ''"),
    ],
)
def test_bad_templates(template, message):
    with pytest.raises(ConfigError, match=message):
        Layout(template)


PART = st.text(st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1, max_size=20).filter(lambda s: s.strip("."))
DATE, TIME = st.from_regex(r"\A(19|20)[0-9]{6}\Z"), st.from_regex(r"\A[0-9]{6}\Z")


@given(st.permutations(FIELDS), st.integers(0, len(FIELDS)), st.data())
def test_round_trip(fields, count, data):
    template = "/".join("{" + field + "}" for field in fields[:count])
    values = {field: data.draw(PART) for field in fields[:count]}
    name = data.draw(PART)
    path = Layout(template).format(values, name)
    assert Layout(template).parse(path) == values
    assert path.rpartition("/")[2] == name


@given(st.text(st.characters(categories=("L", "N")), min_size=1), DATE, TIME)
def test_round_trip_of_file_names(name, date, time):
    values = {"night": date, "telname": name, "objname": f"{name}_x", "date": date, "time": time, "filter": "r", "exptime": "100"}
    path = Layout(NAMED).format(values)
    assert Layout(NAMED).parse(path) == values


def test_tutorial_tree_is_written_and_read():
    made = Layout(TUTORIAL_LAYOUT)
    path = made.format(made.parse(TUTORIAL), TUTORIAL.rpartition("/")[2])
    assert path == TUTORIAL


@pytest.mark.parametrize(
    ("template", "values", "name", "message"),
    [
        ("{night}", {}, "a.fits", "field 'night': must have a value"),
        ("{night}", {"night": ""}, "a.fits", "must have a value"),
        ("{night}", {"night": "a/b"}, "a.fits", "must not hold a slash"),
        ("{night}", {"night": ".."}, "a.fits", "must not be the name of a folder"),
        ("{night}/*", {"night": "1"}, "a.fits", "has a wildcard"),
        ("{night}", {"night": "1"}, None, "must be the name of a file"),
        ("{telname}{night}", {"telname": "ab", "night": "c"}, "a.fits", "does not give them back"),
    ],
)
def test_what_cannot_be_written(template, values, name, message):
    with pytest.raises(InputError, match=message):
        Layout(template).format(values, name)


def test_layouts_travel_to_workers():
    assert pickle.loads(pickle.dumps(Layout(NAMED))).parse("1/x") == {}
    assert layout(NAMED) is layout(NAMED)
    assert repr(Layout("{night}")) == "Layout('{night}')"


def test_printable():
    assert printable("T\udcff\udc80\nx") == "T\\xff\\x80 x"
    assert printable("é 'x'") == "é 'x'"
