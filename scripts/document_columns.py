#!/usr/bin/env python3
"""Rewrite the tables of columns and flags in data_layout.md from the code; with --check, only say whether they are up to date."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from ezarchive import columns, flags
from ezarchive.catalogs import compared, looked, views

DOCUMENT = Path(__file__).resolve().parents[1] / "data_layout.md"
TABLES = {
    "frame": columns.NAMES + columns.FRAME,
    "link": columns.CATALOG_LINK,
    "source": columns.SOURCE,
    "aperture": columns.APERTURE,
    "photutils": columns.PHOTUTILS,
    "forced": columns.FORCED,
    "annulus": columns.ANNULUS,
    "ellipse": columns.ELLIPSE,
    "ellipse_annulus": columns.ELLIPSE_ANNULUS,
    "calibrated": (*columns.calibrated("AUTO"), *columns.calibrated("APER")),
    "zero_points": views.ZERO_POINTS_SCHEMA,
    "image_fits": compared.IMAGE_FITS_SCHEMA,
    "anchors": compared.ANCHORS_SCHEMA,
    "aperture_photometry": looked.APERTURE_PHOTOMETRY_SCHEMA,
    "light_curve": columns.LIGHT_CURVE,
    "store": columns.STORE,
    "object": columns.OBJECT,
    "object_filter": columns.OBJECT_FILTER,
    "ambiguous": columns.AMBIGUOUS,
    "alias": columns.ALIAS,
    "flags": flags.FLAGS,
    "flags_aper": flags.FLAGS_APER,
    "flags_look": flags.FLAGS_LOOK,
    "quality": flags.QUALITY,
}


def table(rows: tuple) -> str:
    """Return the Markdown table of columns or flags."""
    if isinstance(rows[0], flags.Flag):
        lines = ["| bit | name | meaning |", "|--:|---|---|"]
        lines += [f"| {flag.bit} | `{flag.name}` | {flag.meaning} |" for flag in rows]
    else:
        lines = ["| column | type | unit | meaning |", "|---|---|---|---|"]
        lines += [f"| `{c.name}` | {c.dtype} | {c.unit or ''} | {c.description} |" for c in rows]
    return "\n".join(lines)


def updated(text: str) -> str:
    """Return the document with every table between its marks made anew."""
    for name, rows in TABLES.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
        if not pattern.search(text):
            raise SystemExit(f"{DOCUMENT.name}: has no marks for the table {name}")
        text = pattern.sub(lambda match, rows=rows: f"{match[1]}{table(rows)}\n{match[2]}", text)
    return text


def main() -> int:
    """Rewrite or check."""
    before = DOCUMENT.read_text(encoding="utf-8")
    after = updated(before)
    if "--check" in sys.argv[1:]:
        return int(before != after)
    DOCUMENT.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
