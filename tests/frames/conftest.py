"""Headers and files for the tests of this room."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from ezarchive.config import RootSettings
from ezarchive.frames.cards import Cards
from ezarchive.frames.header import build_frame, read_file
from ezarchive.frames.instruments import Instruments

BASE = {
    "NAXIS": 2,
    "NAXIS1": 300,
    "NAXIS2": 200,
    "CTYPE1": "RA---TAN",
    "CTYPE2": "DEC--TAN",
    "CRVAL1": 150.0,
    "CRVAL2": 2.0,
    "CRPIX1": 150.5,
    "CRPIX2": 100.5,
    "CD1_1": -1.4e-4,
    "CD1_2": 0.0,
    "CD2_1": 0.0,
    "CD2_2": 1.4e-4,
    "DATE-OBS": "2025-09-01T02:00:00",
    "EXPTIME": 100.0,
}


def card(text):
    """A card as it stands, legal or not."""
    raw = text if isinstance(text, bytes) else text.encode("latin-1")
    return raw.ljust(80)[:80]


def raw_cards(**values):
    """Cards of simple values; None leaves one out, and a leading ``=`` writes the rest as it stands."""
    lines = []
    for keyword, value in values.items():
        name = keyword.replace("__", " ").replace("_-_", "-")
        if value is None:
            continue
        if isinstance(value, str) and value.startswith("="):
            text = value[1:].strip()
        elif isinstance(value, bool):
            text = f"{'T' if value else 'F':>20}"
        elif isinstance(value, str):
            text = "'" + value.replace("'", "''").ljust(8) + "'"
        else:
            text = f"{value!r:>20}".upper()
        lines.append(card(f"{name:<8}= {text}" if len(name) <= 8 else f"HIERARCH {name} = {text}"))
    return b"".join(lines)


@pytest.fixture(scope="session")
def instruments():
    return Instruments.load()


@pytest.fixture(scope="session")
def make_cards():
    """Cards of an ordinary image with some changed; None leaves one out."""

    def make(changes=None, **more):
        return Cards(raw_cards(**{**BASE, **(changes or {}), **more}))

    return make


@pytest.fixture(scope="session")
def build(make_cards):
    """A frame from the cards of an ordinary image with some changed."""

    def make(changes=None, *, relpath="", kind="science", sites=None, **root):
        root.setdefault("layout", "")
        settings = RootSettings(path="/r", kind=kind, **root)
        return build_frame(make_cards(changes), relpath=relpath, root=settings, root_name="r", sites=sites)

    return make


@pytest.fixture
def read(tmp_path, instruments):
    """Read a file below the test's folder."""

    def reading(path, *, kind="science", layout="", **root):
        settings = RootSettings(path=tmp_path, kind=kind, layout=layout, **root)
        relpath = str(path.relative_to(tmp_path))
        return read_file(path, relpath=relpath, root=settings, root_name="r", instruments=instruments, sites={})

    return reading


@pytest.fixture
def fits_bytes():
    """The bytes of a FITS file out of raw cards and data."""

    def make(cards, data=b"", pad=True):
        header = cards + card("END")
        header = header.ljust(-(-len(header) // 2880) * 2880)
        return header + (data.ljust(-(-len(data) // 2880) * 2880, b"\0") if pad else data)

    return make


@pytest.fixture
def image_header():
    """An astropy header of an ordinary image."""
    header = fits.Header()
    for keyword, value in BASE.items():
        if not keyword.startswith("NAXIS"):
            header[keyword] = value
    return header


@pytest.fixture
def image_data():
    return np.arange(60_000, dtype=np.float32).reshape(200, 300)
