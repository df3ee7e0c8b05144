"""Numbers of variability: by hand, by other formulas, and of simulated stars."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ezarchive.errors import InputError
from ezarchive.timeseries.variability import PAIR_DAYS, amplitude, chi2_reduced, stetson_j, von_neumann_eta, weighted_mean

NAN = np.nan


def by_hand(mjd, mag, err) -> float:
    """Stetson's J in plain Python."""
    rows = sorted(zip(mjd, mag, err, strict=True))
    weight = [1 / row[2] ** 2 for row in rows]
    mean = sum(w * row[1] for w, row in zip(weight, rows, strict=True)) / sum(weight)
    n = len(rows)
    delta = [(n / (n - 1)) ** 0.5 * (row[1] - mean) / row[2] for row in rows]
    terms = []
    while rows:
        if len(rows) > 1 and rows[1][0] - rows[0][0] <= 0.02:
            terms.append((1.0, delta[0] * delta[1]))
            rows, delta = rows[2:], delta[2:]
        else:
            terms.append((0.25, delta[0] ** 2 - 1))
            rows, delta = rows[1:], delta[1:]
    return sum(w * (1 if p > 0 else -1) * abs(p) ** 0.5 for w, p in terms) / sum(w for w, _ in terms)


light_curves = st.lists(
    st.tuples(
        st.integers(0, 300).map(lambda k: 60000 + k * 0.007), st.floats(10, 25, allow_subnormal=False), st.floats(0.001, 1.0)
    ),  # fmt: skip
    min_size=2, max_size=30, unique_by=lambda row: row[0],
)  # fmt: skip


class TestOneLightCurve:
    def test_the_mean_is_weighted(self):
        mean, error = weighted_mean([20.0, 21.0], [0.1, 0.2])
        assert mean == pytest.approx((20 * 100 + 21 * 25) / 125)
        assert error == pytest.approx(125**-0.5)

    def test_chi2_by_hand(self):
        assert chi2_reduced([20.0, 20.2], [0.1, 0.1]) == pytest.approx(2.0)
        assert chi2_reduced([20.0, 20.0, 20.0], [0.1, 0.2, 0.3]) == 0.0

    def test_eta_by_hand(self):
        assert von_neumann_eta([1, 2, 3, 4], [1.0, 2.0, 3.0, 4.0]) == pytest.approx(1 / (5 / 3))
        assert von_neumann_eta([1, 2, 3, 4], [1.0, 2.0, 1.0, 2.0]) == pytest.approx(1 / (1 / 3))
        assert von_neumann_eta([4, 1, 3, 2], [4.0, 1.0, 3.0, 2.0]) == pytest.approx(0.6)

    def test_amplitude_by_hand(self):
        assert amplitude([20.0, NAN, 19.5, 20.25]) == 0.75

    def test_a_pair_on_one_side_is_positive_and_on_both_sides_negative(self):
        times = [1.0, 1.01, 2.0, 2.01]
        assert stetson_j(times, [20, 20, 21, 21], [0.1] * 4) > 5
        assert stetson_j(times, [20, 21, 20, 21], [0.1] * 4) < -5

    def test_three_close_ones_are_a_pair_and_a_single_one(self):
        times, mags = [1.0, 1.01, 1.02, 5.0], [20.0, 20.1, 20.3, 20.5]
        assert stetson_j(times, mags, [0.1] * 4) == pytest.approx(by_hand(times, mags, [0.1] * 4))

    def test_the_time_of_a_pair_can_be_chosen(self):
        times, mags = [1.0, 1.5], [20.0, 21.0]
        assert stetson_j(times, mags, [0.1] * 2, pair_days=1.0) < 0 < stetson_j(times, mags, [0.1] * 2)
        assert PAIR_DAYS == 0.02

    @given(light_curves)
    def test_they_are_what_plain_python_says(self, rows):
        mjd, mag, err = (np.array(values) for values in zip(*rows, strict=True))
        order = np.argsort(mjd)
        n = len(mag)
        mean = np.average(mag, weights=err**-2)
        assert weighted_mean(mag, err)[0] == pytest.approx(mean, abs=1e-10)
        assert chi2_reduced(mag, err) == pytest.approx(np.sum((mag - mean) ** 2 / err**2) / (n - 1), rel=1e-6, abs=1e-9)
        assert amplitude(mag) == mag.max() - mag.min()
        assert stetson_j(mjd, mag, err) == pytest.approx(by_hand(mjd, mag, err), rel=1e-6, abs=1e-5)
        if n > 2 and np.std(mag) > 1e-6:
            assert von_neumann_eta(mjd, mag) == pytest.approx(np.sum(np.diff(mag[order]) ** 2) / np.sum((mag - mag.mean()) ** 2), rel=1e-6)

    @given(light_curves, st.randoms())
    def test_the_order_of_the_rows_is_no_matter(self, rows, random):
        def numbers(chosen):
            mjd, mag, err = (np.array(values) for values in zip(*chosen, strict=True))
            return *weighted_mean(mag, err), chi2_reduced(mag, err), von_neumann_eta(mjd, mag), stetson_j(mjd, mag, err), amplitude(mag)

        expected = numbers(rows)
        random.shuffle(rows)
        np.testing.assert_allclose(numbers(rows), expected, rtol=1e-5, atol=1e-5)

    def test_what_is_no_measurement_is_left_out(self):
        mjd, mag, err = [1, 2, 3, 4, 5, 6.0], [20, NAN, 20.5, 21, 20.1, 20.3], [0.1, 0.1, NAN, 0.0, 0.2, 0.1]
        good = [0, 4, 5]
        kept = [np.array(values)[good] for values in (mjd, mag, err)]
        assert weighted_mean(mag, err) == weighted_mean(*kept[1:])
        assert chi2_reduced(mag, err) == chi2_reduced(*kept[1:])
        assert stetson_j(mjd, mag, err) == stetson_j(*kept)


