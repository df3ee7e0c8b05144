"""The browser, on a database of random frames, against brute force."""

from __future__ import annotations

import os
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.time import Time

from ezarchive import config, sky
from ezarchive.browse import ArchiveImage, CatalogSet, DataBrowser, FrameSet
from ezarchive.database import ingest, runs
from ezarchive.database.session import Database
from ezarchive.errors import InputError, UnknownNameError
from ezarchive.frames.record import Frame

FILTERS = ("m600", "m625", "r", "R")
TELESCOPES = ("7DT01", "7DT02", "LSGT")
TARGETS = ("T00528", "T00529", "NGC 253")
POLES = ((0.0, 0.0), (359.95, -30.0), (120.0, 89.9), (240.0, -89.95), (326.25, -77.26))


def outline(rng, ra, dec):
    """A rotated rectangle on the sky, of either winding."""
    half = rng.uniform(0.1, 0.6, 2)
    angle = rng.uniform(0, 360) * u.deg
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * half
    if rng.random() < 0.5:
        corners = corners[::-1]
    centre = SkyCoord(ra * u.deg, dec * u.deg)
    position = np.arctan2(corners[:, 0], corners[:, 1]) * u.rad + angle
    there = centre.directional_offset_by(position, np.hypot(*corners.T) * u.deg)
    return np.stack([there.ra.deg, there.dec.deg], axis=1)


def random_frames(n=300, seed=5):
    rng = np.random.default_rng(seed)
    found = []
    for i in range(n):
        ra0, dec0 = POLES[i % len(POLES)]
        dec = float(np.clip(dec0 + rng.uniform(-1, 1), -90, 90))
        ra = float((ra0 + rng.uniform(-1, 1) / max(np.cos(np.radians(dec)), 0.003)) % 360)
        vertices = outline(rng, ra, dec) if i % 17 else None
        start = 60900 + rng.uniform(0, 60)
        known = vertices is not None
        telescope, name, band = (str(rng.choice(names)) for names in (TELESCOPES, TARGETS, FILTERS))
        found.append(
            Frame(
                kind="derived" if i % 29 == 7 else "science", observatory=telescope[:3], telkey=f"{telescope}_1x1", telname=telescope,
                objname=name, object_raw=name, filter=band, night=Time(start - 0.5, format="mjd").isot[:10],
                date_obs=Time(start, format="mjd").isot[:19], mjd_start=start if i % 13 else None,
                mjd_mid=start + 50 / 86400 if i % 13 else None, exptime=float(rng.choice([30, 60, 100])), naxis1=64, naxis2=48,
                seeing=float(rng.uniform(1, 4)) if i % 5 else None, depth=float(rng.uniform(17, 21)), wcs_ok=known, pixel_scale=0.5,
                ra=ra if known else None, dec=dec if known else None, radius=0.9 if known else None,
                s_region=sky.s_region(vertices) if known else None, header_hash=f"{i:032x}",
                relpath=f"{telescope[:3]}/{telescope}_1x1/{name}/{telescope}/{band}/calib_{i:04d}_{'100' if i % 2 else '60'}.fits",
            )
        )  # fmt: skip
    return found


def fill(database, root_name, path, kind, frames):
    with database.begin() as conn:
        root_id = ingest.upsert_root(conn, root_name, str(path), kind)
        rows = [(os.fsencode(frame.relpath), 100, 1, i, "ok") for i, frame in enumerate(frames)]
        file_ids = ingest.upsert_files(conn, root_id, rows)
        cells = [() if f.s_region is None else sky.cells_of_polygon(sky.parse_region(f.s_region)) for f in frames]
        ids = ingest.insert_frames(conn, [(frame, cell, None) for frame, cell in zip(frames, cells, strict=True)])
        ingest.link(conn, [(frame_id, file_id, 0) for frame_id, file_id in zip(ids, file_ids, strict=True)])
        ingest.refresh(conn, ids)
    return ids


