"""The shell of ``ezarchive sql``: reads statements until a semicolon, line by line, and a few commands that begin with a dot."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ezarchive.errors import EzarchiveError, InputError

if TYPE_CHECKING:
    from ezarchive.archive import Archive
    from ezarchive.catalogs.result import QueryResult

PROMPT, MORE = "ezarchive> ", "      ...> "
SHOWN_ROWS = 100
"""Rows of a table that are shown to who sits at a terminal."""

HISTORY_LINES = 2000

TABLES = {
    "frames": "exposures: target, telescope, filter, time, seeing, depth, path ...",
    "catalogs": "current catalogs, one a frame and method",
    "zero_points": "zero points that count",
    "image_fits": "frames against a reference image: seeing, scale, background, pointing (after fit_photometry)",
    "anchors": "levels of bands anchored to others (after anchor)",
    "aperture_photometry": "regions of images that were measured by the quick look and saved",
    "measurements": "every column of every measurement",
    "light_curve": "measurements in one aperture, per second and calibrated",
    "objects": "objects: mean position, counts, variability (after associate)",
    "object_filters": "objects in each filter: mean magnitude, scatter, chi2, eta ...",
    "ambiguous": "pairs of objects that share a place",
    "aliases": "ids that are another one now",
    "cone(ra, dec, radius_arcsec)": "objects around a place, nearest first, with separation (arcsec)",
    "lc(object_id)": "the light curve of an object",
    "upper_limits(object_id)": "frames that were searched for an object and do not show it",
}
"""What can stand in FROM."""

HELP = """\
A statement ends with a semicolon and may have many lines. Ctrl-C forgets what is typed, Ctrl-D leaves.
.tables          what can stand in FROM
.schema [TABLE]  columns and their types
.format NAME     how to print: table, csv, json or ecsv
.help            this text
.quit            leave"""

_PRINTED = ("table", "csv", "json", "ecsv", "votable")
_COMMENTS = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_STATES = {"'": "'", '"': '"', "--": "\n", "/*": "*/"}


def run(archive: Archive, form: str, options: Mapping[str, Any]) -> int:
    """Answer statements from standard input.

    Parameters
    ----------
    archive : Archive
    form : str
        How to print.
    options : mapping
        Of `ezarchive.ask.sql`.

    Returns
    -------
    int
        Exit code: 2 if a statement from a pipe was wrong; those after it are not answered.
    """
    shell = _Shell(archive, form, options)
    if not sys.stdin.isatty():
        return shell.read(sys.stdin.read())
    history = _History(archive.home)
    click.echo("SQL over the archive; .help explains, .quit leaves.")
    try:
        shell.talk()
    finally:
        history.save()
    return 0


def show(result: QueryResult, form: str, *, max_rows: int | None = None, max_width: int | None = None) -> None:
    """Print a result."""
    from ezarchive.catalogs.resultfiles import rendered  # noqa: PLC0415  the command line must start fast

    if form == "table":
        click.echo(result.to_text(max_rows=max_rows, max_width=max_width))
        return
    if form in ("parquet", "fits") and sys.stdout.isatty():
        raise InputError(f"--format {form}: no text; -o FILE writes it")
    click.echo(rendered(result, form), nl=False)
    for note in result.notes:
        click.echo(note, err=True)


def write(result: QueryResult, path: Path, form: str | None) -> None:
    """Write a result to a file."""
    if form == "table":
        path.write_text(result.to_text() + "\n")
    else:
        result.write(path, form)
    for note in result.notes:
        click.echo(note, err=True)


def split(text: str) -> tuple[list[str], str]:
    """Take whole statements off a text.

    Parameters
    ----------
    text : str
        SQL; semicolons in quotes and comments end nothing.

    Returns
    -------
    statements : list of str
        Without their semicolons.
    rest : str
        What has no semicolon yet.

    Examples
    --------
    >>> split("SELECT 1; SELECT ';' -- no; end")
    (['SELECT 1'], " SELECT ';' -- no; end")
    """
    statements, start, place, closing = [], 0, 0, ""
    while place < len(text):
        if closing:
            found = text.find(closing, place)
            place, closing = (len(text), closing) if found < 0 else (found + len(closing), "")
            continue
        opening = next((mark for mark in _STATES if text.startswith(mark, place)), "")
        if opening:
            closing = _STATES[opening]
        elif text[place] == ";":
            statements.append(text[start:place].strip())
            start = place + 1
        place += len(opening) or 1
    return [statement for statement in statements if statement], text[start:]


class _Shell:
    def __init__(self, archive: Archive, form: str, options: Mapping[str, Any]) -> None:
        self.archive, self.form, self.options = archive, form, dict(options)

    def read(self, text: str) -> int:
        """Answer all statements of a text; the last one needs no semicolon."""
        for statement in _all(text):
            try:
                if not (self.command(statement) if statement.startswith(".") else self.answer(statement)):
                    return 0
            except EzarchiveError as err:
                click.echo(f"ezarchive: {err}", err=True)
                return 2
        return 0

    def talk(self) -> None:
        """Answer what is typed until the user leaves."""
        text = ""
        while True:
            try:
                line = input(MORE if text.strip() else PROMPT)
            except KeyboardInterrupt:
                click.echo("")
                text = ""
                continue
            except EOFError:
                click.echo("")
                return
            try:
                if not text.strip() and line.strip().startswith("."):
                    if not self.command(line.strip()):
                        return
                    continue
                statements, text = split(text + line + "\n")
                for statement in statements:
                    self.answer(statement)
            except EzarchiveError as err:
                click.echo(f"ezarchive: {err}", err=True)
            except KeyboardInterrupt:
                click.echo("stopped", err=True)

    def answer(self, statement: str) -> bool:
        """Answer one statement."""
        seen = sys.stdout.isatty()
        width = shutil.get_terminal_size().columns if seen else None
        show(self.archive.sql(statement, **self.options), self.form, max_rows=SHOWN_ROWS if seen else None, max_width=width)
        return True

    def command(self, line: str) -> bool:
        """Obey a command; False: leave."""
        name, *arguments = line.rstrip(";").split()
        if name in (".quit", ".exit"):
            return False
        if name == ".help":
            click.echo(HELP)
        elif name == ".tables":
            width = max(map(len, TABLES))
            click.echo("\n".join(f"{table.ljust(width)}  {meaning}" for table, meaning in TABLES.items()))
        elif name == ".schema":
            for table in arguments or [table for table in TABLES if "(" not in table]:
                self._schema(table)
        elif name == ".format" and len(arguments) == 1 and arguments[0] in _PRINTED:
            self.form = arguments[0]
        elif name == ".format":
            raise InputError(f".format: must be one of {', '.join(_PRINTED)}")
        else:
            raise InputError(f"{name}: no such command; .help lists them")
        return True

    def _schema(self, table: str) -> None:
        if table not in TABLES or "(" in table:
            raise InputError(f".schema {table}: must be one of {', '.join(name for name in TABLES if '(' not in name)}")
        rows = self.archive.sql(f"SELECT column_name, column_type FROM (DESCRIBE {table})", **self.options)
        click.echo(f"{table} ({', '.join(f'{row[0]} {row[1]}' for row in rows)})")


class _History:
    """What was typed, kept in the archive's logs, or with the user's settings where the archive may not be written."""

    def __init__(self, home: Path) -> None:
        folder = home / "logs"
        if not os.access(folder if folder.is_dir() else home, os.W_OK):
            folder = Path(click.get_app_dir("ezarchive"))
        self.path = folder / "sql_history"
        try:
            import readline  # noqa: PLC0415  not on every system
        except ImportError:
            self._readline = None
            return
        self._readline = readline
        readline.set_history_length(HISTORY_LINES)
        if self.path.is_file():
            readline.read_history_file(self.path)

    def save(self) -> None:
        if self._readline is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._readline.write_history_file(self.path)


def _all(text: str) -> Iterator[str]:
    """Yield statements, and commands, which are lines of their own between them."""
    rest = ""
    for line in text.splitlines(keepends=True):
        if not rest.strip() and line.strip().startswith("."):
            yield line.strip()
            continue
        statements, rest = split(rest + line)
        yield from statements
    if _COMMENTS.sub("", rest).strip():
        yield rest.strip()
