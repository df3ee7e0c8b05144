"""From a FITS file to its frames: what the indexer's workers run for each new file.

`read_file` gives a `ReadFrame` for every 2-D image HDU, or raises `FrameError` with one of these codes:

=================  ====================================================================================
``empty``          0 bytes
``not_fits``       does not begin as a FITS file does (a text file, a folder)
``truncated``      shorter than its headers say (the indexer waits for a file that is still being written)
``bad_header``     no END card, or NAXIS, NAXISn or BITPIX missing or impossible
``absurd_size``    an image with a side above a million pixels
``bad_coordinates``  CRVAL is NaN or infinite
``no_image``       no 2-D image in any HDU
``bad_compression``  a damaged gzip file
``no_permission``  may not be read
``vanished``       is not there (any more)
``io_error``       the disk or the network failed
=================  ====================================================================================

`build_frame` does the part that needs no file: header and path in, `Frame` out.
"""

from __future__ import annotations

import os
import warnings
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from ezarchive import sky
from ezarchive.config import RootSettings, SiteSettings
from ezarchive.errors import FrameError, InputError
from ezarchive.frames import hdus
from ezarchive.frames.cardfinder import END_CARD
from ezarchive.frames.cards import Cards
from ezarchive.frames.draft import Context, Draft
from ezarchive.frames.instruments import Instruments
from ezarchive.frames.layout import layout, printable
from ezarchive.frames.names import put_kind, put_names
from ezarchive.frames.numbers import put_numbers, put_pointing, put_times
from ezarchive.frames.record import Frame
from ezarchive.frames.wcs import has_bad_coordinates, wcs_from_header

__all__ = ["ReadFrame", "build_frame", "data_hash", "read_cards", "read_file", "read_header", "wcs_from_header"]

_PRINTABLE = bytes(byte if 0x20 <= byte < 0x7F else 0x3F for byte in range(256))
_ZLIB_LEVEL = 2
"""Cards shrink by 3.6 at level 2 and by 4.1 at level 6, which takes twice the time."""

_NO_CELLS = np.empty(0, np.int64)


@dataclass(frozen=True)
class ReadFrame:
    """A frame as it was read from a file, and what the index needs beside it."""

    frame: Frame
    cards: bytes
    """The raw cards of its HDU, zlib-compressed; those of an extension are followed by an END card and those of the primary header."""
    cells: NDArray[np.int64] = field(default_factory=lambda: _NO_CELLS)
    """HEALPix cells (NESTED, ``sky.CELL_ORDER``) that its footprint touches; empty without a WCS."""
    data_offset: int | None = None
    """First byte of its data unit; None where the file is compressed."""
    data_bytes: int | None = None
    """Size of its data unit without padding; None where it is compressed."""
    parent_name: str | None = None
    """Name of the file in the same folder that it was made from."""
    parent_hdu: int | None = None
    """The HDU of that file, where it is the frame's own file."""


class _Source(NamedTuple):
    """Where a file lies and how it is to be read."""

    relpath: str
    root: RootSettings
    root_name: str
    instruments: Instruments
    sites: Mapping[str, SiteSettings]


class _Built(NamedTuple):
    frame: Frame
    view: sky.FieldOfView | None
    parent: str | None


def read_file(
    path: str | os.PathLike[str],
    *,
    relpath: str,
    root: RootSettings,
    root_name: str,
    instruments: Instruments,
    sites: Mapping[str, SiteSettings],
) -> list[ReadFrame]:
    """Read the frames of a file.

    Parameters
    ----------
    path : path
        The file.
    relpath : str
        Its path below the root; undecodable bytes as ``os.fsdecode`` gives them.
    root : RootSettings
        Kind, layout, order and defaults.
    root_name : str
        Name of the root.
    instruments : Instruments
        Facts about headers and cameras.
    sites : mapping
        Observatory to `SiteSettings`.

    Returns
    -------
    list of ReadFrame
        In the order of the HDUs.

    Raises
    ------
    FrameError
        If the file cannot be used; the codes are in the module's description.
    """
    source = _Source(relpath, root, root_name, instruments, sites)
    with hdus.open_fits(path) as opened:
        found = list(hdus.scan(opened))
        images = [hdu for hdu in found if hdu.is_frame]
        if not images:
            shapes = ", ".join(" x ".join(map(str, hdu.shape)) or "no data" for hdu in found)
            raise FrameError("no_image", f"no HDU holds a 2-D image: found {shapes}")
        primary = found[0]
        frames = [_read_frame(opened, hdu, primary, source) for hdu in images]
    return _with_parents(frames, images, source)


