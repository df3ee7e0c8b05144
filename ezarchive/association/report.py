"""What `associate` tells when it is done."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AssociateReport:
    """What was done, and the check that no row was lost or given twice.

    Attributes
    ----------
    version : int or None
        The version of the store that light curves use now; None where there is none.
    changed : bool
        Whether it was made now.
    added, withdrawn, recalibrated : int
        Catalogs whose rows came in, went out, or got new magnitudes; one that was read anew counts in the first two.
    without : int
        Catalogs without the store's aperture; their rows stay in their files.
    catalogs, rows_in : int
        Catalogs in the store, and their rows in all.
    light_curve, orphans, unplaced : int
        Those rows in the store: of objects, of none (yet), and without a position.
    objects, new, merged, ambiguous : int
        Objects in the store; those of them that are new, that turned out to be another one, and pairs that share a place.
    compacted : int
        Partitions whose files were made one.
    elapsed : float
        Seconds.
    failed : tuple of (int, str)
        Catalogs whose file is missing or torn, and what is wrong; they are not in the store, and tried again the next time.
    unread : tuple of str
        Files of the store before that could not be read when it was made anew: ids of its objects that are others now have no alias.
    """

    version: int | None
    changed: bool = False
    added: int = 0
    withdrawn: int = 0
    recalibrated: int = 0
    without: int = 0
    catalogs: int = 0
    rows_in: int = 0
    light_curve: int = 0
    orphans: int = 0
    unplaced: int = 0
    objects: int = 0
    new: int = 0
    merged: int = 0
    ambiguous: int = 0
    compacted: int = 0
    elapsed: float = 0.0
    failed: tuple[tuple[int, str], ...] = ()
    unread: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every catalog could be read."""
        return not self.failed

    @property
    def conserved(self) -> bool:
        """Whether rows in equal rows out; `associate` raises an error before it would publish anything else."""
        return self.rows_in == self.light_curve + self.orphans + self.unplaced

    def __str__(self) -> str:
        store = "no store" if self.version is None else f"store version {self.version}"
        what = f"{self.added} catalogs added, {self.withdrawn} withdrawn, {self.recalibrated} calibrated anew"
        lines = [f"{store}: {what if self.changed else 'up to date'}; {self.elapsed:.1f} s"]
        if self.version is not None:
            more = f" ({self.new} new, {self.merged} merged, {self.ambiguous} ambiguous pairs)"
            lines.append(f"  {self.objects} objects{more}")
            kinds = f"{self.light_curve} of objects + {self.orphans} of none yet + {self.unplaced} without a position"
            lines.append(
                f"  rows of {self.catalogs} catalogs: {self.rows_in} = {kinds}: {'conserved' if self.conserved else 'NOT CONSERVED'}"
            )
        if self.compacted:
            lines.append(f"  {self.compacted} partitions compacted")
        if self.without:
            lines.append(f"  {self.without} catalogs without the store's aperture stay outside")
        lines += [f"  catalog {number}: {message}" for number, message in self.failed]
        lines += [f"  ids of before may be lost: {message}" for message in self.unread]
        return "\n".join(lines)
