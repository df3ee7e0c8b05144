"""The commands that explain what is stored: the columns and the quality bits, printed from the code that defines them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import click

from ezarchive import columns as stored
from ezarchive import flags as bits
from ezarchive.cli.common import boundary, cli, format_option

FAMILIES: dict[str, tuple[str, tuple[stored.Column, ...]]] = {
    "frame": ("one frame (SQL: frames)", (*stored.NAMES, *stored.FRAME)),
    "link": ("of a frame, in every catalog", stored.CATALOG_LINK),
    "source": ("one detected source", stored.SOURCE),
    "photutils": ("besides, where photutils detected it", stored.PHOTUTILS),
    "aperture": ("one circular aperture; the second has the suffix _1, the third _2 ...", stored.APERTURE),
    "forced": ("one position of forced photometry", stored.FORCED),
    "annulus": ("the ring around an aperture, with its suffix", stored.ANNULUS),
    "ellipse": ("one forced ellipse", stored.ELLIPSE),
    "ellipse_annulus": ("the ring around an ellipse", stored.ELLIPSE_ANNULUS),
    "calibrated": (
        "what zero points add to a catalog when it is read; for APER_1 ... as for APER",
        (*stored.calibrated("AUTO"), *stored.calibrated("APER"), *stored.calibrated("ELIP")),
    ),
    "light_curve": ("one point of a light curve (SQL: light_curve)", stored.LIGHT_CURVE),
    "object": ("one object (SQL: objects)", stored.OBJECT),
    "object_filter": ("one object in one filter (SQL: object_filters)", stored.OBJECT_FILTER),
    "ambiguous": ("two objects that share a place (SQL: ambiguous)", stored.AMBIGUOUS),
    "alias": ("an id that is another one now (SQL: aliases)", stored.ALIAS),
}
"""Family -> what its rows are, and its columns."""

FLAG_FAMILIES = {
    "FLAGS": ("bits of FLAGS, those of SExtractor", bits.FLAGS),
    "FLAGS_APER": ("bits of FLAGS_APER and FLAGS_ELIP", bits.FLAGS_APER),
    "quality": ("bits of a frame's quality", bits.QUALITY),
}
"""Column of bits -> what they are, and the bits."""


@cli.command()
@click.option("--family", "families", multiple=True, type=click.Choice(list(FAMILIES)), help="Only this one; repeat for more.")
@format_option
@boundary
def columns(families: tuple[str, ...], form: str) -> None:
    """Explain every stored column: type, unit, UCD, meaning."""
    names = ("family", "name", "dtype", "unit", "ucd", "description")
    rows = [(family, *column) for family in families or FAMILIES for column in FAMILIES[family][1]]
    titles = {family: title for family, (title, _) in FAMILIES.items()}
    _print(names, rows, form, titles)


@cli.command()
@format_option
@boundary
def flags(form: str) -> None:
    """Explain every quality bit."""
    rows = [(family, *flag) for family, (_, members) in FLAG_FAMILIES.items() for flag in members]
    _print(("family", "bit", "name", "meaning"), rows, form, {family: title for family, (title, _) in FLAG_FAMILIES.items()})


def _print(names: Sequence[str], rows: Sequence[Sequence[object]], form: str, titles: dict[str, str]) -> None:
    if form != "table":
        import pyarrow as pa  # noqa: PLC0415  the command line must start fast

        from ezarchive.catalogs.result import QueryResult  # noqa: PLC0415

        result = QueryResult(pa.table({name: [row[i] for row in rows] for i, name in enumerate(names)}))
        click.echo(result.to_csv() if form == "csv" else result.to_json(), nl=False)
        return
    # Families under headings, and no text cut: the meanings are what is asked for.
    for place, family in enumerate(dict.fromkeys(row[0] for row in rows)):
        click.echo(f"{'' if not place else chr(10)}{family}: {titles[str(family)]}")
        for line in _aligned([names[1:], *(row[1:] for row in rows if row[0] == family)]):
            click.echo("  " + line)


def _aligned(rows: Iterable[Sequence[object]]) -> list[str]:
    cells = [["" if value is None else str(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