def build_frame(
    header: fits.Header | Cards,
    *,
    relpath: str = "",
    root: RootSettings | None = None,
    root_name: str = "",
    instruments: Instruments | None = None,
    sites: Mapping[str, SiteSettings] | None = None,
    hdu: int = 0,
) -> Frame:
    """Make a `Frame` from a header and a path, without a file.

    Parameters
    ----------
    header : Header or Cards
        Of an image, with NAXIS1 and NAXIS2.
    relpath : str
        Path below the root; its layout gives fields.
    root : RootSettings, optional
        A science root with the default layout unless given.
    root_name : str
        Name of the root.
    instruments : Instruments, optional
        The built-in ones unless given.
    sites : mapping, optional
        Observatory to `SiteSettings`.
    hdu : int
        Number of the HDU.

    Returns
    -------
    Frame
        Without hashes.

    Raises
    ------
    FrameError
        ``bad_coordinates`` if CRVAL is NaN or infinite.
    """
    root = root if root is not None else RootSettings(path=Path())
    source = _Source(relpath, root, root_name, instruments if instruments is not None else Instruments.load(), sites or {})
    return _build(Cards.of(header), source, hdu, {}).frame


def read_header(path: str | os.PathLike[str], hdu: int = 0) -> fits.Header:
    """Return the header of one HDU, as that of a plain image if it is tile-compressed.

    Parameters
    ----------
    path : path
    hdu : int

    Returns
    -------
    Header
        Cards that the standard does not allow are in it as they are, and silent; bytes that are not ASCII show as ``?``.

    Raises
    ------
    FrameError
        If the file cannot be read or has no such HDU.
    """
    raw = read_cards(path, hdu).raw
    with warnings.catch_warnings():
        # Illegal cards are the index's business (quality bit BAD_CARDS), not that of everyone who looks at a header.
        warnings.simplefilter("ignore")
        return fits.Header.fromstring(raw.translate(_PRINTABLE))


def read_cards(path: str | os.PathLike[str], hdu: int = 0) -> Cards:
    """Return the cards of one HDU, as those of a plain image if it is tile-compressed; errors are those of `read_header`."""
    with hdus.open_fits(path) as opened:
        return Cards(_find(opened, hdu).raw)


def data_hash(path: str | os.PathLike[str], hdu: int = 0) -> str:
    """Return the hash of the data unit of one HDU.

    Parameters
    ----------
    path : path
    hdu : int

    Returns
    -------
    str
        SHA-256 of the data unit without padding: of its uncompressed bytes where the file is gzipped, so that it equals that of the
        plain file; of the stored bytes where the image is tile-compressed.

    Raises
    ------
    FrameError
        If the file cannot be read or has no such HDU.
    """
    with hdus.open_fits(path) as opened:
        return hdus.data_digest(opened, _find(opened, hdu))


def _find(opened: hdus.Opened, index: int) -> hdus.HDU:
    for hdu in hdus.scan(opened):
        if hdu.index == index:
            return hdu
    raise FrameError("no_image", f"the file has no HDU {index}")


