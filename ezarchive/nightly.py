"""The nightly round: index, measure what is new, bring the objects up to date; log and sum up; one at a time."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ezarchive.association.report import AssociateReport
from ezarchive.batch import BatchReport
from ezarchive.database import stores
from ezarchive.files import Lock
from ezarchive.index import IndexReport

if TYPE_CHECKING:
    from ezarchive.archive import Archive

OK, SOME_FAILED, COULD_NOT_RUN = 0, 1, 2
"""Exit codes of the nightly script."""

LOCK_NAME = ".nightly.lock"


@dataclass(frozen=True)
class NightlyReport:
    """What a nightly round did."""

    index: IndexReport
    measure: BatchReport
    associate: AssociateReport | None
    log: Path
    elapsed: float

    @property
    def exit_code(self) -> int:
        """0 when all went well, 1 when some file or frame failed."""
        return OK if self.measure.ok and not self.index.problems else SOME_FAILED

    def __str__(self) -> str:
        associated = "" if self.associate is None else f"\n{self.associate}"
        return f"{self.index}\n{self.measure}{associated}\nnightly: {self.elapsed:.1f} s, log in {self.log}"


def nightly(archive: Archive, *, progress: bool | None = None, **options: Any) -> NightlyReport:
    """Index the archive's roots, measure the science frames that have not been measured, and join the measurements into objects.

    The last where the archive has objects already: `ezarchive.associate.associate` makes the first ones.

    Parameters
    ----------
    archive : Archive
    progress : bool, optional
        Show progress bars; by default on a terminal only.
    **options
        Passed to `ezarchive.batch.measure`.

    Returns
    -------
    NightlyReport
        It is logged too, in ``logs/nightly-<UTC date>.log`` of the home.

    Raises
    ------
    LockedError
        If another nightly round is at work (what a dead process left behind does not count).
    RootMissingError
        If a root has vanished.
    """
    started = time.monotonic()
    with Lock(archive.home / LOCK_NAME, what="nightly"):
        path = archive.home / "logs" / f"nightly-{datetime.now(UTC):%Y%m%d}.log"
        path.parent.mkdir(exist_ok=True)
        with _logged_to(path) as log:
            log.info("start, home %s", archive.home)
            try:
                indexed = archive.index(progress=progress)
                log.info("%s", indexed)
                measured = archive.measure(progress=progress, **options)
                log.info("%s", measured)
                associated = archive.associate(progress=progress) if _has_objects(archive) else None
                if associated is not None:
                    log.info("%s", associated)
            except BaseException as err:
                log.error("stopped: %s: %s", type(err).__name__, err)
                raise
            elapsed = time.monotonic() - started
            log.info("end, %.1f s", elapsed)
    return NightlyReport(indexed, measured, associated, path, elapsed)


def _has_objects(archive: Archive) -> bool:
    with archive.database.connect() as conn:
        return stores.current(conn) is not None


class _logged_to:  # noqa: N801  used as a function
    """Log to a file within the block, and to it alone."""

    def __init__(self, path: Path) -> None:
        self._handler = logging.FileHandler(path, encoding="utf-8")
        formatter = logging.Formatter("%(asctime)sZ %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S")
        formatter.converter = time.gmtime
        self._handler.setFormatter(formatter)
        self._log = logging.getLogger("ezarchive.nightly")

    def __enter__(self) -> logging.Logger:
        self._log.addHandler(self._handler)
        self._log.setLevel(logging.INFO)
        self._log.propagate = False
        return self._log

    def __exit__(self, *exc: object) -> None:
        self._log.removeHandler(self._handler)
        self._handler.close()
