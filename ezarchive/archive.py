"""`Archive`: a home folder, its settings and its database, and the verbs that work on them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from astropy.table import QTable

from ezarchive import (
    anchors,
    apertures,
    ask,
    associate,
    batch,
    calibrate,
    config,
    differential,
    driver,
    engines,
    epochs,
    forced,
    imagefits,
    index,
    periods,
    variability,
    verify,
    withdraw,
)
from ezarchive.catalogs.curvetable import LightCurveTable
from ezarchive.catalogs.result import QueryResult
from ezarchive.database import migrate, stores
from ezarchive.database.session import Database
from ezarchive.errors import ArchiveExistsError, ConfigError, StoreError
from ezarchive.frames import layout
from ezarchive.lightcurves import query as curves
from ezarchive.store.paths import version_folder


class Archive:
    """An archive of astronomical images.

    Make one with `Archive.create`, open one with `Archive.open`. It is a context manager: leaving it closes the database.

    Attributes
    ----------
    home : pathlib.Path
        The folder with ``ezarchive.toml``; everything that ezarchive writes lies in it.
    settings : ezarchive.config.Settings
        Frozen.
    database : ezarchive.database.session.Database
    """

    def __init__(self, home: Path, settings: config.Settings, database: Database) -> None:
        self.home, self.settings, self.database = home, settings, database
        self.engines = engines.Engines()

    @classmethod
    def create(
        cls,
        home: str | os.PathLike[str],
        roots: Mapping[str, Any],
        database: str | None = None,
        **settings: Any,
    ) -> Archive:
        """Make a new archive.

        Parameters
        ----------
        home : path
            Its folder; made if need be. It must not lie inside a data root.
        roots : mapping
            Name -> path of a data root, or -> a mapping with ``path`` and any of ``kind`` (``science``, ``reference``, ``calibration``),
            ``layout`` (a template as ``"{night}/{telname}/{objname}/{filter}"``; ``""`` for a flat folder), ``defaults`` and ``order``.
        database : str, optional
            A URL; SQLite in the home by default. ``postgresql://user@host/name`` for a team.
        **settings
            Other tables of ``ezarchive.toml``: ``name``, ``sites``, ``index``, ``measure``, ``sql``, ``instruments``.

        Returns
        -------
        Archive

        Raises
        ------
        ArchiveExistsError
            If ``home`` holds an archive already.
        ConfigError
            If a setting is wrong, a root is not there, or ``home`` lies inside a root.
        """
        home = config.home_path(home)
        if (home / config.FILE_NAME).exists():
            raise ArchiveExistsError(f"{home}: holds an archive already; Archive.open() opens it")
        values: dict[str, Any] = {"name": home.name or "archive", **settings}
        values["roots"] = config.all_roots(roots)
        if database is not None:
            values["database"] = {"url": database}
        made = config.validated(values, "Archive.create")
        config.check_roots(home, made)
        _check_layouts(made)
        home.mkdir(parents=True, exist_ok=True)
        Database.create(config.database_url(home, made)).dispose()
        config.create(home, made)
        return cls.open(home)

    @classmethod
    def open(cls, home: str | os.PathLike[str], *, write: bool = True) -> Archive:
        """Open an archive.

        Parameters
        ----------
        home : path
            Its folder.
        write : bool
            False opens the database for reading only (also one made by a newer ezarchive of the same major version).

        Raises
        ------
        NotAnArchiveError
            If ``home`` holds none.
        ConfigError
            If a setting is wrong.
        SchemaTooNewError, SchemaTooOldError
            If the database does not fit this ezarchive.
        """
        home = config.home_path(home)
        settings = config.load(home)
        _check_layouts(settings)
        return cls(home, settings, Database.open(config.database_url(home, settings), write=write))

    @staticmethod
    def migrate(home: str | os.PathLike[str]) -> None:
        """Bring the database of an older ezarchive to this version's schema."""
        home = config.home_path(home)
        migrate.upgrade(config.database_url(home, config.load(home)))

    def close(self) -> None:
        """Close the connections to the database."""
        self.engines.clear()
        self.database.dispose()

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, tuple[Path, bool]]:
        return _reopen, (self.home, self.database.write)

    def __repr__(self) -> str:
        roots = ", ".join(f"{name}={root.path}" for name, root in self.settings.roots.items())
        return f"<Archive {self.home} roots: {roots or 'none'}>"

    def index(self, **options: Any) -> index.IndexReport:
        """Bring the database up to date with the data roots; see `ezarchive.index.index`."""
        return index.index(self, **options)

    def measure(self, frames: Any = None, **options: Any) -> driver.BatchReport:
        """Measure frames, a Parquet catalog each; see `ezarchive.batch.measure`."""
        return batch.measure(self, frames, **options)

    def epochs(self, position: Any, size: Any = "30 arcsec", **options: Any) -> epochs.EpochSet:
        """Return a stamp of a place on every frame that reaches it, with what was measured there; see `ezarchive.epochs.epochs`."""
        return epochs.epochs(self, position, size, **options)

    def forced(self, targets: Any, frames: Any = None, **options: Any) -> driver.BatchReport:
        """Measure a list of targets on every frame that covers any of them; see `ezarchive.forced.forced`."""
        return forced.forced(self, targets, frames, **options)

    def calibrate(self, frames: Any = None, **options: Any) -> calibrate.CalibrationReport:
        """Find the zero points of measured frames from stars of known magnitudes; see `ezarchive.calibrate.calibrate`."""
        return calibrate.calibrate(self, frames, **options)

    def associate(self, **options: Any) -> associate.AssociateReport:
        """Join the measurements into objects and bring the light-curve store up to date; see `ezarchive.associate.associate`."""
        return associate.associate(self, **options)

    def compact(self, **options: Any) -> associate.AssociateReport:
        """Make one file of every partition of the light-curve store; see `ezarchive.associate.compact`."""
        return associate.compact(self, **options)

    @property
    def store(self) -> Path:
        """The folder of the light-curve store's present version, a HATS collection; it never changes, new versions get new folders.

        Raises
        ------
        StoreError
            If nothing was associated yet.
        """
        with self.database.connect() as conn:
            number = stores.current(conn)
        if number is None:
            raise StoreError(f"{self.home}: holds no light-curve store yet; `ezarchive associate` makes it")
        return version_folder(self.home, number)

    def anchor(self, config: Any = None, **arguments: Any) -> list[anchors.AnchorReport]:
        """Anchor the levels of a target's bands to surveys and to each other; see `ezarchive.anchors.anchor`."""
        return anchors.anchor(self, config, **arguments)

    def differential(self, frames: Any = None, **options: Any) -> differential.DifferentialReport:
        """Find the zero points of frames from the constant stars that they share; see `ezarchive.differential.differential`."""
        return differential.differential(self, frames, **options)

    def fit_photometry(self, frames: Any = None, reference: Any = None, **options: Any) -> imagefits.ImageFitReport:
        """Fit seeing, scale, background and pointing of frames by a reference image; see `ezarchive.imagefits.fit_photometry`."""
        return imagefits.fit_photometry(self, frames, reference, **options)

    def image_fits(self, frames: Any = None, **options: Any) -> QTable:
        """Return the image fits of frames; see `ezarchive.imagefits.image_fits`."""
        return imagefits.image_fits(self, frames, **options)

    def aperture_photometry(self, frames: Any = None, region: Any = None, **options: Any) -> QTable:
        """Measure regions on frames and keep the results; see `ezarchive.apertures.aperture_photometry`."""
        return apertures.aperture_photometry(self, frames, region, **options)

    def save_photometry(self, results: Any) -> apertures.SavedPhotometry:
        """Keep results of the quick look's aperture photometry; see `ezarchive.apertures.save_photometry`."""
        return apertures.save_photometry(self, results)

    def saved_photometry(self, frames: Any = None, **options: Any) -> QTable:
        """Return the aperture photometry that is kept; see `ezarchive.apertures.saved_photometry`."""
        return apertures.saved_photometry(self, frames, **options)

    def light_curve(self, position: Any, radius: Any = "2 arcsec", **options: Any) -> LightCurveTable:
        """Return the light curve of an object or at a position; see `ezarchive.lightcurves.query.light_curve`."""
        return curves.light_curve(self, position, radius, **options)

    def sql(self, query: str, parameters: Any = None, **options: Any) -> QueryResult:
        """Answer a SQL query over frames, catalogs and measurements; see `ezarchive.ask.sql`."""
        return ask.sql(self, query, parameters, **options)

    def period(self, position: Any, radius: Any = "2 arcsec", **options: Any) -> periods.PeriodReport:
        """Return the period of an object, or of the source at a position; see `ezarchive.periods.period`."""
        return periods.period(self, position, radius, **options)

    def variability(self, **options: Any) -> variability.VariabilityReport:
        """Return the most variable objects and the plane that they stand out in; see `ezarchive.variability.variability`."""
        return variability.variability(self, **options)

    def verify(self, **options: Any) -> verify.VerifyReport:
        """Compare the database with the files; see `ezarchive.verify.verify`."""
        return verify.verify(self, **options)

    def quarantine(self, **options: Any) -> QueryResult:
        """Return what could not be read or measured, and why; see `ezarchive.ask.quarantine`."""
        return ask.quarantine(self, **options)

    def pin(self, run_id: int | None, **options: Any) -> int:
        """Make light curves use one run, whatever is measured later; None: the newest again; see `ezarchive.batch.pin`."""
        return batch.pin(self, run_id, **options)

    def withdraw(self, run_id: int, *, restore: bool = False) -> withdraw.Withdrawal:
        """Make a run count no more, or again; see `ezarchive.withdraw.withdraw`."""
        return withdraw.withdraw(self, run_id, restore=restore)

    def runs(self) -> QueryResult:
        """Return every run of measurement, the newest first."""
        return ask.run_list(self)


def _reopen(home: Path, write: bool) -> Archive:  # noqa: FBT001  what pickle calls
    return Archive.open(home, write=write)


def _check_layouts(settings: config.Settings) -> None:
    """Refuse a layout with a fault before a tree is read by it."""
    for name, root in settings.roots.items():
        try:
            layout.layout(root.template)
        except ConfigError as err:
            raise ConfigError(f"root {name!r}: {err}") from err
