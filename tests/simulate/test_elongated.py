"""An elongated kernel and its scene."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import fftconvolve

from ezarchive.errors import InputError
from ezarchive.simulate.elongated import elongated_kernel, elongated_scene, second_moments


@pytest.mark.pure
@pytest.mark.parametrize("angle", [0.0, 30.0, 90.0, 135.0])
def test_kernel_is_odd_centred_and_lies_as_asked(angle):
    kernel = elongated_kernel(1.2, 0.5, angle, 0.1)
    assert kernel.shape[0] == kernel.shape[1]
    assert kernel.shape[0] % 2 == 1
    assert kernel.max() == kernel[kernel.shape[0] // 2, kernel.shape[1] // 2] == 1
    major, minor, found = second_moments(kernel)
    assert [np.sqrt(8 * np.log(2) * v) * 0.1 for v in (major, minor)] == pytest.approx([1.2, 0.5], rel=1e-4)
    assert (found - angle + 90) % 180 == pytest.approx(90, abs=1e-4)


@pytest.mark.oracle
@pytest.mark.parametrize(("shape", "angle"), [((201, 201), 30.0), ((151, 221), 120.0)])
def test_convolved_is_what_a_convolution_gives(shape, angle):
    scene = elongated_scene(shape, angle=angle, oversampling=1)
    kernel = scene.kernel / scene.kernel.sum()
    made = fftconvolve(scene.image - 1e-6, kernel, mode="same") + 1e-6
    np.testing.assert_allclose(made, scene.convolved, atol=3e-6)
    major, minor, found = second_moments(scene.convolved - 1e-6)
    assert (major, minor) == pytest.approx((scene.major, scene.minor), rel=1e-4)
    assert found == pytest.approx(angle, abs=1e-6)


@pytest.mark.pure
def test_variances_are_those_that_are_asked():
    scene = elongated_scene(source=0.2 * 2.3548200450309493, major=0.8 * 2.3548200450309493, minor=0.3 * 2.3548200450309493)
    assert (scene.major, scene.minor) == pytest.approx((68.0, 13.0))
    assert scene.kernel_pixel == 0.05


@pytest.mark.pure
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1.0, 0.0, 0.0, 0.1), r"minor 0\.0: must be positive and at most major, 1\.0"),
        ((1.0, 2.0, 0.0, 0.1), r"minor 2\.0: must be positive and at most major"),
        ((1.0, 0.5, 0.0, 0.0), r"pixel 0\.0: must be positive"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(InputError, match=message):
        elongated_kernel(*arguments)
