"""Which catalogs are added, dropped, calibrated anew."""

from __future__ import annotations

import surveys

from ezarchive.association import sources
from ezarchive.database import stores


def find(survey, **options):
    with survey.archive.database.connect() as conn:
        return sources.find(conn, 5.0, **options)


def lists(found):
    return [part.tolist() for part in (found.add, found.drop, found.recalibrate)]


def stored(survey, found):
    """Record what was found as if it were in the store."""
    with survey.archive.database.begin() as conn:
        number = (stores.current(conn) or 0) + 1
        counts = dict.fromkeys(stores.COUNTS, 0)
        stores.publish(conn, number, "associate", counts, {}, found.added({}), found.drop.tolist())


def test_what_is_new_gone_and_changed(survey):
    frames = [survey.frame(10, 10, surveys.MJD + n) for n in range(4)]
    first, second, third = (survey.catalog(frame, [10.0], [10.0], [100.0]) for frame in frames[:3])
    other = survey.catalog(frames[3], [10.0], [10.0], [100.0], apertures=(7.0,))
    found = find(survey)
    assert lists(found) == [[first, second, third], [], []]
    assert found.without == 1
    assert other not in found.links["catalog_id"].to_pylist()
    stored(survey, found)
    assert lists(find(survey)) == [[], [], []]
    assert lists(find(survey, rebuild=True)) == [[first, second, third], [], []]
    with survey.archive.database.begin() as conn:
        conn.exec_driver_sql(f"UPDATE frame SET zero_point = 24 WHERE frame_id = {frames[0]}")
        conn.exec_driver_sql(f"UPDATE frame SET exptime = 50 WHERE frame_id = {frames[1]}")
    again = survey.catalog(frames[2], [10.0], [10.0], [100.0], run=1)
    found = find(survey)
    assert lists(found) == [[second, again], [second, third], [first]]
    calibration = found.calibration_of(found.recalibrate).to_pylist()
    assert [(row["catalog_id"], row["zero_point"], row["per"]) for row in calibration] == [(first, 24.0, 100.0)]
    stored(survey, found)
    assert lists(find(survey)) == [[], [], []]


def test_nothing():
    none = sources.Sources.none()
    assert none.added({}) == []
    assert len(none.calibration_of(none.add)) == 0
