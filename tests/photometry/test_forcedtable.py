"""The tables of forced photometry: identifiers, sky positions, levels."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive import columns, sky
from ezarchive.errors import InputError
from ezarchive.photometry import forcedtable
from ezarchive.photometry.forcedsums import Measured, Result
from ezarchive.sky.ellipses import Ellipses

pytestmark = pytest.mark.pure
N = 3


def measured(ring=np.nan):
    ones, bits = np.ones(N), np.zeros(N, np.int16)
    return Measured(ones, ones, ones, ones, ones, bits, np.full(N, ring), ones, np.full(N, 2.0), np.full(N, 30, np.int32))


def values(result, **given):
    x = np.arange(N, dtype=float)
    known = {"wcs": None, "world": None, "ids": None, "sky_source": "map"} | given
    return forcedtable.position_values(x, x, result, **known)


def result(sky_level=5.0, sigma=1.0, ring=np.nan):
    return Result([measured(ring)], np.full(N, sky_level), np.full(N, sigma))


def test_identifiers():
    assert values(result())["target_id"].tolist() == ["0", "1", "2"]
    assert values(result(), ids=[1, "b", b"c"])["target_id"].tolist() == ["1", "b", "c"]
    assert values(result(), ids=np.array([10, 11, 12]))["target_id"].tolist() == ["10", "11", "12"]
    with pytest.raises(InputError, match=r"ids: must be as many as positions \(3\), found 1"):
        values(result(), ids="abc")


def test_level_and_noise():
    both = values(result(ring=0.5))
    assert both["BACKGROUND"].tolist() == [5.5] * N
    assert both["SKYSIG"].tolist() == [1.0] * N
    ring = values(result(np.nan, np.nan, 7.0))
    assert ring["BACKGROUND"].tolist() == [7.0] * N
    assert ring["SKYSIG"].tolist() == [2.0] * N


def test_cells():
    world = np.array([10.0, np.nan, 30.0]), np.array([-5.0, 0.0, np.nan])
    found = values(result(), world=world)["_healpix_29"]
    assert found.mask.tolist() == [False, True, True]
    assert found[0] == sky.cell_of(np.array([10.0]), np.array([-5.0]), 29)[0]
    assert values(result())["_healpix_29"].mask.all()


def test_types_and_units():
    table = forcedtable.as_table(forcedtable.circular_columns(values(result(), world=(np.ones(N), np.ones(N))), result(), [4.0], ring=True))
    for column in (*columns.FORCED, *columns.aperture(0), *columns.annulus(0)):
        kind = table[column.name].dtype
        assert kind.kind == "U" if column.dtype == "str" else kind == column.dtype, column.name
        assert (table[column.name].unit is None) == (column.unit is None)
    ellipses = Ellipses(np.full(N, 4.0), np.full(N, 2.0), np.zeros(N))
    square = np.broadcast_to(np.array([[-0.5, 0.0], [0.0, 0.5]]), (N, 2, 2))
    table = forcedtable.as_table(forcedtable.elliptical_columns(values(result()), result(), ellipses, square, ring=False))
    assert [table[name][0].value for name in ("SMA_WORLD", "SMI_WORLD", "THETA_SKY")] == pytest.approx([2.0, 1.0, 90.0])
    assert "BACKGROUND_ELIP" not in table.colnames
