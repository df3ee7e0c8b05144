"""Facts about headers, cameras and file names, read from ``instruments.toml`` and the user's own rules."""

from __future__ import annotations

import fnmatch
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from importlib.resources import files
from typing import Any, NamedTuple

from ezarchive.errors import ConfigError, near_misses
from ezarchive.frames.cards import Cards
from ezarchive.frames.record import KINDS

_FILE = "instruments.toml"
_ROOT_KINDS = ("science", "reference", "calibration")
_NAMES = ("observatory", "telkey", "telname", "objname", "filter")


class KindRule(NamedTuple):
    """A pattern of a name, the kind that it means, and the kinds of root where it does."""

    pattern: re.Pattern[str]
    kind: str
    roots: tuple[str, ...] = _ROOT_KINDS


class NamedKind(NamedTuple):
    """What a file's name says: a kind, and the file that it was made from."""

    kind: str
    parent: str | None


@dataclass(frozen=True)
class Instrument:
    """One entry: a camera, or a program that writes headers (the keys are explained in ``instruments.toml``)."""

    name: str
    match: tuple[Mapping[str, str], ...] = ()
    keywords: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    observatory: str | None = None
    telname: str | None = None
    camera: str | None = None
    filter: str | None = None
    gain: float | None = None
    read_noise: float | None = None
    saturation: float | None = None
    pixel_scale: float | None = None
    longitude: float | None = None
    latitude: float | None = None
    elevation: float | None = None
    space: bool = False
    seeing_unit: str = "arcsec"
    filter_clean: tuple[tuple[re.Pattern[str], str], ...] = ()
    filter_skip: re.Pattern[str] | None = None

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Instrument:
        """Make an entry from a TOML table.

        Raises
        ------
        ConfigError
            If a key is not known or a value is of the wrong type; the message names it.
        """
        values = dict(table)
        name = values.get("name")
        if not isinstance(name, str) or not name:
            raise ConfigError(f"instruments: an entry has no name: {dict(table)!r}")
        known = [item.name for item in fields(cls)]
        for key, value in values.items():
            if key not in known:
                raise ConfigError(f"instruments: entry {name!r}: key {key!r}: {near_misses(key, known)}")
            values[key] = _checked(name, key, value)
        return cls(**values)

    def fits(self, cards: Cards, names: Mapping[str, str | None]) -> bool:
        """Whether the entry holds for a header, or for the names that a frame has."""
        if not self.match:
            return True
        for conditions in self.match:
            for keyword, pattern in conditions.items():
                text = names.get(keyword[1:]) if keyword[0] == "@" else cards.text(keyword)
                if text is None or not _glob(pattern).match(text):
                    break
            else:
                return True
        return False


@dataclass(frozen=True)
class Instruments:
    """Everything in ``instruments.toml``, and the user's entries before its own."""

    keywords: Mapping[str, tuple[str, ...]]
    entries: tuple[Instrument, ...]
    kinds: tuple[KindRule, ...]
    names: tuple[KindRule, ...]
    extnames: tuple[KindRule, ...]
    file_time: re.Pattern[str]
    rate_units: re.Pattern[str]
    electron_units: re.Pattern[str]
    no_value: re.Pattern[str]

    @classmethod
    def load(cls, extra: Iterable[Mapping[str, Any]] = ()) -> Instruments:
        """Read the built-in facts and put a user's entries before them.

        Parameters
        ----------
        extra : iterable of mapping
            ``[[instruments]]`` tables.

        Returns
        -------
        Instruments

        Raises
        ------
        ConfigError
            If an entry is wrong.
        """
        own = tuple(Instrument.from_table(table) for table in extra)
        builtin = _builtin()
        for entry in own:
            for name in entry.keywords:
                if name not in builtin.keywords:
                    raise ConfigError(f"instruments: entry {entry.name!r}: keywords of {name!r}: {near_misses(name, builtin.keywords)}")
        return cls(**{**{item.name: getattr(builtin, item.name) for item in fields(cls)}, "entries": own + builtin.entries})

    def identify(self, cards: Cards, names: Mapping[str, str | None] | None = None) -> Camera:
        """Return what is known about the camera of a header.

        Parameters
        ----------
        cards : Cards
        names : mapping, optional
            Names of the frame that are known already (from its path), for entries that ask for them.

        Returns
        -------
        Camera
        """
        return Camera(self, tuple(entry for entry in self.entries if entry.fits(cards, names or {})))

    def kind_of_type(self, text: str) -> str | None:
        """Return the kind that an IMAGETYP means, None where it is one of the sky or unknown."""
        return next((rule.kind for rule in self.kinds if rule.pattern.match(text)), None)

    def kind_of_extension(self, extname: str) -> str | None:
        """Return the kind that an EXTNAME means, None where it says nothing."""
        return next((rule.kind for rule in self.extnames if rule.pattern.fullmatch(extname)), None)

    def kind_of_name(self, filename: str, root_kind: str) -> NamedKind | None:
        """Return what a file's name says in a root of this kind, None where it says nothing."""
        for rule in self.names:
            match = rule.pattern.fullmatch(filename) if root_kind in rule.roots else None
            if match:
                groups = match.groupdict()
                parent = groups.get("parent")
                return NamedKind(rule.kind, parent + (groups.get("ending") or "") if parent else None)
        return None