def make_archive(home, roots):
    database = Database.create(f"sqlite:///{home / 'archive.db'}")
    kinds = {"refdata": "reference", "mcalibdata": "calibration"}
    settings = {name: config.root_settings(name, {"path": home.parent / name}) for name in roots}
    config.create(home, config.Settings(roots=settings))
    ids = {}
    for name, frames in roots.items():
        (home.parent / name).mkdir()
        ids[name] = fill(database, name, home.parent / name, kinds.get(name, "science"), frames)
    return SimpleNamespace(home=home, settings=config.load(home), database=database), ids


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    home = tmp_path_factory.mktemp("browse") / "home"
    home.mkdir()
    frames = random_frames()
    names = {"observatory": "7DT", "telkey": "7DT01_1x1", "telname": "7DT01", "naxis1": 64, "naxis2": 48}
    masters = [
        Frame(kind=kind, mjd_mid=60000.0 + i, header_hash=f"m{i}", relpath=f"7DT/7DT01_1x1/{kind.upper()}/7DT01/{kind}.fits", **names)
        for i, kind in enumerate(("bias", "dark", "flat"))
    ]
    deep = [Frame(kind="reference", objname="T00528", filter="r", header_hash="deep", relpath="deep.fits", mjd_mid=59000.0, **names)]
    archive, ids = make_archive(home, {"scidata": frames, "refdata": deep, "mcalibdata": masters})
    found = dict(zip(ids["scidata"], frames, strict=True))
    outlines = {f.header_hash: np.array(f.s_region.split()[2:], float).reshape(-1, 2) for f in frames if f.s_region is not None}
    science = {i: f for i, f in found.items() if f.kind == "science"}
    return SimpleNamespace(archive=archive, frames=found, science=science, outlines=outlines)


@pytest.fixture
def browser(made):
    return DataBrowser(made.archive, "scidata")


def expected(made, test):
    """Frame ids in the promised order."""
    chosen = [(i, f) for i, f in made.science.items() if test(f)]
    return [i for i, f in sorted(chosen, key=lambda item: (item[1].mjd_mid is None, item[1].mjd_mid or 0.0, item[0]))]


# ---------------------------------------------------------------------- geometry without the code under test


def vectors(ra, dec):
    ra, dec = np.radians(ra), np.radians(dec)
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=-1)


def contains(vertices, ra, dec):
    """Point in convex polygon, by the sides of great circles (and not in its antipode)."""
    v, p = vectors(*vertices.T), vectors(ra, dec)
    sides = np.cross(v, np.roll(v, -1, axis=0)) @ p
    return bool(v.sum(axis=0) @ p > 0 and ((sides >= 0).all() or (sides <= 0).all()))


def distance_to(vertices, ra, dec):
    """Degrees from a point to a polygon, by many points along the sides; 0 inside."""
    if contains(vertices, ra, dec):
        return 0.0
    v = vectors(*vertices.T)
    steps = np.linspace(0, 1, 300)[:, None, None]
    along = (v * (1 - steps) + np.roll(v, -1, axis=0) * steps).reshape(-1, 3)
    along /= np.linalg.norm(along, axis=1)[:, None]
    return float(np.degrees(2 * np.arcsin(np.linalg.norm(along - vectors(ra, dec), axis=1).min() / 2)))


def positions():
    rng = np.random.default_rng(11)
    for ra0, dec0 in POLES:
        for _ in range(5):
            dec = float(np.clip(dec0 + rng.uniform(-1, 1), -90, 90))
            yield float((ra0 + rng.uniform(-1, 1) / max(np.cos(np.radians(dec)), 0.003)) % 360), dec
    yield from ((0.0, 0.0), (0.0, 90.0), (0.0, -90.0), (359.9999, -30.0))


@pytest.mark.truth
def test_covering_agrees_with_brute_force(made, browser):
    total = 0
    for ra, dec in positions():
        wanted = expected(made, lambda f, ra=ra, dec=dec: f.s_region is not None and contains(made.outlines[f.header_hash], ra, dec))
        query = browser.covering((ra, dec))
        assert query.frames().frame_ids == wanted
        assert query.count() == len(wanted)
        total += len(wanted)
    assert total > 100


