"""Every error that ezarchive raises on purpose.

::

    EzarchiveError
    +-- ConfigError(ValueError)          a setting, a template or an ``ezarchive.toml`` is wrong
    +-- InputError(ValueError)           an argument of a function is wrong
    +-- ArchiveError
    |   +-- NotAnArchiveError            a folder without ``ezarchive.toml``
    |   +-- ArchiveExistsError           ``create`` on a folder that holds one already
    |   +-- RootMissingError             a data root has vanished as a whole
    |   +-- LockedError                  another process is at the same work
    |   +-- ClusterError                 the Dask cluster that did the work has gone
    +-- DatabaseError
    |   +-- SchemaTooNewError            made by a newer ezarchive: read at most
    |   +-- SchemaTooOldError            needs ``ezarchive migrate``
    |   +-- MigrationError               a step was refused or did not keep the rows
    +-- FrameError                       one file or frame; carries ``code`` for the quarantine
    +-- QueryError(ValueError)
    |   +-- UnknownNameError             a misspelt attribute or value; names the near misses
    |   +-- SQLError                     a user's SQL was refused or failed
    +-- CatalogError                     a catalog file is damaged or not the one its row names
    +-- StoreError                       the light-curve store is damaged, incomplete or of another version
    +-- MeasurementError                 photometry cannot be done; carries ``code``
    +-- CompareError(ValueError)         two images that cannot be compared, or a fit that cannot be done; carries ``code``
    +-- WorkerError                      a worker process failed for a reason that is no user's error; carries its traceback

A message names the argument or the file, what was found, and what must be.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class EzarchiveError(Exception):
    """Base of every error that ezarchive raises on purpose."""


class ConfigError(EzarchiveError, ValueError):
    """A setting, a layout template or an ``ezarchive.toml`` is wrong."""


class InputError(EzarchiveError, ValueError):
    """An argument of a function is wrong."""


class ArchiveError(EzarchiveError):
    """The archive as a whole cannot be used as asked."""


class NotAnArchiveError(ArchiveError):
    """A folder holds no ``ezarchive.toml``."""


class ArchiveExistsError(ArchiveError):
    """A folder holds an archive already."""


class RootMissingError(ArchiveError):
    """A data root has vanished as a whole (an unmounted disk, most often)."""


class LockedError(ArchiveError):
    """Another process is at the same work."""


class ClusterError(ArchiveError):
    """The Dask cluster that did the work has gone; what it had done is kept."""


class DatabaseError(EzarchiveError):
    """The database cannot be used as asked."""


class SchemaTooNewError(DatabaseError):
    """The database was made by a newer ezarchive."""


class SchemaTooOldError(DatabaseError):
    """The database must be migrated first."""


class MigrationError(DatabaseError):
    """A migration was refused, or did not keep every row."""


class CodedError(EzarchiveError):
    """An error about one thing of many; ``code`` is stable and stored in the quarantine."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.code, str(self))


class FrameError(CodedError):
    """A file or frame that cannot be used; the codes are listed in ``data_layout.md``."""


class MeasurementError(CodedError):
    """A frame that cannot be measured; the codes are listed in ``data_layout.md``."""


class CompareError(CodedError, ValueError):
    """Two images that cannot be compared, or a fit that cannot be done; the codes are listed in ``data_layout.md``."""


class WorkerError(EzarchiveError):
    """A worker process failed for a reason that is no user's error.

    Parameters
    ----------
    message : str
        What it was at work on, and the error.
    traceback : str
        Its traceback, as text.
    """

    def __init__(self, message: str, traceback: str = "") -> None:
        super().__init__(message)
        self.traceback = traceback

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (str(self), self.traceback)


class CatalogError(EzarchiveError):
    """A catalog file is damaged, or not the one that its row names."""


class StoreError(EzarchiveError):
    """The light-curve store is damaged, incomplete or of another version."""


class QueryError(EzarchiveError, ValueError):
    """A question that cannot be asked so."""


class SQLError(QueryError):
    """A user's SQL was refused or failed."""


class UnknownNameError(QueryError):
    """A misspelt attribute or value.

    Parameters
    ----------
    what : str
        The kind of name, for example ``"objname"``.
    found : str
        What was given.
    known : iterable of str
        The names that exist; the nearest three are offered.
    """

    def __init__(self, what: str, found: str, known: Iterable[str] = ()) -> None:
        self.what, self.found, self.known = what, found, tuple(known)
        super().__init__(f"{what} {found!r}: {near_misses(found, self.known)}")

    def __reduce__(self) -> tuple[type, tuple[str, str, tuple[str, ...]]]:
        return type(self), (self.what, self.found, self.known)


def near_misses(found: str, known: Iterable[str], n: int = 3) -> str:
    """Return the sentence that offers the names nearest to ``found``.

    Parameters
    ----------
    found : str
        The name that does not exist.
    known : iterable of str
        The names that do.
    n : int
        How many to offer at the most.

    Returns
    -------
    str
        ``"did you mean 'A' or 'B'?"``, or a list of some of what exists.
    """
    names = sorted({str(name) for name in known})
    lowered = {name.lower(): name for name in names}
    close = difflib.get_close_matches(str(found).lower(), lowered, n=n, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(repr(lowered[name]) for name in close)}?"
    if not names:
        return "there is none here"
    shown = ", ".join(repr(name) for name in names[:8])
    return f"must be one of {shown}{', ...' if len(names) > 8 else ''}"
