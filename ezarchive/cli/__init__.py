"""The command ``ezarchive``: one command per verb, each a skin over the function of the same name."""

from __future__ import annotations

from ezarchive.cli import (  # noqa: F401  the commands register themselves
    anchor,
    associate,
    calibrate,
    columns,
    commands,
    compare,
    differential,
    forced,
    imagefits,
    lightcurve,
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
