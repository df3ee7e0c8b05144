"""Every path below an archive's home that names a run and a frame: built and parsed here, and nowhere else.

::

    catalogs/<run>/<observatory>/<telkey>/<objname>/<telname>/<filter>/<frame stem>.<frame_id>.parquet
    maps/<run>/<observatory>/<telkey>/<objname>/<telname>/<filter>/<frame stem>.<frame_id>.<kind>.<suffix>

Paths are relative to the home, with ``/``. Missing names are ``_``; the others are percent-encoded (`ezarchive.files.encode_part`).
Nothing is derived from a path that a footer or the database says better.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from ezarchive.errors import InputError
from ezarchive.files import decode_part, encode_part

CATALOGS = "catalogs"
MAPS = "maps"
FIELDS = ("observatory", "telkey", "objname", "telname", "filter")
"""The folders of a path in their order, that of the tutorial's tree."""

_FITS_SUFFIX = re.compile(r"\.(fits|fit|fts)(\.(fz|gz))?$|\.fz$|\.gz$", re.IGNORECASE)
_FILE = re.compile(r"(?P<stem>.+)\.(?P<frame_id>\d+)\.(?P<rest>[A-Za-z0-9_-]+(?:\.[A-Za-z0-9]+)?)")


@dataclass(frozen=True)
class ProductPath:
    """The path of one product of a frame.

    ``str(product)`` builds it and `parse` takes it apart; the parts are kept encoded, so both ways lose nothing.
    """

    top: str
    run_id: int
    parts: tuple[str, ...]
    """The encoded names, in the order of `FIELDS`."""
    stem: str
    """The encoded stem of the frame's file."""
    frame_id: int
    suffix: str
    """``parquet``, or kind and suffix of a map (``background.npz``)."""

    def __str__(self) -> str:
        return "/".join((self.top, str(self.run_id), *self.parts, f"{self.stem}.{self.frame_id}.{self.suffix}"))

    @property
    def names(self) -> dict[str, str | None]:
        """The names, decoded; None where there is none.

        Raises
        ------
        InputError
            If a name was too long for a path component and was cut.
        """
        return dict(zip(FIELDS, map(decode_part, self.parts), strict=True))

    @property
    def kind(self) -> str:
        """``catalog``, or the kind of the map."""
        return "catalog" if self.top == CATALOGS else self.suffix.partition(".")[0]


def frame_stem(relpath: str | None) -> str:
    """Return the name of a frame's file without folders and FITS suffixes.

    Examples
    --------
    >>> frame_stem("7DT/T00528/calib_7DT01.fits.fz"), frame_stem("a.b.fit")
    ('calib_7DT01', 'a.b')
    """
    name = PurePosixPath(relpath or "").name
    return _FITS_SUFFIX.sub("", name) or "frame"


def catalog_path(run_id: int, frame_id: int, *, names: Mapping[str, str | None], relpath: str | None) -> ProductPath:
    """Return where the catalog of a frame and run lies.

    Parameters
    ----------
    run_id, frame_id : int
        Their ids.
    names : mapping
        ``observatory telkey objname telname filter``; what is missing counts as None.
    relpath : str or None
        Path of the frame's file in its root; its stem goes into the name.

    Returns
    -------
    ProductPath
    """
    return _product(CATALOGS, run_id, frame_id, names=names, relpath=relpath, suffix="parquet")


def map_path(
    run_id: int, frame_id: int, kind: str, *, names: Mapping[str, str | None], relpath: str | None, suffix: str = "npz"
) -> ProductPath:
    """Return where a map (``background``, ``rms``, ``mask``) of a frame and run lies.

    Raises
    ------
    InputError
        If `kind` is no plain word.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]*[A-Za-z_-][A-Za-z0-9_-]*", kind) or not re.fullmatch(r"[A-Za-z0-9]+", suffix):
        raise InputError(f"map kind {kind!r}, suffix {suffix!r}: must be plain words")
    return _product(MAPS, run_id, frame_id, names=names, relpath=relpath, suffix=f"{kind}.{suffix}")


def parse(path: str) -> ProductPath:
    """Take a path that `catalog_path` or `map_path` made apart.

    Parameters
    ----------
    path : str
        Relative to the home.

    Returns
    -------
    ProductPath

    Raises
    ------
    InputError
        If it is no such path.
    """
    top, *folders = path.split("/")
    match = _FILE.fullmatch(folders[-1]) if len(folders) == len(FIELDS) + 2 and top in (CATALOGS, MAPS) else None
    if match is None or not folders[0].isdecimal() or (top == CATALOGS) != (match["rest"] == "parquet"):
        shape = "/".join(f"<{field}>" for field in FIELDS)
        raise InputError(f"path {path!r}: must be catalogs/<run>/{shape}/<frame stem>.<frame_id>.parquet, or the same below maps/")
    product = ProductPath(top, int(folders[0]), tuple(folders[1:-1]), match["stem"], int(match["frame_id"]), match["rest"])
    if str(product) != path:
        raise InputError(f"path {path!r}: must be written as {str(product)!r}")
    return product


def _product(top: str, run_id: int, frame_id: int, *, names: Mapping[str, str | None], relpath: str | None, suffix: str) -> ProductPath:
    for label, number in (("run_id", run_id), ("frame_id", frame_id)):
        if not isinstance(number, int) or number < 0:
            raise InputError(f"{label} {number!r}: must be a number, zero or more")
    parts = tuple(encode_part(names.get(field)) for field in FIELDS)
    return ProductPath(top, run_id, parts, encode_part(frame_stem(relpath)), frame_id, suffix)
