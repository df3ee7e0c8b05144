"""The calibration of a frame in pictures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ezarchive import plots
from ezarchive.errors import InputError
from ezarchive.photometry.calibration import FitOptions
from ezarchive.photometry.calibrators import ReferenceStars, StarSelection, calibrate_sources
from ezarchive.plots import calibration


def calibrated(rng: np.random.Generator, *, n: int = 120, colours: bool = True, **options):
    x, y, mag = rng.uniform(0, 999, n), rng.uniform(0, 799, n), rng.uniform(12, 16, n)
    colour = rng.normal(0.7, 0.2, n) if colours else np.full(n, np.nan)
    flux = 10 ** ((25 - mag + 0.05 * np.where(colours, colour, 0)) / 2.5) * rng.normal(1, 0.01, n)
    flux[:5] *= 1.5
    ra, dec = 10 + np.arange(n) / 360, np.zeros(n)
    sources = {"X_IMAGE": x, "Y_IMAGE": y, "ALPHA_J2000": ra, "DELTA_J2000": dec, "FLUX_AUTO": flux, "FLUXERR_AUTO": np.full(n, 30.0)}
    sources |= {"FLUX_APER": flux * 0.9, "FLUXERR_APER": np.full(n, 20.0), "FWHM_IMAGE": rng.normal(5, 0.1, n)}
    sources["FWHM_IMAGE"][-4:], x[-4:], y[-4:] = 30.0, 500.0, 400.0
    reference = ReferenceStars(ra, dec, mag, np.full(n, 0.003), colour)
    given = {"shape": (800, 1000), "pixel_scale": 0.5, "radius_deg": 1 / 3600, "selection": StarSelection(isolation_arcsec=None)}
    return calibrate_sources(sources, reference, (5.0,), **given, options=FitOptions(**options))


def texts(figure) -> str:
    return "\n".join(text.get_text() for axes in figure.axes for text in axes.texts)


def test_every_panel_shows_what_was_found(rng, tmp_path):
    found = calibrated(rng, colour_term="fit", colour_pivot=0.5)
    figure = calibration.figure(found, title="frame 7")
    fit = found.fits["AUTO"]
    assert figure.get_suptitle().startswith(f"frame 7\nZP AUTO = {fit.value:.4f} ± {fit.error:.4f} mag")
    magnitude, colour, frame, choice = figure.axes[:4]
    used, clipped = magnitude.lines[:2]
    np.testing.assert_allclose(used.get_ydata(), fit.value + fit.residual[fit.used])
    assert len(clipped.get_ydata()) == fit.n_clipped >= 5
    line = colour.lines[2]
    assert np.diff(line.get_ydata()) / np.diff(line.get_xdata()) == pytest.approx(fit.colour_term)
    assert np.interp(0.5, line.get_xdata(), line.get_ydata()) == pytest.approx(fit.value)
    assert f"colour term {fit.colour_term:+.4f}" in texts(figure)
    assert f"{fit.spatial.rms:.4f} mag r.m.s." in texts(figure)
    assert len(frame.collections[0].get_offsets()) == fit.n
    labels = [text.get_text() for text in choice.get_legend().get_texts()]
    assert f"chosen ({found.steps['fwhm']})" in labels
    assert "FWHM (4)" in labels
    assert "4 above the axis" in choice.get_legend().get_title().get_text()
    for name in ("a.png", "a.svg", "a.pdf"):
        assert plots.save(figure, tmp_path / name).stat().st_size > 10_000


def test_an_aperture_without_colours_and_map(rng):
    found = calibrated(rng, n=40, colours=False, spatial_order=0)
    figure = calibration.figure(found, measure="APER")
    assert 'ZP APER (5")' in figure.get_suptitle()
    assert "no colours" in texts(figure)
    assert "map:" not in texts(figure)


def test_without_auto_the_first_aperture_is_drawn(rng):
    found = calibrated(rng, n=40)
    found = replace(found, fits={name: fit for name, fit in found.fits.items() if name != "AUTO"})
    assert 'ZP APER (5")' in calibration.figure(found).get_suptitle()


def test_colours_without_a_term(rng):
    assert "no colour term" in texts(calibration.figure(calibrated(rng)))


def test_a_measurement_that_was_not_calibrated(rng):
    with pytest.raises(InputError, match="measure='APER_3': must be one of AUTO, APER"):
        calibration.figure(calibrated(rng), measure="APER_3")
