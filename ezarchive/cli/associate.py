"""``ezarchive associate`` and ``ezarchive compact``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

import ezarchive
from ezarchive.cli.common import boundary, cli, home_argument


@cli.command()
@home_argument
@click.option("--rebuild", is_flag=True, help="Make objects and store anew from all catalogs.")
@click.option("--compact/--no-compact", default=None, help="Make one file of every partition, or of none; by default of crowded ones.")
@click.option("--workers", type=int, help="Processes.")
@click.option("--memory-gb", type=float, help="Memory of all processes together; 2 by default.")
@boundary
def associate(home: Path, **options: Any) -> None:
    """Join the measurements into objects; bring the light-curve store up to date."""
    with ezarchive.Archive.open(home) as archive:
        report = archive.associate(**options)
    click.echo(report)
    sys.exit(0 if report.ok else 1)


@cli.command()
@home_argument
@click.option("--workers", type=int, help="Processes.")
@click.option("--memory-gb", type=float, help="Memory of all processes together; 2 by default.")
@boundary
def compact(home: Path, **options: Any) -> None:
    """Make one file of every partition of the light-curve store."""
    with ezarchive.Archive.open(home) as archive:
        click.echo(archive.compact(**options))
