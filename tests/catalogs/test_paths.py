"""Paths below a home: both ways, for any names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ezarchive.catalogs.paths import FIELDS, catalog_path, frame_stem, map_path, parse
from ezarchive.errors import InputError

NAMES = {"observatory": "7DT", "telkey": "7DT_C361K_HIGH_1x1", "objname": "T00528", "telname": "7DT01", "filter": "m600"}
FOLDERS = "7DT/7DT_C361K_HIGH_1x1/T00528/7DT01/m600"


def test_a_catalog_and_its_path() -> None:
    product = catalog_path(3, 42, names=NAMES, relpath="7DT/x/calib_7DT01_T00528_20250901.fits")
    assert str(product) == f"catalogs/3/{FOLDERS}/calib_7DT01_T00528_20250901.42.parquet"
    assert parse(str(product)) == product
    assert (product.run_id, product.frame_id, product.kind, product.names) == (3, 42, "catalog", NAMES)


def test_a_map_and_its_path() -> None:
    product = map_path(3, 42, "background", names=NAMES, relpath="a.fits.fz")
    assert str(product) == f"maps/3/{FOLDERS}/a.42.background.npz"
    assert parse(str(product)) == product
    assert product.kind == "background"


def test_missing_and_odd_names() -> None:
    product = catalog_path(1, 2, names={"objname": "NGC 1365/b", "telname": "_", "filter": ".r"}, relpath=None)
    assert str(product) == "catalogs/1/_/_/NGC%201365%2Fb/%5F/%2Er/frame.2.parquet"
    assert product.names == {"observatory": None, "telkey": None, "objname": "NGC 1365/b", "telname": "_", "filter": ".r"}


@pytest.mark.parametrize(
    ("relpath", "stem"),
    [
        ("a/b.fits", "b"), ("b.FITS", "b"), ("b.fits.fz", "b"), ("b.fit.gz", "b"), ("b.fts", "b"), ("b.fz", "b"), ("b.v1.fits", "b.v1"),
        ("b", "b"), ("b.png", "b.png"), (".fits", "frame"), ("", "frame"), (None, "frame"),
    ],
)  # fmt: skip
def test_stems(relpath: str | None, stem: str) -> None:
    assert frame_stem(relpath) == stem


text = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
ids = st.integers(0, 2**63 - 1)
kinds = st.from_regex(r"[a-z_-]+", fullmatch=True)


@pytest.mark.pure
@given(ids, ids, st.fixed_dictionaries(dict.fromkeys(FIELDS, text)), text, st.none() | kinds)
def test_round_trip(run_id: int, frame_id: int, names: dict[str, str | None], relpath: str | None, kind: str | None) -> None:
    make = catalog_path if kind is None else map_path
    product = make(run_id, frame_id, *(() if kind is None else (kind,)), names=names, relpath=relpath)
    assert parse(str(product)) == product
    assert product.kind == ("catalog" if kind is None else kind)
    parts = str(product).split("/")
    assert len(parts) == 8
    assert all(len(part.encode()) <= 250 and part not in ("", ".", "..") and "\0" not in part for part in parts)
    if not any("%~" in part for part in product.parts):
        assert product.names == names


@pytest.mark.pure
@given(
    st.text(max_size=40)
    | st.lists(st.sampled_from(["catalogs", "maps", "1", "01", "_", "a.1.parquet", "a.1.rms.npz", "..", ""])).map("/".join)
)
def test_what_parses_is_written_the_same(path: str) -> None:
    try:
        product = parse(path)
    except InputError:
        return
    assert str(product) == path


@pytest.mark.parametrize(
    "path",
    [
        "", "catalogs", f"catalogs/x/{FOLDERS}/a.1.parquet", f"catalogs/1/{FOLDERS}/a.parquet", f"catalogs/1/{FOLDERS}/a.x.parquet",
        f"catalogs/1/{FOLDERS}/more/a.1.parquet", f"/catalogs/1/{FOLDERS}/a.1.parquet", f"catalogs/1/{FOLDERS}/a.1.background.npz",
        f"maps/1/{FOLDERS}/a.1.parquet", f"catalogs/1/{FOLDERS}/.a.1.parquet.77-ab.tmp", f"figures/1/{FOLDERS}/a.1.parquet",
    ],
)  # fmt: skip
def test_what_is_no_path_of_ours(path: str) -> None:
    with pytest.raises(InputError, match="must be catalogs/<run>/<observatory>/<telkey>/<objname>/<telname>/<filter>"):
        parse(path)


def test_numbers_are_written_one_way() -> None:
    with pytest.raises(InputError, match="must be written as 'catalogs/1/"):
        parse(f"catalogs/01/{FOLDERS}/a.1.parquet")


@pytest.mark.parametrize("number", [-1, None, "7", 1.5])
def test_ids_must_be_numbers(number: int) -> None:
    with pytest.raises(InputError, match="frame_id .* must be a number"):
        catalog_path(1, number, names=NAMES, relpath="x")
    with pytest.raises(InputError, match="run_id .* must be a number"):
        catalog_path(number, 1, names=NAMES, relpath="x")


@pytest.mark.parametrize("kind", ["", "a b", "a/b", "a.b", "1"])
def test_kinds_must_be_words(kind: str) -> None:
    with pytest.raises(InputError, match="must be plain words"):
        map_path(1, 1, kind, names=NAMES, relpath="x")
