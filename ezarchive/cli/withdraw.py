"""``ezarchive withdraw``."""

from __future__ import annotations

from pathlib import Path

import click

import ezarchive
from ezarchive.cli.common import boundary, cli, home_argument
from ezarchive.database.withdrawals import Withdrawal


def _compared(done: Withdrawal) -> tuple[tuple[int, str], ...]:
    return (done.n_image_fits, "image fits"), (done.n_anchors, "anchors"), (done.n_photometry, "rows of aperture photometry")


@cli.command()
@home_argument
@click.argument("run_id", type=int)
@click.option("--restore", is_flag=True, help="Make a withdrawn run count again.")
@boundary
def withdraw(home: Path, run_id: int, restore: bool) -> None:
    """Make a run count no more: light curves use what the runs before it made; nothing is deleted."""
    with ezarchive.Archive.open(home) as archive:
        done = archive.withdraw(run_id, restore=restore)
    what = f"{done.n_catalogs} catalogs and {done.n_zero_points} zero points"
    compared = (f"{n} {name}" for n, name in _compared(done) if n)
    what = ", ".join([what, *compared])
    if restore:
        click.echo(f"run {run_id} restored: {what} count again")
    else:
        click.echo(f"run {run_id} withdrawn: {what} count no more; in {done.n_replaced} frames another run's catalog counts instead")
