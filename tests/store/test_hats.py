"""The datasets are HATS catalogs: ``hats`` validates them strictly, LSDB finds in them what brute force finds."""

from __future__ import annotations

import io
import logging
import warnings

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.io.votable import parse_single_table
from storetables import light_curves, objects, publish, random_places, split, table_of

from ezarchive.columns import OBJECT
from ezarchive.errors import StoreError
from ezarchive.sky import cell_of, separation
from ezarchive.store import compact, hats, ids
from ezarchive.store.build import Builder
from ezarchive.store.tree import Leaf, Tree
from ezarchive.store.version import Version

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.filterwarnings("ignore:The inplace keyword"),  # of lsdb's own calls
]

SITES = ((90.0, 60.0), (0.0, 90.0), (200.0, -90.0), (0.0, 0.0), (45.0, 41.8103), (359.999, -30.0))
"""Where leaves meet: a border of base pixels, the poles, corners, right ascension 0."""


def places(rng):
    """Clusters around all of them, and a few places all over the sky."""
    ra, dec = random_places(rng, 300, ra=(0, 360), dec=(-90, 90))
    for site_ra, site_dec in SITES:
        radius, angle = 0.2 * np.sqrt(rng.uniform(0, 1, 100)), rng.uniform(0, 2 * np.pi, 100)
        here = np.clip(site_dec + radius * np.sin(angle), -90, 90)
        ra = np.append(ra, (site_ra + radius * np.cos(angle) / np.maximum(np.cos(np.radians(here)), 1e-3)) % 360)
        dec = np.append(dec, here)
    return ra, dec


def filled(builder, rng, ra, dec, first):
    """Light curves of two more nights, objects, their filters and orphans."""
    for leaf, table in split(light_curves(rng, ra, dec, 2, first_catalog=first), builder.tree).items():
        builder.add(leaf, table)
    found = objects(rng, ra, dec)
    for leaf, table in split(found, builder.tree).items():
        builder.replace(leaf, "objects", table)
    values = {name: found[name] for name in ("object_id", "ra", "dec", "_healpix_29")}
    for leaf, table in split(table_of("object_filters", {**values, "filter": ["r"] * len(ra)}), builder.tree).items():
        builder.replace(leaf, "object_filters", table)
    values = {"ra": ra, "dec": dec, "_healpix_29": cell_of(ra, dec, 29), "catalog_id": np.full(len(ra), first), "row": np.arange(len(ra))}
    for leaf, table in split(table_of("orphans", {**values, "frame_id": np.ones(len(ra), int)}), builder.tree).items():
        builder.replace(leaf, "orphans", table)


@pytest.fixture(scope="module")
def versions(tmp_path_factory):
    """One file a pixel, several, divided, compacted."""
    home = tmp_path_factory.mktemp("home")
    rng = np.random.default_rng(77)
    ra, dec = places(rng)
    tree = Tree.base().split(Leaf(0, 0)).split(Leaf(1, 3))
    made, version = [], Version.none(home)
    for number in (1, 2, 3):
        with Builder(home, version, number, {}, tree=tree if number == 1 else None) as builder:
            filled(builder, rng, ra, dec, 2 * number)
            for leaf in builder.too_large(1200 if number == 3 else 10**6):
                builder.divide(leaf)
            made.append(version := builder.publish())
    with Builder(home, version, 4, {}) as builder:
        compact.compact(builder, workers=1)
        made.append(builder.publish())
    return made


def opened(folder, **options):
    lsdb = pytest.importorskip("lsdb")
    return lsdb.open_catalog(folder, **options)


def rows(version, dataset):
    return pa.concat_tables([version.read(dataset, leaf) for leaf in version.leaves(dataset)])


@pytest.mark.parametrize("number", [1, 2, 3, 4])
@pytest.mark.parametrize("dataset", hats.HATS_DATASETS)
def test_valid(versions, dataset, number, caplog):
    validation = pytest.importorskip("hats.io.validation")
    version = versions[number - 1]
    several = any(len(version.files_of(dataset, leaf)) > 1 for leaf in version.leaves(dataset))
    with caplog.at_level(logging.WARNING):
        assert validation.is_valid_catalog(version.folder / dataset, strict=True)
    assert [record.message for record in caplog.records] == (["_metadata file does not exist."] if several else [])
    assert several == (dataset == "light_curve" and number in (2, 3))


@pytest.mark.parametrize("number", [1, 3, 4])
@pytest.mark.parametrize("dataset", hats.HATS_DATASETS)
def test_cones_are_those_of_brute_force(versions, dataset, number):
    version, kind = versions[number - 1], hats.KINDS[dataset]
    catalog, table = opened(version.folder / dataset), rows(version, dataset)
    ra, dec = table[kind.ra].to_numpy(), table[kind.dec].to_numpy()
    key = "row" if dataset in ("light_curve", "orphans") else "object_id"
    for site in SITES:
        for radius in (0.1, 400):
            inside = separation(ra, dec, *site) * 3600 <= radius * 3.6
            found = catalog.cone_search(*site, radius * 3.6).compute()
            assert sorted(found[key]) == sorted(table[key].filter(pa.array(inside)).to_pylist())
            assert len(found) == inside.sum()