@pytest.mark.truth
@pytest.mark.parametrize("radius", [0.05, 0.7])
def test_near_agrees_with_brute_force(made, browser, radius):
    total = 0
    for ra, dec in positions():
        distance = {i: distance_to(made.outlines[f.header_hash], ra, dec) for i, f in made.science.items() if f.s_region is not None}
        found = browser.near((ra, dec), radius * u.deg).frames().frame_ids
        # Points along a side lie a little farther than the side itself.
        assert {i for i, d in distance.items() if d <= radius} <= set(found) <= {i for i, d in distance.items() if d < radius + 1e-4}
        assert found == [i for i in expected(made, lambda f: True) if i in set(found)]
        total += len(found)
    assert total > 100


@pytest.mark.truth
def test_two_places_both_count(made, browser):
    ra, dec = next(iter(positions()))
    other = ((ra + 0.2) % 360, dec)
    both = set(browser.covering((ra, dec)).frames().frame_ids) & set(browser.near(other, "6 arcmin").frames().frame_ids)
    query = browser.covering((ra, dec)).near(other, "6 arcmin")
    assert set(query.frames().frame_ids) == both
    assert query.count() == len(both) > 0
    assert query.keys["filter"] == sorted({made.frames[i].filter for i in both})


@pytest.mark.truth
def test_between_agrees_with_brute_force(made, browser):
    for start, end, lo, hi in [
        ("2025-08-20", "2025-09-01", 60907, 60919),
        ("250820", None, 60907, np.inf),
        (None, Time(60919.5, format="mjd"), -np.inf, 60919.5),
        (60910.25, 60910.75, 60910.25, 60910.75),
    ]:
        wanted = expected(made, lambda f, lo=lo, hi=hi: f.mjd_mid is not None and lo <= f.mjd_mid <= hi)
        assert browser.between(start, end).frames().frame_ids == wanted
    assert browser.between("20250820", None).between(None, "20250901").count() == browser.between("20250820", "20250901").count()
    with pytest.raises(InputError, match="end='20250801': must not be before start='20250901'"):
        browser.between("20250901", "20250801")


@pytest.mark.truth
@pytest.mark.parametrize(
    ("conditions", "test"),
    [
        ({"filter": ["m600", "m625"], "seeing": (None, 3.0)}, lambda f: f.filter in ("m600", "m625") and (f.seeing or 9) <= 3),
        ({"filter": "m6*", "telname": "7DT0?"}, lambda f: f.filter[:2] == "m6" and f.telname[:4] == "7DT0"),
        ({"filter": "r"}, lambda f: f.filter == "r"),
        ({"objname": "ngc253"}, lambda f: f.objname == "NGC 253"),
        ({"exptime": [30, 100]}, lambda f: f.exptime in (30, 100)),
        ({"exptime": 60}, lambda f: f.exptime == 60),
        ({"depth": (18, 19)}, lambda f: 18 <= f.depth <= 19),
        ({"wcs_ok": False}, lambda f: not f.wcs_ok),
        ({"obsdate": "202508*"}, lambda f: f.night[:7] == "2025-08"),
        ({"night": ("2025-08-20", "20250825")}, lambda f: "2025-08-20" <= f.night <= "2025-08-25"),
        ({"obsdate": ["20250820", "2025-08-21"]}, lambda f: f.night in ("2025-08-20", "2025-08-21")),
        ({"filter": None, "seeing": None}, lambda f: True),
    ],
)
def test_where_agrees_with_brute_force(made, browser, conditions, test):
    query = browser.where(**conditions)
    wanted = expected(made, test)
    assert wanted
    assert query.frames().frame_ids == wanted
    assert query.count() == len(wanted)
    assert query.keys["objname"] == sorted({made.frames[i].objname for i in wanted})


@pytest.mark.truth
def test_a_chain_of_everything(made, browser):
    query = browser.where(filter=["m600", "m625", "r"], seeing=(None, 3.5)).near("326.25 -77.26", "30 arcmin")
    query = query.between("20250805", "20251101")
    ids = query.frames().frame_ids
    assert ids
    assert query.table()["frame_id"].tolist() == ids
    assert [image.frame_id for image in query.images()] == ids
    assert query.paths() == query.frames().paths()
    assert all(isinstance(image, ArchiveImage) for image in query.images())


# ---------------------------------------------------------------------- browsers do not change


