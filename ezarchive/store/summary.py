"""What is known of each object: its place, counts, and how it varies, from the rows of the store."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike, NDArray

from ezarchive import flags, sky
from ezarchive.errors import InputError
from ezarchive.store import files
from ezarchive.timeseries import kernels_variability as kernels

_BAD = flags.value(flags.FLAGS, "SATURATED", "TRUNCATED", "APER_INCOMPLETE")
_BAD_APER = flags.value(
    flags.FLAGS_APER, "OFF_IMAGE_PARTLY", "OFF_IMAGE", "MASKED", "NOT_FINITE", "SATURATED", "NON_POSITIVE", "NO_SKY"
)  # fmt: skip

COLUMNS = (
    "object_id", "kind", "filter", "night", "mjd_mid", "ra", "dec", "flux", "flux_err", "mag", "mag_err", "zero_point_err", "flags",
    "flags_aper", "object_ra", "object_dec"
)  # fmt: skip
"""Columns of the light-curve store that are read."""

_NUMBERS = {
    "ra": kernels.RA, "dec": kernels.DEC, "ra_err": kernels.RA_ERR, "dec_err": kernels.DEC_ERR, "mjd_first": kernels.OBJECT_FIRST,
    "mjd_last": kernels.OBJECT_LAST, "chi2_reduced": kernels.OBJECT_CHI2, "stetson_j": kernels.OBJECT_J, "amplitude": kernels.AMPLITUDE
}  # fmt: skip
_FILTER_NUMBERS = {
    "mag_mean": kernels.MEAN, "mag_mean_err": kernels.MEAN_ERR, "mag_median": kernels.MEDIAN, "mag_std": kernels.STD,
    "mag_min": kernels.MIN, "mag_max": kernels.MAX, "chi2_reduced": kernels.CHI2, "eta": kernels.ETA, "stetson_j": kernels.J,
    "mjd_first": kernels.FIRST, "mjd_last": kernels.LAST
}  # fmt: skip


def summarise(light_curve: pa.Table, ambiguous_ids: ArrayLike = ()) -> tuple[pa.Table, pa.Table]:
    """Summarise objects, and each of them in each filter.

    Parameters
    ----------
    light_curve : pyarrow.Table
        Rows of the store, all of an object together, by object_id and mjd_mid; at least `COLUMNS`. Texts may be dictionaries.
    ambiguous_ids : array_like of int
        Objects whose column ``ambiguous`` is to be true.

    Returns
    -------
    objects : pyarrow.Table
        ``columns.OBJECT``, by object_id.
    object_filters : pyarrow.Table
        ``columns.OBJECT_FILTER``, by object_id and filter: where there is a detection. The filter is NULL of frames without one.

    Raises
    ------
    InputError
        If a column is missing, or the rows are not sorted.

    Notes
    -----
    Only detections count; forced rows are counted. An object without any (its detections were withdrawn) has the place in its id.
    Position: mean of unit vectors, each weighted with (flux / flux_err)^2, or all alike where none has an error. Its error follows
    from the scatter and not from the flux: ``sqrt(n / (n - 1) sum(w^2 d^2)) / sum(w)`` with the offsets ``d`` along each axis.
    A *good* detection has a positive flux with an error, and none of the flags SATURATED, TRUNCATED, APER_INCOMPLETE, nor of the aperture
    OFF_IMAGE_PARTLY, OFF_IMAGE, MASKED, NOT_FINITE, SATURATED, NON_POSITIVE, NO_SKY. If any good one of a filter is calibrated, the
    others of that filter are left out. Errors are those of the measurement and of the zero point in quadrature; formulas:
    `ezarchive.timeseries.variability`. Over all filters: chi2 and degrees of freedom are summed, and J takes pairs of any filters.
    """
    if absent := [name for name in COLUMNS if name not in light_curve.column_names]:
        raise InputError(f"light_curve: column {absent[0]!r} is missing; must hold {', '.join(COLUMNS)}")
    ids = _numbers(light_curve, "object_id", np.int64)
    start = np.concatenate([[0], np.flatnonzero(np.diff(ids)) + 1, [len(ids)]]).astype(np.int64) if len(ids) else np.zeros(1, np.int64)
    rows, names, n_nights = _rows(light_curve, start)
    _check_sorted(ids, rows.mjd, start)
    order, begin, owner, code = kernels.arrange(start, rows.detected, rows.code, len(names))
    groups = kernels.Groups(order, begin, owner, code, np.zeros(len(owner), np.int64), np.zeros(len(owner), np.bool_))
    values = np.full((len(_FILTER_NUMBERS), len(owner)), np.nan)
    delta = kernels.measure_groups(rows, groups, values)
    out = np.full((len(_NUMBERS), len(start) - 1), np.nan)
    counts = np.zeros((len(start) - 1, 4), np.int32)
    kernels.measure_objects(rows, groups, values, delta, n_nights, out, counts)
    objects = _objects(light_curve, ids, start, out.T, counts, np.asarray(ambiguous_ids, np.int64))
    return objects, _filters(objects, groups, values.T, names)


def _rows(table: pa.Table, start: NDArray[np.int64]) -> tuple[kernels.Rows, pa.Array, int]:
    """Return the rows as arrays, the names of the filters, and how many nights there are."""
    code, names = _codes(table["filter"])
    night, nights = _codes(table["night"])
    numbers = {name: _numbers(table, name) for name in ("ra", "dec", "flux", "flux_err", "mag", "mag_err", "zero_point_err")}
    detected = _is(table["kind"], "detection")
    with np.errstate(invalid="ignore"):
        measured = (numbers["flux"] > 0) & np.isfinite(numbers["flux"]) & (numbers["flux_err"] > 0) & np.isfinite(numbers["flux_err"])
    clean = (_numbers(table, "flags", np.int32) & _BAD) | (_numbers(table, "flags_aper", np.int32) & _BAD_APER)
    mjd = _numbers(table, "mjd_mid")
    return kernels.Rows(start, detected, detected & measured & (clean == 0), code, night, mjd, **numbers), names, len(nights)


def _check_sorted(ids: NDArray[np.int64], mjd: NDArray[np.float64], start: NDArray[np.int64]) -> None:
    back = mjd[1:] < mjd[:-1]
    back[start[1:-1] - 1] = False
    back |= ids[1:] < ids[:-1]
    if back.any():
        row = int(np.argmax(back)) + 1
        raise InputError(f"light_curve: row {row} belongs before row {row - 1}; must be sorted by object_id and mjd_mid")


def _objects(
    table: pa.Table, ids: NDArray[np.int64], start: NDArray[np.int64], out: NDArray, counts: NDArray, ambiguous: NDArray[np.int64]
) -> pa.Table:
    first = start[:-1]
    ra, dec = np.degrees(out[:, kernels.RA]) % 360 % 360, np.degrees(out[:, kernels.DEC])
    lost = np.isnan(ra)
    if lost.any():
        ra[lost], dec[lost] = (_numbers(table, name)[first[lost]] for name in ("object_ra", "object_dec"))
    n_forced = np.diff(np.concatenate([[0], np.cumsum(_is(table["kind"], "forced"))])[start])
    made = {
        "object_id": ids[first],
        **{name: _nullable(out[:, place]) for name, place in _NUMBERS.items()},
        "ra": ra,
        "dec": dec,
        "n_forced": n_forced,
        **dict(zip(("n_det", "n_good", "n_nights", "n_filters"), counts.T, strict=True)),
        "ambiguous": np.isin(ids[first], ambiguous),
        "_healpix_29": sky.cell_of(ra, dec, 29),
    }
    return _table(made, "objects")


def _filters(objects: pa.Table, groups: kernels.Groups, values: NDArray, names: pa.Array) -> pa.Table:
    made = {name: values[:, place] for name, place in _FILTER_NUMBERS.items()}
    few = groups.n_good < 2
    made["chi2_reduced"] = np.where(few, np.nan, made["chi2_reduced"] / np.where(few, 1, groups.n_good - 1))
    made["amplitude"] = np.where(few, np.nan, made["mag_max"] - made["mag_min"])
    columns = {
        **{name: objects[name].take(pa.array(groups.object)) for name in ("object_id", "ra", "dec", "_healpix_29")},
        **{name: _nullable(value) for name, value in made.items()},
        "filter": names.take(pa.array(groups.code)),
        "n_det": np.diff(groups.start),
        "n_good": groups.n_good,
        "calibrated": groups.calibrated,
    }
    return _table(columns, "object_filters")


def _table(values: dict, dataset: str) -> pa.Table:
    schema = files.schema(dataset)
    arrays = [value if isinstance(value, (pa.Array, pa.ChunkedArray)) else pa.array(value) for value in map(values.get, schema.names)]
    return pa.table([array.cast(field.type) for array, field in zip(arrays, schema, strict=True)], schema=schema)


def _nullable(values: NDArray[np.float64]) -> pa.Array:
    return pa.array(values, mask=np.isnan(values))


def _numbers(table: pa.Table, name: str, dtype: type = np.float64) -> NDArray:
    """Return a column as numbers: NaN, or 0 of whole numbers, where it is NULL."""
    column = table[name]
    if column.null_count:
        column = column.fill_null(np.nan if dtype is np.float64 else 0)
    # A copy, so that it may be written: the loops are compiled anew for arrays that may not.
    return np.array(column.to_numpy(), dtype)


def _encoded(column: pa.ChunkedArray) -> pa.DictionaryArray:
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    whole = column.unify_dictionaries().combine_chunks()
    return whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole


def _codes(column: pa.ChunkedArray) -> tuple[NDArray[np.int32], pa.Array]:
    """Return a number for the text of each row, in the order of the texts, and the texts; NULL comes last."""
    if not len(column):
        return np.empty(0, np.int32), pa.array([None], pa.string())
    whole = _encoded(column)
    order = pc.sort_indices(whole.dictionary)
    rank = np.empty(len(order) + 1, np.int32)
    rank[order.to_numpy()] = np.arange(len(order))
    rank[-1] = len(order)
    found = whole.indices.cast(pa.int32()).fill_null(-1).to_numpy(zero_copy_only=False)
    names = pa.concat_arrays([whole.dictionary.take(order).cast(pa.string()), pa.array([None], pa.string())])
    return rank[found], names


def _is(column: pa.ChunkedArray, text: str) -> NDArray[np.bool_]:
    """Return whether each row holds a text."""
    code, names = _codes(column)
    place = pc.index(names, text).as_py()
    return np.zeros(len(code), np.bool_) if place < 0 else code == place
