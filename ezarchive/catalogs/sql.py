"""SQL over everything that was measured: DuckDB in memory over Parquet, with the frame tables joined in.

Views: ``frames``, ``catalogs``, ``zero_points``, ``image_fits``, ``anchors``, ``aperture_photometry`` (the database's), ``measurements``
(every column of every catalog), ``light_curve`` (one aperture, per second and calibrated; ``columns.LIGHT_CURVE``), and of the light-curve
store ``objects``, ``object_filters``, ``ambiguous`` and ``aliases``. Tables are read, and Parquet files opened, only when a query names
them, and only those that its WHERE can need.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ezarchive.catalogs import trees, views
from ezarchive.catalogs.binding import MEASURED, Asked, Binder, words_of
from ezarchive.catalogs.functions import Functions, Rewriter, Whole, whole
from ezarchive.catalogs.named import named_columns
from ezarchive.catalogs.paths import CATALOGS
from ezarchive.catalogs.problems import explained, too_much
from ezarchive.catalogs.result import QueryResult
from ezarchive.catalogs.sandbox import Checked, check, close_doors, connect
from ezarchive.catalogs.sources import Given, Rows, Source
from ezarchive.catalogs.stored import SUMMARIES, Stored
from ezarchive.catalogs.trees import Parameters
from ezarchive.catalogs.wanted import OBJECT, Wanted, place_of, wanted
from ezarchive.columns import DEFAULT_APERTURE
from ezarchive.config import SQLSettings
from ezarchive.errors import InputError, SQLError
from ezarchive.store.paths import store_folder

LimitsOf = Callable[[float, float, Sequence[int], float], pa.Table]
"""Gives the non-detections at ``ra``, ``dec`` (degrees) on all frames but some, for an aperture (arcsec), as ``columns.LIGHT_CURVE``."""

_KEYS = {
    "frames": ("frame_id",),
    "catalogs": ("catalog_id", "frame_id"),
    "zero_points": ("frame_id",),
    "image_fits": ("frame_id",),
    "anchors": ("run_id",),
    "aperture_photometry": ("run_id",),
}
"""The database's tables, and their columns that are there in any case."""

_KEPT = 500
"""Texts of queries that are kept with what is known of them."""


