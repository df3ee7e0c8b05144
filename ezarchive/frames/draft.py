"""A frame in the making: values with their origins, notes and quality bits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ezarchive import flags
from ezarchive.config import RootSettings
from ezarchive.frames.cards import Cards
from ezarchive.frames.instruments import Camera


@dataclass(frozen=True)
class Context:
    """What is known about a frame before its fields are worked out."""

    cards: Cards
    camera: Camera
    root: RootSettings
    filename: str
    path: dict[str, str]
    """Fields that the path gives, printable."""


@dataclass
class Draft:
    """Fields of a frame, where each is from, and what is odd about them."""

    values: dict[str, Any] = field(default_factory=dict)
    origin: dict[str, str] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)
    quality: int = 0

    def put(self, name: str, value: Any, origin: str | None = None) -> None:
        """Set a field; the origin may be left out where there is no choice."""
        self.values[name] = value
        if origin is not None:
            self.origin[name] = origin

    def note(self, name: str, text: str) -> None:
        """Keep a remark about a field."""
        self.notes.setdefault(name, []).append(text)

    def flag(self, *names: str) -> None:
        """Set quality bits."""
        self.quality |= flags.value(flags.QUALITY, *names)

    def provenance(self) -> dict[str, str]:
        """Return origins and notes as `Frame.origin` holds them."""
        return {**self.origin, **{f"note:{name}": "; ".join(texts) for name, texts in self.notes.items()}}
