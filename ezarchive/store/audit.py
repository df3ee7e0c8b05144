"""Whether a version of the store is whole: its manifest, its files, and what it counts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ezarchive.errors import StoreError
from ezarchive.files import is_temporary
from ezarchive.store.paths import store_folder
from ezarchive.store.version import Version, published

_PARTS = ("light_curve", "orphans", "unplaced")


class Audit(NamedTuple):
    """What was found; pairs of a path and what is wrong with it.

    Attributes
    ----------
    missing, changed : tuple of (Path, str)
        Files that are not there; files, and counts in them, that are others than they must be.
    whole : tuple of (Path, str)
        Files that are there with their size, and the SHA-256 that each must have.
    """

    missing: tuple[tuple[Path, str], ...] = ()
    changed: tuple[tuple[Path, str], ...] = ()
    whole: tuple[tuple[Path, str], ...] = ()


def audit(home: Path, number: int, catalogs: Mapping[int, int], totals: Mapping[str, int]) -> Audit:
    """Compare a published version with its manifest and with what the database says of it.

    Parameters
    ----------
    home : Path
        The archive's folder.
    number : int
        Of the version.
    catalogs : mapping
        Catalog -> rows of it that must be in the store.
    totals : mapping
        Dataset -> rows.

    Returns
    -------
    Audit
    """
    folder = store_folder(home) / str(number)
    try:
        version = Version.open(home, number)
    except StoreError as err:
        return Audit(missing=((folder, str(err)),))
    missing, changed, whole = [], [], []
    for file in (file for stored in version.files.values() for file in stored):
        path = folder / file.path
        size = path.stat().st_size if path.is_file() else None
        if size is None:
            missing.append((path, "is not there; `ezarchive associate HOME --rebuild` makes the light-curve store anew"))
        elif size != file.nbytes:
            changed.append((path, f"has {size} bytes, had {file.nbytes}"))
        else:
            whole.append((path, file.sha256))
    if not (missing or changed):
        changed += [(folder, text) for text in _counts(version, catalogs, totals)]
    return Audit(tuple(sorted(missing)), tuple(sorted(changed)), tuple(sorted(whole)))


def _counts(version: Version, catalogs: Mapping[int, int], totals: Mapping[str, int]) -> list[str]:
    """Return where rows in are not rows out."""
    wrong = [
        f"holds {version.totals[name]} rows of {name}, the database says {rows}"
        for name, rows in totals.items()
        if version.totals[name] != rows
    ]
    try:
        table = version.conservation()
    except StoreError as err:
        return [*wrong, str(err)]
    found = {}
    for row in table.to_pylist():
        found[row["catalog_id"]] = row["rows"]
        out = sum(row[name] for name in _PARTS)
        if out != row["rows"]:
            wrong.append(f"catalog {row['catalog_id']}: has {row['rows']} rows, of which the store holds {out}")
    for name in _PARTS:
        if sum(table[name].to_pylist()) != version.totals[name]:
            wrong.append(f"holds {version.totals[name]} rows of {name}, its catalogs {sum(table[name].to_pylist())}")
    for number in sorted(found.keys() | catalogs.keys()):
        if found.get(number) != catalogs.get(number):
            wrong.append(f"catalog {number}: the database says {catalogs.get(number, 0)} rows, the store {found.get(number, 0)}")
    return wrong


def leftovers(home: Path, number: int | None) -> list[Path]:
    """Return what interrupted calls left beside the published version and the one before it.

    Parameters
    ----------
    home : Path
        The archive's folder.
    number : int or None
        Of the published version.
    """
    folder = store_folder(home)
    if not folder.is_dir():
        return []
    known = published(home)
    earlier = [other for other in known if other < (number or 0)]
    kept = {number, *earlier[-1:]}
    hidden = [path for path in folder.iterdir() if is_temporary(path.name)]
    return sorted([*hidden, *(folder / str(other) for other in known if other not in kept)])
