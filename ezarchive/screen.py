"""What reaches a user's screen: lines, figures in a notebook, the list of a class's methods.

Only the tutorial's skin (``browse``, ``measure.py``) speaks; nothing below it does.
"""

from __future__ import annotations

import inspect
import sys
from typing import Any


def say(text: str, verbose: bool = True) -> None:
    """Write one line to the standard output, unless ``verbose`` is False."""
    if verbose:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


def in_notebook() -> bool:
    """Return whether figures can be shown: True under a Jupyter kernel."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and getattr(shell, "kernel", None) is not None


def display(figure: Any) -> None:
    """Show a figure in the notebook; without one there is nothing to show it on, and nothing happens."""
    if in_notebook():
        sys.modules["IPython"].display.display(figure)


def help_text(cls: type) -> str:
    """Return the public methods of a class with their signatures and first lines.

    Parameters
    ----------
    cls : type
        The class.

    Returns
    -------
    str
        One line a method or property, sorted by name.
    """
    lines = [f"{cls.__name__}: {_summary(cls)}"]
    for name in sorted(name for name in dir(cls) if not name.startswith("_")):
        member = inspect.getattr_static(cls, name)
        if isinstance(member, (staticmethod, classmethod)):
            member = member.__func__
        if inspect.isfunction(member):
            lines.append(f"  .{name}{_signature(member)}: {_summary(member)}")
        elif isinstance(member, property):
            lines.append(f"  .{name}: {_summary(member)}")
    return "\n".join(lines)


def _signature(function: Any) -> str:
    signature = inspect.signature(function)
    parameters = [p.replace(annotation=p.empty) for name, p in signature.parameters.items() if name not in ("self", "cls")]
    return str(signature.replace(parameters=parameters, return_annotation=signature.empty))


def _summary(member: Any) -> str:
    return (inspect.getdoc(member) or "").partition("\n")[0]


class Info(dict[str, Any]):
    """Facts by name: ``info.filter`` or ``info["filter"]``; it prints one a line.

    Examples
    --------
    >>> info = Info(filter="m600", exptime=100.0)
    >>> info.filter
    'm600'
    >>> info
    filter:  'm600'
    exptime: 100.0
    """

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        raise AttributeError(f"info has no {name!r}; it has {', '.join(self)}")

    def __repr__(self) -> str:
        width = max(map(len, self), default=0) + 1
        return "\n".join(f"{name + ':':<{width}} {value!r}" for name, value in self.items())
