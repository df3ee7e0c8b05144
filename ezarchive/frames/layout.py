r"""Layout templates: from the path of a file to fields, and back.

A template names the folders below a root, ``{observatory}/{telkey}/{objname}/{telname}/{filter}``. A component may mix fields and
plain text (``{night}_{telname}``); ``{_}`` and ``*`` stand for anything. If the last component holds a dot, it is a template of the
file's name, as ``{night}/{telname}_{objname}_{date}_{time}_{filter}.fits``, unless a slash follows. An empty template is a flat folder.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from ezarchive.errors import ConfigError, InputError, near_misses

FIELDS = ("observatory", "telkey", "objname", "telname", "filter", "night", "imgtype")
"""Fields of folders and file names."""

NAME_FIELDS = ("date", "time", "exptime")
"""Further fields of file names: YYYYMMDD, HHMMSS (UTC), seconds."""

_FORMS = {"date": r"\d{8}", "time": r"\d{6}(?:\.\d+)?", "exptime": r"\d+(?:\.\d+)?"}
_TOKEN = re.compile(r"\{([^{}]*)\}|(\*)|([^{}*]+)|([{}])")
_ENDINGS = r"(?:\.gz|\.fz)?"
_SURROGATE = re.compile(r"[\udc80-\udcff]")


class Layout:
    """A layout template.

    Parameters
    ----------
    template : str
        See the module's description.

    Raises
    ------
    ConfigError
        If a field is not known, is there twice, or the braces do not match.

    Examples
    --------
    >>> Layout("{night}/{telname}").parse("20250901/7DT02/a.fits")
    {'night': '20250901', 'telname': '7DT02'}
    """

    def __init__(self, template: str) -> None:
        self.template = template
        parts = template.strip("/").split("/") if template.strip("/") else []
        if any(not part for part in parts):
            raise ConfigError(f"layout {template!r}: must not have empty components")
        named = bool(parts) and "." in parts[-1] and not template.endswith("/")
        self._folders = tuple(_component(template, part, FIELDS) for part in (parts[:-1] if named else parts))
        self._name = _component(template, parts[-1], (*FIELDS, *NAME_FIELDS), _ENDINGS) if named else None
        fields = [field for part in (*self._folders, *([self._name] if self._name else [])) for field in part.fields]
        twice = {field for field in fields if fields.count(field) > 1}
        if twice:
            raise ConfigError(f"layout {template!r}: field {min(twice)!r} must not be there twice")
        self.fields = tuple(fields)

    def __repr__(self) -> str:
        return f"Layout({self.template!r})"

    def __reduce__(self) -> tuple[type[Layout], tuple[str]]:
        return Layout, (self.template,)

    def parse(self, relpath: str) -> dict[str, str]:
        """Return the fields that a path gives.

        Parameters
        ----------
        relpath : str
            Path of a file below its root, with ``/``.

        Returns
        -------
        dict
            Field to text; empty if the path is not of this layout.
        """
        *folders, name = relpath.split("/")
        if len(folders) != len(self._folders):
            return {}
        fields: dict[str, str] = {}
        for part, text in zip(self._folders, folders, strict=True):
            match = part.pattern.fullmatch(text)
            if not match:
                return {}
            fields |= match.groupdict()
        if self._name is not None:
            match = self._name.pattern.fullmatch(name)
            if not match:
                return {}
            fields |= match.groupdict()
        return fields

    def format(self, fields: Mapping[str, str], filename: str | None = None) -> str:
        """Return the path of a file with these fields: the inverse of `parse`.

        Parameters
        ----------
        fields : mapping
            A value for each field of the template; others are let be.
        filename : str, optional
            Name of the file; not needed if the template gives it.

        Returns
        -------
        str

        Raises
        ------
        InputError
            If a field is missing or cannot stand in a path, or the template has a wildcard.
        """
        parts = [_filled(part, fields, self.template) for part in self._folders]
        if self._name is not None:
            filename = _filled(self._name, fields, self.template) if filename is None else filename
        if not filename or "/" in filename:
            raise InputError(f"filename {filename!r}: must be the name of a file")
        path = "/".join([*parts, filename])
        wanted = {field: str(fields[field]) for field in self.fields}
        if self.parse(path) != wanted:
            raise InputError(f"layout {self.template!r}: the fields {wanted} give {path!r}, which does not give them back")
        return path


@lru_cache(maxsize=64)
def layout(template: str) -> Layout:
    """Return the `Layout` of a template, made once."""
    return Layout(template)


def printable(text: str) -> str:
    r"""Return a path's text as any database takes it: undecodable bytes as ``\xff``, control characters as a space."""
    text = _SURROGATE.sub(lambda match: f"\\x{ord(match[0]) - 0xDC00:02x}", text)
    return text if text.isprintable() else "".join(char if char.isprintable() else " " for char in text)


class _Component:
    """One folder's or file's part of a template."""

    def __init__(self, pattern: re.Pattern[str], pieces: tuple[tuple[str, str], ...]) -> None:
        self.pattern = pattern
        self.pieces = pieces
        """Kind (field, text, any) and content, in order."""
        self.fields = tuple(content for kind, content in pieces if kind == "field")


def _component(template: str, part: str, known: tuple[str, ...], ending: str = "") -> _Component:
    pattern, pieces = "", []
    for match in _TOKEN.finditer(part):
        field, star, text, brace = match.groups()
        if brace:
            raise ConfigError(f"layout {template!r}: the braces in {part!r} must match")
        if text is not None:
            pattern += re.escape(text)
            pieces.append(("text", text))
        elif star or field == "_":
            pattern += ".*?" if star else ".+?"
            pieces.append(("any", ""))
        elif field in known:
            pattern += f"(?P<{field}>{_FORMS.get(field, '.+?')})"
            pieces.append(("field", field))
        else:
            raise ConfigError(f"layout {template!r}: field {field!r}: {near_misses(field, known)}")
    try:
        return _Component(re.compile(pattern + ending, re.DOTALL), tuple(pieces))
    except re.error as err:
        raise ConfigError(f"layout {template!r}: a field must not be there twice in {part!r}") from err


def _filled(part: _Component, fields: Mapping[str, str], template: str) -> str:
    text = ""
    for kind, content in part.pieces:
        if kind == "any":
            raise InputError(f"layout {template!r}: has a wildcard, so it only reads paths")
        value = content if kind == "text" else fields.get(content)
        if value is None or str(value) == "":
            raise InputError(f"field {content!r}: must have a value in the layout {template!r}")
        if "/" in str(value) or "\0" in str(value):
            raise InputError(f"field {content!r}: {value!r} must not hold a slash or a NUL")
        text += str(value)
    if text in (".", ".."):
        raise InputError(f"layout {template!r}: {text!r} must not be the name of a folder")
    return text