def test_every_call_returns_a_new_browser(browser):
    n = browser.count()
    first = browser.where(filter="m600")
    second = first.where(telname="LSGT")
    assert browser.filter is None
    assert (first.filter, first.telname, second.telname) == ("m600", None, "LSGT")
    assert n == browser.count() > first.count() > second.count() > 0


def test_conditions_on_one_name_add_up(browser):
    query = browser.where(filter="m6*").where(filter=["m600", "r"])
    assert query.filter == "m600"
    assert query.count() == browser.where(filter="m600").count()
    nothing = browser.where(filter="m600").where(filter="r")
    assert (nothing.count(), len(nothing.frames()), nothing.paths(), len(nothing.catalogs())) == (0, 0, [], 0)
    assert nothing.keys["filter"] == []


# ---------------------------------------------------------------------- the tutorial's surface


def test_attributes_and_search(made, browser, capsys):
    browser.objname = "T00528"
    browser.filter = "m600"
    frames = browser.search("*100.fits", return_type="science")
    wanted = expected(made, lambda f: f.objname == "T00528" and f.filter == "m600" and f.relpath.endswith("100.fits"))
    assert isinstance(frames, FrameSet)
    assert frames.frame_ids == wanted
    assert capsys.readouterr().out == f"{len(wanted)} files found: *100.fits in {browser.searchpath}\n"
    browser.search("*100.fits", verbose=False)
    assert capsys.readouterr().out == ""
    assert (browser.objname, browser.filter, browser.telname) == ("T00528", "m600", None)
    browser.filter = ["m600", "m625"]
    assert browser.filter == ["m600", "m625"]
    browser.filter = None
    assert len(browser.search("*100.fits", "path", verbose=False)) > len(wanted)


def test_every_return_type(made, browser):
    n = len(expected(made, lambda f: True))
    paths = browser.search(verbose=False)
    assert len(paths) == n
    assert all(isinstance(path, str) for path in paths)
    info = browser.search(return_type="imginfo", verbose=False)
    assert len(info) == n
    assert info["exptime"].unit == u.s
    assert len(browser.search(return_type="science", verbose=False)) == n
    for kind in ("reference", "calibration", "background", "errormap", "mask"):
        found = browser.search(return_type=kind, verbose=False)
        assert isinstance(found, FrameSet)
        assert len(found) == 0
    assert isinstance(browser.search(return_type="catalog", verbose=False), CatalogSet)
    with pytest.raises(UnknownNameError, match="return_type 'sciense': did you mean 'science'"):
        browser.search(return_type="sciense")
    with pytest.raises(InputError, match="pattern=3: must be a glob pattern"):
        browser.search(3)


def test_roots_and_their_kinds(made):
    assert len(DataBrowser(made.archive, "refdata").search(return_type="reference", verbose=False)) == 1
    assert DataBrowser(made.archive, "refdata").count() == 1
    calibration = DataBrowser(made.archive, "mcalibdata")
    assert calibration.keys["imgtype"] == ["bias", "dark", "flat"]
    calibration.imgtype = "dark"
    assert len(calibration.search("*.fits", "calibration", verbose=False)) == 1
    everything = DataBrowser(made.archive)
    assert everything.count() == len(made.science)
    assert everything.where(kind="*").count() == len(made.frames) + 4
    assert everything.where(kind=["bias", "reference"]).count() == 2
    everything.imgtype = "flat"
    assert [frame.kind for frame in everything.frames().frames] == ["flat"]
    with pytest.raises(UnknownNameError, match="root 'scidat': did you mean 'scidata'"):
        DataBrowser(made.archive, "scidat")


def test_keys(made, browser):
    keys = browser.keys
    assert list(keys) == ["observatory", "telkey", "imgtype", "telname", "objname", "filter", "obsdate"]
    assert (keys["filter"], keys["objname"], keys["telname"]) == (sorted(FILTERS), sorted(TARGETS), sorted(TELESCOPES))
    assert keys["obsdate"] == sorted({frame.night for frame in made.science.values()})
    browser.telname = "LSGT"
    assert browser.keys["telname"] == ["LSGT"]
    assert browser.keys["telkey"] == ["LSGT_1x1"]