@pytest.mark.parametrize("number", [1, 3, 4])
def test_objects_by_id(versions, number):
    version = versions[number - 1]
    table = rows(version, "light_curve")
    for object_id in table["object_id"].to_pylist()[:: len(table) // 3]:
        found = opened(version.folder / "light_curve", filters=[("object_id", "==", object_id)], columns=["object_id", "mjd_mid"]).compute()
        expected = table.filter(pc.equal(table["object_id"], object_id))
        assert sorted(found["mjd_mid"]) == sorted(expected["mjd_mid"].to_pylist())


def test_everything_is_read(versions):
    version = versions[2]
    frame = opened(version.folder / "light_curve").compute()
    expected = rows(version, "light_curve")
    assert len(frame) == len(expected) == version.totals["light_curve"]
    assert [*frame.columns, frame.index.name] == expected.column_names
    np.testing.assert_allclose(np.sort(frame["flux"].to_numpy()), np.sort(expected["flux"].to_numpy()))


def test_cross_match(versions):
    """Objects against light curves: each row finds its object (both lie within a pixel; nothing is nearer than the object itself)."""
    version = versions[3]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the margin that is not there, and of names to come
        found = opened(version.folder / "light_curve").crossmatch(opened(version.folder / "objects"), radius_arcsec=0.5).compute()
    ids_of = [name for name in found.columns if name.startswith("object_id")]
    assert len(found) == version.totals["light_curve"]
    assert (found[ids_of[0]] == found[ids_of[1]]).mean() > 0.999


def test_properties(versions):
    table_properties = pytest.importorskip("hats.catalog.dataset.table_properties")
    version = versions[3]
    for dataset in hats.HATS_DATASETS:
        found = table_properties.TableProperties.read_from_dir(version.folder / dataset)
        assert found.total_rows == version.totals[dataset]
        assert found.catalog_type == hats.KINDS[dataset].type
        assert (found.ra_column, found.dec_column) == (hats.KINDS[dataset].ra, hats.KINDS[dataset].dec)
        assert found.npix_suffix == "/"
        assert found.hats_max_rows == max(version.rows(dataset, leaf) for leaf in version.leaves(dataset))
    text = (version.folder / "objects" / "hats.properties").read_text()
    assert text == (version.folder / "objects" / "properties").read_text()
    assert "date" not in text


def test_skymap(versions):
    skymap = pytest.importorskip("hats.io.skymap")
    read_hats = pytest.importorskip("hats").read_hats
    for version in (versions[0], versions[2], versions[3]):
        for dataset in hats.HATS_DATASETS:
            cells = rows(version, dataset)["_healpix_29"].to_numpy() >> 2 * (29 - 6)
            found = skymap.read_skymap(read_hats(version.folder / dataset), None)
            np.testing.assert_array_equal(found, np.bincount(cells, minlength=12 * 4**6))
    header = fits.getheader(versions[0].folder / "objects" / "skymap.fits", 1)
    assert (header["ORDERING"], header["NSIDE"], header["INDXSCHM"]) == ("NESTED", 64, "EXPLICIT")


def test_units_are_in_the_common_metadata(versions):
    metadata = pq.read_metadata(versions[0].folder / "objects" / "dataset" / "_common_metadata").metadata
    assert metadata[b"IVOA.VOTable-Parquet.version"] == b"1.0"
    fields = parse_single_table(io.BytesIO(metadata[b"IVOA.VOTable-Parquet.content"])).fields
    assert [found.name for found in fields] == [column.name for column in OBJECT]
    assert [found.ucd or "" for found in fields] == [column.ucd for column in OBJECT]
    assert [str(found.unit or "") for found in fields] == [column.unit or "" for column in OBJECT]


def test_nothing_without_rows(tmp_path):
    version = publish(tmp_path, 1)
    assert [path.name for path in version.folder.iterdir()] == ["manifest.json"]


def test_many_files_go_without_metadata(tmp_path, monkeypatch):
    rng = np.random.default_rng(3)
    monkeypatch.setattr(hats, "MAX_METADATA_FILES", 2)
    version = publish(tmp_path, 1, objs=objects(rng, *random_places(rng, 60, ra=(0, 360), dec=(-90, 90))))
    assert not (version.folder / "objects" / "dataset" / "_metadata").exists()
    assert (version.folder / "objects" / "dataset" / "_common_metadata").exists()


def test_a_torn_file_is_not_published(tmp_path):
    rng = np.random.default_rng(3)
    with Builder(tmp_path, Version.none(tmp_path), 1, {}) as builder:
        table = objects(rng, np.array([10.0]), np.array([10.0]))
        ((leaf, table),) = split(table, builder.tree).items()
        builder.replace(leaf, "objects", table)
        path = builder.current().paths("objects")[0]
        path.write_bytes(path.read_bytes()[:-5])
        with pytest.raises(StoreError, match="is damaged .*, it cannot be published"):
            builder.publish()
    assert list((tmp_path / "store").iterdir()) == []


def test_ids_and_places_agree():
    ra, dec = places(np.random.default_rng(1))
    founded = ids.object_ids(cell_of(ra, dec, 29))
    np.testing.assert_array_equal(cell_of(*ids.place(founded), 29), ids.healpix_29(founded))
