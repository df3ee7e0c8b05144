"""What the commands share: the group, the boundary where errors become lines, common options and output."""

from __future__ import annotations

import functools
import json
import logging
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

import ezarchive
from ezarchive.errors import EzarchiveError, InputError

FORMATS = click.Choice(["table", "csv", "json"])


_SHIELD = "\0"


class PositionCommand(click.Command):
    """A command whose arguments may be negative numbers, as a declination of -77 (they are kept from being read as options)."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse, with every argument that is a negative number shielded; the values of options need no shield."""
        takes = {name: _values(option) for option in self.get_params(ctx) if isinstance(option, click.Option) for name in option.opts}
        shielded, values = [], 0
        for arg in args:
            negative = arg[:1] == "-" and arg[1:2].isdigit()
            shielded.append(_SHIELD + arg if negative and not values else arg)
            values = values - 1 if values else takes.get(arg, 0)
        rest = super().parse_args(ctx, shielded)
        for name, value in ctx.params.items():
            if isinstance(value, str):
                ctx.params[name] = value.removeprefix(_SHIELD)
        return rest


def _values(option: click.Option) -> int:
    return 0 if option.is_flag or option.count else option.nargs


def boundary(function: Callable[..., None]) -> Callable[..., None]:
    """Turn a user's error, or what the system refuses, into one line and exit code 2; everything else keeps its traceback."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            function(*args, **kwargs)
        except EzarchiveError as err:
            click.echo(f"ezarchive: {err}", err=True)
            sys.exit(2)
        except PermissionError as err:
            click.echo(f"ezarchive: {err.filename}: this user may not read or write it ({err.strerror})", err=True)
            sys.exit(2)
        except BrokenPipeError:
            sys.stderr.close()
            sys.exit(1)
        except OSError as err:
            # A disk that is full, a folder that is a file: exit code 1 is kept for frames that failed.
            click.echo(f"ezarchive: {err}", err=True)
            sys.exit(2)
        except KeyboardInterrupt:
            click.echo("ezarchive: stopped; what is done is kept, the same command goes on from there", err=True)
            sys.exit(130)

    return wrapped


def home_argument(function: Callable[..., None]) -> Callable[..., None]:
    """Take the archive's folder as first argument."""
    return click.argument("home", type=click.Path(path_type=Path))(function)


def format_option(function: Callable[..., None]) -> Callable[..., None]:
    """Take ``--format``."""
    return click.option("--format", "form", type=FORMATS, default="table", show_default=True, help="How to print.")(function)


def show(result: Any, form: str) -> None:
    """Print a `QueryResult` in a format of `FORMATS`."""
    if form == "table":
        click.echo(result.to_text())
    else:
        click.echo(result.to_csv() if form == "csv" else result.to_json(), nl=False)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(ezarchive.__version__, prog_name="ezarchive")
@click.option("-v", "--verbose", is_flag=True, help="Log what is being done.")
def cli(verbose: bool) -> None:
    """Index a tree of FITS images, measure them, and ask for light curves."""
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, format="%(name)s: %(message)s")


def pair(option: str, text: str) -> tuple[str, str]:
    """Split NAME=VALUE."""
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise InputError(f"{option} {text!r}: must be NAME=VALUE")
    return name, value


def selection(function: Callable[..., None]) -> Callable[..., None]:
    """Take ``--objname``, ``--telname`` and ``--filter``."""
    for option in reversed(
        [
            click.option("--objname", multiple=True, help="Only this target; globs and repeats allowed, as for the next ones."),
            click.option("--telname", multiple=True),
            click.option("--filter", "filter_", multiple=True),
        ]
    ):
        function = option(function)
    return function


def workers_options(function: Callable[..., None]) -> Callable[..., None]:
    """Take ``--workers``, ``--memory`` and ``--executor``."""
    for option in reversed(
        [
            click.option("--workers", type=int, help="Processes; the cores by default, as far as the memory reaches."),
            click.option("--memory", "memory_gb", type=float, metavar="GB", help="Memory that all workers may use together."),
            click.option("--executor", metavar="WHO", help="processes (default), or dask://host:port of a Dask scheduler."),
        ]
    ):
        function = option(function)
    return function


def settings_of(texts: Iterable[str], taken: Iterable[str]) -> dict[str, Any]:
    """Return names and values of all ``--set OPTION=VALUE``; a name may come once, and not be one that is ``taken`` by the command."""
    found: dict[str, Any] = {}
    taken = set(taken)
    for text in texts:
        name, value = option_of(text)
        if name in taken or name in found:
            why = "must be given once" if name in found else "must not be set so; --help tells what has an option of its own"
            raise InputError(f"--set {text!r}: {name} {why}")
        found[name] = value
    return found


def option_of(text: str) -> tuple[str, Any]:
    """Return name and value of ``--set OPTION=VALUE``."""
    name, value = pair("--set", text)
    items = [_value(item) for item in value.split(",") if item]
    return name, items[0] if len(items) == 1 and "," not in value else items


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
