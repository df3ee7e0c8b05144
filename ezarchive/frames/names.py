"""Names of a frame (observatory, telkey, telname, objname, filter) and its kind, out of path, header and defaults."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

from ezarchive.frames.draft import Context, Draft
from ezarchive.frames.layout import printable
from ezarchive.frames.record import CALIBRATION_KINDS

_SAME = re.compile(r"[\W_]+")
_DIGITS = re.compile(r"\d+")


class Candidate(NamedTuple):
    """A value that one source gives for a field."""

    value: str
    origin: str
    raw: str


def put_names(draft: Draft, context: Context) -> None:
    """Fill in the five names, ``object_raw`` and ``binning``.

    Path, header and the root's defaults count in the root's order; the instrument's entry comes last. A path and a header that say
    different things leave a note and a quality bit.
    """
    draft.put("binning", *_binning(context))
    for name in ("observatory", "telname", "filter", "objname"):
        found = _resolve(draft, context, name)
        if found is None:
            continue
        if name == "objname":
            draft.put("object_raw", found.raw)
            if draft.values["kind"] in CALIBRATION_KINDS and found.origin.startswith("header"):
                # "Bias" and "dome flat" are no targets.
                continue
        draft.put(name, found.value, found.origin)
    telkey = _resolve(draft, context, "telkey") or _composed_telkey(draft, context)
    if telkey is not None:
        draft.put("telkey", telkey.value, telkey.origin)


def put_kind(draft: Draft, context: Context) -> str | None:
    """Fill in the kind, and return the name of the file that the frame's was made from, as far as names tell.

    An EXTNAME such as ERR comes first, then a file name such as ``X.noise.fits`` or ``sub_X.fits``, then IMAGETYP or the folder's
    ``imgtype``; else the kind is that of the root.
    """
    instruments, root_kind = context.camera.instruments, context.root.kind
    named = instruments.kind_of_name(context.filename, root_kind)
    parent = named.parent if named else None
    if parent is None and context.filename.endswith(".fz"):
        # A compressed copy that has lost something is a frame of its own.
        parent = context.filename[:-3]
    extname = context.cards.text("EXTNAME")
    by_extension = instruments.kind_of_extension(extname) if extname else None
    if by_extension:
        draft.put("kind", by_extension, "header:EXTNAME")
    elif named and named.kind not in CALIBRATION_KINDS:
        draft.put("kind", named.kind, "name")
    elif (typed := _typed_kind(draft, context)) is not None:
        draft.put("kind", *typed)
    elif named:
        draft.put("kind", named.kind, "name")
    elif root_kind == "calibration":
        draft.put("kind", "derived", "root")
        draft.note("kind", "neither IMAGETYP nor path nor name says which calibration frame it is")
    else:
        draft.put("kind", root_kind, "root")
    return parent


def agree(a: str, b: str) -> bool:
    """Whether two spellings name the same thing: case, spaces and punctuation are nothing."""
    return _SAME.sub("", a.casefold()) == _SAME.sub("", b.casefold())


def _typed_kind(draft: Draft, context: Context) -> tuple[str, str] | None:
    """Return the kind that an image type gives, and where that stands."""
    instruments = context.camera.instruments
    found: dict[str, tuple[str, str]] = {}
    for source in context.root.order:
        candidate = _candidate(context, "imgtype", source)
        kind = instruments.kind_of_type(candidate.value) if candidate else None
        if candidate and kind:
            found[source] = kind, candidate.origin
    if len({kind for kind, _ in found.values()}) > 1:
        said = ", ".join(f"{origin} says {kind}" for kind, origin in found.values())
        draft.note("kind", said)
        draft.flag("FIELD_DISAGREES")
    return next(iter(found.values()), None)


def _resolve(draft: Draft, context: Context, name: str) -> Candidate | None:
    found = [candidate for source in context.root.order if (candidate := _candidate(context, name, source)) is not None]
    stated = [candidate for candidate in found if candidate.origin != "default"]
    if len(stated) > 1 and not agree(stated[0].value, stated[1].value):
        draft.note(name, f"{stated[0].origin} {stated[0].raw!r}, {stated[1].origin} {stated[1].raw!r}")
        draft.flag("FIELD_DISAGREES")
    if found:
        return found[0]
    fact = context.camera.fact(name) if name in ("observatory", "telname", "filter") else None
    return Candidate(fact[0], fact[1], fact[0]) if fact else None


def _candidate(context: Context, name: str, source: str) -> Candidate | None:
    if source == "header":
        return _from_header(context, name)
    if source == "path":
        raw, origin = context.path.get(name), "path"
    else:
        default = context.root.defaults.get(name)
        raw, origin = None if default is None else str(default), "default"
    value = _cleaned(context, name, raw)
    return Candidate(value, origin, raw) if raw is not None and value is not None else None


def _from_header(context: Context, name: str) -> Candidate | None:
    for keyword in context.camera.keywords(name):
        raw = context.cards.text(keyword)
        value = _cleaned(context, name, raw)
        if raw is not None and value is not None:
            return Candidate(value, f"header:{keyword}", raw)
    return None


def _cleaned(context: Context, name: str, raw: str | None) -> str | None:
    if raw is None:
        return None
    text = " ".join(printable(unicodedata.normalize("NFC", raw)).split())
    if context.camera.instruments.no_value.match(text):
        return None
    return context.camera.clean_filter(text) if name == "filter" else text


def _binning(context: Context) -> tuple[str | None, str | None]:
    for keyword in context.camera.keywords("binning"):
        numbers = _DIGITS.findall(context.cards.text(keyword) or "")
        if not numbers or not 0 < int(numbers[0][:4]) < 1000:
            continue
        if len(numbers) == 1:
            other = next((text for key in context.camera.keywords("binning_y") if (text := context.cards.text(key))), numbers[0])
            numbers = [numbers[0], (_DIGITS.findall(other) or numbers)[0]]
        return f"{int(numbers[0][:4])}x{int(numbers[1][:4])}", f"header:{keyword}"
    return None, None


def _composed_telkey(draft: Draft, context: Context) -> Candidate | None:
    """Return site, camera, readout mode and binning as one name, as far as they are known; None without a camera."""
    camera = _from_header(context, "camera")
    if camera is None:
        fact = context.camera.fact("camera")
        if fact is None:
            return None
        camera = Candidate(fact[0], fact[1], fact[0])
    mode = _from_header(context, "mode")
    parts = [draft.values.get("observatory"), camera.value, mode.value if mode else None, draft.values.get("binning")]
    text = "_".join(re.sub(r"[\s/]+", "-", part) for part in parts if part)
    return Candidate(text, camera.origin, text)
