"""Settings of an archive: ``ezarchive.toml`` and the environment, read once into frozen objects.

This is the only reader of either. An environment variable overrides the file: ``EZARCHIVE__DATABASE__URL`` stands for ``url`` in
``[database]``. Paths in the file may be relative to the archive's home.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ezarchive.errors import ArchiveExistsError, ConfigError, InputError, NotAnArchiveError, near_misses
from ezarchive.files import atomic_write

FILE_NAME = "ezarchive.toml"
ENV_PREFIX = "EZARCHIVE__"
TUTORIAL_LAYOUT = "{observatory}/{telkey}/{objname}/{telname}/{filter}"
CALIBRATION_LAYOUT = "{observatory}/{telkey}/{imgtype}/{telname}"

RootKind = Literal["science", "reference", "calibration"]


class _Frozen(BaseModel):
    # A number is taken for a text where one is asked for: `EZARCHIVE__NAME=2024`.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, coerce_numbers_to_str=True)


class RootSettings(_Frozen):
    """One data root: a read-only tree."""

    path: Path
    kind: RootKind = "science"
    layout: str | None = None
    """Template of the folders (``frames.layout``); None: the default of the kind; ``""``: a flat folder."""
    order: tuple[Literal["path", "header", "default"], ...] = ("path", "header", "default")
    """Which source of a field wins."""
    defaults: Mapping[str, str | int | float] = Field(default_factory=dict)
    """Values for fields that neither path nor header gives."""

    @property
    def template(self) -> str:
        """The layout that applies."""
        if self.layout is not None:
            return self.layout
        return CALIBRATION_LAYOUT if self.kind == "calibration" else TUTORIAL_LAYOUT


class SiteSettings(_Frozen):
    """Where an observatory stands: east longitude and latitude in degrees, elevation in metres."""

    longitude: float = Field(ge=-180, le=360)
    latitude: float = Field(ge=-90, le=90)
    elevation: float = 0.0


class DatabaseSettings(_Frozen):
    """The database; a relative SQLite path is relative to the home."""

    url: str = Field(default="sqlite:///archive.db", repr=False)  # it may hold a password


class IndexSettings(_Frozen):
    """How trees are indexed."""

    settle_seconds: float = Field(default=60.0, ge=0)
    store_headers: bool = True
    batch_size: int = Field(default=500, ge=1)
    workers: int | None = Field(default=None, ge=1)
    pattern: tuple[str, ...] = ("*.fits", "*.fit", "*.fts", "*.fits.fz", "*.fit.fz", "*.fz", "*.fits.gz", "*.fit.gz", "*.fts.gz")


class MeasureSettings(_Frozen):
    """What ``measure`` does unless told otherwise; the keys are arguments of ``Archive.measure``."""

    method: str = "sex"
    workers: int | None = Field(default=None, ge=1)
    memory_gb: float | None = Field(default=None, gt=0)
    executor: str = Field(default="processes", pattern=r"^(processes|dask://[^\s/]+:\d+)$")
    """``processes`` of this machine, or ``dask://host:port`` of a Dask scheduler."""
    options: Mapping[str, Any] = Field(default_factory=dict)


class AssociateSettings(_Frozen):
    """How ``associate`` joins measurements into objects, and the light-curve store; changed by ``associate --rebuild`` only."""

    radius: float = Field(default=1.0, gt=0, le=5)
    """Arcsec within which two measurements are of the same object."""
    min_nights: int = Field(default=2, ge=1)
    """Nights on which something must be detected to become an object."""
    aperture: float = Field(default=5.0, gt=0)
    """Diameter in arcsec of the aperture in the store."""
    rows_per_partition: int = Field(default=4_000_000, ge=1000)
    """Measurements in a partition of the store beyond which it is divided in four."""
    compact_after: int = Field(default=7, ge=1)
    """Files of a partition beyond which they are made one."""


class SQLSettings(_Frozen):
    """Limits of a user's SQL."""

    memory_gb: float = Field(default=2.0, gt=0)
    timeout_seconds: float = Field(default=60.0, gt=0)


