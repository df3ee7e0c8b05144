"""An image that knows its frame and archive: masks, backgrounds, noise, figures; on a simulated archive."""

from __future__ import annotations

import dataclasses
import multiprocessing
import pickle
import sys
from concurrent.futures import ProcessPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
import sep
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits

from ezarchive import simulate
from ezarchive.archive import Archive
from ezarchive.browse import DataBrowser
from ezarchive.browse.archive_image import ArchiveImage
from ezarchive.database import queries
from ezarchive.errors import FrameError, InputError, MeasurementError
from ezarchive.files import sha256_file
from ezarchive.images.background import MeshBackground
from ezarchive.images.image import Image

SHAPE = (200, 240)


def tree(folder):
    return {path.relative_to(folder): sha256_file(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def written(home):
    """Everything in a home but the database, whose readers leave a -wal and a -shm file for a while."""
    return {path: digest for path, digest in tree(home).items() if not path.name.startswith("archive.db")}


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    base = tmp_path_factory.mktemp("archive_image")
    made = simulate.toy_archive(
        base / "toy", shape=SHAPE, telescopes=("7DT01",), filters=("m600",), n_epochs=2, targets=simulate.TARGETS[:1], lacking=0.0
    )
    archive = Archive.create(base / "home", made.roots)
    archive.index(workers=1, progress=False)
    before = {name: tree(path) for name, path in made.roots.items()}
    yield SimpleNamespace(archive=archive, made=made)
    assert {name: tree(path) for name, path in made.roots.items()} == before  # nothing here may touch a data root
    archive.close()


@pytest.fixture
def image(toy):
    return DataBrowser(toy.archive, "scidata").images()[0]


QUIET = {"verbose": False, "visualize": False}


# ---------------------------------------------------------------------- facts


@pytest.mark.truth
def test_facts_of_the_tutorial(image):
    header = fits.getheader(image.path)
    assert image.filter == image.info.filter == header["FILTER"]
    assert (image.exptime, image.objname, image.telname, image.egain) == (
        header["EXPTIME"], header["OBJECT"], header["TELESCOP"], header["EGAIN"],
    )  # fmt: skip
    assert image.obsdate.startswith(header["DATE-OBS"][:19])
    assert (image.seeing, image.depth) == (header["SEEING"], header["DEPTH"])
    assert image.observatory == "7DT"
    assert image.telkey == "7DT_C361K_HIGH_1x1"
    assert image.fov_ra == pytest.approx(SHAPE[1] * 0.505 / 3600, rel=1e-2)
    assert image.fov_ra / image.fov_dec == pytest.approx(SHAPE[1] / SHAPE[0])
    centre = image.wcs.pixel_to_world((SHAPE[1] - 1) / 2, (SHAPE[0] - 1) / 2).icrs
    assert (image.ra, image.dec) == pytest.approx((centre.ra.deg, centre.dec.deg), abs=1e-5)
    assert image.shape == image.data.shape == SHAPE
    assert image.frame_id == image.info["frame_id"] == image.frame.frame_id


def test_making_one_opens_no_file(image, toy):
    gone = dataclasses.replace(image.frame, path="/nowhere/a.fits")
    assert ArchiveImage(gone, toy.archive).filter == image.filter
    with pytest.raises(FrameError, match="is not there"):
        _ = ArchiveImage(gone, toy.archive).data
    with pytest.raises(InputError, match="none of its files can be read at present"):
        ArchiveImage(dataclasses.replace(image.frame, path=None))


# ---------------------------------------------------------------------- masks


@pytest.mark.truth
def test_circular_mask_is_a_circle_on_the_sky(image):
    ra, dec = image.ra + 0.003, image.dec - 0.002
    found = image.calculate_circularmask(None, ra, dec, 20, unit="coord", **QUIET)
    y, x = np.indices(SHAPE)
    there = image.wcs.pixel_to_world(x, y).separation(SkyCoord(ra * u.deg, dec * u.deg)).arcsec
    assert found.dtype == bool
    assert found[there < 19.9].all()
    assert not found[there > 20.1].any()
    column, row = image.wcs.world_to_pixel(SkyCoord(ra * u.deg, dec * u.deg))
    same = image.calculate_circularmask(x_position=float(column), y_position=float(row), radius_arcsec=20, unit="pixel", **QUIET)
    assert (same == found).all()


def test_no_mask_that_is_given_is_altered(image):
    bright = image.calculate_circularmask(x_position=120, y_position=100, radius_arcsec=15, unit="pixel", **QUIET)
    before = bright.copy()
    sources = image.calculate_sourcemask(target_srcmask=bright, sigma=5, mask_radius_factor=2, saturation_level=50000, **QUIET)
    again = image.calculate_circularmask(target_srcmask=sources, x_position=10, y_position=10, radius_arcsec=5, unit="pixel", **QUIET)
    image.calculate_bkg(target_srcmask=sources, target_ivpmask=bright, **QUIET)
    assert (bright == before).all()
    assert sources.sum() > bright.sum()
    assert sources[bright].all()
    assert again[sources].all()
    pixels = fits.getdata(image.path)
    assert (image.data == pixels).all()


@pytest.mark.truth
def test_source_mask_hides_the_stars(image, toy, capsys):
    found = image.calculate_sourcemask(sigma=5, mask_radius_factor=2, saturation_level=50000, visualize=False)
    line = capsys.readouterr().out
    assert line.startswith(f"{image.path.name}: ")
    assert "sources masked" in line
    assert "saturated" in line
    assert 0.005 < found.mean() < 0.6
    brightest = np.unravel_index(np.argmax(image.data), SHAPE)
    assert found[brightest]
    assert image.sourcemask is found


def test_masks_are_checked(image):
    with pytest.raises(InputError, match=r"target_srcmask: must be a bool array of shape \(200, 240\)"):
        image.calculate_sourcemask(target_srcmask=np.zeros((3, 3), bool), **QUIET)
    with pytest.raises(InputError, match="target_ivpmask: must be a bool array"):
        image.calculate_bkg(target_ivpmask=np.zeros(SHAPE), **QUIET)
    bits = np.zeros(SHAPE, np.int16)
    bits[:20] = 4
    assert image.calculate_circularmask(bits, 120, 100, 5, unit="pixel", **QUIET)[:20].all()
    for name in ("x_position", "y_position", "radius_arcsec"):
        given = {"x_position": 1.0, "y_position": 1.0, "radius_arcsec": 1.0, name: None}
        with pytest.raises(InputError, match=f"{name}: must be given"):
            image.calculate_circularmask(**given, unit="pixel", **QUIET)
    with pytest.raises(InputError, match="unit"):
        image.calculate_circularmask(None, 1, 1, 1, unit="sky", **QUIET)


def test_invalid_mask(image, capsys):
    found = image.calculate_invalidmask(visualize=False)
    assert not found.any()
    assert image.invalidmask is found
    assert "0 invalid pixels" in capsys.readouterr().out


# ---------------------------------------------------------------------- background and noise


@pytest.mark.oracle
def test_background_is_seps(image):
    sources = image.calculate_sourcemask(**QUIET)
    found = image.calculate_bkg(target_srcmask=sources, target_ivpmask=None, is_2D_bkg=True, box_size=64, filter_size=3, **QUIET)
    truth = sep.Background(image.load(), mask=sources.to_array(), bw=64, bh=64, fw=3, fh=3)
    assert np.abs(found.level() - truth.back()).max() < 1e-5 * truth.globalrms
    noise = image.calculate_bkgrms(target_srcmask=sources, **QUIET)
    assert np.abs(noise.rms() - truth.rms()).max() < 1e-4 * truth.globalrms
    assert image.bkgmap is found
    assert image.bkgrms is noise
    flat = image.calculate_bkg(target_srcmask=sources, is_2D_bkg=False, **QUIET)
    assert np.ptp(flat.level()) == 0
    assert flat.level()[0, 0] == pytest.approx(truth.back().mean(), rel=1e-6)


def test_two_masks_are_joined(image):
    left, right = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    left[:, :30], right[:, 200:] = True, True
    both = image.calculate_bkg(left, right, **QUIET)
    assert (both.level() == image.calculate_bkg(left | right, **QUIET).level()).all()


@pytest.mark.truth
def test_propagation_finds_the_masters(image, toy, capsys):
    bkg = image.calculate_bkg(**QUIET)
    found = image.calculate_bkgrms_from_propagation(target_bkg=bkg, visualize=False)
    assert "noise" in capsys.readouterr().out
    paths = {kind: next(toy.made.mcalibdata.rglob(f"{kind}*.fits")) for kind in ("bias", "dark", "flat")}
    given = image.calculate_bkgrms_from_propagation(bkg, mbias=paths["bias"], mdark=fits.getdata(paths["dark"]).astype(float),
                                                    mflat=Image(paths["flat"]), **QUIET)  # fmt: skip
    assert np.allclose(found, given, rtol=1e-2)  # an array has no NCOMBINE
    # The pixels that are left after a wide source mask scatter as the map says.
    sources = image.calculate_sourcemask(sigma=1.5, mask_radius_factor=4, **QUIET)
    level = image.calculate_bkg(sources, box_size=40, **QUIET).level()
    pulls = ((image.data - level) / found.rms())[~sources.to_array()]
    assert 1.4826 * np.median(np.abs(pulls - np.median(pulls))) == pytest.approx(1.0, abs=0.02)
    assert image.calculate_bkgrms_from_propagation(bkg, readout_noise=50.0, **QUIET).rms().min() > found.rms().min()


def test_propagation_says_what_is_missing(image, toy, capsys):
    bkg = image.calculate_bkg(**QUIET)
    bias = np.random.default_rng(1).normal(0, 2, SHAPE)
    image.calculate_bkgrms_from_propagation(bkg, mbias=Image(bias), visualize=False)
    assert "its header lacks the number of frames combined (NCOMBINE); taken to be 9" in capsys.readouterr().out
    other = ArchiveImage(dataclasses.replace(image.frame, exptime=7.0), toy.archive)
    with pytest.raises(MeasurementError, match=r"no master dark of 7.0 s for observatory 7DT.*mdark= must be given"):
        other.calculate_bkgrms_from_propagation(bkg, **QUIET)
    blind = ArchiveImage(dataclasses.replace(image.frame, gain=None), toy.archive)
    with pytest.raises(MeasurementError, match="its gain is unknown"):
        blind.calculate_bkgrms_from_propagation(bkg, **QUIET)
    with pytest.raises(InputError, match="target_bkg: must be an image, an array or a number, found list"):
        image.calculate_bkgrms_from_propagation([1, 2], **QUIET)
    with pytest.raises(InputError, match="mbias: must be given for an image that belongs to no archive"):
        ArchiveImage(image.frame).calculate_bkgrms_from_propagation(bkg, **QUIET)


# ---------------------------------------------------------------------- what is saved


def test_saved_maps_come_back(image, toy):
    second = DataBrowser(toy.archive, "scidata").images()[1]
    sources = second.calculate_sourcemask(save=True, **QUIET)
    bkg = second.calculate_bkg(target_srcmask=sources, save=True, **QUIET)
    rms = second.calculate_bkgrms_from_propagation(bkg, save=True, **QUIET)
    errors = second.calculate_errormap(bkg, rms, save=True, **QUIET)
    second.calculate_saturatedmask(save=True, **QUIET)
    fresh = DataBrowser(toy.archive.home, "scidata").images()[1]
    assert (fresh.sourcemask == sources).all()
    assert isinstance(fresh.bkgmap, MeshBackground)
    assert (fresh.bkgmap.level() == bkg.level()).all()
    assert (fresh.bkgrms.rms() == rms.rms()).all()
    assert (fresh.errormap.rms() == errors.rms()).all()
    assert (fresh.saturatedmask == second.saturatedmask).all()
    assert {item.frame_id for item in (fresh.bkgmap, fresh.bkgrms, fresh.errormap, fresh.sourcemask)} == {second.frame_id}
    # Masters and image are kept by their ids, not by their pixels.
    assert fresh.bkgrms.flat.source.frame.kind == "flat"
    assert fresh.errormap.image.source.frame.frame_id == second.frame_id
    with toy.archive.database.connect() as conn:
        rows = queries.products(conn, [second.frame_id])
        listed = queries.list_runs(conn)
    assert sorted(row.kind for row in rows) == ["background", "errormap", "mask", "rms", "saturatedmask"]
    assert len({row.run_id for row in rows}) == 5
    assert max(row.size for row in rows) < 20_000
    assert all(run["ended"] is not None for run in listed)
    for row in rows:
        path = toy.archive.home / row.path
        assert row.path.startswith(f"maps/{row.run_id}/7DT/7DT_C361K_HIGH_1x1/")
        assert sha256_file(path) == row.sha256
        with np.load(path) as stored:
            assert f'"frame_id": {second.frame_id}' in str(stored["provenance"])
    # What was calculated last goes before what is stored, and the newest stored before older ones.
    newer = fresh.calculate_bkg(box_size=32, **QUIET)
    assert fresh.bkgmap is newer
    fresh.calculate_bkg(box_size=50, save=True, **QUIET)
    assert DataBrowser(toy.archive, "scidata").images()[1].bkgmap.box_size == (50, 50)
    frames = DataBrowser(toy.archive, "scidata").frames()
    assert [item is not None for item in frames.bkgrms] == [False, True]


def test_full_maps_carry_the_wcs_and_stay_out_of_the_roots(image, toy, tmp_path):
    bkg = image.calculate_bkg(**QUIET)
    path = image.write_map("background", tmp_path / "level.fits")
    level = Image(path)
    np.testing.assert_array_equal(level.data, bkg.level())
    here, there = (item.wcs.pixel_to_world(30.0, 150.0) for item in (image, level))
    assert here.separation(there).arcsec < 1e-6
    with pytest.raises(InputError, match="must not lie in data root 'scidata'"):
        image.write_map("background", toy.made.scidata / "level.fits")


def test_a_master_that_is_gone_is_told(toy, monkeypatch):
    image = DataBrowser(toy.archive, "scidata").images()[1]
    image.calculate_bkgrms_from_propagation(image.calculate_bkg(**QUIET), save=True, **QUIET)
    fresh = DataBrowser(toy.archive, "scidata").images()[1]
    monkeypatch.setattr(queries, "frames_by_id", lambda conn, ids: [])
    with pytest.raises(FrameError, match="a map leans on it, but none of its files can be read; calculate the map again"):
        _ = fresh.bkgrms


def test_a_map_of_another_frame_is_told(toy):
    first, second = DataBrowser(toy.archive, "scidata").images()
    with pytest.raises(InputError, match=f"target_bkg: must be of this frame .{second.frame_id}., found a map of frame {first.frame_id}"):
        second.calculate_bkgrms_from_propagation(first.calculate_bkg(**QUIET), **QUIET)


def test_save_false_writes_nothing(image, toy):
    before = written(toy.archive.home)
    image.calculate_sourcemask(**QUIET)
    image.calculate_bkgrms_from_propagation(image.calculate_bkg(**QUIET), **QUIET)
    image.show(close_fig=True)
    assert written(toy.archive.home) == before
    assert image.catalog is None


def test_a_damaged_map_is_told(toy):
    image = DataBrowser(toy.archive, "scidata").images()[0]
    image.calculate_bkg(save=True, box_size=40, **QUIET)
    with toy.archive.database.connect() as conn:
        path = toy.archive.home / queries.products(conn, [image.frame_id], "background")[-1].path
    whole = path.read_bytes()
    fresh = DataBrowser(toy.archive, "scidata").images()[0]
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FrameError, match="is no whole map"):
        _ = fresh.bkgmap
    path.unlink()
    with pytest.raises(FrameError, match="the archive names this map, but it is not there"):
        _ = fresh.bkgmap
    path.write_bytes(whole)
    assert fresh.bkgmap.box_size == (40, 40)


def test_an_image_without_archive_cannot_save(image):
    alone = ArchiveImage(image.frame)
    for switch in ("save", "save_fig"):
        with pytest.raises(InputError, match=f"{switch}=True: must be False for an image that belongs to no archive"):
            alone.calculate_bkg(**{switch: True}, **QUIET)
    assert alone.bkgmap is None
    assert alone.catalog is None


def test_it_travels_light(image):
    mask = image.calculate_sourcemask(**QUIET)
    bkg = image.calculate_bkg(**QUIET)
    _ = image.header, image.wcs, image.data
    data = pickle.dumps(image)
    assert len(data) < SHAPE[0] * SHAPE[1] / 2
    again = pickle.loads(data)
    assert (again.sourcemask == mask).all()
    assert (again.bkgmap.level() == bkg.level()).all()
    assert (again.data == image.data).all()
    assert again.frame == image.frame
    assert (image.sourcemask == mask).all()


# ---------------------------------------------------------------------- figures


def test_save_fig_and_visualize(image, toy, monkeypatch):
    image.calculate_bkg(verbose=False, visualize=False, save_fig=True)
    image.calculate_sourcemask(verbose=False, visualize=False, save_fig=True)
    names = sorted(path.name for path in (toy.archive.home / "figures").iterdir())
    assert names == [f"{image.path.stem}.{image.frame_id}.bkgmap.png", f"{image.path.stem}.{image.frame_id}.sourcemask.png"]
    shown = []
    shell = SimpleNamespace(kernel=object())
    notebook = SimpleNamespace(get_ipython=lambda: shell, display=SimpleNamespace(display=shown.append))
    monkeypatch.setitem(sys.modules, "IPython", notebook)
    image.calculate_bkg(verbose=False)
    image.show()
    image.show(close_fig=True)
    image.calculate_bkg(**QUIET)
    assert len(shown) == 2


def test_help(image, capsys):
    image.help()
    out = capsys.readouterr().out
    assert ".calculate_bkg(target_srcmask=None, target_ivpmask=None, is_2D_bkg=True, box_size=64, filter_size=3, save=False" in out
    assert ".show(coord_type='pixel'" in out


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_images_work_in_other_processes(toy):
    images = DataBrowser(toy.archive.home, "scidata").images()
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        jobs = [pool.submit(ArchiveImage.calculate_bkg, image, box_size=33, save=True, **QUIET) for image in images]
        made = [job.result() for job in jobs]
    stored = DataBrowser(toy.archive, "scidata").frames().bkgmap
    assert [(a.level() == b.level()).all() for a, b in zip(made, stored, strict=True)] == [True, True]
    assert {item.box_size for item in stored} == {(33, 33)}


def test_a_circle_takes_positions_in_every_form_and_names_what_is_wrong(image):
    centre = SkyCoord(image.ra, image.dec, unit="deg")
    ra, dec = centre.to_string("hmsdms", sep=":", precision=8).split()
    plain = image.calculate_circularmask(None, image.ra, image.dec, 20, **QUIET)
    assert plain.any()
    for x, y, radius in ((ra, dec, 20), (centre.ra, centre.dec, 20 * u.arcsec), (image.ra - 360, image.dec, u.Quantity(20 / 60, "arcmin"))):
        np.testing.assert_array_equal(image.calculate_circularmask(None, x, y, radius, **QUIET), plain)
    for x, y, radius, message in (
        (10, -100, 5, "x_position, y_position .*declination in -90 to 90"),
        (image.ra, image.dec, "20", "radius_arcsec='20': must be a number"),
        (image.ra, image.dec, -3, "radius_arcsec=-3: must be positive and finite"),
        (image.ra, image.dec, 3 * u.s, r"radius_arcsec=3\.0 s: must be in arcsec, found s"),
    ):
        with pytest.raises(InputError, match=message):
            image.calculate_circularmask(None, x, y, radius, **QUIET)
    with pytest.raises(InputError, match="x_position='1': must be a number"):
        image.calculate_circularmask(None, "1", 2, 3, unit="pixel", **QUIET)
