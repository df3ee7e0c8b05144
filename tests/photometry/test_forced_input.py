"""Forced photometry: arguments that are wrong, and lists that are long."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from ezarchive.errors import InputError
from ezarchive.images.background import MeshBackground
from ezarchive.photometry import forced
from ezarchive.photometry.forced import ForcedOptions

pytestmark = pytest.mark.pure
SHAPE = (80, 100)
QUIET = ForcedOptions(gain=1.0)


def measure(data, x, y, diameters=(10.0,), options=QUIET, **known):
    return forced.circular(data, x, y, diameters, options, **({"noise": 1.0} | known))


@pytest.mark.parametrize("diameter", [0.0, -3.0, np.nan, np.inf])
def test_diameters(diameter):
    with pytest.raises(InputError, match="diameters: must be positive and finite"):
        measure(np.ones(SHAPE), 5, 5, (4.0, diameter))


def test_diameters_that_are_no_numbers():
    with pytest.raises(InputError, match="diameters: must be numbers"):
        measure(np.ones(SHAPE), 5, 5, ("wide",))


@pytest.mark.parametrize(("x", "y"), [([1, 2], [1]), ([[1, 2]], [[1, 2]])])
def test_positions(x, y):
    with pytest.raises(InputError, match="x, y: must be 1-D and of equal length"):
        measure(np.ones(SHAPE), x, y)
    with pytest.raises(InputError, match="x: must be a number or an array of numbers"):
        measure(np.ones(SHAPE), "here", 3)


@pytest.mark.parametrize(
    ("known", "message"),
    [({"noise": np.ones((3, 3))}, r"noise: must be a number or have the shape of the image \(80, 100\), found \(3, 3\)"),
     ({"background": np.ones((3, 3))}, "background: must be a number or have the shape"),
     ({"background": MeshBackground.constant(1.0, 1.0, (4, 4))}, "background: must be a number or have the shape"),
     ({"noise": 0.0}, "noise: must be finite and positive, found 0.0"), ({"noise": -1.0}, "noise: must be finite and positive"),
     ({"background": np.nan}, "background: must be finite, found nan"), ({"noise": "x"}, "noise: must be a number, an array, or have"),
     ({"mask": np.ones((3, 3), bool)}, "mask: must have the shape of the image"),
     ({"mask": np.ones(SHAPE)}, "mask: must hold bool"), ({"segmap": np.ones((3, 3), int)}, "segmap: must have the shape"),
     ({"ids": ["a", "b"]}, r"ids: must be as many as positions \(1\), found 2"),
     ({"world": ([1.0, 2.0], [1.0, 2.0])}, "world: must hold two arrays as long as x and y")],
)  # fmt: skip
def test_what_is_known_of_the_image(known, message):
    with pytest.raises(InputError, match=message):
        measure(np.ones(SHAPE), 5, 5, **known)


@pytest.mark.parametrize(("data", "message"), [(np.ones(5), "data: must be a 2-D array"), (np.ones((0, 4)), "data: must be a 2-D"),
                                               (np.ones(SHAPE, complex), "data: must hold real numbers")])  # fmt: skip
def test_images(data, message):
    with pytest.raises(InputError, match=message):
        measure(data, 5, 5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"annulus_width": 0.0}, "annulus_width: must be positive"), ({"annulus_width": np.nan}, "annulus_width: must be positive"),
     ({"annulus_ratio": 1.0}, "annulus_ratio: must exceed 1"), ({"annulus_inner": 3.0}, "annulus_inner: needs an annulus_width"),
     ({"gain": -1.0}, "gain: must not be negative"), ({"engine": "daophot"}, "engine: must be 'sep' or 'photutils'"),
     ({"theta_frame": "north"}, "theta_frame: must be 'pixel' or 'sky'"), ({"axes_unit": "deg"}, "axes_unit: must be"),
     ({"clip_iterations": 1.5}, "clip_iterations: must be a whole number"), ({"satur_level": np.inf}, "satur_level: must be")],
)  # fmt: skip
def test_options(arguments, message):
    with pytest.raises(InputError, match=message):
        ForcedOptions(**arguments)


def test_a_ring_inside_its_aperture():
    options = ForcedOptions(annulus_width=3.0, annulus_inner=6.0)
    with pytest.raises(InputError, match="annulus_inner: the ring must not reach into its aperture, found an inner radius of 6"):
        measure(np.ones(SHAPE), 50, 40, (10.0, 14.0), options)
    assert np.isfinite(measure(np.ones(SHAPE) + np.arange(100), 50, 40, (10.0, 12.0), options)["FLUX_APER_1"].value[0])


@pytest.mark.parametrize(("axes", "message"), [
    ((0.0, 1.0, 0.0), "a: semi-axes must be positive"), ((2.0, -1.0, 0.0), "b: semi-axes must be positive"),
    ((2.0, 3.0, 0.0), "a, b: the semi-minor axis must not exceed"), ((3.0, 2.0, np.nan), "theta: must be finite"),
    (([3.0, 3.0], 2.0, 0.0), r"a: must be one number or as long as x and y \(3\)")])  # fmt: skip
def test_ellipses(axes, message):
    with pytest.raises(InputError, match=message):
        forced.elliptical(np.ones(SHAPE), [1, 2, 3], [1, 2, 3], *axes)


def test_angles_on_the_sky_need_a_wcs():
    with pytest.raises(InputError, match="wcs: must be given for axes in arcsec or an angle on the sky"):
        forced.elliptical(np.ones(SHAPE), 5, 5, 3.0, 2.0, 0.0, ForcedOptions(theta_frame="sky"))


@pytest.mark.slow
def test_many_positions_do_not_cost_as_many_stamps(rng):
    """Beyond the table itself, memory does not grow with the list."""
    data = rng.normal(0, 1, (400, 400)).astype(np.float32)
    n = 100_000
    x, y = rng.uniform(-20, 420, n), rng.uniform(-20, 420, n)
    tracemalloc.start()
    table = measure(data, x, y, (8.0,))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    size = sum(table[name].nbytes for name in table.colnames)
    assert peak < 3 * size + 50e6
    assert len(table) == n
