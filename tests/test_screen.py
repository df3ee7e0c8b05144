"""What reaches the screen."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from ezarchive import screen

pytestmark = pytest.mark.pure


class Sample:
    """A class to be helped with."""

    @property
    def size(self) -> int:
        """Its size."""
        return 1

    @classmethod
    def make(cls, n: int = 3) -> Sample:
        """Make one."""
        return cls()

    def work(self, x: float, *, fast: bool = False) -> None:
        """Do the work.

        At length.
        """

    def _hidden(self) -> None:
        """Not shown."""


def test_say_is_quiet_when_asked(capsys):
    screen.say("90 files found")
    screen.say("not this", False)
    assert capsys.readouterr().out == "90 files found\n"


def test_help_lists_public_members_with_signatures():
    assert screen.help_text(Sample).splitlines() == [
        "Sample: A class to be helped with.",
        "  .make(n=3): Make one.",
        "  .size: Its size.",
        "  .work(x, *, fast=False): Do the work.",
    ]


def test_display_shows_only_in_a_notebook(monkeypatch):
    shown = []
    screen.display("figure")
    shell = SimpleNamespace(kernel=None)
    fake = SimpleNamespace(get_ipython=lambda: shell, display=SimpleNamespace(display=shown.append))
    monkeypatch.setitem(sys.modules, "IPython", fake)
    screen.display("figure")
    assert shown == []
    shell.kernel = object()
    screen.display("figure")
    assert shown == ["figure"]
