"""What runs were asked to do."""

from __future__ import annotations

from ezarchive.database import runs
from ezarchive.database.recipes import parameters_of_runs


def test_parameters_by_run(database):
    with database.begin() as conn:
        first = runs.open_run(conn, runs.get_recipe(conn, "sex", {"detection_sigma": 3.0}, [5.0]), {})
        second = runs.open_run(conn, runs.get_recipe(conn, "photutils", {"detection_sigma": 5.0}, [5.0]), {})
    with database.connect() as conn:
        found = parameters_of_runs(conn, [first.run_id, second.run_id, 99])
        assert found == {first.run_id: ("sex", {"detection_sigma": 3.0}), second.run_id: ("photutils", {"detection_sigma": 5.0})}
        assert parameters_of_runs(conn, []) == {}