def test_misspelt_names_are_errors_with_near_misses(browser):
    with pytest.raises(UnknownNameError, match="attribute 'objnam': did you mean 'objname'"):
        browser.objnam = "T00528"
    with pytest.raises(UnknownNameError, match="objname 'T0528': did you mean 'T00528'"):
        browser.objname = "T0528"
    with pytest.raises(UnknownNameError, match="filter 'm60': did you mean 'm600'"):
        browser.where(filter=["m625", "m60"])
    with pytest.raises(UnknownNameError, match="condition 'seing': did you mean 'seeing'"):
        browser.where(seing=(None, 3))
    with pytest.raises(UnknownNameError, match="imgtype 'BIAS': did you mean 'bias'"):
        browser.imgtype = "BIAS"
    with pytest.raises(InputError, match=r"filter=\('m600', 'r'\): a tuple is a range .* is a list: \['m600', 'r'\]"):
        browser.where(filter=("m600", "r"))
    with pytest.raises(InputError, match="obsdate='20251301': must be a date"):
        browser.obsdate = "20251301"
    with pytest.raises(InputError, match="^radius 3.0: a bare number has no unit"):
        browser.near((1, 2), 3.0)
    assert browser.objname is None


def test_nothing_found_is_no_error(browser, capsys):
    browser.objname = "X*"
    for kind in ("path", "imginfo", "science", "catalog"):
        assert len(browser.search(return_type=kind)) == 0
    assert capsys.readouterr().out.count("0 files found") == 4
    frames = browser.frames()
    assert len(frames) == 0
    assert frames.df.empty
    assert len(frames.table()) == 0
    assert browser.covering((12.0, 34.0)).count() == 0


def test_search_folder(made, browser, capsys):
    browser.filter = "m600"
    wanted = expected(made, lambda f: f.relpath.startswith("7DT/7DT01_1x1/NGC 253/") and f.relpath.endswith("100.fits"))
    frames = browser.search_folder("*100.fits", "7DT/7DT01_1x1/NGC 253", "science")
    assert frames.frame_ids == wanted
    assert capsys.readouterr().out == f"{len(wanted)} files found: *100.fits in scidata/7DT/7DT01_1x1/NGC 253\n"
    root = made.archive.settings.roots["scidata"].path
    assert browser.search_folder("calib*", root, verbose=False) == DataBrowser(made.archive, "scidata").paths()
    absolute = browser.search_folder("calib*100.fits", root / "7DT" / "7DT01_1x1" / "NGC 253", "science", verbose=False)
    assert absolute.frame_ids == wanted
    with pytest.raises(InputError, match="folder='/etc': must lie in a data root; the roots are scidata"):
        browser.search_folder("*", "/etc")
    with pytest.raises(InputError, match="must lie in a data root"):
        browser.search_folder("*", "../refdata")


def test_searchpath(made, browser):
    root = made.archive.settings.roots["scidata"].path
    assert browser.searchpath == f"{root}/*/*/*/*/*"
    browser.objname, browser.filter = "T00528", ["m600", "m625"]
    assert browser.searchpath == f"{root}/*/*/T00528/*/{{m600,m625}}"
    assert len(DataBrowser(made.archive).searchpath.splitlines()) == 3


def test_how_it_reads(browser, capsys):
    query = browser.where(filter="m600", seeing=(None, 3.0), exptime=[60, 100], kind="science").near((10.0, 20.0), "1 deg")
    text = repr(query.covering((1.0, 2.0)).between("20250901", None))
    for part in ("scidata", "filter = 'm600'", "seeing = (None, 3.0)", "near (1) = (10.0, 20.0, '1.0 deg')", "covering (2)", "mjd_mid"):
        assert part in text
    assert "<td>telname</td>" in browser._repr_html_()
    browser.help()
    assert ".search(pattern='*.fits', return_type='path', *, verbose=True): Find files" in capsys.readouterr().out


def test_listing(browser):
    result = browser.where(filter="m600").listing(3)
    assert len(result) == 3
    assert {"frame_id", "objname", "filter", "path"} <= set(result.columns)
    assert len(browser.where(filter="m600").where(filter="r").listing()) == 0