class TestTooFew:
    @pytest.mark.parametrize("n", [0, 1])
    def test_there_is_no_number(self, n):
        mag, err, mjd = np.full(n, 20.0), np.full(n, 0.1), np.arange(n)
        assert np.isnan([chi2_reduced(mag, err), von_neumann_eta(mjd, mag), stetson_j(mjd, mag, err), amplitude(mag)]).all()

    def test_of_none_there_is_no_mean(self):
        assert np.isnan(weighted_mean([], [])).all()

    def test_two_say_nothing_of_their_order_nor_do_equal_ones(self):
        assert np.isnan(von_neumann_eta([1, 2], [20, 21]))
        assert np.isnan(von_neumann_eta([1, 2, 3], [20, 20, 20]))


class TestBadInput:
    @pytest.mark.parametrize("call", [weighted_mean, chi2_reduced, von_neumann_eta])
    def test_lengths_differ(self, call):
        with pytest.raises(InputError, match=r"arrays of shapes \(2,\), \(3,\): must be one-dimensional and of one length"):
            call([1.0, 2.0], [1.0, 2.0, 3.0])

    def test_two_dimensions(self):
        with pytest.raises(InputError, match=r"arrays of shapes \(2, 2\): must be one-dimensional"):
            amplitude(np.ones((2, 2)))

    @pytest.mark.parametrize("days", [-1, NAN])
    def test_a_time_is_not_negative(self, days):
        with pytest.raises(InputError, match="pair_days .*: must not be negative"):
            stetson_j([1, 2], [1, 2], [1, 1], pair_days=days)


class TestSimulatedStars:
    @pytest.fixture
    def noise(self):
        """600 constant stars on 40 nights with two measurements each, errors of all sizes."""
        rng = np.random.default_rng(5)
        mjd = np.repeat(np.arange(40.0), 2) + np.tile([0.0, 0.01], 40)
        err = rng.uniform(0.005, 0.1, (600, 80))
        return mjd, 18 + err * rng.standard_normal(err.shape), err

    def test_constant_ones_show_nothing(self, noise):
        mjd, mag, err = noise
        chi2 = [chi2_reduced(*star) for star in zip(mag, err, strict=True)]
        eta = [von_neumann_eta(mjd, star) for star in mag]
        j = [stetson_j(mjd, *star) for star in zip(mag, err, strict=True)]
        assert np.median(chi2) == pytest.approx(1, abs=0.03)
        assert np.median(eta) == pytest.approx(2, abs=0.05)
        assert np.median(j) == pytest.approx(0, abs=0.03)
        single = [stetson_j(mjd, *star, pair_days=0.0) for star in zip(mag, err, strict=True)]
        assert np.mean(single) == pytest.approx(-0.2, abs=0.03)  # as the docstring says

    def test_a_sine_shows(self, noise):
        mjd, mag, err = noise
        star = mag[0] + 0.3 * np.sin(2 * np.pi * mjd / 20)
        assert chi2_reduced(star, err[0]) > 10
        assert von_neumann_eta(mjd, star) < 0.5
        assert stetson_j(mjd, star, err[0]) > 2
