"""``ezarchive fit-photometry``, ``regrid`` and ``wideband``: one image against another."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ezarchive.cli.common import boundary, cli
from ezarchive.compare.arguments import FIT_BOTH, Option, options_for
from ezarchive.errors import EzarchiveError, InputError
from ezarchive.files import atomic_write, check_output

if TYPE_CHECKING:
    from ezarchive.compare.results import FittedPhotometry

_FORMS = ("table", "ecsv", "json")
_OUTDIR = click.option("--outdir", type=click.Path(path_type=Path), help="Folder of all files that are written.")
_QUIET = click.option("--quiet", is_flag=True, help="Print nothing but errors.")
_PATH = click.Path(path_type=Path)


def fit_options(function: Callable[..., None]) -> Callable[..., None]:
    """Take the options of the fits, with ``-`` as well as ``_`` in their names."""
    for option in reversed(options_for(FIT_BOTH)):
        function = _click_option(option)(function)
    return function


def _click_option(option: Option) -> Callable[..., Any]:
    names = list(dict.fromkeys([f"--{option.name.replace('_', '-')}", f"--{option.name}", option.name]))
    if option.kind is None and option.default:
        return click.option(f"--{option.name}/--no-{option.name}", default=True, help=option.help)
    if option.kind is None:
        return click.option(*names, is_flag=True, help=option.help)
    shown = option.default is not None
    metavar = " ".join(option.metavar) if isinstance(option.metavar, tuple) else option.metavar
    kind = _Text(option.kind, option.metavar) if option.count == 1 else float
    return click.option(
        *names, type=kind, nargs=option.count, default=option.default, show_default=shown, metavar=metavar, help=option.help
    )


class _Text(click.ParamType):
    """What a function makes of a text; a text that it refuses is a wrong option."""

    def __init__(self, kind: Callable[[str], Any], name: Any) -> None:
        self.kind, self.name = kind, str(name).lower()

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return self.kind(value)
        except ValueError:
            self.fail(f"{value!r}: must be a number, or none", param, ctx)


@cli.command("fit-photometry")
@click.argument("hst", type=_PATH)
@click.argument("muse", type=_PATH, nargs=-1, required=True)
@fit_options
@click.option("--verbose", is_flag=True, help="Also tell each fit at length.")
@click.option("--format", "form", type=click.Choice(_FORMS), help="How to print.  [default: table]")
@click.option("-o", "--output", type=_PATH, help="Write all values with their errors here: .ecsv or .json.")
@click.option("--workers", "nworker", type=int, default=0, show_default=True, help="Processes; 0: the cores, -1: one less.")
@_OUTDIR
@boundary
def fit_photometry(
    hst: Path, muse: tuple[Path, ...], verbose: bool, form: str | None, output: Path | None, nworker: int, **options: Any
) -> None:
    """Fit seeing, scale, offset and pointing of images MUSE by the reference image HST, on the same grid.

    With --star, by all that they share (or, by default, the pixels of the star) and by the star alone: two lines an image.
    """
    if output is not None and output.suffix not in (".ecsv", ".json"):
        raise InputError(f"--output {str(output)!r}: the suffix must be .ecsv or .json")
    if output is not None:
        check_output(output, "--output", [hst, *muse])
    found, failed = [], 0
    tell = form in (None, "table")
    with _fits(hst, muse, nworker, options) as fits:
        for path in muse:
            try:
                results = next(fits)
            except EzarchiveError as err:
                click.echo(f"ezarchive: {path}: {err}", err=True)
                failed += 1
                continue
            for result in results if isinstance(results, tuple) else (results,):
                if tell:
                    click.echo(result.summary(header=not found))
                if verbose:
                    click.echo(result.fit_report, err=not tell)
                found.append(result)
    if not tell:
        click.echo(_text(found, form), nl=False)
    if output is not None and found:
        with atomic_write(output) as stream:
            stream.write(_text(found, output.suffix[1:]).encode())
    sys.exit(1 if failed else 0)


def _fits(hst: Path, muse: Sequence[Path], nworker: int, options: dict[str, Any]) -> Any:
    from ezarchive.compare import iterators, skin  # noqa: PLC0415  the command line must start fast
    from ezarchive.compare.arguments import extract_function_args  # noqa: PLC0415

    if options["star"] is None:
        kind, function = iterators.FitImagePhotometryMP, skin.fit_image_photometry
    else:
        kind, function = iterators.FitImageAndStarPhotometryMP, skin.fit_image_and_star_photometry
    return kind(hst, muse, extract_function_args(options, function), nworker)


def _text(found: list[FittedPhotometry], form: str) -> str:
    """Return results as ECSV, or as a JSON list."""
    if form == "json":
        return json.dumps([result.to_dict() for result in found], indent=1) + "\n"
    import io  # noqa: PLC0415

    from astropy.table import vstack  # noqa: PLC0415

    stream = io.StringIO()
    if found:
        vstack([result.to_table() for result in found], metadata_conflicts="silent").write(stream, format="ascii.ecsv")
    return stream.getvalue()


@cli.command()
@click.argument("muse", type=_PATH)
@click.argument("hst", type=_PATH, nargs=-1, required=True)
@click.option("--field", help="In the names of the files; the name of MUSE by default.")
@click.option("--no-rescale", is_flag=True, help="Leave the fluxes in their own unit.")
@_QUIET
@_OUTDIR
@boundary
def regrid(muse: Path, hst: tuple[Path, ...], field: str | None, no_rescale: bool, quiet: bool, outdir: Path | None) -> None:
    """Put reference images HST on the grid, and into the unit, of an image or cube MUSE: hst_<FILTER>_for_<MUSE>.fits."""
    from ezarchive.compare.steps import regrid_files  # noqa: PLC0415  the command line must start fast

    for path in regrid_files(muse, hst, field=field, outdir=outdir, rescale=not no_rescale):
        if not quiet:
            click.echo(f"{path}: written")


@cli.command()
@click.argument("curve", type=_PATH)
@click.argument("cubes", type=_PATH, nargs=-1, required=True, metavar="CUBE...")
@click.option("--prefix", help="First part of the names of the files; by default the name of CURVE up to its first point.")
@click.option("--wave-units", "--wave_units", default="Angstrom", show_default=True, help="Of the wavelengths in CURVE.")
@click.option("--interpolation", type=click.Choice(["linear", "cubic"]), default="linear", show_default=True)
@click.option("--nprocess", type=int, default=0, show_default=True, help="How many read and add up planes; 0: the cores, -1: one less.")
@_QUIET
@_OUTDIR
@boundary
def wideband(curve: Path, cubes: tuple[Path, ...], quiet: bool, **options: Any) -> None:
    """Make the images that a filter shows of cubes, from CURVE, a text file of wavelengths and sensitivities."""
    from ezarchive.compare.steps import wideband_files  # noqa: PLC0415  the command line must start fast

    for path in wideband_files(curve, cubes, **options):
        if not quiet:
            click.echo(f"{path}: written")


def fit_photometry_main(argv: Sequence[str] | None = None) -> None:
    """Run ``ezarchive fit-photometry`` with the arguments of a script (`sys.argv`, its name first), and end the process."""
    _run(fit_photometry, argv)


def regrid_hst_to_muse_main(argv: Sequence[str] | None = None) -> None:
    """Run ``ezarchive regrid`` with the arguments of a script (`sys.argv`, its name first), and end the process."""
    _run(regrid, argv)


def make_wideband_image_main(argv: Sequence[str] | None = None) -> None:
    """Run ``ezarchive wideband`` with the arguments of a script (`sys.argv`, its name first), and end the process."""
    _run(wideband, argv)


def _run(command: click.Command, argv: Sequence[str] | None) -> None:
    name, *arguments = [str(part) for part in (sys.argv if argv is None else argv)]
    command.main(arguments, prog_name=Path(name).name)
