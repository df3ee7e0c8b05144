"""The SQL text of the archive's views over per-image Parquet.

A view reads its files from SQL variables (``SET VARIABLE``), one list for each group of catalogs that share a method and the place of
the wanted aperture, so that the text stays short for any number of files. An empty template with every column comes first and the files
are joined to it by name: so a view has the right schema with no file at all, and files with different columns fit together.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ezarchive.columns import (
    CATALOG_LINK,
    ELLIPSE,
    ELLIPSE_ANNULUS,
    FORCED,
    FRAME,
    LIGHT_CURVE,
    NAMES,
    PHOTUTILS,
    SOURCE,
    Column,
    annulus,
    aperture,
    suffix,
)
from ezarchive.errors import InputError
from ezarchive.magnitudes import AB_MICROJANSKY, MAG_PER_RELATIVE_ERROR, SAME_APERTURE, is_rate

SQL_TYPES = {
    "bool": "BOOLEAN",
    "int16": "SMALLINT",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "float32": "FLOAT",
    "float64": "DOUBLE",
    "str": "VARCHAR",
    "bytes": "BLOB",
}
APERTURE_TOLERANCE = 0.01
"""Arcsec within which an aperture of a catalog is the one that is asked for."""

ELLIPTICAL = "elliptical"
"""The method whose catalogs hold an ellipse for each row instead of circles."""

FORCED_METHODS = ("circular", ELLIPTICAL)

ELLIPSE_PLACE = -1
"""The place of what is no circular aperture but the ellipse."""

FRAMES_SCHEMA = (Column("frame_id", "int64", None, "meta.id;obs", "the frame"), *NAMES, *FRAME, Column("path", "str", None, "", "its file"))
"""What the view ``frames`` holds at least."""

CATALOGS_SCHEMA = (
    Column("catalog_id", "int64", None, "meta.id", "the catalog"),
    *CATALOG_LINK[:2],
    Column("method", "str", None, "meta.code", "sex, forced ..."),
    Column("path", "str", None, "", "its file, relative to the archive's home"),
    Column("n_rows", "int64", None, "meta.number", "rows"),
    Column("sha256", "str", None, "meta.checksum", "of the file"),
    Column("seeing", "float64", "arcsec", "instr.obsty.seeing", "measured FWHM of the stars"),
    Column("depth", "float64", "mag", "phot.mag;stat.max", "5-sigma limit"),
    Column("depth_aperture", "float64", "arcsec", "phys.angSize", "diameter that `depth` is for"),
)
"""What the view ``catalogs`` holds at least, and ``apertures``, a list of diameters in arcsec."""

ZERO_POINTS_SCHEMA = (
    Column("frame_id", "int64", None, "meta.id;obs", "the frame"),
    Column("catalog_id", "int64", None, "meta.id", "the catalog whose stars it was made of"),
    Column("run_id", "int64", None, "meta.id", "the run that made it"),
    Column("method", "str", None, "meta.code", "method of that catalog"),
    Column("measure", "str", None, "meta.code", "AUTO or APER"),
    Column("aperture", "float64", "arcsec", "phys.angSize", "diameter of the aperture; NULL for AUTO"),
    Column("value", "float64", "mag", "phot.calib", "magnitude of 1 stored unit per exposure"),
    Column("error", "float64", "mag", "stat.error;phot.calib", "error of `value`"),
    Column("scatter", "float64", "mag", "stat.stdev;phot.calib", "standard deviation from star to star"),
    Column("n_stars", "int64", None, "meta.number", "stars that were used"),
    Column("system", "str", None, "meta.code", "AB or Vega"),
    Column("ab_offset", "float64", "mag", "phot.calib", "what makes an AB magnitude of one in `system`; NULL where it is not known"),
    Column("depth", "float64", "mag", "phot.mag;stat.max", "5-sigma limit of the frame; NULL for AUTO"),
    Column("colour_term", "float64", None, "phot.calib", "magnitudes per magnitude of colour; NULL where none was asked for"),
    Column("colour_term_err", "float64", None, "stat.error;phot.calib", "error of `colour_term`; NULL where it was given"),
    Column("colour_pivot", "float64", "mag", "phot.color", "colour for which `value` holds"),
    Column("magnitude_slope", "float64", None, "phot.calib", "slope of the residuals with magnitude, mag per mag"),
    Column("magnitude_slope_err", "float64", None, "stat.error;phot.calib", "error of `magnitude_slope`"),
)
"""What the view ``zero_points`` holds at least: those that count, one for each frame, method and measurement."""

_AB_UJY = f"power(10, ({AB_MICROJANSKY} - l.zero_point_ab) / 2.5)"
_LINK_COLUMNS = ("telname", "filter", "mjd_mid", "exptime", "night")
_OF_APERTURE = ("FLUX", "FLUXERR", "FLAGS", "SKYSIG")

MACROS = (
    """CREATE MACRO angular_separation(ra1, dec1, ra2, dec2) AS degrees(atan2(
        sqrt(pow(cos(radians(dec2)) * sin(radians(ra2 - ra1)), 2)
             + pow(cos(radians(dec1)) * sin(radians(dec2)) - sin(radians(dec1)) * cos(radians(dec2)) * cos(radians(ra2 - ra1)), 2)),
        sin(radians(dec1)) * sin(radians(dec2)) + cos(radians(dec1)) * cos(radians(dec2)) * cos(radians(ra2 - ra1))))""",
    "CREATE MACRO flux_to_mag(flux, zero_point := 0) AS CASE WHEN flux > 0 THEN zero_point - 2.5 * log10(flux) END",
)
"""Angles in degrees (Vincenty's formula: good from 0 to 180); magnitudes NULL where the flux is not positive."""


@dataclasses.dataclass(frozen=True)
class Group:
    """Catalogs that one branch of a view reads.

    ``variable`` holds their files and ``place`` the place of the aperture, or `ELLIPSE_PLACE`. ``by_name``: the footer of each is read
    first, for the columns that it has; else they are those of the first file, which opens three times as fast.
    """

    variable: str
    place: int = 0
    by_name: bool = True


def measurements(groups: Sequence[Group], n_apertures: int, methods: Iterable[str] = ()) -> str:
    """Return the query behind the view ``measurements``: every column of every catalog, with ``catalog_id`` and ``row``.

    Parameters
    ----------
    groups : sequence of Group
    n_apertures : int
        Of the catalog that has most.
    methods : iterable of str
        Of all catalogs: their columns are there whichever catalogs a query needs, those of `columns.FORCED` in any case.
    """
    made = set(methods)
    columns = [*CATALOG_LINK, *SOURCE, *FORCED]
    columns += PHOTUTILS if "photutils" in made else ()
    columns += (*ELLIPSE, *ELLIPSE_ANNULUS) if ELLIPTICAL in made else ()
    for place in range(max(n_apertures, 1)):
        columns += (*aperture(place), *(annulus(place) if "circular" in made else ()))
    columns = list({column.name: column for column in columns}.values())  # forced ones share names with those of detection
    return (
        f'SELECT l.catalog_id, m."row", m.* EXCLUDE ("row") FROM ({_rows(columns, groups)}) m '
        "LEFT JOIN _selected_measurements l ON m.frame_id = l.frame_id AND m.run_id = l.run_id"
    )


def light_curve(groups: Sequence[Group]) -> str:
    """Return the query behind the view ``light_curve``; ``columns.LIGHT_CURVE`` says what each column means."""
    if not groups:
        return f"SELECT {nulls(LIGHT_CURVE)} WHERE false"
    return " UNION ALL ".join(_light_curve_branch(group) for group in groups)


def light_curve_sources(place: int) -> list[Column]:
    """Return the columns of a catalog that ``light_curve`` is made of, for an aperture at a place, or the ellipse."""
    used = {"frame_id", "run_id", "ALPHA_J2000", "DELTA_J2000", "FLAGS"}
    columns = [column for column in (*CATALOG_LINK, *SOURCE) if column.name in used]
    columns += [column for column in FORCED if column.name == "target_id"]
    wanted = {f"{stem}_{_measure(place)}" for stem in _OF_APERTURE}
    return columns + [column for column in (ELLIPSE if place == ELLIPSE_PLACE else aperture(place)) if column.name in wanted]


def _measure(place: int) -> str:
    return "ELIP" if place == ELLIPSE_PLACE else f"APER{suffix(place)}"


def _light_curve_branch(group: Group) -> str:
    measure = _measure(group.place)
    columns = light_curve_sources(group.place)
    flux, err = f'm."FLUX_{measure}"', f'm."FLUXERR_{measure}"'
    mag_err = f"CASE WHEN {flux} > 0 THEN {MAG_PER_RELATIVE_ERROR} * {err} / {flux} END"
    values = {
        "frame_id": "m.frame_id",
        "run_id": "m.run_id",
        "catalog_id": "l.catalog_id",
        "row": 'm."row"',
        "object_id": "NULL",
        **{name: f"l.{name}" for name in _LINK_COLUMNS},
        "ra": "m.ALPHA_J2000",
        "dec": "m.DELTA_J2000",
        "flux": f"{flux} / l.per",
        "flux_err": f"{err} / l.per",
        "mag_inst": f"flux_to_mag({flux} / l.per)",
        "mag_inst_err": f"CASE WHEN l.per IS NOT NULL THEN {mag_err} END",
        "mag": f"flux_to_mag({flux}, zero_point := l.zero_point)",
        "mag_err": f"CASE WHEN l.zero_point IS NOT NULL THEN {mag_err} END",
        "flux_ujy": f"{flux} * {_AB_UJY}",
        "flux_ujy_err": f"{err} * {_AB_UJY}",
        "aperture_arcsec": "l.aperture",
        "mag_limit": f'coalesce(flux_to_mag(5 * m."SKYSIG_{measure}", zero_point := l.zero_point), l.mag_limit)',
        "snr": f"{flux} / nullif({err}, 0)",
        "flags": "m.FLAGS",
        "flags_aper": f'm."FLAGS_{measure}"',
        "zero_point": "l.zero_point",
        "zero_point_err": "l.zero_point_err",
        "kind": f"CASE WHEN l.method IN {FORCED_METHODS} THEN 'forced' ELSE 'detection' END",
        "flux_limit": f'5 * nullif(m."SKYSIG_{measure}", 0) / l.per',
        "target_id": "m.target_id",
    }
    cells = ", ".join(f'CAST({values[column.name]} AS {SQL_TYPES[column.dtype]}) AS "{column.name}"' for column in LIGHT_CURVE)
    join = "LEFT JOIN _selected_light_curve l ON m.frame_id = l.frame_id AND m.run_id = l.run_id"
    return f"SELECT {cells} FROM ({_rows(columns, [group])}) m {join}"


def _rows(columns: Sequence[Column], groups: Sequence[Group]) -> str:
    row = Column("row", "int64", None, "meta.record", "row in the file, from 0")
    branches = [f"SELECT {nulls((*columns, row))} WHERE false"]
    branches += [
        f"SELECT * EXCLUDE (file_row_number), file_row_number AS \"row\" FROM read_parquet(getvariable('{group.variable}'), "
        f"union_by_name = {str(group.by_name).lower()}, file_row_number = true, hive_partitioning = false)"
        for group in groups
    ]
    return " UNION ALL BY NAME ".join(branches)


def nulls(columns: Sequence[Column]) -> str:
    """Return columns without values, of their types."""
    return ", ".join(f'CAST(NULL AS {SQL_TYPES[column.dtype]}) AS "{column.name}"' for column in columns)


_HEADER = f"abs(f.zero_point_aperture - c.aperture) <= {SAME_APERTURE} * c.aperture AND f.zero_point IS NOT NULL"


def links(frames: str = "frames") -> str:
    """Return the query that gives one row a catalog with what its measurements need of the frame; ``per`` is what fluxes are divided by.

    A stored zero point of the aperture (`fitting`) comes before the header's.

    Parameters
    ----------
    frames : str
        The table of frames.
    """
    return f"""
    SELECT c.catalog_id, c.frame_id, c.run_id, c.method, c.path, c.place, c.aperture,
        f.telname, f.filter, f.mjd_mid, f.exptime, f.night, f.ra AS frame_ra, f.dec AS frame_dec, f.radius AS frame_radius,
        CASE WHEN coalesce(r.rate, false) THEN 1.0 WHEN f.exptime > 0 THEN f.exptime END AS per,
        CASE WHEN z.catalog_id IS NOT NULL THEN z.value WHEN {_HEADER} THEN f.zero_point END AS zero_point,
        CASE WHEN z.catalog_id IS NOT NULL THEN z.error WHEN {_HEADER} THEN f.zero_point_err END AS zero_point_err,
        CASE WHEN z.catalog_id IS NOT NULL THEN z.ab WHEN {_HEADER} AND upper(f.zero_point_system) = 'AB' THEN f.zero_point END
            AS zero_point_ab,
        CASE WHEN z.catalog_id IS NOT NULL THEN z.depth WHEN {_HEADER} THEN
            CASE WHEN abs(c.depth_aperture - c.aperture) <= {SAME_APERTURE} * c.aperture AND c.depth IS NOT NULL THEN c.depth
                 WHEN abs(f.depth_aperture - c.aperture) <= {SAME_APERTURE} * c.aperture THEN f.depth END END AS mag_limit
    FROM _placed c LEFT JOIN {frames} f USING (frame_id) LEFT JOIN _rates r ON f.bunit = r.bunit LEFT JOIN _fitting z USING (catalog_id)
    ORDER BY c.catalog_id
"""


LINKS = links()
"""`links` of the table ``frames``."""


def placed(catalogs: pa.Table, diameter: float) -> pa.Table:
    """Add to the catalogs which of their apertures has a diameter.

    Parameters
    ----------
    catalogs : pyarrow.Table
        With ``apertures``, diameters in arcsec in the order of the suffixes.
    diameter : float
        The aperture that is asked for, arcsec.

    Returns
    -------
    pyarrow.Table
        With ``place`` (NULL where a catalog has no such aperture) and ``aperture`` (its own diameter).
    """
    if not np.isfinite(diameter) or diameter <= 0:
        raise InputError(f"aperture {diameter!r}: must be a diameter in arcsec, above zero")
    lists = catalogs["apertures"].combine_chunks()
    parents = (
        lists.value_parent_indices().to_numpy() if hasattr(lists, "value_parent_indices") else pc.list_parent_indices(lists).to_numpy()
    )
    values = lists.flatten().to_numpy(zero_copy_only=False)
    starts = np.searchsorted(parents, parents)  # first element of each element's list
    offset = np.abs(values - diameter)
    near = np.flatnonzero(offset <= APERTURE_TOLERANCE * (1 + 1e-9))
    near = near[np.lexsort((offset[near], parents[near]))]
    owner, first = np.unique(parents[near], return_index=True)
    place, found = np.full(len(catalogs), -1), np.full(len(catalogs), np.nan)
    place[owner] = (near - starts[near])[first]
    found[owner] = values[near][first]
    table = catalogs.append_column("place", pa.array(place, pa.int32(), mask=place < 0))
    return table.append_column("aperture", pa.array(found, pa.float64(), mask=place < 0))


def placed_ellipses(catalogs: pa.Table) -> pa.Table:
    """Add to the catalogs which of them hold an ellipse for each row: ``place`` is `ELLIPSE_PLACE` there, ``aperture`` NULL everywhere."""
    ellipses = pc.fill_null(pc.equal(catalogs["method"], ELLIPTICAL), False)
    table = catalogs.append_column("place", pc.if_else(ellipses, pa.scalar(ELLIPSE_PLACE, pa.int32()), pa.scalar(None, pa.int32())))
    return table.append_column("aperture", pa.nulls(len(catalogs), pa.float64()))


def fitting(catalogs: pa.Table, zero_points: pa.Table) -> pa.Table:
    """Return the stored zero point of the aperture of each catalog that has one; an ellipse has that of ``AUTO``.

    Parameters
    ----------
    catalogs : pyarrow.Table
        Of `placed` or `placed_ellipses`.
    zero_points : pyarrow.Table
        The view ``zero_points``.

    Returns
    -------
    pyarrow.Table
        ``catalog_id value error ab depth``. One made of a catalog of the same method comes first, then the nearest in size, then the
        newest.

    Notes
    -----
    That ellipses take the zero point of ``AUTO``, and never the header's, which is of a circle, is as in `calibrated.add_zero_points`.
    """
    ellipses = pc.any(pc.equal(catalogs["place"], ELLIPSE_PLACE)).as_py()
    known = zero_points.filter(pc.equal(zero_points["measure"], "AUTO" if ellipses else "APER"))
    known = known.select(["frame_id", "run_id", "method", "aperture", "value", "error", "ab_offset", "depth"])
    chosen = catalogs.filter(pc.is_valid(catalogs["place"])) if len(known) else catalogs.slice(0, 0)
    chosen = chosen.select(["catalog_id", "frame_id", "method", "aperture"])
    both = chosen.join(known, "frame_id", join_type="inner", left_suffix="_c", right_suffix="_z", use_threads=False)
    off = pc.abs(pc.subtract(both["aperture_z"], both["aperture_c"]))  # NULL of ellipses
    near = pc.less_equal(off, pc.multiply(both["aperture_c"], SAME_APERTURE))
    both = both.append_column("off", off).append_column("other", pc.not_equal(both["method_z"], both["method_c"]))
    both = both if ellipses else both.filter(near)
    keys = [("catalog_id", "ascending"), ("other", "ascending"), ("off", "ascending"), ("run_id", "descending")]
    both = both.take(pc.sort_indices(both, sort_keys=keys))
    _, first = np.unique(both["catalog_id"].to_numpy(), return_index=True)
    found = both.take(pa.array(first))
    names = ("catalog_id", "value", "error", "depth")
    return pa.table({"ab": pc.add(found["value"], found["ab_offset"]), **{name: found[name] for name in names}})


def rates(frames: pa.Table) -> pa.Table:
    """Return the units of the frames and whether each is a rate."""
    units = [unit for unit in pc.unique(frames["bunit"]).to_pylist() if unit is not None]
    return pa.table({"bunit": pa.array(units, pa.string()), "rate": pa.array([is_rate(unit) for unit in units], pa.bool_())})
