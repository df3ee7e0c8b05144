"""Names of sites, telescopes, cameras, filters and targets: made when they are first seen, found exactly or by glob.

Targets are compared by a key, so that ``NGC 253``, ``ngc253`` and an alias are one; every other name is compared letter by letter
(filters ``r`` and ``R`` are two).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from ezarchive.database.models import NAME_IDS, NAME_TABLES, filter_, site, target, target_alias
from ezarchive.database.rows import clean_text
from ezarchive.errors import InputError, UnknownNameError

_DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"))


def target_key(name: str) -> str:
    """Return what two spellings of a target's name have in common: no case, spaces or accents, one kind of dash.

    Examples
    --------
    >>> target_key("NGC 0253"), target_key("\u010cern\u00fd 20")
    ('ngc0253', 'cerny20')
    """
    text = unicodedata.normalize("NFKD", name.translate(_DASHES)).casefold()
    key = "".join(char for char in text if not char.isspace() and not unicodedata.combining(char))
    return key or name


def is_glob(text: str) -> bool:
    """Return whether the text holds a wildcard: ``*``, ``?`` or ``[``."""
    return any(char in text for char in "*?[")


def insert(conn: sa.Connection, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
    """Return the INSERT of this database, which knows ON CONFLICT (the same words in both)."""
    return postgresql.insert(table) if conn.dialect.name == "postgresql" else sqlite.insert(table)


def get_or_create(conn: sa.Connection, what: str, names: Iterable[str | None]) -> dict[str, int]:
    """Return the ids of names; names that are new are added, in sorted order.

    Parameters
    ----------
    conn : sqlalchemy.Connection
    what : str
        ``observatory``, ``telkey``, ``telname``, ``objname`` or ``filter``.
    names : iterable of str or None
        None is left out.

    Returns
    -------
    dict
        Name as given -> id.
    """
    wanted = sorted({name for name in names if clean_text(name) is not None})
    cleaned = {name: str(clean_text(name)) for name in wanted}
    if not wanted:
        return {}
    if what == "objname":
        return _targets(conn, cleaned)
    found = _exact(conn, what, cleaned.values())
    missing = sorted(set(cleaned.values()) - set(found))
    if missing:
        table = NAME_TABLES[what]
        conn.execute(insert(conn, table).on_conflict_do_nothing(), [{"name": name} for name in missing])
        found |= _exact(conn, what, missing)
    return {name: found[clean] for name, clean in cleaned.items()}


def _targets(conn: sa.Connection, cleaned: Mapping[str, str]) -> dict[str, int]:
    keys = {name: target_key(clean) for name, clean in cleaned.items()}
    found = _by_key(conn, keys.values())
    first = {keys[name]: cleaned[name] for name in sorted(cleaned, reverse=True) if keys[name] not in found}
    if first:
        rows = [{"name": name, "key": key} for key, name in sorted(first.items())]
        conn.execute(insert(conn, target).on_conflict_do_nothing(), rows)
        found |= _by_key(conn, first)
    return {name: found[key] for name, key in keys.items()}


def _by_key(conn: sa.Connection, keys: Iterable[str]) -> dict[str, int]:
    listed = list(dict.fromkeys(keys))
    found = {}
    for table in (target_alias, target):
        query = sa.select(table.c.key, table.c.target_id).where(table.c.key.in_(listed))
        found.update(conn.execute(query).all())
    return found


def _exact(conn: sa.Connection, what: str, names: Iterable[str]) -> dict[str, int]:
    table = NAME_TABLES[what]
    query = sa.select(table.c.name, table.c[NAME_IDS[what]]).where(table.c.name.in_(list(names)))
    return dict(conn.execute(query).all())


def all_names(conn: sa.Connection, what: str) -> list[str]:
    """Return every name of a kind, sorted; of targets the aliases too."""
    found = list(conn.execute(sa.select(NAME_TABLES[what].c.name)).scalars())
    if what == "objname":
        found += conn.execute(sa.select(target_alias.c.alias)).scalars()
    return sorted(found)


def resolve(conn: sa.Connection, what: str, values: Iterable[str]) -> set[int]:
    """Return the ids that names and globs stand for.

    Parameters
    ----------
    conn : sqlalchemy.Connection
    what : str
        ``observatory``, ``telkey``, ``telname``, ``objname`` or ``filter``.
    values : iterable of str
        Exact names or globs; a name that holds wildcard characters is found as it stands first.

    Returns
    -------
    set of int
        Empty where a glob matches nothing.

    Raises
    ------
    UnknownNameError
        If an exact name does not exist; the message names near misses.
    """
    listed = list(values)
    keys = {value: target_key(value) if what == "objname" else value for value in listed}
    exact = _by_key(conn, keys.values()) if what == "objname" else _exact(conn, what, keys.values())
    ids: set[int] = set()
    for value, key in keys.items():
        if key in exact:
            ids.add(exact[key])
        elif is_glob(value):
            ids |= {number for name, number in _pairs(conn, what) if fnmatchcase(name, key)}
        else:
            raise UnknownNameError(what, value, all_names(conn, what))
    return ids


def _pairs(conn: sa.Connection, what: str) -> list[tuple[str, int]]:
    """Return what globs are compared with, and the ids: keys of targets and aliases, names of others."""
    if what != "objname":
        table = NAME_TABLES[what]
        return list(conn.execute(sa.select(table.c.name, table.c[NAME_IDS[what]])))
    queries = (sa.select(table.c.key, table.c.target_id) for table in (target, target_alias))
    return [pair for query in queries for pair in conn.execute(query)]


def add_alias(conn: sa.Connection, objname: str, alias: str) -> None:
    """Let a target be found, and be recognised in headers, under another name as well.

    Raises
    ------
    UnknownNameError
        If there is no such target.
    InputError
        If the alias is the name or alias of another target.
    """
    (target_id,) = resolve(conn, "objname", [objname]) or {None}
    if target_id is None or is_glob(objname):
        raise UnknownNameError("objname", objname, all_names(conn, "objname"))
    key = target_key(alias)
    taken = _by_key(conn, [key]).get(key, target_id)
    if taken != target_id:
        raise InputError(f"alias={alias!r}: is the name of another target; must be a new name")
    statement = insert(conn, target_alias).values(key=key, alias=alias, target_id=target_id)
    conn.execute(statement.on_conflict_do_nothing())


def set_site(conn: sa.Connection, name: str, *, longitude: float, latitude: float, elevation: float = 0.0) -> None:
    """Record where an observatory stands: east longitude and latitude in degrees, elevation in metres."""
    site_id = get_or_create(conn, "observatory", [name])[name]
    values = {"longitude": longitude, "latitude": latitude, "elevation": elevation}
    conn.execute(sa.update(site).where(site.c.site_id == site_id).values(values))


def set_band(conn: sa.Connection, name: str, *, em_min: float, em_max: float) -> None:
    """Record the edges of a filter's band, wavelengths in metres (what ObsCore shows).

    Raises
    ------
    InputError
        If they are not in order.
    """
    if not 0 < em_min < em_max:
        raise InputError(f"em_min={em_min}, em_max={em_max}: must be wavelengths in metres, in order")
    filter_id = get_or_create(conn, "filter", [name])[name]
    conn.execute(sa.update(filter_).where(filter_.c.filter_id == filter_id).values(em_min=em_min, em_max=em_max))