class Camera(NamedTuple):
    """The entries that hold for one header."""

    instruments: Instruments
    entries: tuple[Instrument, ...]

    def keywords(self, name: str) -> tuple[str, ...]:
        """Return the keywords of a field, in the order in which they count."""
        general = self.instruments.keywords.get(name, ())
        own = tuple(keyword for entry in self.entries for keyword in entry.keywords.get(name, ()))
        if not own:
            return general
        # A generic EGAIN is always electrons; an entry's GAIN comes second.
        return general + own if name == "gain" else own + general

    def fact(self, name: str) -> tuple[Any, str] | None:
        """Return the first entry's value of a fact with its origin, None where no entry has it."""
        for entry in self.entries:
            value = getattr(entry, name)
            if value is not None:
                return value, f"instrument:{entry.name}"
        return None

    @property
    def space(self) -> bool:
        """Whether the telescope is not on the ground."""
        return any(entry.space for entry in self.entries)

    @property
    def seeing_in_pixels(self) -> bool:
        """Whether the seeing of the camera's own keyword counts pixels."""
        return any(entry.seeing_unit == "pixel" for entry in self.entries)

    def clean_filter(self, text: str) -> str | None:
        """Return a filter's name as the camera's users write it, None where it is an open position."""
        text = " ".join(text.split())
        for entry in self.entries:
            if entry.filter_skip is not None and entry.filter_skip.fullmatch(text):
                return None
            for pattern, replacement in entry.filter_clean:
                match = pattern.fullmatch(text)
                if match:
                    return match.expand(replacement)
        return text or None


@lru_cache(maxsize=512)
def _glob(pattern: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(pattern), re.IGNORECASE)


@lru_cache(maxsize=1)
def _builtin() -> Instruments:
    table = tomllib.loads(files("ezarchive.frames").joinpath(_FILE).read_text(encoding="utf-8"))
    files_table = table["files"]
    return Instruments(
        keywords={name: tuple(words) for name, words in table["keywords"].items()},
        entries=tuple(Instrument.from_table(entry) for entry in table["instruments"]),
        kinds=tuple(KindRule(re.compile(pattern), kind) for kind, pattern in table["kinds"].items()),
        names=tuple(_kind_rule(rule) for rule in table["names"]),
        extnames=tuple(_kind_rule(rule) for rule in table["extnames"]),
        file_time=re.compile(files_table["time"]),
        rate_units=re.compile(files_table["rate_units"]),
        electron_units=re.compile(files_table["electron_units"]),
        no_value=re.compile(files_table["no_value"]),
    )


def _kind_rule(rule: Mapping[str, Any]) -> KindRule:
    if rule["kind"] not in KINDS:
        raise ConfigError(f"{_FILE}: kind {rule['kind']!r}: {near_misses(rule['kind'], KINDS)}")
    return KindRule(re.compile(rule["match"], re.DOTALL), rule["kind"], tuple(rule.get("roots", _ROOT_KINDS)))


def _checked(entry: str, key: str, value: Any) -> Any:
    """Return a TOML value as the entry holds it."""
    where = f"instruments: entry {entry!r}: {key}"
    if key == "match":
        return tuple(_condition(where, item) for item in _list(where, value))
    if key == "keywords":
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where}: must be a table of field = [keywords], found {value!r}")
        return {name: tuple(str(word).upper() for word in _list(f"{where}.{name}", words)) for name, words in value.items()}
    if key == "filter_clean":
        return tuple(_cleaning(where, pair) for pair in _list(where, value))
    if key == "filter_skip":
        return _pattern(where, value)
    if key == "space":
        if not isinstance(value, bool):
            raise ConfigError(f"{where}: must be true or false, found {value!r}")
        return value
    if key == "seeing_unit":
        if value not in ("arcsec", "pixel"):
            raise ConfigError(f"{where}: must be 'arcsec' or 'pixel', found {value!r}")
        return value
    if key in ("name", "observatory", "telname", "camera", "filter"):
        return str(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ConfigError(f"{where}: must be a number, found {value!r}")
    return float(value)


def _list(where: str, value: Any) -> list[Any] | tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise ConfigError(f"{where}: must be a list, found {value!r}")
    return value


def _condition(where: str, table: Any) -> dict[str, str]:
    if not isinstance(table, Mapping) or not table:
        raise ConfigError(f"{where}: must be a list of tables keyword = glob, found {table!r}")
    for keyword in table:
        if keyword.startswith("@") and keyword[1:] not in _NAMES:
            raise ConfigError(f"{where}: {keyword!r}: {near_misses(keyword[1:], _NAMES)}")
    return {keyword if keyword.startswith("@") else keyword.upper(): str(pattern) for keyword, pattern in table.items()}


def _cleaning(where: str, pair: Any) -> tuple[re.Pattern[str], str]:
    if not isinstance(pair, (list, tuple)) or len(pair) != 2:
        raise ConfigError(f"{where}: must be a list of [regular expression, replacement], found {pair!r}")
    pattern = _pattern(where, pair[0])
    # A reference to a group that is not there shows now, not in the middle of a run.
    highest = max((int(number) for number in re.findall(r"\\(\d+)", str(pair[1]))), default=0)
    if highest > pattern.groups:
        raise ConfigError(f"{where}: replacement {pair[1]!r}: {pair[0]!r} has {pattern.groups} groups, found \\{highest}")
    return pattern, str(pair[1])


def _pattern(where: str, text: Any) -> re.Pattern[str]:
    try:
        return re.compile(str(text))
    except re.error as err:
        raise ConfigError(f"{where}: {text!r} is no regular expression: {err}") from err
