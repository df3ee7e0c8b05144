"""The command ``sql``: one query, statements from a pipe, or a shell with history."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

import ezarchive
from ezarchive.cli.common import boundary, cli, home_argument
from ezarchive.cli.sqlshell import run as run_shell
from ezarchive.cli.sqlshell import show, write
from ezarchive.columns import DEFAULT_APERTURE
from ezarchive.errors import InputError

FORMATS = ("table", "csv", "json", "parquet", "votable", "ecsv", "fits")


@cli.command()
@home_argument
@click.argument("query", required=False)
@click.option("--aperture", type=float, default=DEFAULT_APERTURE, show_default=True, help="Diameter behind light_curve, arcsec.")
@click.option("--method", help="Only catalogs of this method; those of elliptical are seen in light curves with it alone.")
@click.option("--run", type=int, help="The catalogs of this run instead of each frame's current one.")
@click.option("--format", "form", type=click.Choice(FORMATS), help="How to print; table by default, or what the suffix of -o says.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file instead.")
@boundary
def sql(home: Path, query: str | None, form: str | None, output: Path | None, **options: Any) -> None:
    """Answer a SQL query over frames, catalogs, measurements, light_curve and objects.

    Without QUERY: statements that end with a semicolon, from a pipe or typed in a shell (.help explains it).
    """
    if output is not None and query is None:
        raise InputError("--output: needs a QUERY")
    with ezarchive.Archive.open(home, write=False) as archive:
        if query is None:
            sys.exit(run_shell(archive, form or "table", options))
        result = archive.sql(query, **options)
        if output is None:
            show(result, form or "table")
        else:
            write(result, output, form)
            click.echo(f"{output}: {len(result)} rows")
