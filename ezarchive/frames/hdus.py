"""The HDUs of a file: where headers and data units lie, whether they are all there, and their hashes.

A file is read as it lies, with one `open` and as few reads as there are headers. Gzipped files are recognised by their content.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import BinaryIO, NamedTuple

from ezarchive.errors import FrameError
from ezarchive.frames.cards import CARD, Cards

BLOCK = 2880
"""Bytes of a FITS block."""

MAX_AXIS = 1_000_000
"""Longest side of an image that is believed."""

_MAX_BYTES = 1 << 43
_MAX_HEADER = 10_000 * BLOCK
_FIRST_READ = 8 * BLOCK
_SAMPLES = 8
_CHUNK = 1 << 20
_END = b"END     "
_BITPIX = (8, 16, 32, 64, -32, -64)

# What tile compression (FITS 4.0, section 10) and the table that carries it add to a header; ZP and the like are not theirs.
_COMPRESSION = re.compile(
    rb"(XTENSION|BITPIX  |NAXIS   |NAXIS[12]  |PCOUNT  |GCOUNT  |TFIELDS |T(TYPE|FORM|UNIT|NULL|SCAL|ZERO|DISP|DIM)\d+ *|ZIMAGE  "
    rb"|ZTILE\d+ *|ZCMPTYPE|ZNAME\d+ *|ZVAL\d+ *|ZMASKCMP|ZQUANTIZ|ZDITHER0|ZBLANK  |ZSCALE  |ZZERO   |ZTABLE  |ZTHEAP  |THEAP   )\Z"
)
_RESTORED = {
    b"ZSIMPLE ": b"SIMPLE  ",
    b"ZTENSION": b"XTENSION",
    b"ZBITPIX ": b"BITPIX  ",
    b"ZNAXIS  ": b"NAXIS   ",
    b"ZEXTEND ": b"EXTEND  ",
    b"ZBLOCKED": b"BLOCKED ",
    b"ZPCOUNT ": b"PCOUNT  ",
    b"ZGCOUNT ": b"GCOUNT  ",
    b"ZHECKSUM": b"CHECKSUM",
    b"ZDATASUM": b"DATASUM ",
    **{b"ZNAXIS%-2d" % n: b"NAXIS%-3d" % n for n in range(1, 10)},
}
_FIRST_CARDS = (b"SIMPLE  ", b"XTENSION", b"BITPIX  ", b"NAXIS   ", *(b"NAXIS%-3d" % n for n in range(1, 10)))

# Cards that the header hash leaves out: written anew with every copy, or a matter of how the file is built.
_NOT_HASHED = frozenset((b"DATE    ", b"HISTORY ", b"COMMENT ", b"        ", b"CHECKSUM", b"DATASUM ", b"END     "))
_STRUCTURE = re.compile(
    rb"(SIMPLE  |XTENSION|BITPIX  |NAXIS\d* *|EXTEND  |PCOUNT  |GCOUNT  |BLOCKED |FZALGOR |FZQVALUE|FZQMETHD|FZDTHRSD)\Z"
)


class HDU(NamedTuple):
    """One HDU: its header as an uncompressed image would have it, and where its data lie."""

    index: int
    raw: bytes
    """The cards, without END and padding; of a tile-compressed image, those of the image."""
    bitpix: int
    shape: tuple[int, ...]
    """NAXIS1, NAXIS2, ... of the image."""
    is_image: bool
    compressed: bool
    """Whether the image is tile-compressed."""
    data_offset: int
    data_bytes: int
    """Size of the data unit as stored, without padding."""

    @property
    def is_frame(self) -> bool:
        """Whether it is one 2-D image (further axes of length 1 are let pass)."""
        return self.is_image and len(self.shape) >= 2 and min(self.shape[:2]) > 1 and all(n == 1 for n in self.shape[2:])


class Opened(NamedTuple):
    """An open FITS file: the stream of its uncompressed bytes and their number (None where only the end will tell)."""

    stream: BinaryIO
    size: int | None
    gzipped: bool


@contextmanager
def open_fits(path: str | os.PathLike[str]) -> Iterator[Opened]:
    """Open a FITS file, gzipped or not.

    Parameters
    ----------
    path : path

    Yields
    ------
    Opened

    Raises
    ------
    FrameError
        ``empty``, ``not_fits``, ``no_permission``, ``vanished``, ``io_error``; of gzipped files ``truncated`` and ``bad_compression``.
    """
    try:
        with open(path, "rb") as stream:  # noqa: PTH123  a path may hold bytes that are no text
            size = os.fstat(stream.fileno()).st_size
            if size == 0:
                raise FrameError("empty", "the file is empty: it holds 0 bytes and must hold a FITS header")
            if stream.read(2) != b"\x1f\x8b":
                stream.seek(0)
                yield Opened(stream, size, False)
                return
            size = _gzip_size(stream)
            with gzip.GzipFile(fileobj=stream, mode="rb") as inner:
                yield Opened(inner, size, True)
    except PermissionError as err:
        raise FrameError("no_permission", "the file may not be read: give this user the permission") from err
    except FileNotFoundError as err:
        raise FrameError("vanished", "the file has vanished") from err
    except IsADirectoryError as err:
        raise FrameError("not_fits", "this is a folder and must be a FITS file") from err
    except EOFError as err:
        raise FrameError("truncated", "the gzipped file ends before its data do") from err
    except (gzip.BadGzipFile, zlib.error) as err:
        raise FrameError("bad_compression", f"the gzipped file is damaged: {err}") from err
    except OSError as err:
        raise FrameError("io_error", f"the file cannot be read: {err.strerror or err}") from err


def scan(opened: Opened) -> Iterator[HDU]:
    """Yield the HDUs of a file, in order.

    Raises
    ------
    FrameError
        ``not_fits``, ``truncated``, ``bad_header``, ``absurd_size`` (an image with a side above `MAX_AXIS`).
    """
    position, index = 0, 0
    while True:
        header = _read_header(opened, position, index)
        if header is None:
            return
        raw, offset = header
        hdu = _describe(index, raw, offset)
        end = hdu.data_offset + hdu.data_bytes
        position = -(-end // BLOCK) * BLOCK
        if opened.size is not None and end > opened.size:
            raise FrameError("truncated", f"HDU {index} needs {end} bytes and the file has {opened.size}")
        yield hdu
        if opened.size is not None and position >= opened.size:
            return
        if opened.size is None:
            _skip(opened.stream, end, index)
        index += 1


def header_hash(hdu: HDU, primary: HDU | None = None) -> str:
    """Return the hash of what a header says, whatever the file around it.

    All cards of the HDU, and of the primary header if it is an extension, but DATE, HISTORY, COMMENT, checksums, and those that
    only describe the file's structure or its compression; the size and type of the image stand for the latter. Cards are sorted,
    because tools that compress files move some of them.

    Parameters
    ----------
    hdu : HDU
    primary : HDU, optional

    Returns
    -------
    str
        BLAKE2b, 32 hex digits.
    """
    lines = _hashed_cards(hdu.raw)
    if primary is not None and primary.index != hdu.index:
        lines += _hashed_cards(primary.raw)
    lines.sort()
    digest = hashlib.blake2b(f"{hdu.bitpix} {hdu.shape}".encode(), digest_size=16)
    digest.update(b"\n".join(lines))
    return digest.hexdigest()


def data_sample(opened: Opened, hdu: HDU) -> str | None:
    """Return a hash of blocks spread over a data unit: equal data have equal samples.

    Returns
    -------
    str or None
        BLAKE2b, 32 hex digits; None where reading the blocks means decompressing the file.
    """
    if opened.gzipped or hdu.compressed:
        return None
    digest = hashlib.blake2b(str(hdu.data_bytes).encode(), digest_size=16)
    last = max(hdu.data_bytes - BLOCK, 0)
    for k in range(_SAMPLES if last else 1):
        start = last * k // (_SAMPLES - 1)
        digest.update(os.pread(opened.stream.fileno(), min(BLOCK, hdu.data_bytes - start), hdu.data_offset + start))
    return digest.hexdigest()


def data_digest(opened: Opened, hdu: HDU) -> str:
    """Return the SHA-256 of a data unit, uncompressed by gzip; of a tile-compressed image, of the stored bytes."""
    digest = hashlib.sha256()
    opened.stream.seek(hdu.data_offset)
    left = hdu.data_bytes
    while left:
        chunk = opened.stream.read(min(left, _CHUNK))
        if not chunk:
            raise FrameError("truncated", f"HDU {hdu.index} ends {left} bytes too early")
        digest.update(chunk)
        left -= len(chunk)
    return digest.hexdigest()


def _gzip_size(stream: BinaryIO) -> int | None:
    """Return the size of the uncompressed bytes if they hold one image and no more, else None.

    The last four bytes of a gzipped file are that size modulo 2^32. Where it is what the first header implies, nothing need be
    decompressed to know that the file is whole.
    """
    if os.fstat(stream.fileno()).st_size < 18:
        raise FrameError("truncated", "the gzipped file ends before its data do")
    stream.seek(-4, os.SEEK_END)
    claimed = struct.unpack("<I", stream.read(4))[0]
    stream.seek(0)
    with gzip.GzipFile(fileobj=stream, mode="rb") as inner:
        header = _read_header(Opened(inner, None, True), 0, 0)
    stream.seek(0)
    if header is None:
        return None
    hdu = _describe(0, *header)
    size = -(-(hdu.data_offset + hdu.data_bytes) // BLOCK) * BLOCK
    return size if hdu.data_bytes and size % (1 << 32) == claimed else None


def _read_header(opened: Opened, position: int, index: int) -> tuple[bytes, int] | None:
    """Return the cards at a position and where the data begin; None where no HDU begins."""
    opened.stream.seek(position)
    buffer = opened.stream.read(_FIRST_READ)
    first = b"SIMPLE  =" if index == 0 else b"XTENSION="
    if buffer[:9] != first:
        if index == 0 and not (len(buffer) < 9 and first.startswith(buffer)):
            raise FrameError("not_fits", f"the file begins with {buffer[:9]!r} and must begin with {first!r}")
        if index == 0 or (0 < len(buffer) < 9 and first.startswith(buffer)):
            raise FrameError("truncated", f"the file ends within the header of HDU {index}")
        # What follows the last HDU and is none itself is of no concern (FITS 4.0, section 3.5).
        return None
    start = 0
    while True:
        end = _find_end(buffer, start)
        if end >= 0:
            size = -(-(end + CARD) // BLOCK) * BLOCK
            return buffer[:end], position + size
        if len(buffer) > _MAX_HEADER:
            raise FrameError("bad_header", f"the header of HDU {index} has no END card")
        start = len(buffer) // CARD * CARD
        more = opened.stream.read(max(_FIRST_READ, len(buffer)))
        if not more:
            raise FrameError("truncated", f"the file ends within the header of HDU {index}: it has no END card")
        buffer += more


def _find_end(buffer: bytes, start: int) -> int:
    while True:
        at = buffer.find(_END, start)
        if at < 0 or at % CARD == 0:
            return at
        start = at + 1


def _describe(index: int, raw: bytes, data_offset: int) -> HDU:
    # What describes the data unit stands in the first cards, but for some rare ones.
    whole = b"ZIMAGE  =" in raw or b"GROUPS  =" in raw
    cards = Cards(raw if whole else raw[: 16 * CARD])
    if not whole and "NAXIS8" in cards:
        cards = Cards(raw)
    bitpix, shape = _whole(cards, "BITPIX", index), _shape(cards, "NAXIS", index)
    if bitpix not in _BITPIX:
        raise FrameError("bad_header", f"HDU {index}: BITPIX is {bitpix} and must be one of {', '.join(map(str, _BITPIX))}")
    is_image = index == 0 or cards.text("XTENSION") in ("IMAGE", "IUEIMAGE")
    groups = index == 0 and cards.get("GROUPS") is True and shape[:1] == (0,)
    if is_image and not groups and max(shape, default=0) > MAX_AXIS:
        raise FrameError("absurd_size", f"HDU {index}: {' x '.join(map(str, shape))} pixels; no side may exceed {MAX_AXIS}")
    count = math.prod(shape[1:] if groups else shape) if shape else 0
    extra, times = _optional(cards, "PCOUNT", 0), _optional(cards, "GCOUNT", 1)
    data_bytes = abs(bitpix) // 8 * times * (extra + count) if shape else 0
    if data_bytes > _MAX_BYTES:
        raise FrameError("absurd_size", f"HDU {index}: its data would have {data_bytes} bytes")
    if cards.get("ZIMAGE") is not True:
        return HDU(index, raw, bitpix, shape, is_image and not groups, False, data_offset, data_bytes)
    restored = _restored(raw)
    bitpix, shape = _whole(cards, "ZBITPIX", index), _shape(cards, "ZNAXIS", index)
    if max(shape, default=0) > MAX_AXIS:
        raise FrameError("absurd_size", f"HDU {index}: {' x '.join(map(str, shape))} pixels; no side may exceed {MAX_AXIS}")
    return HDU(index, restored, bitpix, shape, True, True, data_offset, data_bytes)


def _shape(cards: Cards, keyword: str, index: int) -> tuple[int, ...]:
    naxis = _whole(cards, keyword, index)
    if not 0 <= naxis <= 999:
        raise FrameError("bad_header", f"HDU {index}: {keyword} is {naxis} and must lie in 0 to 999")
    shape = tuple(_whole(cards, f"{keyword}{n}", index) for n in range(1, naxis + 1))
    if min(shape, default=0) < 0:
        raise FrameError("bad_header", f"HDU {index}: {keyword}n is {min(shape)} and must not be negative")
    return shape


def _whole(cards: Cards, keyword: str, index: int) -> int:
    value = cards.get(keyword)
    if isinstance(value, bool) or not isinstance(value, int):
        raise FrameError("bad_header", f"HDU {index}: {keyword} is {value!r} and must be an integer")
    return value


def _optional(cards: Cards, keyword: str, default: int) -> int:
    value = cards.get(keyword)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else default


def _skip(stream: BinaryIO, end: int, index: int) -> None:
    """Read on to the end of a data unit in a stream of unknown length."""
    if end and (stream.seek(end - 1) != end - 1 or not stream.read(1)):
        raise FrameError("truncated", f"HDU {index} ends before byte {end}")


def _restored(raw: bytes) -> bytes:
    """Return the cards of a tile-compressed image as the plain image would have them."""
    first: dict[bytes, bytes] = {}
    others = []
    for at in range(0, len(raw), CARD):
        card = raw[at : at + CARD]
        head = card[:8]
        if head in _RESTORED:
            head = _RESTORED[head]
            card = head + card[8:]
        elif _COMPRESSION.match(head) or (head == b"EXTNAME " and b"COMPRESSED_IMAGE" in card):
            continue
        if head in _FIRST_CARDS:
            first[head] = card
        else:
            others.append(card)
    if b"SIMPLE  " not in first and b"XTENSION" not in first:
        first[b"XTENSION"] = b"XTENSION= 'IMAGE   '           / Image extension".ljust(CARD)
    return b"".join([first[head] for head in _FIRST_CARDS if head in first] + others)


def _hashed_cards(raw: bytes) -> list[bytes]:
    return [raw[at : at + CARD].rstrip() for at in range(0, len(raw), CARD) if _is_hashed(raw[at : at + 8])]


@lru_cache(maxsize=20_000)
def _is_hashed(head: bytes) -> bool:
    return head not in _NOT_HASHED and not _STRUCTURE.match(head)