def test_a_home_is_as_good_as_an_archive(made):
    from_home = DataBrowser(made.archive.home, "scidata")
    assert from_home.where(filter="m600").count() == DataBrowser(made.archive, "scidata").where(filter="m600").count()
    again = pickle.loads(pickle.dumps(DataBrowser(made.archive, "scidata").where(filter="m600")))
    assert again.frames().frame_ids == from_home.where(filter="m600").frames().frame_ids


def test_catalogs(made, browser):
    first, second = browser.frames().frame_ids[:2]
    with made.archive.database.begin() as conn:
        run_id = runs.open_run(conn, runs.get_recipe(conn, "sex", {"detection_sigma": 3}, [5.0]), {}).run_id
        for frame_id in (second, first):
            runs.add_catalog(
                conn, frame_id, run_id, method="sex", path=f"catalogs/{frame_id}.parquet", n_rows=10, sha256="0", seeing=2.5, depth=None,
                depth_aperture=None, apertures=[5.0, None],
            )  # fmt: skip
    found = browser.catalogs()
    assert [item.frame_id for item in found] == [first, second]
    assert found.paths()[0] == str(made.archive.home / f"catalogs/{first}.parquet")
    assert found.table()["n_rows"].tolist() == [10, 10]
    info = found[0].info
    assert (info.seeing, info.depth, info.aperture_diameter_arcsec, info.frame_id) == (2.5, None, [5.0, None], first)
    assert info.filter == made.frames[first].filter
    frames = browser.frames()
    assert [item and item.frame_id for item in frames[:3].catalog] == [first, second, None]
    assert frames[0].catalog.run_id == run_id
    assert browser.search(return_type="catalog", verbose=False).paths() == found.paths()
    assert repr(found).startswith("<CatalogSet: 2 catalogs>")


@pytest.mark.truth
def test_ninety_frames_are_usable_at_once(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    frames = [f for f in random_frames(120, seed=9) if f.kind == "science"][:90]
    archive, ids = make_archive(home, {"scidata": frames})
    cards = [(f"KEY{i}", i, "a card of no meaning") for i in range(140)]
    for frame in frames:
        path = tmp_path / "scidata" / frame.relpath
        path.parent.mkdir(parents=True, exist_ok=True)
        fits.PrimaryHDU(np.zeros((48, 64), np.float32), fits.Header(cards)).writeto(path)
    browser = DataBrowser(archive, "scidata")
    found = browser.search(return_type="science", verbose=False)
    df, header = found.df, found[0].header
    assert len(df) == len(found) == 90
    assert header["KEY139"] == 139


def test_a_listing_is_rounded_and_its_limit_checked(browser):
    rows = browser.listing(2).to_text().splitlines()[2:4]
    assert all(len(word.partition(".")[2]) <= 6 for row in rows for word in row.split() if word.replace(".", "").isdigit())
    for wrong in (-1, 1.5, True):
        with pytest.raises(InputError, match=f"limit={wrong}: must be a whole number of rows"):
            browser.listing(wrong)


def test_where_takes_quantities_and_columns_of_tables(browser):
    limit = (3 / 60) * u.arcmin
    assert browser.where(seeing=(None, limit)).count() == browser.where(seeing=(None, 3.0)).count() > 0
    assert browser.where(exptime=1 * u.min).count() == browser.where(exptime=60).count() > 0
    assert browser.where(filter=browser.frames().df["filter"]).count() == browser.where(filter="*").count()
    with pytest.raises(InputError, match=r"seeing=3\.0 s: must be in arcsec, found s"):
        browser.where(seeing=3 * u.s)


def test_a_misspelt_name_in_a_selection_is_an_error(browser):
    found = browser.where(filter="m600").frames()
    wrong = found.frames[0].telname[:-1]
    for select in (found.select_images, found.exclude_images):
        with pytest.raises(UnknownNameError, match=f"telname '{wrong}': did you mean"):
            select(telname=[wrong])
    assert len(found.select_images(filter="m625")) == 0  # the archive knows it, though no frame here has it
    assert len(found.select_images(filter="m62*")) == 0
