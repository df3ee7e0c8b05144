"""The command ``ezarchive``: one command per verb, each a skin over the function of the same name."""

from __future__ import annotations

from ezarchive.cli import calibrate, columns, commands, differential, forced, withdraw  # noqa: F401  the commands register themselves
from ezarchive.cli.common import cli

__all__ = ["cli", "main"]


def main() -> None:
    """Run the command."""
    cli()
