"""Shapes of light curves."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive.errors import UnknownNameError
from ezarchive.simulate.varying import PERIODIC, TRANSIENT_RISE, variation


@pytest.mark.pure
@pytest.mark.parametrize("kind", PERIODIC)
def test_periodic_shapes_repeat_and_span_their_amplitude(kind):
    times = np.linspace(0, 2, 4001)
    found = variation(kind, times, 2.0, 0.6)
    assert np.ptp(found) == pytest.approx(0.6, rel=1e-3)
    np.testing.assert_allclose(variation(kind, times + 6.0, 2.0, 0.6), found, atol=1e-6)


@pytest.mark.pure
def test_a_transient_begins_peaks_and_fades():
    found = variation("transient", [-1.0, 0.0, 1e-3, TRANSIENT_RISE, TRANSIENT_RISE + 10], 1.0, 0.1)
    assert np.isinf(found[:2]).all()
    assert found[2] > 10
    np.testing.assert_allclose(found[3:], [0, 1], atol=1e-12)


@pytest.mark.pure
def test_constant_sources_do_not_vary_and_arrays_broadcast():
    assert variation("constant", np.zeros(3), np.nan, 0.0).tolist() == [0, 0, 0]
    assert variation("sine", np.zeros((4, 1)), [1.0, 2.0], 0.3).shape == (4, 2)


@pytest.mark.pure
def test_an_unknown_kind_is_named():
    with pytest.raises(UnknownNameError, match="variability 'rrlyra': .*rrlyrae"):
        variation("rrlyra", 0.0, 1.0, 1.0)
