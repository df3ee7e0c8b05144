"""SQL over everything that was measured: DuckDB in memory over per-image Parquet, with the frame tables joined in.

Views: ``frames``, ``catalogs``, ``zero_points`` (the database's, registered as Arrow tables), ``measurements`` (every column of every
catalog) and ``light_curve`` (one aperture, per second and calibrated; ``columns.LIGHT_CURVE``). The last two open Parquet files only
when a query names them, and only those that its WHERE can need.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ezarchive.catalogs import prune, views
from ezarchive.catalogs.metadata import ARROW_TYPES
from ezarchive.catalogs.parquet import column_names, read_catalog, read_provenance
from ezarchive.catalogs.paths import CATALOGS
from ezarchive.catalogs.result import QueryResult
from ezarchive.catalogs.sandbox import Checked, check, close_doors, connect, shortened
from ezarchive.columns import DEFAULT_APERTURE, Column
from ezarchive.config import SQLSettings
from ezarchive.errors import CatalogError, InputError, SQLError

Parameters = Sequence[Any] | Mapping[str, Any] | None
Rows = pa.Table | Mapping[str, Sequence[Any]]


class Engine:
    """Answers SQL queries about an archive, and can do nothing else.

    Parameters
    ----------
    frames : pyarrow.Table or mapping of lists
        ``frame_id``, the names, the columns of ``columns.FRAME`` and ``path``; columns that are absent are NULL.
    catalogs : pyarrow.Table or mapping of lists
        The current catalogs: ``catalog_id frame_id run_id method path n_rows sha256 seeing depth depth_aperture`` and ``apertures``
        (lists of diameters in arcsec, in the order of the suffixes).
    home : path
        The archive's folder; ``path`` of the catalogs is relative to it.
    limits : SQLSettings
        Memory and time.
    aperture : float
        Diameter in arcsec of the apertures in ``light_curve``.
    ellipses : bool
        ``light_curve`` is of the ellipses of catalogs of method ``elliptical``, and of nothing else. By default it is of circles of one
        diameter, and such catalogs are left out.
    zero_points : pyarrow.Table or mapping of lists, optional
        Those that count: columns of ``views.ZERO_POINTS_SCHEMA``.

    Examples
    --------
    >>> with Engine({"frame_id": [1, 2], "filter": ["m600", "m625"]}, {}, ".") as engine:
    ...     engine.query("SELECT filter, count(*) AS n FROM frames GROUP BY filter ORDER BY filter")
    filter  n
    ------  -
    m600    1
    m625    1
    (2 rows)
    """

    def __init__(
        self,
        frames: Rows,
        catalogs: Rows,
        home: Path | str,
        limits: SQLSettings | None = None,
        *,
        aperture: float = DEFAULT_APERTURE,
        ellipses: bool = False,
        zero_points: Rows | None = None,
    ) -> None:
        self.home = Path(home).absolute()
        self.limits = limits or SQLSettings()
        self.aperture = aperture
        self.ellipses = ellipses
        self._frames = _conform(frames, views.FRAMES_SCHEMA, "frames")
        self._catalogs = _with_apertures(_conform(catalogs, views.CATALOGS_SCHEMA, "catalogs"))
        self._links: tuple[float, pa.Table] | None = None
        self._lock = threading.Lock()
        self._connection = connect(self.limits.memory_gb)
        self._connection.register("frames", self._frames)
        self._connection.register("catalogs", self._catalogs)
        self._zero_points = _conform(zero_points or {}, views.ZERO_POINTS_SCHEMA, "zero_points")
        self._connection.register("zero_points", self._zero_points)
        for macro in views.MACROS:
            self._connection.execute(macro)
        for view in _MEASURED:
            self._define(view, _NOTHING)
        close_doors(self._connection, self.home / CATALOGS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Free the memory; no query can be asked afterwards."""
        self._connection.close()

    def query(self, sql: str, parameters: Parameters = None, *, aperture: float | None = None) -> QueryResult:
        """Answer one query.

        Parameters
        ----------
        sql : str
            One SELECT, WITH, VALUES, DESCRIBE, SHOW, SUMMARIZE or EXPLAIN over the views. ``angular_separation(ra1, dec1, ra2, dec2)``
            (degrees) and ``flux_to_mag(flux, zero_point := 0)`` are there too.
        parameters : sequence or mapping, optional
            Values of ``?``, or of ``$name``.
        aperture : float, optional
            Diameter in arcsec of the apertures in ``light_curve``; the engine's own by default.

        Returns
        -------
        QueryResult

        Raises
        ------
        InputError
            If the query is no text, or the parameters are neither a list nor a mapping.
        SQLError
            If the query is refused, is wrong, or needs more memory or time than it may.
        CatalogError
            If a catalog's file is missing or torn.
        """
        if not isinstance(sql, str):
            raise InputError(f"query={sql!r}: must be a text of SQL")
        parameters = _plain(parameters)
        with self._lock, self._limited():
            read: dict[str, pa.Table] = {}
            notes: list[str] = []
            try:
                checked = check(self._connection, sql)
                for view in _MEASURED:
                    if view in checked.views:
                        read[view] = self._select(checked, view, parameters, aperture, notes)
                table = self._answer(sql, parameters, read)
            except duckdb.Error as err:
                raise self._explained(err, read.values()) from err
        return QueryResult(table, notes=notes)

    def _answer(self, sql: str, parameters: Parameters, read: Mapping[str, pa.Table]) -> pa.Table:
        """Run a query over these catalogs."""
        try:
            for view, links in read.items():
                self._define(view, links)
            return self._connection.sql(sql, params=parameters).to_arrow_table()
        except duckdb.InvalidInputException:
            if "light_curve" not in read:
                raise
        # Most likely one file lacks a column that the first one has: look at all of them.
        self._define("light_curve", read["light_curve"], by_name=True)
        return self._connection.sql(sql, params=parameters).to_arrow_table()

    def _select(self, checked: Checked, view: str, parameters: Parameters, aperture: float | None, notes: list[str]) -> pa.Table:
        """Return the catalogs that the query can need of a view."""
        links = self._links_of(self.aperture if aperture is None else aperture)
        ids = prune.needed(self._connection, checked.tree, view, parameters, self._frames.column_names)
        if ids is not None:
            links = links.filter(pc.is_in(links["catalog_id"], pa.array(ids, pa.int64())))
        if view != "light_curve":
            return links
        if not self.ellipses:
            links = self._circles(links, self.aperture if aperture is None else aperture, notes)
        return links.filter(pc.is_valid(links["place"]))

    def _circles(self, links: pa.Table, diameter: float, notes: list[str]) -> pa.Table:
        """Leave out catalogs of ellipses, and note what gives no rows."""
        circles = links.filter(pc.fill_null(pc.not_equal(links["method"], views.ELLIPTICAL), True))
        without = circles["place"].null_count
        if without:
            have = f"have no aperture of {diameter:g} arcsec and give no rows{self._common_apertures(circles)}"
            notes.append(f"({without} of {len(circles)} catalogs {have})")
        if len(circles) < len(links):
            hold = f"hold ellipses and give no rows; method {views.ELLIPTICAL!r} shows them alone"
            notes.append(f"({len(links) - len(circles)} of {len(links)} catalogs {hold})")
        return circles

    def _common_apertures(self, links: pa.Table) -> str:
        """Name the apertures that each of the catalogs has; nothing where there is none."""
        rows = self._catalogs["apertures"].filter(pc.is_in(self._catalogs["catalog_id"], links["catalog_id"].combine_chunks()))
        counts = Counter(round(value, 2) for row in rows.to_pylist() for value in {*(row or ())} if value is not None)
        common = sorted(value for value, n in counts.items() if n == len(rows))
        return f"; all have {', '.join(f'{value:g}' for value in common)}" if common else ""

    def _links_of(self, diameter: float) -> pa.Table:
        if self._links is None or self._links[0] != diameter:
            placed = views.placed_ellipses(self._catalogs) if self.ellipses else views.placed(self._catalogs, diameter)
            self._connection.register("_placed", placed)
            self._connection.register("_fitting", views.fitting(placed, self._zero_points))
            self._connection.register("_rates", views.rates(self._frames))
            links = self._connection.sql(views.LINKS).to_arrow_table()
            self._connection.register("_links", links)
            self._links = (diameter, links)
        return self._links[1]

    def _define(self, view: str, links: pa.Table, *, by_name: bool = False) -> None:
        """Make a view over the catalogs of these links."""
        self._connection.register(f"_selected_{view}", links)
        light_curve = view == "light_curve"
        groups = []
        for number, rows in enumerate(_split(links, ["method", "place"] if light_curve else [])):
            files = [str(self.home / path) for path in rows["path"].to_pylist()]
            place = rows["place"][0].as_py() or 0
            alike = light_curve and not by_name and _complete(files[0], place, rows["method"][0].as_py())
            group = views.Group(f"_files_{view}_{number}", place, by_name=not alike)
            self._connection.execute(f"SET VARIABLE {group.variable} = ?", [files])
            groups.append(group)
        query = views.light_curve(groups) if light_curve else views.measurements(groups, self._most_apertures(), self._methods())
        self._connection.execute(f"CREATE OR REPLACE TEMP VIEW {view} AS {query}")

    def _most_apertures(self) -> int:
        return pc.max(pc.list_value_length(self._catalogs["apertures"])).as_py() or 1

    def _methods(self) -> list[str]:
        return pc.unique(self._catalogs["method"]).to_pylist()

    @contextmanager
    def _limited(self) -> Iterator[None]:
        """Interrupt what runs in the block when its time is over."""
        done = threading.Event()

        def watch() -> None:
            # Again and again: an interrupt between two statements of one query is lost.
            over = done.wait(min(self.limits.timeout_seconds, threading.TIMEOUT_MAX))
            while not over:
                self._connection.interrupt()
                over = done.wait(0.05)

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _explained(self, err: duckdb.Error, read: Iterable[pa.Table]) -> Exception:
        if isinstance(err, duckdb.InterruptException):
            limit = f"{self.limits.timeout_seconds:g} s"
            return SQLError(f"SQL: stopped after {limit} (timeout_seconds in [sql]); ask for less, or for fewer frames")
        if isinstance(err, duckdb.OutOfMemoryException):
            return SQLError(f"SQL: needs more than {self.limits.memory_gb:g} GB (memory_gb in [sql]); ask for less, or for fewer columns")
        # Of a damaged page DuckDB sometimes says no more than that a protocol was violated: an error without a class of its own.
        if type(err) in (duckdb.Error, duckdb.IOException, duckdb.InvalidInputException, duckdb.SerializationException):
            found = self._damaged(str(err), read, deep=type(err) is duckdb.Error)
            if found is not None:
                return found
        return SQLError(shortened(err))

    def _damaged(self, message: str, read: Iterable[pa.Table], *, deep: bool) -> CatalogError | None:
        """Return which catalog is the cause of an error, if one is; `deep`: read every row."""
        files = [(str(self.home / path), frame) for rows in read for path, frame in zip(*(rows[k].to_pylist() for k in _OF), strict=True)]
        named = [item for item in files if item[0] in message]
        for path, frame_id in named or files:
            try:
                (read_catalog if deep or named else read_provenance)(path)
            except CatalogError as found:
                return CatalogError(f"{found} (catalog of frame {frame_id}); `ezarchive verify` lists all that are damaged")
        if named:
            path, frame_id = named[0]
            return CatalogError(f"{path}: cannot be read (catalog of frame {frame_id}): {message.splitlines()[0]}")
        return None


