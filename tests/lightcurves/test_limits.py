"""Non-detections: where and only where the source is too faint."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive import Archive, simulate, sky
from ezarchive.database import queries
from ezarchive.errors import UnknownNameError
from ezarchive.lightcurves.limits import SCHEMA, non_detections

PLACE = (326.25, -77.2622)


def frames_of(archive):
    with archive.database.connect() as conn:
        return {frame.relpath: frame for frame in queries.search(conn, queries.FrameQuery(kinds=("science",)))}


def truth_of(toy, archive):
    """Yield star, place and frame -> (true magnitude, whether the star lies well on it) of stars that nothing is near."""
    frames, sources, stars = frames_of(archive), toy.truth.sources, toy.truth.stars
    paths = [str(path) for path in toy.truth.frames["relpath"]]
    for star in stars[stars["kind"] == "star"]:
        own = sources[(sources["star_id"] == star["star_id"]) & sources["isolated"]]
        known = {frames[paths[row["frame"]]].frame_id: float(row["mag"].value) for row in own if paths[row["frame"]] in frames}
        if known:
            yield int(star["star_id"]), (float(star["ra"].value), float(star["dec"].value)), known


def detected_at(archive, place):
    return {int(number) for number in archive.light_curve(place, "2 arcsec", kind="detection")["frame_id"]}


@pytest.mark.parametrize("threshold", [5.0, 2.0])
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_where_and_only_where_the_truth_is_below_the_limit(tmp_path, threshold):
    toy = simulate.toy_archive(
        tmp_path / "toy", shape=(360, 380), targets=simulate.TARGETS[:1], telescopes=("7DT01",), filters=("m600", "r"), n_epochs=2,
        lacking=0.0, density=5.0,
    )  # fmt: skip
    with Archive.create(tmp_path / "home", roots={"scidata": toy.scidata}) as archive:
        archive.index(progress=False)
        archive.measure(workers=1, progress=False, detection_sigma=threshold)
        missed, found, doubtful = 0, 0, 0
        for star, place, known in truth_of(toy, archive):
            limits = {row["frame_id"]: row["mag_limit"] for row in non_detections(archive, *place).to_pylist()}
            detected = detected_at(archive, place)
            rows = non_detections(archive, *place, detected).to_pylist()
            assert {row["frame_id"] for row in rows} == set(limits) - detected
            for frame_id, magnitude in known.items():
                if frame_id not in limits:
                    continue  # on the edge
                above = limits[frame_id] - magnitude
                # Within a quarter of a magnitude noise decides.
                if abs(above) < 0.25:
                    doubtful += 1
                    continue
                # What is fainter than 5 sigma may be found by a search that goes deeper; what is brighter is never missed.
                if above > 0 or threshold == 5.0:
                    assert (frame_id in detected) == (above > 0), (star, frame_id, magnitude, limits[frame_id])
                missed, found = missed + (above < 0), found + (above > 0)
        assert missed > 15
        assert found > 20
        assert doubtful < 0.25 * (missed + found)


def test_rows(measured):
    found = non_detections(measured, *PLACE)
    assert found.schema == SCHEMA
    assert len(found) == 6
    assert set(found["kind"].to_pylist()) == {"limit"}
    assert found["mjd_mid"].to_pylist() == sorted(found["mjd_mid"].to_pylist())
    assert found["flux"].null_count == found["mag"].null_count == found["object_id"].null_count == 6
    assert found["ra"].to_pylist() == [326.25] * 6
    limit, flux, zero_point, exptime = (np.array(found[name]) for name in ("mag_limit", "flux_limit", "zero_point", "exptime"))
    np.testing.assert_allclose(limit, zero_point - 2.5 * np.log10(flux * exptime))
    assert non_detections(measured, PLACE[0] - 360, PLACE[1]).equals(found)
    first = found["frame_id"][0].as_py()
    assert first not in non_detections(measured, *PLACE, [first, 999])["frame_id"].to_pylist()


def test_names_and_apertures(measured):
    assert set(non_detections(measured, *PLACE, names={"filter": ("m600",)})["filter"].to_pylist()) == {"m600"}
    assert len(non_detections(measured, *PLACE, names={"telname": ("7DT*",)})) == 6
    with pytest.raises(UnknownNameError, match="filter 'm60'"):
        non_detections(measured, *PLACE, names={"filter": ("m60",)})
    # Without a depth in the header for it, the noise around the place tells the limit.
    seven = non_detections(measured, *PLACE, aperture=7.0)
    assert seven["mag_limit"].null_count == 6
    assert min(seven["flux_limit"].to_pylist()) > 0
    assert len(non_detections(measured, *PLACE, aperture=6.0)) == 0


def test_only_frames_that_cover_the_place_and_its_aperture(measured):
    assert non_detections(measured, 10.0, 10.0).schema == SCHEMA
    assert len(non_detections(measured, 10.0, 10.0)) == 0
    frame = next(iter(frames_of(measured).values()))
    corners = sky.parse_region(frame.s_region)
    centre = np.array([frame.ra, frame.dec])
    middle = corners[:2].mean(axis=0)
    width = sky.separation(*middle, *centre)
    for inwards, there in ((1.5 / 3600, False), (4.0 / 3600, True)):
        place = middle + (centre - middle) * inwards / width
        assert (frame.frame_id in non_detections(measured, *place)["frame_id"].to_pylist()) is there


def test_a_frame_that_nobody_searched_has_no_limit(toy, tmp_path):
    with Archive.create(tmp_path / "home", roots={"scidata": toy.scidata}) as archive:
        archive.index(progress=False)
        assert len(non_detections(archive, *PLACE)) == 0
        archive.forced(f"{PLACE[0]} {PLACE[1]}", workers=1, progress=False)
        assert len(non_detections(archive, *PLACE)) == 0