def _read_frame(opened: hdus.Opened, hdu: hdus.HDU, primary: hdus.HDU, source: _Source) -> ReadFrame:
    cards = Cards(hdu.raw, Cards(primary.raw) if hdu.index else None)
    hashes = {"header_hash": hdus.header_hash(hdu, primary), "data_sample": hdus.data_sample(opened, hdu)}
    built = _build(cards, source, hdu.index, {"naxis1": hdu.shape[0], "naxis2": hdu.shape[1], **hashes})
    plain = not (opened.gzipped or hdu.compressed)
    return ReadFrame(
        frame=built.frame,
        cards=zlib.compress(hdu.raw + END_CARD + primary.raw if hdu.index else hdu.raw, _ZLIB_LEVEL),
        cells=sky.cells_of_polygon(built.view.vertices) if built.view is not None else _NO_CELLS,
        data_offset=hdu.data_offset if plain else None,
        data_bytes=hdu.data_bytes if plain else None,
        parent_name=built.parent,
    )


def _build(cards: Cards, source: _Source, hdu: int, facts: Mapping[str, Any]) -> _Built:
    filename = source.relpath.rpartition("/")[2]
    path = {name: printable(text) for name, text in layout(source.root.template).parse(source.relpath).items()}
    camera = source.instruments.identify(cards, {**{k: str(v) for k, v in source.root.defaults.items()}, **path})
    context = Context(cards, camera, source.root, filename, path)
    draft = Draft()
    draft.put("naxis1", cards.get("NAXIS1") or 0)
    draft.put("naxis2", cards.get("NAXIS2") or 0)
    draft.values.update(facts)
    view = _put_view(draft, context)
    parent = put_kind(draft, context)
    put_names(draft, context)
    put_numbers(draft, context)
    put_times(draft, context, source.sites)
    if cards.bad or (cards.fallback is not None and cards.fallback.bad):
        draft.flag("BAD_CARDS")
    frame = Frame(
        root=source.root_name or None,
        relpath=source.relpath or None,
        path=os.fspath(source.root.path / source.relpath) if source.relpath else None,
        hdu=hdu,
        quality=draft.quality,
        origin=draft.provenance(),
        **draft.values,
    )
    return _Built(frame, view, parent)


def _put_view(draft: Draft, context: Context) -> sky.FieldOfView | None:
    """Fill in where the image lies, if its WCS says so."""
    wrong = has_bad_coordinates(context.cards)
    if wrong is not None:
        raise FrameError("bad_coordinates", wrong)
    wcs = wcs_from_header(context.cards)
    try:
        view = sky.field_of_view(wcs, draft.values["naxis1"], draft.values["naxis2"]) if wcs is not None else None
    except InputError as err:
        draft.note("wcs_ok", str(err))
        view = None
    if view is None:
        if wcs is None and context.cards.text("CTYPE1"):
            draft.note("wcs_ok", "CTYPE and the like make no complete celestial WCS")
        draft.flag("NO_WCS")
        put_pointing(draft, context)
        return None
    draft.values |= {"wcs_ok": True, "ra": view.ra, "dec": view.dec, "radius": view.radius, "pixel_scale": view.pixel_scale}
    draft.put("s_region", sky.s_region(view.vertices))
    return view


def _with_parents(frames: list[ReadFrame], images: list[hdus.HDU], source: _Source) -> list[ReadFrame]:
    """Link error maps, masks and the like to the image in the same file that they belong to, if there is one."""
    if len(frames) < 2:
        return frames
    versions = [Cards(hdu.raw).get("EXTVER", 1) for hdu in images]
    own = source.relpath.rpartition("/")[2]
    owners = {}
    for read, version in zip(frames, versions, strict=True):
        if read.frame.origin.get("kind") != "header:EXTNAME":
            owners.setdefault(version, read.frame.hdu)
    linked = []
    for read, version in zip(frames, versions, strict=True):
        if version in owners and read.frame.origin.get("kind") == "header:EXTNAME":
            read = ReadFrame(**{**vars(read), "parent_name": own, "parent_hdu": owners[version]})
        linked.append(read)
    return linked
