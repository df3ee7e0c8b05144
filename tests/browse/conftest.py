"""An image of a file and the catalog that was measured on it."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from ezarchive import simulate, sky
from ezarchive.browse.catalog import Catalog
from ezarchive.frames.record import Frame
from ezarchive.images import background
from ezarchive.photometry.detection import SexOptions, sex

SHAPE = (240, 300)
DIAMETERS = (9.9, 13.9, 19.7)


@pytest.fixture(scope="module")
def made():
    """A simulated exposure."""
    return simulate.frame(SHAPE, n_stars=250, seed=11)


@pytest.fixture
def frame(made, tmp_path):
    """It as a file, and its record."""
    path = tmp_path / "data" / "calib_7DT01_T00528_20250901_020000_m600_100.fits"
    path.parent.mkdir()
    fits.PrimaryHDU(made.data, made.header).writeto(path)
    scale = float(sky.pixel_scale(made.truth.exposure.wcs, SHAPE[1] / 2, SHAPE[0] / 2))
    return Frame(
        frame_id=7, path=str(path), naxis1=SHAPE[1], naxis2=SHAPE[0], wcs_ok=True, pixel_scale=scale, filter="m600", objname="T00528",
        telname="7DT01", observatory="7DT", exptime=100.0, date_obs="2025-09-01T02:00:00", ra=326.25, dec=-77.26,
    )  # fmt: skip


@pytest.fixture(scope="module")
def measured(made):
    """Its sources."""
    mesh = background.estimate(made.data)
    around = {"noise": mesh.global_rms, "background": mesh, "wcs": made.truth.exposure.wcs}
    return sex(made.data - mesh.level(), SexOptions(phot_apertures=DIAMETERS, detect_thresh=3.0), **around)


@pytest.fixture
def catalog(measured, frame):
    """Them as a catalog in memory."""
    apertures = tuple(diameter * frame.pixel_scale for diameter in DIAMETERS)
    return Catalog(measured, frame=frame, method="sex", apertures=apertures, seeing=2.5)


@pytest.fixture
def forced(frame):
    """Two forced positions, the second off the image."""
    table = simulate_forced(frame)
    return Catalog(table, frame=frame, method="circular", catalog_type="forced", apertures=(5.0, 10.0))


def simulate_forced(frame):
    """Return a table of forced circles as `columns.FORCED` and `columns.aperture` name them."""
    from astropy import units as u
    from astropy.table import QTable

    x = np.array([120.25, -40.0])
    return QTable({
        "NUMBER": np.array([1, 2], np.int32),
        "target_id": ["SN 1", "b/2"],
        "X_IMAGE": x * u.pix,
        "Y_IMAGE": np.array([80.5, 10.0]) * u.pix,
        "PIXSIZE_APER": np.full(2, 5.0 / frame.pixel_scale) * u.pix,
        "FLUX_APER": np.ones(2) * u.ct,
        "PIXSIZE_APER_1": np.full(2, 10.0 / frame.pixel_scale) * u.pix,
        "FLUX_APER_1": np.ones(2) * u.ct,
    })  # fmt: skip
