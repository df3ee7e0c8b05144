"""``ezarchive anchor``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

import ezarchive
from ezarchive import compare
from ezarchive.cli.common import boundary, cli


@cli.command()
@click.argument("config", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--archive", "home", type=click.Path(path_type=Path), metavar="HOME", help="Record what is found in this archive.")
@click.option("--procs", type=int, help="Processes; as the file says by default, or 1.")
@click.option("--overwrite", is_flag=True, default=None, help="Do everything again.")
@click.option("--plots/--no-plots", default=None, help="Draw every fit.  [default: as the file says, or yes]")
@click.option("--method", type=click.Choice(["robust", "classic"]), help="As the file says by default, or robust.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be compared with what, and what is missing.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Also write the levels here: .ecsv, .csv or .fits.")
@boundary
def anchor(config: Path, home: Path | None, dry_run: bool, output: Path | None, **options: Any) -> None:
    """Anchor the levels of bands to surveys and to each other; CONFIG is TOML with the arguments of AnchoringStep."""
    from ezarchive.compare.anchoring import table  # noqa: PLC0415  the command line must start fast

    options = {name: value for name, value in options.items() if value is not None}
    if output is not None:
        table.check_table_path(output)
    steps = [compare.AnchoringStep(**{**values, **options}) for values in compare.read_anchor_config(config)]
    if dry_run:
        for step in steps:
            click.echo(step.plan_text())
        return
    if home is None:
        reports = []
        for step in steps:
            step.do_step()
            reports.append(step.report)
    else:
        with ezarchive.Archive.open(home) as archive:
            reports = archive.anchor(config, **options)
    for report in reports:
        click.echo(report)
    if output is not None:
        table.write_levels(output, reports)
    sys.exit(0 if all(report.ok for report in reports) else 1)
