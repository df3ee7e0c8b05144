"""What differential photometry did."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from astropy.table import QTable

from ezarchive.errors import InputError

_SHOWN = 10
_FORMATS = {".ecsv": "ascii.ecsv", ".csv": "ascii.csv", ".fits": "fits", ".vot": "votable"}


class EnsembleRow(NamedTuple):
    """One ensemble: a filter (of a telescope), an aperture, a set of frames that share stars.

    Attributes
    ----------
    name : str
        As ``r`` or ``r 7DT01``.
    aperture : float
        Diameter, arcsec.
    number : int
        Of the set, from 0; the largest comes first.
    n_frames, n_stars, n_variable : int
        Frames with a zero point; comparison stars; stars that vary and were left out.
    error : float
        Median error of a zero point, mag.
    floor : float
        Scatter of the better stars beyond their errors, mag.
    origin : str
        Where the level comes from: ``AB`` ..., as of `levels.Level`.
    level_error : float
        Its error, common to all frames, mag.
    """

    name: str
    aperture: float
    number: int
    n_frames: int
    n_stars: int
    n_variable: int
    error: float
    floor: float
    origin: str
    level_error: float

    def __str__(self) -> str:
        level = "level of no reference" if self.origin == "none" else f"level {self.origin}"
        return (
            f"{self.name}, {self.aperture:g} arcsec, set {self.number}: {self.n_frames} frames, {self.n_stars} comparison stars "
            f"({self.n_variable} variable), errors {1000 * self.error:.1f} mmag, {level}"
        )


@dataclass(frozen=True)
class DifferentialReport:
    """What differential photometry did: the ensembles, their stars, and the frames that got no zero point.

    ``failed`` lists ``(path, code, message)``, as the table ``quarantine`` does (stage ``differential``). ``stars`` has one row a star and
    ensemble: ``filter telname aperture_arcsec set object_id ra dec n_epochs mag mag_err chi2_reduced excess reason``; comparison stars have
    the reason ``used``. ``frames`` has one row a frame and aperture: ``frame_id filter telname aperture_arcsec set zero_point
    zero_point_err n_stars scatter excess``.
    """

    run_id: int | None
    ensembles: tuple[EnsembleRow, ...]
    failed: tuple[tuple[str, str, str], ...]
    zero_points: int
    elapsed: float
    stars: QTable = field(repr=False)
    frames: QTable = field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether every frame has its zero point."""
        return not self.failed

    @property
    def comparison_stars(self) -> QTable:
        """The rows of ``stars`` that were used."""
        return self.stars[self.stars["reason"] == "used"]

    def write_stars(self, path: Path | str) -> None:
        """Write the table of stars; the suffix says how: ``.ecsv``, ``.csv``, ``.fits`` or ``.vot``.

        Raises
        ------
        InputError
            If the suffix is another one.
        """
        place = Path(path)
        if place.suffix not in _FORMATS:
            raise InputError(f"{place}: must end in one of {', '.join(_FORMATS)}")
        self.stars.write(place, format=_FORMATS[place.suffix], overwrite=True)

    def __str__(self) -> str:
        run = "nothing saved" if self.run_id is None else f"run {self.run_id}"
        n_frames = len(set(self.frames["frame_id"].tolist()))
        first = (
            f"differential: {n_frames} frames in {len(self.ensembles)} ensembles ({self.zero_points} zero points), "
            f"{len(self.failed)} failed; {run}; {self.elapsed:.1f} s"
        )
        failed = [f"  {path}: {code}: {message}" for path, code, message in self.failed]
        more = [f"  and {len(failed) - _SHOWN} more failures (.failed)"] if len(failed) > _SHOWN else []
        return "\n".join([first, *(f"  {row}" for row in self.ensembles), *failed[:_SHOWN], *more])