class _Known(NamedTuple):
    """What a query's text says, whatever its parameters are."""

    checked: Checked
    words: frozenset[str]
    columns: Mapping[str, tuple[str, ...] | None]
    """Those that it needs of the database's tables; None: no rows."""
    whole: Whole | None


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
    **others : pyarrow.Table or mapping of lists
        ``image_fits``, ``anchors`` and ``aperture_photometry``: columns of `sources.SCHEMAS`.

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
        **others: Rows,
    ) -> None:
        given = Given(frames, catalogs, zero_points or {}, **others)
        self._open(given, home, limits, aperture=aperture, ellipses=ellipses)

    @classmethod
    def over(cls, source: Source, home: Path | str, limits: SQLSettings | None = None, **options: Any) -> Self:
        """Return an engine over tables that are read when they are needed, and over a light-curve store.

        Parameters
        ----------
        source : Source
        home, limits
            As of the class.
        **options
            ``aperture`` and ``ellipses`` as of the class; ``stored`` (`Stored`), the store; ``from_store``: False takes no rows of
            ``light_curve`` from it, it only tells the objects of rows from per-image catalogs; ``limits_of`` (`LimitsOf`), what is
            behind the function ``upper_limits``, which is refused without.

        Returns
        -------
        Engine
        """
        engine = cls.__new__(cls)
        engine._open(source, home, limits, **options)
        return engine

    def _open(
        self,
        source: Source,
        home: Path | str,
        limits: SQLSettings | None,
        *,
        aperture: float = DEFAULT_APERTURE,
        ellipses: bool = False,
        stored: Stored | None = None,
        from_store: bool = True,
        limits_of: LimitsOf | None = None,
    ) -> None:
        self.home = Path(home).absolute()
        self.limits = limits or SQLSettings()
        self.aperture = aperture
        self.ellipses = ellipses
        self._source, self._stored, self._limits_of = source, stored, limits_of
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(1, "ezarchive-sql")  # its thread ends with the engine
        self._known: dict[str, _Known] = {}
        self._answers: list[str] = []
        self._connection = connect(self.limits.memory_gb)
        for macro in views.MACROS:
            self._connection.execute(macro)
        self._loaded: dict[str, tuple[str, ...] | None] = dict.fromkeys(_KEYS)
        for table in _KEYS:
            self._connection.register(table, source.empty(table))
        self._binder = Binder(self._connection, source, self.home, ellipses=ellipses, stored=stored, from_store=from_store)
        close_doors(self._connection, self.home / CATALOGS, store_folder(self.home))

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
            (degrees) and ``flux_to_mag(flux, zero_point := 0)`` are there too, and in FROM ``cone(ra, dec, radius_arcsec)``: objects and
            their ``separation`` (arcsec), ``lc(object_id)``: a light curve, ``upper_limits(object_id)``: its non-detections.
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
        CatalogError, StoreError
            If a file is missing or torn.
        """
        if not isinstance(sql, str):
            raise InputError(f"query={sql!r}: must be a text of SQL")
        parameters = _plain(parameters)
        notes: list[str] = []
        diameter = self.aperture if aperture is None else aperture
        with self._lock:
            table = self._limited(lambda: self._asked(sql, parameters, diameter, notes))
        return QueryResult(table, notes=list(dict.fromkeys(notes)))

    def _asked(self, sql: str, parameters: Parameters, diameter: float, notes: list[str]) -> pa.Table:
        """Answer a user's query, and leave nothing of it behind."""
        try:
            return self._run(sql, parameters, diameter, notes)
        except duckdb.Error as err:
            raise explained(err, self.limits, self.home, self._binder.read.values()) from err
        finally:
            self._binder.forget()
            while self._answers:
                self._connection.unregister(self._answers.pop())

    def _run(self, sql: str, parameters: Parameters, diameter: float, notes: list[str]) -> pa.Table:
        """Answer a query, or one that stands behind a function of another."""
        known = self._know(sql)
        checked = known.checked
        if known.whole is not None:
            functions = self._functions(diameter, notes, known.whole.columns)
            return Rewriter(self._connection, checked.tree, parameters, self._answers).rows_of(known.whole.call, functions)
        rewriter = None
        if checked.rewritable:
            rewriter = Rewriter(self._connection, copy.deepcopy(checked.tree), parameters, self._answers)
            rewriter.functions(self._functions(diameter, notes))
        asked = Asked(checked.tree if rewriter is None else rewriter.tree, known.words, parameters, diameter, notes)
        self._load(known.columns)
        for view in (*SUMMARIES, *MEASURED):
            if view in checked.views:
                self._binder.bind(view, asked, self._wanted(view, asked, rewriter))
        if self._stored is None and checked.views & {*SUMMARIES}:
            notes.append("(there are no objects yet: `ezarchive associate` makes them)")
        if rewriter is not None and rewriter.answered:
            sql, parameters = trees.text(self._connection, rewriter.tree, parameters)
            sql = checked.prefix + sql
        return self._answer(sql, parameters)

    def _know(self, sql: str) -> _Known:
        if sql not in self._known:
            checked = check(self._connection, sql)
            columns: dict[str, tuple[str, ...] | None] = {}
            for table, keys in _KEYS.items():
                names = self._source.names(table)
                named = named_columns(sql, checked.tree, table, names)
                columns[table] = None if named is None else tuple(name for name in names if name in named or name in keys)
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[sql] = _Known(checked, words_of(sql, checked.tree), columns, whole(self._connection, checked))
        return self._known[sql]

    def _load(self, needed: Mapping[str, tuple[str, ...] | None]) -> None:
        """Read what a query needs of the database's tables."""
        for table, columns in needed.items():
            if self._loaded[table] == columns:
                continue
            rows = self._source.empty(table) if columns is None else self._source.read(table, columns)
            self._connection.register(table, rows)
            self._loaded[table] = columns

    def _wanted(self, view: str, asked: Asked, rewriter: Rewriter | None) -> Wanted:
        """Return which objects a query can need of a view; what the view is joined with is answered for that."""
        if view == "measurements":
            return Wanted()
        place = None
        if rewriter is not None and view != "objects" and self._stored is not None:
            rewriter.derived(view)
            place = place_of(asked.tree, view)
            if place is not None:
                rewriter.subqueries(place)
        found = wanted(self._connection, asked.tree, view, asked.parameters, {} if rewriter is None else rewriter.answered)
        if found.ids is None and rewriter is not None and place is not None:
            hint = rewriter.hint(place)
            return found if hint is None else found._replace(ids=np.unique(hint.column(0).drop_null().to_numpy()))
        return found

    def _functions(self, diameter: float, notes: list[str], columns: Sequence[str] | None = None) -> Functions:
        """Return what is behind the archive's table functions; of ``cone`` and ``lc`` some columns, or all."""
        order = ("mjd_mid", "frame_id")
        listed = "*" if columns is None else ", ".join(f'"{name}"' for name in dict.fromkeys((*columns, *order)))

        def run(sql: str, *values: Any) -> pa.Table:
            return self._run(sql, values, diameter, notes)

        def cone(ra: float, dec: float, radius_arcsec: float) -> pa.Table:
            near = radius_arcsec <= _NEAR
            sql = _CONE if near else f"{_CONE} ORDER BY separation, {OBJECT}"
            made = run(sql, ra % 360, dec, ra % 360, dec, radius_arcsec / 3600)
            made = _sorted(made, "separation", OBJECT) if near else made
            return made if columns is None else made.select(list(columns))

        def lc(object_id: int) -> pa.Table:
            sql = f"SELECT {listed} FROM light_curve WHERE object_id = ?"
            made = _sorted(run(sql, self._binder.store.current(object_id)), *order)
            return made if columns is None else made.select(list(columns))

        def upper_limits(object_id: int) -> pa.Table:
            return self._upper_limits(self._binder.store.current(object_id), diameter, run)

        return {"cone": cone, "lc": lc, "upper_limits": upper_limits}

    def _upper_limits(self, object_id: int, diameter: float, run: Callable[..., pa.Table]) -> pa.Table:
        if self._limits_of is None:
            raise SQLError("SQL: upper_limits() needs an archive with its database")
        places = run("SELECT ra, dec FROM objects WHERE object_id = ?", object_id).to_pylist()
        seen = run("SELECT DISTINCT frame_id FROM light_curve WHERE object_id = ?", object_id)["frame_id"].to_pylist()
        if not places:
            return run("SELECT * FROM light_curve WHERE object_id = ?", -1)
        found = self._limits_of(places[0]["ra"], places[0]["dec"], seen, diameter)
        place = found.column_names.index("object_id")
        return found.set_column(place, "object_id", pa.array([object_id] * len(found), pa.int64()))

    def _answer(self, sql: str, parameters: Parameters) -> pa.Table:
        try:
            return self._fetch(sql, parameters)
        except duckdb.InvalidInputException:
            # Most likely one file lacks a column that the first one has: look at all of them.
            if not self._binder.bind_by_name():
                raise
        return self._fetch(sql, parameters)

    def _fetch(self, sql: str, parameters: Parameters) -> pa.Table:
        """Return the rows; DuckDB's limit of memory is not of what has left it, so that is counted here."""
        batches, size = [], 0
        with self._connection.sql(sql, params=parameters).to_arrow_reader(_BATCH) as reader:  # open, it would block the connection
            for batch in reader:
                batches.append(batch)
                size += batch.nbytes
                if size > self.limits.memory_gb * 1e9:
                    raise too_much(self.limits)
            return pa.Table.from_batches(batches, reader.schema)

    def _limited(self, work: Callable[[], pa.Table]) -> pa.Table:
        """Return what `work` gives; it is interrupted when its time is over, or the caller is (Ctrl-C does not reach DuckDB)."""
        future = self._pool.submit(work)
        try:
            with suppress(TimeoutError):
                future.exception(min(self.limits.timeout_seconds, threading.TIMEOUT_MAX))
        finally:
            # Again and again: an interrupt between two statements of one query is lost.
            while not future.done():
                self._connection.interrupt()
                wait((future,), 0.05)
        return future.result()


_BATCH = 100_000

# Behind cone(): the condition leaves out files, as in a user's query.
_CONE = """SELECT *, angular_separation(ra, dec, ?, ?) * 3600 AS separation FROM objects
    WHERE angular_separation(ra, dec, ?, ?) <= ?"""

_NEAR = 60
"""Arcsec up to which the objects of a cone are few: to sort them here takes less time than to plan it; others DuckDB sorts."""


def _sorted(rows: pa.Table, *keys: str) -> pa.Table:
    """Return rows in the order that ``ORDER BY`` gives: NULL last; equal ones stay as they are."""
    return rows.take(pc.sort_indices(rows, sort_keys=[(key, "ascending") for key in keys]))


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
