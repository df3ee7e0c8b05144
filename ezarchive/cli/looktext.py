"""What the commands of the quick look share: tables as texts, and regions from files and from the command line."""

from __future__ import annotations

import csv
import io
import math
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ezarchive import quicklook

if TYPE_CHECKING:
    from astropy.table import Table

    from ezarchive.quicklook import Picture


def as_text(table: Table, form: str) -> str:
    """Return a table as ``csv`` or ``ecsv``."""
    stream = io.StringIO()
    table.write(stream, format="ascii.csv" if form == "csv" else "ascii.ecsv")
    return stream.getvalue()


def rows_as_csv(rows: Sequence[dict[str, Any]]) -> str:
    """Return rows of plain values as comma-separated text, None as nothing."""
    stream = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(stream, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def columns(rows: Iterable[dict[str, str]]) -> str:
    """Return rows of texts as aligned columns; a column that is empty everywhere is left out."""
    rows = list(rows)
    names = [name for name in (rows[0] if rows else ()) if any(row[name] for row in rows)]
    width = {name: max(len(name), *(len(row[name]) for row in rows)) for name in names}
    lines = ["  ".join(f"{name:>{width[name]}}" for name in names)]
    return "\n".join(line.rstrip() for line in [*lines, *("  ".join(f"{row[name]:>{width[name]}}" for name in names) for row in rows)])


def number(value: Any, form: str = ".5g") -> str:
    """Return a number as text, nothing for one that is not known."""
    return "" if value is None or not math.isfinite(value) else format(value, form)


def with_error(value: Any, error: Any, form: str = ".5g") -> str:
    """Return a value with its error, where that is known."""
    return number(value, form) + (f" +- {error:.2g}" if number(value) and number(error) else "")


def files_of(names: Iterable[str | Path]) -> list[Path]:
    """Return the files that names on the command line may mean: with an HDU in brackets, or several with commas."""
    from ezarchive.quicklook.planes.loading import Address  # noqa: PLC0415  the command line must start fast

    texts = [str(name) for name in names]
    return [Address.of(part).path for text in texts for part in (text, *text.split(","))]


def planes_of(name: str) -> list[Picture]:
    """Return the images that a name on the command line means; what there is to say of them is told in a line each."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", UserWarning)
        found = quicklook.load_all(name)
    for one in said:
        click.echo(f"ezarchive: {one.message}", err=True)
    return found


def regions_of(files: Iterable[Path], texts: Iterable[str], picture: Picture | None) -> tuple[list[Any], list[str], int]:
    """Return regions and labels of files and of texts in the language of DS9; those that cannot be used are told and counted."""
    from ezarchive.quicklook.regions.regionfiles import parse_regions  # noqa: PLC0415  the command line must start fast

    found, labels, failed = [], [], 0
    for read, source in ((quicklook.read_regions, files), (parse_regions, texts)):
        for one in source:
            listed = read(one, image=picture)
            found += list(listed)
            labels += [text or f"Subset {len(labels) + k}" for k, text in enumerate(listed.labels, 1)]
            if listed.excluded:
                click.echo(f"ezarchive: {one}: {len(listed.excluded)} excluded (with a minus): left out", err=True)
            for failure in listed.failures:
                click.echo(f"ezarchive: {one}: {' '.join(str(failure.region).split())}: {failure.reason}", err=True)
            failed += len(listed.failures)
    return found, labels, failed
