"""What makes a dataset of the store a HATS catalog."""

from __future__ import annotations

from ezarchive.store.version import Version


def write(version: Version, dataset: str) -> None:
    """Write the metadata of a HATS catalog."""