_MEASURED = ("measurements", "light_curve")
_OF = ("path", "frame_id")
_NOTHING = pa.table(
    {
        "catalog_id": pa.array([], pa.int64()),
        "frame_id": pa.array([], pa.int64()),
        "run_id": pa.array([], pa.int64()),
        "method": pa.array([], pa.string()),
        "path": pa.array([], pa.string()),
        "place": pa.array([], pa.int32()),
    }
)


def _plain(parameters: Parameters) -> Parameters:
    """Return the parameters with numbers of numpy as Python's, which are all that DuckDB takes."""
    if parameters is None:
        return None
    if isinstance(parameters, Mapping):
        return {name: _python(value) for name, value in parameters.items()}
    if isinstance(parameters, (str, bytes)) or not isinstance(parameters, Iterable):
        raise InputError(f"parameters={parameters!r}: must be a list with a value for each ? of the query, or a mapping for its $names")
    return [_python(value) for value in parameters]


def _python(value: Any) -> Any:
    if isinstance(value, np.datetime64):
        return value
    return value.tolist() if isinstance(value, (np.generic, np.ndarray)) else value


def _complete(path: str, place: int, method: str | None) -> bool:
    """Tell whether a catalog has every column that ``light_curve`` is made of; FLAGS is of detections alone, target_id of targets."""
    wanted = {column.name for column in views.light_curve_sources(place)}
    try:
        return wanted - {"FLAGS" if method in views.FORCED_METHODS else "target_id"} <= set(column_names(path))
    except CatalogError:  # the query will say so
        return False


