"""A light hold on an archive for what must travel: it pickles as the path of the home, and opens the database when asked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ezarchive import config
from ezarchive.archive import Archive
from ezarchive.config import Settings
from ezarchive.database.session import Database
from ezarchive.errors import InputError


class ArchiveHandle:
    """Home, settings and database of an archive; an image that goes to a worker process carries one of these.

    Parameters
    ----------
    home : path
        The archive's folder; its settings are read at once, its database is opened at first use (for reading).

    Raises
    ------
    NotAnArchiveError, ConfigError
        If the folder holds no archive, or a wrong one.
    """

    def __init__(self, home: str | os.PathLike[str]) -> None:
        self.home = Path(home).absolute()
        self.settings: Settings = config.load(self.home)
        self._database: Database | None = None

    @classmethod
    def of(cls, archive: Any) -> ArchiveHandle:
        """Return the handle of an archive, of the path of its home, or of a handle.

        Parameters
        ----------
        archive : Archive, path or ArchiveHandle
            Of an open archive the database connection is shared.

        Returns
        -------
        ArchiveHandle

        Raises
        ------
        InputError
            If it is none of these.
        """
        if isinstance(archive, cls):
            return archive
        if isinstance(archive, (str, os.PathLike)):
            return cls(archive)
        if not all(hasattr(archive, name) for name in ("home", "settings", "database")):
            raise InputError(f"archive: must be an Archive or the path of its home, found {type(archive).__name__}")
        handle = cls.__new__(cls)
        handle.home, handle.settings, handle._database = Path(archive.home).absolute(), archive.settings, archive.database
        return handle

    @property
    def database(self) -> Database:
        """The archive's database."""
        if self._database is None:
            self._database = Archive.open(self.home, write=False).database
        return self._database

    @contextmanager
    def writing(self) -> Iterator[Database]:
        """Give the database opened for writing; a connection of its own where this handle only reads."""
        if self.database.write:
            yield self.database
        else:
            with Archive.open(self.home) as archive:
                yield archive.database

    def __reduce__(self) -> tuple[type, tuple[Path]]:
        return type(self), (self.home,)

    def __repr__(self) -> str:
        return f"ArchiveHandle({str(self.home)!r})"
