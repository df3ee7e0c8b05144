"""Every stored column: its type, unit, UCD and meaning are such that every reader takes them."""

from __future__ import annotations

import dataclasses

import astropy.units as u
import pytest
from astropy.io.votable.ucd import check_ucd

from ezarchive import columns
from ezarchive.columns import (
    ANNULUS,
    APERTURE,
    CALIBRATED,
    CATALOG_LINK,
    DTYPES,
    ELLIPSE,
    ELLIPSE_ANNULUS,
    FORCED,
    FRAME,
    LIGHT_CURVE,
    LOOK,
    NAMES,
    PHOTUTILS,
    SOURCE,
    Column,
    aperture,
    lookup,
    suffix,
)
from ezarchive.errors import InputError
from ezarchive.frames.record import Frame

FAMILIES = {
    "FRAME": FRAME,
    "NAMES": NAMES,
    "CATALOG_LINK": CATALOG_LINK,
    "SOURCE": SOURCE,
    "APERTURE": APERTURE,
    "PHOTUTILS": PHOTUTILS,
    "FORCED": FORCED,
    "ANNULUS": ANNULUS,
    "ELLIPSE": ELLIPSE,
    "ELLIPSE_ANNULUS": ELLIPSE_ANNULUS,
    "CALIBRATED": CALIBRATED,
    "LIGHT_CURVE": LIGHT_CURVE,
}
ALL = [(family, column) for family, members in FAMILIES.items() for column in members]


LOOKED = [("LOOK", column) for column in LOOK]


@pytest.mark.parametrize(("family", "column"), ALL + LOOKED, ids=[f"{family}.{column.name}" for family, column in ALL + LOOKED])
def test_a_column_is_well_specified(family: str, column: Column) -> None:
    assert column.dtype in DTYPES
    assert column.unit is None or u.Unit(column.unit)
    assert len(column.description) >= 4
    assert not column.description.endswith(".") or column.description.endswith("...")
    assert column.ucd == "" or check_ucd(column.ucd, check_controlled_vocabulary=True, has_colon=False)


@pytest.mark.parametrize("family", FAMILIES)
def test_names_are_unique_in_their_family(family: str) -> None:
    names = [column.name for column in FAMILIES[family]]
    assert len(names) == len(set(names))


def test_the_names_in_a_catalog_are_unique() -> None:
    names = [column.name for column in (*CATALOG_LINK, *SOURCE, *aperture(0), *aperture(1), *aperture(12))]
    assert len({name.lower() for name in names}) == len(names), "SQL does not tell upper and lower case apart"


def test_columns_of_the_same_name_mean_the_same() -> None:
    first: dict[str, Column] = {}
    for _, column in ALL:
        known = first.setdefault(column.name, column)
        assert (known.dtype, known.unit) == (column.dtype, column.unit), column.name


def test_the_record_has_every_column_of_a_frame() -> None:
    fields = {field.name for field in dataclasses.fields(Frame)}
    assert {column.name for column in (*FRAME, *NAMES)} <= fields


@pytest.mark.parametrize(("index", "end"), [(0, ""), (1, "_1"), (12, "_12")])
def test_suffixes(index: int, end: str) -> None:
    assert suffix(index) == end
    assert [column.name for column in aperture(index)] == [column.name + end for column in APERTURE]
    assert [column[1:] for column in aperture(index)] == [column[1:] for column in APERTURE]


@pytest.mark.parametrize("name", [column.name for _, column in ALL])
def test_lookup_finds_every_column(name: str) -> None:
    assert lookup(name).name == name


def test_lookup_finds_apertures_of_any_index() -> None:
    assert lookup("FLUX_APER_7") == columns.aperture(7)[0]
    assert lookup("FLAGS_APER_10").dtype == "int16"


@pytest.mark.parametrize("name", ["", "FLUX", "FLUX_AUTO_1", "FLUX_APER_x", "FLUX_APER_", "_1", "flux_aper", "FLUX_APER_1_1"])
def test_lookup_of_what_is_not_stored(name: str) -> None:
    with pytest.raises(InputError, match=f"column '{name}': no table of the archive has it"):
        lookup(name)
