"""The tutorial, step by step and in order, on a simulated archive; only imports and the way to open the archive differ."""

from __future__ import annotations

import hashlib
import inspect
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable

from ezarchive import AperturePhotometry, Archive, DataBrowser, simulate

STAR_RADIUS = 8.0
"""Arcsec, of the circle around the bright star; 300 arcsec there, where the frames are larger."""

INFO = """path target_img obsdate filter exptime depth seeing catalog_type ra dec fov_ra fov_dec objname observatory telname
aperture_diameter_arcsec""".split()

FORCED = [f"{name}_APER" for name in ("NPIX", "FLUX", "MAG", "FLUXERR", "MAGERR", "SKYSIG", "UL5", "UL3")]


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """An archive of three m600 and three m625 frames of T00528, with masters."""
    folder = tmp_path_factory.mktemp("tutorial")
    toy = simulate.toy_archive(
        folder / "toy", shape=(260, 300), targets=simulate.TARGETS[:1], telescopes=("7DT01",), filters=("m600", "m625"), n_epochs=3,
        lacking=0.0,
    )  # fmt: skip
    with Archive.create(folder / "home", roots=toy.roots) as archive:
        archive.index(progress=False, workers=1)
    return folder / "home"


def contents(home: Path) -> dict[str, str]:
    """A hash of every file below a home, but for the database's own log files."""
    files = (path for path in home.rglob("*") if path.is_file() and not path.name.endswith(("-wal", "-shm")))
    return {str(path.relative_to(home)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def frame_files(home: Path) -> dict[str, str]:
    """A hash of every file of the data roots."""
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted((home.parent / "toy").rglob("*.fits"))}


def measure_one(image) -> int:
    """What the pool of step 12 does with each image."""
    catalog = AperturePhotometry().sex_photometry(
        target_img=image, target_bkg=image.bkgmap, target_bkgrms=image.bkgrms, detection_sigma=5, aperture_diameter_arcsec=[5, 7, 10],
        aperture_diameter_seeing=[2.5, 3.5], saturation_level=60000, kron_factor=2.5, save=True, verbose=False, visualize=False,
    )  # fmt: skip
    return catalog.frame_id


def quiet(**more):
    return {"save": False, "verbose": False, "visualize": True, "save_fig": False, **more}


def nearest(table: QTable, ra: float, dec: float) -> int:
    away = np.hypot((table["ALPHA_J2000"].value - ra) * np.cos(np.radians(dec)), table["DELTA_J2000"].value - dec)
    return int(np.argmin(away))


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_every_step(home, capsys):
    data_before = frame_files(home)
    archive = Archive.open(home)
    before = contents(home)

    # 1 browse
    browser = DataBrowser(archive, "scidata")
    browser.objname = "T00528"
    browser.filter = "m600"
    frames = browser.search("*.fits", return_type="science")
    assert "3" in capsys.readouterr().out
    images = frames.target_images
    assert isinstance(images, list)
    assert len(images) == 3
    image = images[0]

    # 2 show
    figure, axes = image.show("coord")
    assert image.path.name in axes.get_title()
    assert hasattr(axes, "coords")

    # 3 help
    phot = AperturePhotometry()
    phot.help()
    printed = capsys.readouterr().out
    for name in ("sex_photometry", "photutils_photometry", "circular_photometry", "elliptical_photometry", "run_photometry", "help"):
        assert f".{name}(" in printed

    # 4 detection
    sizes = {"aperture_diameter_arcsec": [5, 7, 10], "aperture_diameter_seeing": [2.5, 3.5]}
    catalog = phot.sex_photometry(
        target_img=image, target_bkg=None, target_bkgrms=None, target_mask=None, sex_params=None, detection_sigma=3, **sizes,
        saturation_level=60000, kron_factor=2.5, **quiet(),
    )  # fmt: skip
    assert sizes == {"aperture_diameter_arcsec": [5, 7, 10], "aperture_diameter_seeing": [2.5, 3.5]}

    # 5 info
    assert str(catalog.info)
    for name in INFO:
        assert hasattr(catalog.info, name), name
    assert (catalog.info.objname, catalog.info.filter, str(catalog.info.target_img)) == ("T00528", "m600", str(image.path))
    assert catalog.info.aperture_diameter_arcsec == pytest.approx([5, 7, 10, 2.5 * image.seeing, 3.5 * image.seeing])

    # 6 data
    table = catalog.data
    assert catalog.nsources == len(table) > 20
    for index, diameter in enumerate(catalog.info.aperture_diameter_arcsec):
        suffix = f"_{index}" if index else ""
        assert table[f"FLUX_APER{suffix}"].unit == u.ct
        assert table[f"PIXSIZE_APER{suffix}"][0].value == pytest.approx(diameter / image.pixel_scale, rel=1e-5)
    assert np.all(table["DETECT_THRESH"] == 3)
    assert np.allclose((table["THRESHOLD"] / table["SKYSIG"]).value, 3, rtol=0.2)  # the sigma that is asked for

    # 7 a mask around the brightest star
    star = table[np.argmax(table["FLUX_AUTO"].value)]
    where = {"x_position": float(star["ALPHA_J2000"].value), "y_position": float(star["DELTA_J2000"].value)}
    circle = image.calculate_circularmask(target_srcmask=None, **where, radius_arcsec=STAR_RADIUS, unit="coord", **quiet(verbose=True))
    assert circle.sum() == pytest.approx(np.pi * (STAR_RADIUS / image.pixel_scale) ** 2, rel=0.05)

    # 8 a mask of the sources too
    capsys.readouterr()
    kept = np.array(circle)
    mask = image.calculate_sourcemask(
        target_srcmask=circle, sigma=5, mask_radius_factor=2, saturation_level=50000, **quiet(verbose=True)
    )  # fmt: skip
    assert "sources masked" in capsys.readouterr().out
    assert np.array_equal(np.asarray(circle), kept)
    assert np.all(np.asarray(mask)[kept])
    assert mask.sum() > circle.sum()

    # 9 the background
    background = image.calculate_bkg(
        target_srcmask=mask, target_ivpmask=None, is_2D_bkg=True, box_size=64, filter_size=5, **quiet(verbose=True)
    )  # fmt: skip
    assert background.level().shape == image.shape

    # 10 its noise, from the masters
    noise = image.calculate_bkgrms_from_propagation(target_bkg=background, **quiet())
    assert np.median(noise.rms()) == pytest.approx(background.global_rms, rel=0.1)

    # 11 detection with these maps; the circle flags, and nothing else changes
    options = {"detection_sigma": 3, **sizes, "saturation_level": 60000, "kron_factor": 2.5, **quiet()}
    plain = phot.sex_photometry(target_img=image, target_bkg=background, target_bkgrms=noise, **options)
    masked = phot.sex_photometry(target_img=image, target_bkg=background, target_bkgrms=noise, target_mask=circle, **options)
    assert len(plain.data) == len(masked.data)
    under = masked.data["IMAFLAGS_ISO"] > 0
    assert 0 < under.sum() < len(masked.data) / 2
    away = np.hypot(masked.data["X_IMAGE"] - star["X_IMAGE"], masked.data["Y_IMAGE"] - star["Y_IMAGE"]).value * image.pixel_scale
    assert np.all(away[under] < 4 * STAR_RADIUS)
    for name in ("FLUX_AUTO", "FLUX_APER", "X_IMAGE", "FLAGS"):
        assert np.array_equal(np.ma.asarray(plain.data[name]), np.ma.asarray(masked.data[name]))
    assert contents(home) == before  # not a byte so far

    # 12 all images in a pool of the user's own, with stored maps
    for other in images:
        stored = other.calculate_bkg(box_size=64, filter_size=3, save=True, verbose=False, visualize=False)
        other.calculate_bkgrms_from_propagation(target_bkg=stored, save=True, verbose=False, visualize=False)
        assert other.bkgmap is not None
    images = browser.search("*.fits", return_type="science").target_images  # their maps come from the archive now
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        done = list(pool.map(measure_one, images))
    assert sorted(done) == sorted(other.frame_id for other in images)
    for other in images:
        assert other.catalog.is_saved
        assert len(other.catalog.data) > 10
    assert [run.n_catalogs for run in archive.runs() if run.method == "sex"] == [3]

    # 13 show a position
    saved = contents(home)
    image = images[0]
    ra, dec = where.values()
    figure, axes = image.show_position(x=ra, y=dec, radius_arcsec=5, coord_type="coord", zoom_radius_pixel=50, scale="zscale")
    assert figure.axes

    # 14 circles at the place of the star
    forced = phot.circular_photometry(
        target_img=image, x_arr=ra, y_arr=dec, **sizes, unit="coord", target_bkg=image.bkgmap, target_mask=None, target_bkgrms=image.bkgrms,
        **quiet(),
    )  # fmt: skip
    assert forced.data.colnames.index("X_IMAGE") < forced.data.colnames.index("X_WORLD") < forced.data.colnames.index("FLUX_APER")
    for index in range(5):
        assert {name + (f"_{index}" if index else "") for name in FORCED} <= set(forced.data.colnames)
    (row,) = forced.data
    other = image.catalog.data[nearest(image.catalog.data, ra, dec)]
    for name in ("FLUX_APER", "FLUX_APER_2", "FLUX_APER_4"):
        assert row[name].value == pytest.approx(other[name].value, rel=0.005)
    assert row["FLUXERR_APER"].value == pytest.approx(other["FLUXERR_APER"].value, rel=0.01)

    # 15 and 16 an ellipse, drawn and measured
    image.show_position(x=ra, y=dec, a_arcsec=5.85, b_arcsec=2.909, theta_deg=56.6, coord_type="coord", downsample=1)
    ellipse = phot.elliptical_photometry(
        target_img=image, x_arr=ra, y_arr=dec, sma_arr=5.85, smi_arr=2.909, theta_arr=56.6, unit="coord", target_bkg=image.bkgmap,
        target_bkgrms=image.bkgrms, **quiet(),
    )  # fmt: skip
    assert ellipse.frame_id == image.frame_id
    assert str(ellipse.info.target_img) == str(image.path)
    (row,) = ellipse.data
    assert row["NPIX_ELIP"].value == pytest.approx(np.pi * 5.85 * 2.909 / image.pixel_scale**2, rel=1e-3)
    assert 0 < row["FLUX_ELIP"].value < other["FLUX_APER_2"].value
    assert contents(home) == saved
    assert frame_files(home) == data_before
    archive.close()


def test_arguments_and_defaults_are_the_tutorials():
    def of(name):
        found = inspect.signature(getattr(AperturePhotometry, name)).parameters.values()
        return {p.name: p.default for p in found if p.kind is p.POSITIONAL_OR_KEYWORD and p.name != "self"}

    switches = {"save": True, "verbose": True, "visualize": True, "save_fig": False}
    none, maps = inspect.Parameter.empty, {"target_bkg": None, "target_bkgrms": None, "target_mask": None}
    circles = {"aperture_diameter_arcsec": [5, 7, 10], "aperture_diameter_seeing": [3.5, 4.5]}
    expected = {
        "sex_photometry": {
            "target_img": none, **maps, "sex_params": None, "detection_sigma": 5, **circles, "saturation_level": 60000, "kron_factor": 2.5,
            **switches,
        },
        "photutils_photometry": {
            "target_img": none, **maps, "detection_sigma": 1.5, "aperture_diameter_arcsec": [5, 7, 10], "kron_factor": 2.5,
            "minarea_pixels": 5, "calc_accurate_fwhm": True, **switches,
        },
        "circular_photometry": {
            "target_img": none, "x_arr": none, **circles, "annulus_width_arcsec": None, "unit": "pixel", **maps, **switches,
        },
        "elliptical_photometry": {"target_img": none, "x_arr": none, "unit": "pixel", "annulus_ratio": None, **maps, **switches},
        "run_photometry": {
            "target_img": none, **maps, "sex_params": None, **circles, "saturation_level": 60000, "kron_factor": 2.5, **switches,
        },
    }  # fmt: skip
    for name, wanted in expected.items():
        found = of(name)
        assert {key: found[key] for key in wanted} == wanted, name
