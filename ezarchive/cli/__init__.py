"""The command ``ezarchive``: one command per verb, each a skin over the function of the same name."""

from __future__ import annotations

from ezarchive.cli import (  # noqa: F401  the commands register themselves
    anchor,
    apertures,
    associate,
    calibrate,
    columns,
    commands,
    compare,
    differential,
    forced,
    imagefits,
    lightcurve,
    look,
    pictures,
    sql,
    variability,
    withdraw,
)
from ezarchive.cli.common import cli

__all__ = ["cli", "main"]


def main() -> None:
    """Run the command."""
    cli()