def _split(links: pa.Table, keys: list[str]) -> Iterator[pa.Table]:
    """Yield the rows of each group; of no keys, all rows; of no rows, nothing."""
    if not len(links):
        return
    if not keys:
        yield links
        return
    groups: dict[tuple[Any, ...], list[int]] = {}
    for number, values in enumerate(zip(*(links[key].to_pylist() for key in keys), strict=True)):
        groups.setdefault(values, []).append(number)
    for numbers in groups.values():
        yield links.take(numbers)


def _conform(rows: Rows, schema: Sequence[Column], label: str) -> pa.Table:
    """Give a table the columns that its view promises, with their types."""
    given = dict(zip(rows.column_names, rows.columns, strict=True)) if isinstance(rows, pa.Table) else dict(rows)
    n = len(next(iter(given.values()))) if given else 0
    arrays: dict[str, Any] = {}
    for column in schema:
        target = ARROW_TYPES[column.dtype]
        values = given.pop(column.name, None)
        try:
            if values is None:
                arrays[column.name] = pa.nulls(n, target)
            else:
                arrays[column.name] = values.cast(target) if isinstance(values, (pa.Array, pa.ChunkedArray)) else pa.array(values, target)
        except (pa.ArrowException, TypeError, ValueError) as err:
            raise InputError(f"{label}: column {column.name!r} must be {column.dtype}: {err}") from err
    return pa.table({**arrays, **given})


def _with_apertures(catalogs: pa.Table) -> pa.Table:
    kind = pa.list_(pa.float64())
    if "apertures" not in catalogs.column_names:
        return catalogs.append_column("apertures", pa.nulls(len(catalogs), kind))
    place = catalogs.column_names.index("apertures")
    return catalogs.set_column(place, "apertures", catalogs["apertures"].cast(kind))