class Settings(_Frozen):
    """Everything in ``ezarchive.toml``."""

    name: str = "archive"
    database: DatabaseSettings = DatabaseSettings()
    roots: Mapping[str, RootSettings] = Field(default_factory=dict)
    sites: Mapping[str, SiteSettings] = Field(default_factory=dict)
    index: IndexSettings = IndexSettings()
    measure: MeasureSettings = MeasureSettings()
    associate: AssociateSettings = AssociateSettings()
    sql: SQLSettings = SQLSettings()
    instruments: tuple[Mapping[str, Any], ...] = ()
    """Rules of the user's own cameras, in the form of ``frames/instruments.toml``; they come before the built-in ones."""

    @field_validator("roots")
    @classmethod
    def _root_names(cls, roots: Mapping[str, RootSettings]) -> Mapping[str, RootSettings]:
        for name in roots:
            if not name or any(c in name for c in "/\\\0") or name.startswith("."):
                raise ValueError(f"root name {name!r}: must be a plain word, without slashes or a leading dot")
        return roots


def load(home: Path | str, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings of an archive.

    Parameters
    ----------
    home : path
        The archive's folder.
    environ : mapping, optional
        The environment; the process's own by default.

    Returns
    -------
    Settings
        With absolute root paths.

    Raises
    ------
    NotAnArchiveError
        If there is no ``ezarchive.toml`` in ``home``.
    ConfigError
        If the file is no TOML or a setting is wrong; the message names it.
    """
    home = Path(home)
    path = home / FILE_NAME
    if not path.is_file():
        raise NotAnArchiveError(f"{home}: holds no {FILE_NAME}; `ezarchive init {home} --root NAME=PATH` makes an archive there")
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise ConfigError(f"{path}: is not valid TOML: {err}") from err
    environ = os.environ if environ is None else environ
    overrides = sorted(key for key in environ if key.startswith(ENV_PREFIX))
    _merge_environment(values, {key: environ[key] for key in overrides})
    where = f"{path} with {', '.join(overrides)}" if overrides else str(path)
    return _absolute_roots(validated(values, where), home)


def create(home: Path | str, settings: Settings) -> Path:
    """Write a new ``ezarchive.toml``.

    Raises
    ------
    ArchiveExistsError
        If ``home`` holds one already.
    ConfigError
        If a path is not UTF-8.
    """
    path = Path(home) / FILE_NAME
    try:
        content = to_toml(settings).encode()
    except UnicodeEncodeError as err:
        raise ConfigError(
            f"{path}: a setting holds a name that is not UTF-8, which TOML cannot: {err.object[err.start - 20 : err.end]!r}"
        ) from err
    if path.exists():
        raise ArchiveExistsError(f"{home}: holds an archive already; Archive.open() opens it")
    with atomic_write(path) as stream:
        stream.write(content)
    return path


def database_url(home: Path, settings: Settings) -> str:
    """Return the URL of the database, with a relative SQLite path made absolute."""
    url = settings.database.url
    prefix = "sqlite:///"
    if url.startswith(prefix) and not url.startswith(prefix + "/"):
        return f"{prefix}{home / url.removeprefix(prefix)}"
    return url


def check_roots(home: Path, settings: Settings) -> None:
    """Check that every data root is there and that the home lies in none of them.

    Raises
    ------
    ConfigError
        If not; the message names the root.
    """
    seen: dict[Path, str] = {}
    for name, root in settings.roots.items():
        if not root.path.is_dir():
            raise ConfigError(f"root {name!r}: {root.path} is not a folder")
        other = seen.setdefault(root.path.resolve(), name)
        if other != name:
            raise ConfigError(f"root {name!r}: {root.path} is root {other!r} already; must be a folder of its own")
        if home.resolve().is_relative_to(root.path.resolve()):
            raise ConfigError(f"home {home}: lies inside root {name!r} ({root.path}); ezarchive never writes inside a data root")


def home_path(home: Any) -> Path:
    """Return the absolute path of a home.

    Raises
    ------
    InputError
        If it is no path.
    """
    if not isinstance(home, (str, os.PathLike)) or isinstance(os.fspath(home), bytes):
        raise InputError(f"home={home!r}: must be the path of a folder")
    return Path(home).expanduser().absolute()


def all_roots(roots: Any) -> dict[str, RootSettings]:
    """Return the settings of every root of a mapping name -> path or settings.

    Raises
    ------
    ConfigError
        If it is no mapping, or one of them is wrong.
    """
    if not isinstance(roots, Mapping):
        raise ConfigError(f"roots={roots!r}: must be a mapping of names to paths, as {{'scidata': '/data/scidata'}}")
    return {str(name): root_settings(str(name), value) for name, value in roots.items()}


def root_settings(name: str, value: str | os.PathLike[str] | Mapping[str, Any] | RootSettings) -> RootSettings:
    """Make the settings of a root from what ``Archive.create`` accepts.

    Parameters
    ----------
    name : str
        Its name; ``refdata`` and ``...calibdata`` set the kind unless it is given.
    value : path, mapping or RootSettings
        A path alone, or a mapping with ``path`` and any of ``kind``, ``layout``, ``order``, ``defaults``.

    Returns
    -------
    RootSettings
        With an absolute path.
    """
    if isinstance(value, RootSettings):
        return value
    values = dict(value) if isinstance(value, Mapping) else {"path": value}
    values.setdefault("kind", _kind_from_name(name))
    if "path" not in values:
        raise ConfigError(f"root {name!r}: has no path")
    if not isinstance(values["path"], (str, os.PathLike)):
        raise ConfigError(f"root {name!r}: path must be a path, found {values['path']!r}")
    values["path"] = Path(values["path"]).expanduser().absolute()
    try:
        return RootSettings(**values)
    except ValidationError as err:
        raise ConfigError(_explain(err, f"root {name!r}", RootSettings)) from err


def _kind_from_name(name: str) -> str:
    lowered = name.lower()
    if "calib" in lowered:
        return "calibration"
    return "reference" if lowered.startswith("ref") else "science"


def validated(values: Mapping[str, Any], where: str) -> Settings:
    """Return the settings made of plain values.

    Raises
    ------
    ConfigError
        If one is wrong; the message names it after ``where``.
    """
    try:
        return Settings(**values)
    except ValidationError as err:
        raise ConfigError(_explain(err, where, Settings)) from err


def _explain(err: ValidationError, where: str, model: type[BaseModel]) -> str:
    first = err.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        parent: Any = model
        for part in first["loc"][:-1]:
            known = getattr(parent, "model_fields", {}).get(str(part))
            # Below a mapping (roots, sites) the part is a name of the user's own, and the mapping's values are what is looked at.
            parent = known.annotation if known is not None else get_args(parent)[-1]
        return f"{where}: setting {place!r}: {near_misses(str(first['loc'][-1]), getattr(parent, 'model_fields', {}))}"
    return f"{where}: setting {place!r}: {first['msg']}, found {first.get('input')!r}"


def _absolute_roots(settings: Settings, home: Path) -> Settings:
    roots = {
        name: root.model_copy(update={"path": Path(os.path.normpath(home.absolute() / root.path.expanduser()))})
        for name, root in settings.roots.items()
    }
    return settings.model_copy(update={"roots": roots})


def _merge_environment(values: dict[str, Any], environ: Mapping[str, str]) -> None:
    for key, text in environ.items():
        *parents, leaf = key.removeprefix(ENV_PREFIX).lower().split("__")
        target = values
        for parent in parents:
            target = target.setdefault(parent, {})
            if not isinstance(target, dict):
                raise ConfigError(f"{key}: {parent!r} is no table of settings")
        try:
            target[leaf] = json.loads(text)
        except json.JSONDecodeError:
            target[leaf] = text


def to_toml(settings: Settings) -> str:
    """Return the settings as the text of an ``ezarchive.toml`` (those that differ from the defaults)."""
    values = settings.model_dump(mode="json", exclude_defaults=True)
    lines = ["# Settings of this archive; every key is explained in data_layout.md.", f"name = {_toml(settings.name)}"]
    values.pop("name", None)
    rules = values.pop("instruments", [])
    for key, value in values.items():
        lines += _toml_table(key, value)
    for rule in rules:
        lines += _toml_table("instruments", rule, array=True)
    return "\n".join(lines) + "\n"


def _toml_table(name: str, values: Mapping[str, Any], *, array: bool = False) -> list[str]:
    plain = {k: v for k, v in values.items() if not isinstance(v, Mapping) and v is not None}
    nested = {k: v for k, v in values.items() if isinstance(v, Mapping)}
    lines: list[str] = []
    if plain or not nested or array:
        lines += ["", f"[[{name}]]" if array else f"[{name}]"]
        lines += [f"{_toml_key(k)} = {_toml(v)}" for k, v in plain.items()]
    for key, value in nested.items():
        lines += _toml_table(f"{name}.{_toml_key(key)}", value)
    return lines


def _toml_key(key: str) -> str:
    return key if key and all(c.isascii() and (c.isalnum() or c in "-_") for c in key) else _toml(key)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_toml_key(k)} = {_toml(v)}" for k, v in value.items() if v is not None) + "}"
    # A JSON string is a TOML basic string, but for DEL.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
