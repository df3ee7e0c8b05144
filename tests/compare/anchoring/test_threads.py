"""Threads: results in order, errors handed over, one thread at headers at a time."""

from __future__ import annotations

import threading
import time
import warnings

import pytest

from ezarchive.compare.anchoring.threads import ALONE, run_threads


@pytest.mark.pure
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_come_in_order_and_errors_with_them(threads):
    def tried(value):
        time.sleep(0.002 * (5 - value))
        if value == 3:
            raise OSError("no such luck")
        return value * 10

    made = list(run_threads(tried, range(5), threads))
    assert [task for task, _ in made] == [0, 1, 2, 3, 4]
    assert [result for _, result in made if not isinstance(result, OSError)] == [0, 10, 20, 40]
    assert str(made[3][1]) == "no such luck"
    assert list(run_threads(tried, [], threads)) == []


@pytest.mark.pure
def test_what_waits_is_dropped_when_the_caller_stops():
    begun = []

    def slow(value):
        begun.append(value)
        time.sleep(0.02)
        return value

    results = run_threads(slow, range(50), 2)
    assert next(results) == (0, 0)
    results.close()
    assert len(begun) < 10 and threading.active_count() < 10


@pytest.mark.pure
def test_filters_of_warnings_stay_as_they_were():
    before = list(warnings.filters)

    def quiet(_):
        with ALONE, ALONE, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            time.sleep(0.001)
            warnings.warn("not heard", UserWarning, stacklevel=1)

    assert all(result is None for _, result in run_threads(quiet, range(20), 4))
    assert warnings.filters == before
