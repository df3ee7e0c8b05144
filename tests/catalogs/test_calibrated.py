"""What zero points add to a catalog."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable
from astropy.utils.masked import Masked

from ezarchive import columns
from ezarchive.catalogs.calibrated import add_zero_points, find, of_frame
from ezarchive.frames.record import Frame
from ezarchive.magnitudes import ZeroPoint

FIVE, SEVEN = ZeroPoint("APER", 5.0, 25.0, 0.03), ZeroPoint("APER", 7.0, 25.2, 0.04)
AUTO = ZeroPoint("AUTO", None, 25.4, 0.02, "Vega", 0.1)


def catalog() -> QTable:
    """Three sources: bright, negative, missing."""
    table = QTable({"NUMBER": [1, 2, 3]})
    for measure in ("AUTO", "APER", "APER_1"):
        table[f"FLUX_{measure}"] = Masked([100.0, -5.0, 1.0], mask=[False, False, True]) * u.ct
        table[f"FLUXERR_{measure}"] = [3.0, 4.0, 5.0] * u.ct
        if measure != "AUTO":
            table[f"SKYSIG_{measure}"] = [2.0, 2.0, np.nan] * u.ct
    return table


def test_every_formula() -> None:
    table = add_zero_points(catalog(), [FIVE, AUTO], [5.0, 7.0])
    first = {name: getattr(table[name], "unmasked", table[name])[0] for name in table.colnames}
    assert first["MAGSKY_APER"] == 20 * u.mag
    assert first["MAGSKYERR_APER"].value == pytest.approx(np.hypot(1.0857362047581294 * 0.03, 0.03), rel=1e-12)
    assert first["UL5SKY_APER"] == 22.5 * u.mag
    assert first["UL3SKY_APER"].value == pytest.approx(25 - 2.5 * np.log10(6), rel=1e-12)
    assert first["FLUXUJY_APER"].value == pytest.approx(100 * 10 ** ((23.9 - 25) / 2.5), rel=1e-12)
    assert first["FLUXUJYERR_APER"].value == pytest.approx(3 * 10 ** ((23.9 - 25) / 2.5), rel=1e-12)
    assert (first["ZP_APER"], first["ZPERR_APER"]) == (25 * u.mag, 0.03 * u.mag)
    assert first["MAGSKY_AUTO"] == 20.4 * u.mag
    assert first["FLUXUJY_AUTO"].value == pytest.approx(100 * 10 ** ((23.9 - 25.5) / 2.5), rel=1e-12)
    assert list(table["MAGSKY_APER"].mask) == [False, True, True]
    assert table["FLUXUJY_APER"].unmasked[1] < 0
    assert list(table["UL5SKY_APER"].mask) == [False, False, True]
    assert "UL5SKY_AUTO" not in table.colnames


def test_units_names_and_order_are_those_of_columns() -> None:
    table = add_zero_points(catalog(), [FIVE, SEVEN, AUTO], [5.0, 7.0])
    for measure in ("AUTO", "APER", "APER_1"):
        for column in columns.calibrated(measure):
            assert table[column.name].unit == u.Unit(column.unit)
            assert table[column.name].info.description == column.description
            assert columns.lookup(column.name) == column
    names = table.colnames
    assert names.index("FLUXERR_APER") < names.index("MAGSKY_APER") < names.index("ZPERR_APER") < names.index("FLUX_APER_1")


def test_a_zero_point_is_found_by_size_never_by_suffix() -> None:
    table = add_zero_points(catalog(), [SEVEN, FIVE], [7.03, 5.0])
    assert (table["ZP_APER"][0], table["ZP_APER_1"][0]) == (25.2 * u.mag, 25 * u.mag)
    table = add_zero_points(catalog(), [FIVE], [7.0, 5.0])
    assert "MAGSKY_APER" not in table.colnames
    assert table.meta["without_zero_point"] == ["AUTO", "APER"]
    assert table.meta["zero_points"] == {"APER_1": FIVE._asdict()}
    for lost in ([None, None], [4.9, 5.06], []):
        assert not [name for name in add_zero_points(catalog(), [FIVE], lost).colnames if name.startswith("MAGSKY")]


def test_the_nearest_size_counts() -> None:
    other = ZeroPoint("APER", 5.04, 26.0)
    assert find([other, FIVE], "APER_3", 5.01) is FIVE
    assert find([other, FIVE], "APER", 5.03) is other
    assert find([FIVE], "AUTO", 5.0) is None


def test_an_ellipse_takes_the_zero_point_of_auto() -> None:
    table = QTable({"FLUX_ELIP": [100.0] * u.ct, "FLUXERR_ELIP": [1.0] * u.ct, "SKYSIG_ELIP": [2.0] * u.ct})
    assert add_zero_points(table, [FIVE, AUTO])["MAGSKY_ELIP"][0] == 20.4 * u.mag
    assert add_zero_points(table, [AUTO])["UL5SKY_ELIP"][0] == 22.9 * u.mag


def test_nothing_in_the_argument_changes_and_twice_is_once() -> None:
    table = catalog()
    before = table.copy()
    once = add_zero_points(table, [FIVE], [5.0])
    assert table.colnames == before.colnames
    assert table.meta == before.meta
    twice = add_zero_points(once, [SEVEN], [7.0, 5.0])
    assert twice["ZP_APER"][0] == 25.2 * u.mag
    assert len(twice.colnames) == len(once.colnames)
    assert once["ZP_APER"][0] == 25 * u.mag


def test_without_an_ab_offset_there_are_no_microjanskys() -> None:
    vega = FIVE._replace(system="Vega", ab_offset=None)
    table = add_zero_points(catalog(), [vega], [5.0])
    assert table["FLUXUJY_APER"].mask.all()
    assert table["MAGSKY_APER"][0] == 20 * u.mag


def test_an_empty_catalog_has_the_columns() -> None:
    assert "MAGSKY_APER" in add_zero_points(catalog()[:0], [FIVE], [5.0]).colnames


def test_stored_zero_points_come_before_the_headers() -> None:
    frame = Frame(zero_point=24.0, zero_point_err=0.1, zero_point_aperture=5.0, zero_point_system="ab")
    header = ZeroPoint("APER", 5.0, 24.0, 0.1, "ab", 0.0)
    assert of_frame(frame) == [header]
    assert of_frame(frame, [SEVEN]) == [SEVEN, header]
    assert of_frame(frame, [FIVE, AUTO]) == [FIVE, AUTO]
    assert of_frame(None, [FIVE]) == [FIVE]
    assert of_frame(Frame(zero_point=24.0)) == []
    vega = of_frame(Frame(zero_point=24.0, zero_point_aperture=5.0, zero_point_system="Vega"))[0]
    assert vega.ab_offset is None
    assert np.isnan(vega.error)
