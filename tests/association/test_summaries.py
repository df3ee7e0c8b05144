"""Summaries of what has changed, filed where the means lie."""

from __future__ import annotations

import numpy as np
import surveys

from ezarchive.association import scratch, summaries
from ezarchive.database import stores
from ezarchive.store.build import Builder
from ezarchive.store.version import Version


def test_only_what_has_changed_is_made_anew(survey, rng, tmp_path):
    ra, dec = surveys.stars(rng, 20)
    for night in range(3):
        survey.catalog(survey.frame(150, 20, surveys.MJD + night), ra, dec, np.full(20, 100.0))
    survey.archive.associate(progress=False)
    with survey.archive.database.connect() as conn:
        version = Version.open(survey.home, stores.current(conn))
    (leaf,) = version.leaves("objects")
    before = version.read("objects", leaf)
    ids = scratch.column(before, "object_id")
    (task,) = summaries.tasks(version, tmp_path, {leaf: ids[3:5]}, ids[4:6])
    made = summaries.summarise(task)
    assert scratch.column(scratch.read(made.paths[0]), "object_id").tolist() == ids[3:5].tolist()
    with Builder(survey.home, version, version.number + 1, {}) as builder:
        (task,) = summaries.file_tasks(builder.current(), builder.writer, [made])
        builder.apply(summaries.file(task))
        after = builder.current().read("objects", leaf)
        assert after["object_id"].to_pylist() == ids.tolist()
        assert np.flatnonzero(after["ambiguous"].to_numpy()).tolist() == [4]
        assert after.drop_columns("ambiguous").equals(before.drop_columns("ambiguous"))
        gone = made._replace(objects=ids[:10])
        (task,) = summaries.file_tasks(builder.current(), builder.writer, [gone])
        builder.apply(summaries.file(task))
        assert builder.current().read("objects", leaf)["object_id"].to_pylist() == [*ids[3:5].tolist(), *ids[10:].tolist()]
