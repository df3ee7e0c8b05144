"""What runs were asked to do."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from ezarchive.database.models import recipe, run
from ezarchive.database.parts import chunks, in_ids


def parameters_of_runs(conn: sa.Connection, run_ids: Iterable[int]) -> dict[int, tuple[str, dict[str, Any]]]:
    """Return the method and the parameters of runs, by their numbers; one that does not exist is left out."""
    found: dict[int, tuple[str, dict[str, Any]]] = {}
    for part in chunks({int(number) for number in run_ids}):
        query = sa.select(run.c.run_id, recipe.c.method, recipe.c.parameters).join(recipe, recipe.c.recipe_id == run.c.recipe_id)
        rows = conn.execute(query.where(in_ids(run.c.run_id, part)))
        found |= {number: (method, json.loads(text)) for number, method, text in rows}
    return found
