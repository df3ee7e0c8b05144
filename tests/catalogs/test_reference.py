"""Reference catalogs in every form."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pandas as pd
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import MaskedColumn, QTable, Table

from ezarchive.catalogs.reference import QueriedReference, Reference, read_reference
from ezarchive.errors import InputError, UnknownNameError


def stars(n: int = 6) -> Table:
    """A few stars around RA 0, from north to south."""
    table = Table({"source_id": np.arange(n), "ra": (359.999 + 0.001 * np.arange(n)) % 360, "dec": 10.0 - 0.001 * np.arange(n)})
    table["m600_mag"], table["e_m600mag"], table["r_mag"] = 14.0 + np.arange(n), np.full(n, 0.02), 13.5 + np.arange(n)
    table["g_mag"] = table["r_mag"] + 0.1 * np.arange(n)
    return table


def same(reference: Reference) -> None:
    """Check that a reference is `stars`."""
    found, truth = reference.stars("m600"), stars()
    order = np.argsort(found["mag"])
    for name, wanted in (("ra", "ra"), ("dec", "dec"), ("mag", "m600_mag"), ("mag_err", "e_m600mag")):
        np.testing.assert_allclose(found[name][order], truth[wanted], atol=1e-9)
    assert np.isnan(found["colour"]).all()


@pytest.mark.parametrize("name", ["s.csv", "s.ecsv", "s.fits", "s.vot", "s.xml", "s.parquet", "s.csv.gz", "s.fits.gz"])
def test_every_format_gives_the_same_stars(tmp_path: Path, name: str) -> None:
    path, table = tmp_path / name, stars()
    if ".csv" in name:
        table.to_pandas().to_csv(path, index=False)
    else:
        table.write(path, **({"format": "votable"} if name.endswith((".vot", ".xml")) else {}))
    same(read_reference(path))
    same(read_reference(str(path)))


def test_tables_in_memory() -> None:
    table = stars()
    same(read_reference(table))
    same(read_reference(QTable(table)))
    same(read_reference(table.to_pandas()))
    same(read_reference({name: table[name].tolist() for name in table.colnames}))
    same(read_reference(read_reference(table)))


def test_units_of_positions_are_honoured() -> None:
    table, wanted = stars(), stars()
    place = SkyCoord(wanted["ra"] * u.deg, wanted["dec"] * u.deg)
    table["ra"], table["dec"] = place.ra.to(u.hourangle), place.dec.to(u.rad)
    same(Reference(QTable(table)))
    table = stars()
    table["ra"], table["dec"] = place.ra.to_string(u.hourangle, precision=8), place.dec.to_string(u.deg, precision=8)
    same(Reference(table))


def test_columns_are_named_by_the_user() -> None:
    table = stars()
    table.rename_columns(["ra", "dec", "m600_mag", "e_m600mag"], ["LON", "LAT", "F(m600)", "dF(m600)"])
    columns = {"ra": "LON", "dec": "LAT", "mag": "F({filter})", "mag_err": "dF({filter})"}
    same(Reference(table, columns))
    same(Reference(table, {**columns, "mag": {"m600": "F(m600)"}, "mag_err": {"m600": "dF(m600)"}}))
    assert Reference(table, columns).of_one_band is None
    assert Reference(table, {**columns, "mag": "r_mag"}).of_one_band == "r_mag"
    assert np.isnan(Reference(table, {**columns, "mag": {"r": "r_mag"}, "mag_err": {"m600": "dF(m600)"}}).stars("r")["mag_err"]).all()
    assert read_reference(Reference(table, columns), {"ra": "LON", "dec": "LAT", "mag": "r_mag"}).stars("m600")["mag"].min() == 13.5


def test_colours_are_a_column_or_a_difference() -> None:
    table = stars()
    table["bp_rp"] = 0.7
    two = Reference(table, {"colour": "g_mag - r_mag"})
    np.testing.assert_allclose(np.sort(two.stars("m600")["colour"]), 0.1 * np.arange(6))
    assert two.median_colour("m600") == pytest.approx(0.25)
    assert Reference(table, {"colour": "bp_rp"}).median_colour("r") == 0.7
    assert Reference(table, {"colour": "{filter}_mag - r_mag"}).median_colour("m600") == 0.5
    assert Reference(table).median_colour("r") is None
    with pytest.raises(InputError, match="colour 'a - b - c': must be a column, or two"):
        Reference(table, {"colour": "a - b - c"}).stars("r")


def test_what_is_missing_is_nan() -> None:
    table = stars()
    table["m600_mag"] = MaskedColumn(table["m600_mag"], mask=[True, False, False, False, False, False])
    table["m600_mag"][1:4] = [99.0, -99.99, np.nan]
    found = Reference(table).stars("m600")
    assert np.isfinite(found["mag"]).tolist() == [True, True, False, False, False, False]
    gaps = pd.DataFrame({"ra": [1.0, 2.0], "dec": [3.0, 4.0], "r_mag": [12.5, None]})
    assert Reference(Table.from_pandas(gaps)).stars("r")["mag"][0] == 12.5
    assert np.isnan(read_reference(gaps).stars("r")["mag"][1])


def test_a_cone(rng: np.random.Generator) -> None:
    ra, dec = rng.uniform(0, 360, 3000), np.degrees(np.arcsin(rng.uniform(0.9, 1, 3000)))
    reference = Reference(Table({"ra": np.append(ra, np.nan), "dec": np.append(dec, np.nan), "r": np.arange(3001.0)}))
    for place, radius in (((0.0, 89.9), 3.0), ((359.99, 70.0), 1.0), ((123.0, 65.0), 0.001)):
        near = reference.near(*place, radius)
        wanted = SkyCoord(ra * u.deg, dec * u.deg).separation(SkyCoord(*place, unit="deg")).deg <= radius
        np.testing.assert_allclose(np.sort(reference.stars("r", near)["ra"]), np.sort(ra[wanted]))
    assert len(reference) == 3001


def test_the_digest_tells_references_apart() -> None:
    table = stars()
    assert Reference(table).digest() == Reference(stars()).digest()
    table["r_mag"][0] += 1e-9
    assert Reference(table).digest() != Reference(stars()).digest()


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        ({"magnitude": "r_mag"}, UnknownNameError, "columns: meaning 'magnitude': must be one of 'colour', 'dec', 'mag'"),
        ({"ra": "RA"}, UnknownNameError, "reference: column 'RA': did you mean 'ra'"),
        ({"mag": "{filter}_magnitude"}, UnknownNameError, "reference: column 'm600_magnitude'"),
        ({"mag": {"r": "r_mag"}}, UnknownNameError, "reference: filter 'm600': must be one of 'r'"),
        ({"mag": "name"}, InputError, "reference: column 'name' must hold numbers, found dtype"),
        ({"mag": "flux"}, InputError, "reference: column 'flux' must hold magnitudes, found values in uJy"),
        ({"mag": 3}, InputError, "columns: mag=3: must be the name of a column, or a mapping of filter -> name"),
        ({"mag": {"r": None}}, InputError, "columns: mag={'r': None}: must be the name of a column"),
        ({"colour": ["g_mag", "r_mag"]}, InputError, r"columns: colour=\['g_mag', 'r_mag'\]: must be the name of a column"),
        (["r_mag"], InputError, "columns: must be a mapping of meaning -> column, found list"),
    ],
)
def test_wrong_columns(columns: dict[str, Any], error: type[Exception], message: str) -> None:
    table = stars()
    table["name"], table["flux"] = "x", 5.0 * u.uJy
    with pytest.raises(error, match=message):
        Reference(table, columns).stars("m600")


def test_an_unknown_filter_and_no_positions() -> None:
    with pytest.raises(UnknownNameError, match="reference: column with magnitudes of filter 'm625': must be one of .*'m600_mag'"):
        Reference(stars()).stars("m625")
    assert Reference(stars()).has_band("r")
    assert not Reference(stars()).has_band("m625")
    assert not Reference(stars()).has_band(None)
    with pytest.raises(InputError, match="reference: columns must name the one with dec; found ra, mag"):
        Reference(Table({"ra": [1.0], "mag": [2.0]}))


def test_the_case_of_a_filter_of_one_letter_is_kept() -> None:
    table = stars()
    table["R_mag"], table["Mag_M625"] = table["r_mag"] - 0.3, table["r_mag"] + 7
    assert Reference(table).stars("r")["mag"].min() == 13.5
    assert Reference(table).stars("R")["mag"].min() == 13.2
    assert Reference(table).stars("m625")["mag"].min() == 20.5
    table.remove_column("R_mag")
    assert not Reference(table).has_band("R")
    table["m600_MAG"] = 1.0
    assert Reference(table).stars("m600")["mag"].min() == 14.0


def test_units_of_magnitudes_are_honoured() -> None:
    table = stars()
    table["m600_mag"] = table["m600_mag"] * 1000 * u.mmag
    table["e_m600mag"] = table["e_m600mag"] * u.mag
    same(Reference(table))
    same(Reference(QTable(table)))
    table["m600_mag"] = stars()["m600_mag"] * u.ABmag
    same(Reference(table))


def test_queries_are_told_apart_by_their_arguments() -> None:
    one, other = (QueriedReference(partial(query, catalog=name)).identity() for name in ("dr2", "dr3"))
    assert one["query"].endswith("test_reference.query(catalog='dr2')")
    assert one != other
    assert QueriedReference(query).identity()["query"].endswith("test_reference.query")


def query(ra: float, dec: float, radius: float, catalog: str = "") -> Table:
    return stars()


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.csv: there is no such file"):
        read_reference(tmp_path / "none.csv")
    with pytest.raises(InputError, match=r"stars\.doc: its suffix must be one of \.csv"):
        read_reference(tmp_path / "stars.doc")
    for name in ("a.fits", "a.parquet", "a.vot", "a.ecsv"):
        (tmp_path / name).write_bytes(b"rubbish")
        with pytest.raises(InputError, match=rf"{name}: cannot be read as"):
            read_reference(tmp_path / name)
    with pytest.raises(InputError, match="must be a path, a table or a dict of columns, found int"):
        read_reference(3)
    with pytest.raises(InputError, match="columns of equal length"):
        read_reference({"ra": [1.0, 2.0], "dec": [1.0]})
