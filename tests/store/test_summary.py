"""Summaries of objects: against plain numpy, at RA 0 and the poles, and of simulated stars."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from ezarchive import sky
from ezarchive.errors import InputError
from ezarchive.store import files, ids, summary
from ezarchive.timeseries import variability

TEXTS = ("kind", "filter", "night")


def curve(rows: list[dict]) -> pa.Table:
    """Return rows of the store; what is not given is that of a good, calibrated detection."""
    start = {
        "object_id": 10, "kind": "detection", "filter": "r", "night": None, "mjd_mid": 60000.0, "ra": 10.0, "dec": -20.0, "flux": 100.0,
        "flux_err": 1.0, "mag": 20.0, "mag_err": 0.01, "zero_point_err": None, "flags": 0, "flags_aper": 0, "object_ra": 10.0,
        "object_dec": -20.0,
    }  # fmt: skip
    made = [{**start, **row} for row in rows]
    for row in made:
        row["night"] = row["night"] or str(int(row["mjd_mid"]))
    made.sort(key=lambda row: (row["object_id"], row["mjd_mid"] is None, row["mjd_mid"]))
    fields = {field.name: field.type for field in files.schema("light_curve")}
    return pa.table({name: pa.array([row[name] for row in made], fields[name]) for name in summary.COLUMNS})


def one(rows: list[dict], **options) -> tuple[dict, list[dict]]:
    """Return the object and its filters."""
    objects, filters = summary.summarise(curve(rows), **options)
    assert objects.num_rows == 1
    return objects.to_pylist()[0], filters.to_pylist()


def random_rows(rng: np.random.Generator, n: int = 3000) -> list[dict]:
    """Return rows of about 200 objects with all that may happen to a row."""

    def pick(*values, p=None):
        return values[rng.choice(len(values), p=p)]

    rows = []
    for _ in range(n):
        number = int(rng.integers(200))
        flux, error = rng.normal(50, 40), pick(rng.uniform(0.5, 5), 0.0, None, p=(0.94, 0.03, 0.03))
        calibrated = flux > 0 and error and rng.random() < (0.9 if number % 3 else 0.0)
        rows.append({
            "object_id": 1000 + number,
            "kind": pick("detection", "forced", p=(0.85, 0.15)),
            "filter": pick("m400", "r", "i", None, p=(0.4, 0.3, 0.2, 0.1)),
            "mjd_mid": 60000 + float(np.round(rng.uniform(0, 8), 2)),
            "ra": (359.999 + number * 1e-5 + rng.normal(0, 1e-5)) % 360,
            "dec": 40 + number * 1e-2 + rng.normal(0, 1e-5),
            "flux": flux, "flux_err": error,
            "mag": float(25 - 2.5 * np.log10(flux)) if calibrated else None,
            "mag_err": 1.0857 * error / flux if calibrated else None,
            "zero_point_err": pick(0.02, None) if calibrated else None,
            "flags": int(pick(0, 1, 2, 3, 4, 8, 16, p=(0.7, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05))),
            "flags_aper": int(pick(0, 4, 32, 128, p=(0.85, 0.05, 0.05, 0.05))),
        })  # fmt: skip
    return rows


def bad(row: dict) -> bool:
    return bool(row["flags"] & (4 | 8 | 16) or row["flags_aper"] & (1 | 2 | 4 | 8 | 16 | 64 | 256)) or not (
        row["flux"] > 0 and row["flux_err"] is not None and row["flux_err"] > 0
    )


def twin_filter(rows: list[dict]) -> dict:
    """What is expected of the detections of an object in one filter."""
    good = [row for row in rows if not bad(row)]
    calibrated = [row for row in good if row["mag"] is not None]
    used = calibrated or good
    time = np.array([row["mjd_mid"] for row in used])
    if calibrated:
        mag = np.array([row["mag"] for row in used])
        err = np.array([np.hypot(row["mag_err"], row["zero_point_err"] or 0) for row in used])
    else:
        flux = np.array([row["flux"] for row in used])
        mag, err = -2.5 * np.log10(flux), 1.0857362 * np.array([row["flux_err"] for row in used]) / flux
    times = [row["mjd_mid"] for row in rows]
    found = {"n_det": len(rows), "n_good": len(used), "calibrated": bool(calibrated), "mjd_first": min(times), "mjd_last": max(times)}
    found["mag_mean"], found["mag_mean_err"] = variability.weighted_mean(mag, err)
    found |= {"mag_median": np.median(mag), "mag_min": mag.min(), "mag_max": mag.max()} if used else {}
    found |= {"mag_std": np.std(mag, ddof=1)} if len(used) > 1 else {}
    found |= {"amplitude": variability.amplitude(mag), "chi2_reduced": variability.chi2_reduced(mag, err)}
    found |= {"eta": variability.von_neumann_eta(time, mag), "stetson_j": variability.stetson_j(time, mag, err)}
    return found


class TestAgainstPlainNumpy:
    @pytest.fixture(scope="class")
    @staticmethod
    def sample():
        table = curve(random_rows(np.random.default_rng(7)))
        return table, *(part.to_pylist() for part in summary.summarise(table, [1003, 1005, 77]))

    @pytest.fixture(scope="class")
    @staticmethod
    def by_object(sample):
        found: dict[int, list[dict]] = {}
        for row in sample[0].to_pylist():
            found.setdefault(row["object_id"], []).append(row)
        return found

    def test_filters(self, sample, by_object):
        filters = sample[2]
        expected = {}
        for number, rows in by_object.items():
            for row in rows:
                if row["kind"] == "detection":
                    expected.setdefault((number, row["filter"]), []).append(row)
        assert [(row["object_id"], row["filter"]) for row in filters] == sorted(expected, key=lambda key: (key[0], key[1] is None, key[1]))
        for row in filters:
            for name, value in twin_filter(expected[row["object_id"], row["filter"]]).items():
                found = np.nan if row[name] is None else row[name]
                assert found == pytest.approx(value, rel=1e-5, abs=1e-6, nan_ok=True), (row["object_id"], row["filter"], name)

    def test_counts(self, sample, by_object):
        filters: dict[int, list[dict]] = {}
        for row in sample[2]:
            filters.setdefault(row["object_id"], []).append(row)
        assert [row["object_id"] for row in sample[1]] == sorted(by_object)
        for row in sample[1]:
            own, rows = filters.get(row["object_id"], []), by_object[row["object_id"]]
            detections = [each for each in rows if each["kind"] == "detection"]
            assert (row["n_det"], row["n_forced"]) == (len(detections), len(rows) - len(detections))
            assert row["n_good"] == sum(each["n_good"] for each in own)
            assert row["n_nights"] == len({each["night"] for each in detections})
            assert row["n_filters"] == len(own) == len({each["filter"] for each in detections})
            assert row["mjd_first"] == min(each["mjd_mid"] for each in detections)
            assert row["mjd_last"] == max(each["mjd_mid"] for each in detections)
            assert row["ambiguous"] == (row["object_id"] in (1003, 1005))

    def test_chi2_and_amplitude_over_all_filters(self, sample):
        for row in sample[1]:
            own = [each for each in sample[2] if each["object_id"] == row["object_id"] and each["n_good"] > 1]
            freedom = sum(each["n_good"] - 1 for each in own)
            if not own:
                assert (row["amplitude"], row["chi2_reduced"]) == (None, None)
                continue
            assert row["amplitude"] == max(each["amplitude"] for each in own)
            assert row["chi2_reduced"] == pytest.approx(sum(each["chi2_reduced"] * (each["n_good"] - 1) for each in own) / freedom)

    def test_places(self, sample, by_object):
        for row in sample[1]:
            detections = [each for each in by_object[row["object_id"]] if each["kind"] == "detection"]
            snr = np.array([each["flux"] / each["flux_err"] if each["flux_err"] else 0.0 for each in detections])
            weight = np.clip(snr, 0, None) ** 2
            east = (np.array([each["ra"] for each in detections]) + 180) % 360 - 180
            north = np.array([each["dec"] for each in detections])
            assert (row["ra"] + 180) % 360 - 180 == pytest.approx(np.average(east, weights=weight), abs=1e-10)
            assert row["dec"] == pytest.approx(np.average(north, weights=weight), abs=1e-10)
            n = np.sum(weight > 0)
            for name, offset in (
                ("ra_err", (east - np.average(east, weights=weight)) * np.cos(np.radians(row["dec"]))),
                ("dec_err", north),
            ):
                offset = offset - np.average(offset, weights=weight)
                expected = np.sqrt(n / (n - 1) * np.sum((weight * offset) ** 2)) / weight.sum() * 3600
                assert row[name] == pytest.approx(expected, rel=1e-5)
            assert row["_healpix_29"] == sky.cell_of(row["ra"], row["dec"], 29)[0]

    def test_pieces_and_dictionaries_give_the_same(self, sample):
        table = sample[0]
        cuts = [table.slice(start, 500) for start in range(0, table.num_rows, 500)]
        coded = [piece.set_column(piece.schema.get_field_index(n), n, piece[n].dictionary_encode()) for n in TEXTS for piece in cuts]
        for pieces in (cuts, coded[: len(cuts)], coded[-len(cuts) :]):
            objects, filters = summary.summarise(pa.concat_tables(pieces), [1003, 1005, 77])
            assert objects.to_pylist() == sample[1]
            assert filters.to_pylist() == sample[2]

    def test_dictionaries_with_other_indices_give_the_same(self, sample):
        table = sample[0]
        for name in TEXTS:
            coded = table[name].combine_chunks().dictionary_encode()
            small = pa.DictionaryArray.from_arrays(coded.indices.cast(pa.uint8()), coded.dictionary)
            table = table.set_column(table.schema.get_field_index(name), name, small)
        assert summary.summarise(table, [1003, 1005, 77])[1].to_pylist() == sample[2]

    def test_the_columns_are_those_of_the_store(self, sample):
        objects, filters = summary.summarise(sample[0])
        assert objects.schema == files.schema("objects")
        assert filters.schema == files.schema("object_filters")
        for table in (objects, filters):
            for column in table.columns:
                if pa.types.is_floating(column.type):
                    assert not np.isnan(column.drop_null().to_numpy()).any()


class TestPlaces:
    @pytest.mark.parametrize(
        ("ra", "dec", "mean"),
        [
            ((359.9999, 0.0001), (0.0, 0.0), (0.0, 0.0)),
            ((359.9999, 0.0003), (-20.0, -20.0), (0.0001, -20.0)),
            ((0.0, 180.0), (89.9999, 89.9999), (None, 90.0)),
            ((90.0, 270.0), (-89.9999, -89.9997), (270.0, -89.9999)),
        ],
    )
    def test_at_ra_0_and_the_poles(self, ra, dec, mean):
        found, _ = one([{"mjd_mid": 60000.0 + i, "ra": a, "dec": d} for i, (a, d) in enumerate(zip(ra, dec, strict=True))])
        assert found["dec"] == pytest.approx(mean[1], abs=1e-9)
        if mean[0] is not None:
            assert (found["ra"] - mean[0] + 180) % 360 - 180 == pytest.approx(0, abs=1e-8)
        assert 0 <= found["ra"] < 360

    def test_the_error_is_that_of_the_mean_on_the_sky(self):
        rng = np.random.default_rng(3)
        rows = []
        for star in range(400):
            for epoch in range(30):
                east, north = rng.normal(0, (0.3, 0.1)) / 3600
                place = {"ra": (100 + east / np.cos(np.radians(60))) % 360, "dec": 60 + north}
                rows.append({"object_id": star, "mjd_mid": 60000.0 + epoch, "flux": 100.0 * (1 + epoch % 3), **place})
        objects, _ = summary.summarise(curve(rows))
        found = objects.to_pandas()
        assert np.median(found["ra_err"]) == pytest.approx(np.std((found["ra"] - 100) * 3600 * 0.5), rel=0.1)
        assert np.median(found["dec_err"]) == pytest.approx(np.std((found["dec"] - 60) * 3600), rel=0.1)

    def test_one_detection_has_no_error(self):
        found, _ = one([{}])
        assert (found["ra"], found["dec"], found["ra_err"], found["dec_err"]) == (pytest.approx(10), pytest.approx(-20), None, None)

    def test_without_any_error_of_the_flux_all_count_alike(self):
        found, _ = one([{"dec": -20.0, "flux_err": None}, {"dec": -20.0002, "flux": -5.0}])
        assert found["dec"] == pytest.approx(-20.0001)

    def test_forced_rows_do_not_move_it(self):
        found, _ = one([{}, {"kind": "forced", "dec": -20.1, "mjd_mid": 60001.0}])
        assert (found["dec"], found["n_forced"], found["n_det"]) == (pytest.approx(-20.0), 1, 1)

    def test_an_object_whose_detections_are_gone_is_where_its_id_says(self):
        number = int(ids.object_ids(sky.cell_of(123.0, 45.0, 29))[0])
        ra, dec = (float(value[0]) for value in ids.place(np.array([number])))
        found, filters = one([{"object_id": number, "kind": "forced", "object_ra": ra, "object_dec": dec}])
        assert (found["ra"], found["dec"], found["n_det"], found["n_forced"], found["n_good"]) == (ra, dec, 0, 1, 0)
        assert [found[name] for name in ("mjd_first", "chi2_reduced", "amplitude", "stetson_j", "ra_err")] == [None] * 5
        assert filters == []


class TestFilters:
    def test_instrumental_ones_are_left_out_where_one_is_calibrated(self):
        rows = [{"mjd_mid": 60000.0}, {"mjd_mid": 60001.0, "mag": None, "mag_err": None, "flux": 1e4}]
        found, (only,) = one(rows)
        assert (only["n_good"], only["calibrated"], only["mag_mean"], found["n_good"], found["n_det"]) == (1, True, 20.0, 1, 2)

    def test_each_filter_by_itself(self):
        rows = [{"filter": "r"}, {"filter": "g", "mag": None, "mag_err": None, "flux": 1e4}]
        _, (g, r) = one(rows)
        assert (g["filter"], g["calibrated"], g["mag_mean"], r["filter"], r["calibrated"]) == ("g", False, -10.0, "r", True)

    def test_errors_of_zero_points_count(self):
        rows = [{"mjd_mid": 60000.0 + i, "mag": 20 + 0.1 * i, "mag_err": 0.03, "zero_point_err": 0.04} for i in range(2)]
        _, (only,) = one(rows)
        assert only["mag_mean_err"] == pytest.approx(0.05 / 2**0.5)
        assert only["chi2_reduced"] == pytest.approx(2.0, rel=1e-4)

    def test_one_is_too_few_to_vary(self):
        found, (only,) = one([{}])
        assert [only[name] for name in ("mag_std", "amplitude", "chi2_reduced", "eta", "stetson_j")] == [None] * 5
        assert [found[name] for name in ("amplitude", "chi2_reduced", "stetson_j")] == [None] * 3
        assert (only["mag_mean"], only["mag_median"], only["mag_min"], only["mag_max"]) == (20.0,) * 4

    def test_without_a_good_one_there_are_no_magnitudes(self):
        _, (only,) = one([{"flags": 4}, {"flags_aper": 16, "mjd_mid": 60001.0}])
        assert (only["n_det"], only["n_good"], only["mag_mean"], only["calibrated"]) == (2, 0, None, False)
        assert (only["mjd_first"], only["mjd_last"]) == (60000.0, 60001.0)

    def test_pairs_of_two_filters_are_seen_by_the_object_alone(self):
        rows = [
            {"filter": name, "mjd_mid": 60000.0 + night + late, "mag": 20 + 0.5 * (night % 2)}
            for night in range(10)
            for name, late in (("g", 0.0), ("r", 0.01))
        ]
        found, (g, r) = one(rows)
        delta = np.sqrt(10 / 9) * 0.25 / 0.01
        assert found["stetson_j"] == pytest.approx(delta, rel=1e-4)
        assert g["stetson_j"] == r["stetson_j"] == pytest.approx(np.sqrt(delta**2 - 1), rel=1e-4)

    def test_a_frame_without_time_is_counted(self):
        found, (only,) = one([{"mjd_mid": 60000.0}, {"mjd_mid": None, "night": "x"}])
        assert (found["n_det"], found["mjd_first"], only["mjd_last"], only["n_good"]) == (2, 60000.0, 60000.0, 2)


class TestBadInput:
    def test_no_rows(self):
        objects, filters = summary.summarise(files.schema("light_curve").empty_table())
        assert (objects.num_rows, filters.num_rows) == (0, 0)
        assert objects.schema == files.schema("objects")

    def test_a_column_is_missing(self):
        with pytest.raises(InputError, match="light_curve: column 'night' is missing; must hold object_id, kind"):
            summary.summarise(curve([{}]).drop_columns(["night"]))

    @pytest.mark.parametrize("swapped", [[1, 0, 2], [0, 2, 1]])
    def test_rows_are_not_sorted(self, swapped):
        table = curve([{"object_id": 1}, {"object_id": 1, "mjd_mid": 60001.0}, {"object_id": 2}])
        with pytest.raises(InputError, match=r"row \d belongs before row \d; must be sorted by object_id and mjd_mid"):
            summary.summarise(table.take(swapped))

    def test_the_table_is_not_changed(self):
        table = curve([{}, {"mjd_mid": 60001.0}])
        before = table.to_pylist()
        summary.summarise(table)
        assert table.to_pylist() == before


def simulated(n_stars: int, n_epochs: int, excess: float = 0.0) -> pa.Table:
    """Return stars of magnitude 15 to 20 in two filters, two measurements a night, errors as given; ``excess`` is a true scatter."""
    rng = np.random.default_rng(11)
    n = n_stars * n_epochs
    level = np.repeat(rng.uniform(15, 20, n_stars), n_epochs)
    error = np.repeat(rng.uniform(0.005, 0.05, n_stars), n_epochs) * rng.uniform(0.7, 1.4, n)
    zero = np.tile(rng.uniform(0.002, 0.01, n_epochs), n_stars)
    mag = level + rng.normal(0, np.hypot(error, zero)) + rng.normal(0, 1, n) * excess
    night = np.arange(n_epochs) // 2
    flux = 10 ** (-0.4 * (mag - 25))
    values = {
        "object_id": np.repeat(np.arange(n_stars) + 1, n_epochs), "kind": np.full(n, "detection"),
        "filter": np.tile(np.array(["g", "r"])[night % 2], n_stars), "night": np.tile(night.astype(str), n_stars),
        "mjd_mid": np.tile(60000 + night + 0.01 * (np.arange(n_epochs) % 2), n_stars), "ra": np.full(n, 10.0), "dec": np.full(n, 5.0),
        "flux": flux, "flux_err": flux * error / 1.0857, "mag": mag, "mag_err": error, "zero_point_err": zero,
        "flags": np.zeros(n, int), "flags_aper": np.zeros(n, int), "object_ra": np.full(n, 10.0), "object_dec": np.full(n, 5.0),
    }  # fmt: skip
    fields = files.schema("light_curve")
    return pa.table({name: pa.array(value, fields.field(name).type) for name, value in values.items()})


class TestSimulatedStars:
    def test_constant_ones_show_nothing(self):
        objects, filters = (part.to_pandas() for part in summary.summarise(simulated(800, 60)))
        assert objects["chi2_reduced"].median() == pytest.approx(1, abs=0.03)
        assert filters["chi2_reduced"].median() == pytest.approx(1, abs=0.05)
        assert filters["eta"].median() == pytest.approx(2, abs=0.05)
        assert objects["stetson_j"].median() == pytest.approx(0, abs=0.05)
        assert filters["stetson_j"].median() == pytest.approx(0, abs=0.05)
        freedom = 60 - 2
        assert objects["chi2_reduced"].std() == pytest.approx(np.sqrt(2 / freedom), rel=0.15)

    def test_the_mean_is_as_good_as_it_says(self):
        table = simulated(800, 60)
        _, filters = (part.to_pandas() for part in summary.summarise(table))
        level = np.random.default_rng(11).uniform(15, 20, 800)
        pull = (filters["mag_mean"] - level[filters["object_id"] - 1]) / filters["mag_mean_err"]
        # Stars share the zero points, so their pulls are not independent.
        assert pull.std() == pytest.approx(1, abs=0.25)

    def test_variable_ones_show(self):
        objects, _ = (part.to_pandas() for part in summary.summarise(simulated(100, 60, excess=0.3)))
        assert (objects["chi2_reduced"] > 5).all()
