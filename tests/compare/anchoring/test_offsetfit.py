"""What a fit of levels has found, and how it goes on to a third image."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive.compare.anchoring.offsetfit import OffsetBins, OffsetFit, chain_offset
from ezarchive.errors import InputError


def made(**changes):
    nothing = np.zeros(0)
    values = {
        "slope": 2.0, "intercept": 0.5, "slope_err": 0.1, "intercept_err": 0.05, "covariance": -0.003, "rms": 0.01, "n_pixels": 100,
        "n_cells": 80, "n_bins": 5, "beams": 30.0, "value_range": (0.0, 1.0), "range_axis": "reference", "coverage": 0.99,
        "bins": OffsetBins(nothing, nothing, nothing, nothing, nothing.astype(int), nothing.astype(bool)), "method": "robust",
        "kind": "internal",
    }  # fmt: skip
    return OffsetFit(**values | changes)


@pytest.mark.pure
def test_what_is_added_is_minus_the_intercept():
    assert made().offset == -0.5
    assert made().offset_err == 0.05


@pytest.mark.pure
def test_flags_are_told_in_words():
    assert (made().status, made().message) == ("ok", "")
    found = made(flags=("few_beams", "few_bins"))
    assert found.status == "flagged"
    assert found.message == "fewer than 20 beams fit into the area in common; fewer than 4 bins in use"
    for flag in ("low_coverage", "curved", "slope"):
        assert made(flags=(flag,)).message


@pytest.mark.pure
def test_a_chain_of_offsets():
    # Reference r with r + 0.3 = 0 where the sky is: image = 0.5 + 2 r = -0.1 there.
    offset, error = chain_offset(made(), 0.3, 0.02)
    assert offset == pytest.approx(0.1)
    assert error == pytest.approx(np.sqrt(0.05**2 + (0.3 * 0.1) ** 2 + 2 * 0.3 * 0.003 + (2 * 0.02) ** 2))
    assert chain_offset(made(), 0.0) == (-0.5, 0.05)


@pytest.mark.truth
def test_the_error_of_a_chain_is_the_scatter_of_many():
    rng = np.random.default_rng(3)
    fit = made()
    matrix = [[fit.slope_err**2, fit.covariance], [fit.covariance, fit.intercept_err**2]]
    slopes, intercepts = rng.multivariate_normal((fit.slope, fit.intercept), matrix, 200_000).T
    offsets = rng.normal(0.7, 0.04, slopes.size)
    value, error = chain_offset(fit, 0.7, 0.04)
    assert value == pytest.approx(np.mean(slopes * offsets - intercepts), abs=1e-3)
    assert error == pytest.approx(np.std(slopes * offsets - intercepts), rel=0.02)


@pytest.mark.pure
def test_rounding_makes_no_negative_variance():
    exact = made(slope_err=0.1, intercept_err=0.05, covariance=0.005 * (1 + 1e-9))
    assert chain_offset(exact, 0.5) == (0.5, 0.0)


@pytest.mark.pure
@pytest.mark.parametrize(("offset", "error"), [(np.nan, 0.0), (np.inf, 0.0), (0.1, -0.1), (0.1, np.nan)])
def test_offsets_that_are_none(offset, error):
    with pytest.raises(InputError, match=r"offset .* \+- .*: must be finite, its error not negative"):
        chain_offset(made(), offset, error)
