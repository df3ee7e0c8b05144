"""The commands: one a verb, each a skin over the function of the same name."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

import ezarchive
from ezarchive.cli.common import (
    PositionCommand,
    boundary,
    cli,
    format_option,
    home_argument,
    pair,
    selection,
    settings_of,
    show,
    workers_options,
)
from ezarchive.errors import InputError


@cli.command()
@home_argument
@click.option("--root", "roots", multiple=True, required=True, metavar="NAME=PATH", help="A data root; repeat for more.")
@click.option("--layout", "layouts", multiple=True, metavar="NAME=TEMPLATE", help="The folders of a root, as raw={night}/{telname}.")
@click.option("--kind", "kinds", multiple=True, metavar="NAME=KIND", help="science, reference or calibration.")
@click.option("--default", "defaults", multiple=True, metavar="NAME.FIELD=VALUE", help="A value for what path and header do not give.")
@click.option("--database", metavar="URL", help="postgresql://...; SQLite in the home by default.")
@boundary
def init(
    home: Path, roots: tuple[str, ...], layouts: tuple[str, ...], kinds: tuple[str, ...], defaults: tuple[str, ...], database: str | None
) -> None:  # noqa: E501
    """Make an archive in the folder HOME."""
    made: dict[str, dict[str, Any]] = {name: {"path": path} for name, path in (pair("--root", text) for text in roots)}
    for option, key, texts in (("--layout", "layout", layouts), ("--kind", "kind", kinds)):
        for name, value in (pair(option, text) for text in texts):
            _root(made, option, name)[key] = value
    for place, value in (pair("--default", text) for text in defaults):
        name, _, field = place.rpartition(".")
        _root(made, "--default", name).setdefault("defaults", {})[field] = value
    with ezarchive.Archive.create(home, made, database) as archive:
        click.echo(f"{archive.home}: archive made; `ezarchive index {home}` comes next")


def _root(roots: dict[str, dict[str, Any]], option: str, name: str) -> dict[str, Any]:
    if name not in roots:
        raise InputError(f"{option}: no root is named {name!r}; the roots are {', '.join(roots)}")
    return roots[name]


@cli.command()
@home_argument
@click.option("--workers", type=int, help="Processes that read headers; the cores by default.")
@click.option("--retry", is_flag=True, help="Read the files in quarantine again, though they have not changed.")
@click.option("--reread", is_flag=True, help="Read every file again: after a change of layout, defaults, instruments or sites.")
@boundary
def index(home: Path, **options: Any) -> None:
    """Bring the database up to date with the data roots."""
    with ezarchive.Archive.open(home) as archive:
        click.echo(archive.index(**options))


@cli.command(cls=PositionCommand)
@home_argument
@click.option("--root", help="Only this root.")
@click.option("--objname", multiple=True, help="Target; globs and repeats allowed, as for the next ones.")
@click.option("--telname", multiple=True)
@click.option("--filter", "filter_", multiple=True)
@click.option("--observatory", multiple=True)
@click.option("--telkey", multiple=True)
@click.option("--kind", "kinds", multiple=True, help="science, reference, bias, dark, flat, mask, ...")
@click.option("--near", nargs=2, metavar="POSITION RADIUS", help='As --near "21:45:00 -77:15:44" "10 arcmin".')
@click.option("--covering", metavar="POSITION", help="Frames whose footprint holds the position.")
@click.option("--between", nargs=2, metavar="START END", help="UTC dates or MJD.")
@click.option("--seeing", type=float, help="At most this, arcsec.")
@click.option("--depth", type=float, help="At least this, mag.")
@click.option(
    "--keyword", "keywords", multiple=True, metavar="TEST", help="What the header says: 'AIRMASS>1.5', 'OBJECT=M 31', 'HISTORY~flat'."
)
@click.option("--limit", type=int, help="At most so many rows.")
@format_option
@boundary
def frames(home: Path, form: str, limit: int | None, **wanted: Any) -> None:
    """List frames.

    Tests of --keyword are NAME>NUMBER, NAME<NUMBER, NAME=VALUE (a number, T, F, or a text, in quotes if it looks like one of these),
    NAME~TEXT (holds the text, in any case), NAME (is there) and !NAME (is not there).
    """
    with ezarchive.Archive.open(home, write=False) as archive:
        show(_browser(archive, wanted).listing(limit), form)


def _browser(archive: Any, wanted: dict[str, Any]) -> Any:
    browser = ezarchive.DataBrowser(archive, wanted["root"])
    names = {"objname": wanted["objname"], "telname": wanted["telname"], "filter": wanted["filter_"], "kind": wanted["kinds"]}
    names |= {"observatory": wanted["observatory"], "telkey": wanted["telkey"]}
    browser = browser.where(**{key: list(value) for key, value in names.items() if value})
    if wanted["seeing"] is not None:
        browser = browser.where(seeing=(None, wanted["seeing"]))
    if wanted["depth"] is not None:
        browser = browser.where(depth=(wanted["depth"], None))
    browser = browser.where_header(*wanted["keywords"])
    if wanted["near"]:
        browser = browser.near(*wanted["near"])
    if wanted["covering"]:
        browser = browser.covering(wanted["covering"])
    return browser.between(*wanted["between"]) if wanted["between"] else browser


@cli.command()
@home_argument
@selection
@click.option("--method", help="sex: detection and photometry as SExtractor does it; photutils: the same columns by photutils.")
@workers_options
@click.option("--again", is_flag=True, help="Measure also what this recipe has measured already, in a new run.")
@click.option("--set", "settings", multiple=True, metavar="OPTION=VALUE", help="An option of measure, as aperture_diameter_arcsec=5,7.")
@boundary
def measure(home: Path, objname: Any, telname: Any, filter_: Any, settings: tuple[str, ...], **options: Any) -> None:
    """Measure frames that have not been measured, a Parquet catalog each."""
    names = {key: list(value) for key, value in (("objname", objname), ("telname", telname), ("filter", filter_)) if value}
    chosen_options = settings_of(settings, ("frames", *options))
    with ezarchive.Archive.open(home) as archive:
        chosen = ezarchive.DataBrowser(archive).where(kind="science", **names).frames() if names else None
        report = archive.measure(chosen, **options, **chosen_options)
    click.echo(report)
    sys.exit(0 if report.ok else 1)


@cli.command()
@home_argument
@click.option("--sample", type=float, help="Hash only this share of the files (0 to 1), or this many (2 ...); 0: none. All by default.")
@boundary
def verify(home: Path, sample: float | None) -> None:
    """Compare the database with the files; exit code 1 when something is wrong."""
    with ezarchive.Archive.open(home) as archive:
        report = archive.verify(sample=sample)
    click.echo(report)
    sys.exit(0 if report.ok else 1)


@cli.command()
@home_argument
@click.option("--all", "everything", is_flag=True, help="Also entries that a later success resolved.")
@format_option
@boundary
def quarantine(home: Path, everything: bool, form: str) -> None:
    """List files and frames that could not be read or measured, and why."""
    with ezarchive.Archive.open(home, write=False) as archive:
        show(archive.quarantine(resolved=everything), form)


@cli.command()
@home_argument
@format_option
@boundary
def runs(home: Path, form: str) -> None:
    """List runs of measurement: recipe, time, counts."""
    with ezarchive.Archive.open(home, write=False) as archive:
        show(archive.runs(), form)


@cli.command()
@home_argument
@click.argument("run_id", type=int, required=False)
@click.option("--method", default="sex", show_default=True, help="Without RUN_ID: whose catalogs.")
@boundary
def pin(home: Path, run_id: int | None, method: str) -> None:
    """Make light curves use the catalogs of one run, whatever is measured later; without RUN_ID, the newest again."""
    with ezarchive.Archive.open(home) as archive:
        count = archive.pin(run_id, method=method)
    click.echo(f"{count} catalogs {'free again: the newest counts' if run_id is None else f'pinned to run {run_id}'}")


@cli.command()
@home_argument
@click.option("--workers", type=int)
@boundary
def nightly(home: Path, workers: int | None) -> None:
    """Index, measure what is new, log and sum up; for cron. Exit code 0, 1 (something failed) or 2 (could not run)."""
    from ezarchive import nightly as verb  # noqa: PLC0415  the command has the verb's name

    with ezarchive.Archive.open(home) as archive:
        report = verb.nightly(archive, workers=workers)
    click.echo(report)
    sys.exit(report.exit_code)


@cli.command()
@home_argument
@boundary
def migrate(home: Path) -> None:
    """Bring the database of an older ezarchive up to date."""
    ezarchive.Archive.migrate(home)
    click.echo(f"{home}: database is up to date")


@cli.command()
@click.argument("home", type=click.Path(path_type=Path), default="ezarchive-demo")
@boundary
def demo(home: Path) -> None:
    """Simulate a small archive in HOME, index it, measure it, and show a variable star."""
    from ezarchive import demo as verb  # noqa: PLC0415  the command has the verb's name

    verb.demo(home, say=click.echo)
