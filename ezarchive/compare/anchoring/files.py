"""Where the anchoring of bands finds and puts its files; every name is made and read here.

::

    IN/<BAND>/<in_subdir>/*_<in_step_ext>.fits              images of a band (those with ``_bgr_`` in the name are left out)
    IN/<BAND>/<in_subdir>/..._<out_step_ext>.fits           the same, anchored
    IN/<BAND>/<out_subdir>/<image>_at<resolution>.fits      convolved, kept for the next run; plots: <target>_<band>_vs_<ref>_anchoring
    IN/<target>_anchor_tab.fits                             table of fits
    IN/anchoring_step_complete.txt                          what was done, written at the end
    REF/<target>_<survey>.fits                              references of true zero level
    KERNELS/<from>_to_<to>.fits                             kernels, lower case
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ezarchive.errors import InputError

MARKER = "anchoring_step_complete.txt"
BACKGROUND = "_bgr"
FIGURES = (".png", ".pdf")


@dataclass(frozen=True, kw_only=True)
class AnchorPaths:
    """The folders and name parts of one target.

    Attributes
    ----------
    target : str
        May hold ``_``.
    in_dir, ref_dir : Path
    kernel_dir : Path
    in_subdir : str
        Of a band's folder, where images lie; ``""``: the band's folder itself.
    out_subdir : str
        Of a band's folder, where convolved images and plots go.
    in_ext, out_ext : str
        Last parts of the names of images and anchored images, as ``i2d_align`` and ``i2d_anchor``.
    """

    target: str
    in_dir: Path
    ref_dir: Path
    kernel_dir: Path
    in_subdir: str
    out_subdir: str
    in_ext: str
    out_ext: str

    def __post_init__(self) -> None:
        for name in ("target", "in_ext", "out_ext"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value or "/" in value:
                raise InputError(f"{_ARGUMENTS.get(name, name)} {value!r}: must be a part of a file name")
        if f"_{self.out_ext}".endswith(f"_{self.in_ext}"):
            raise InputError(f"out_step_ext {self.out_ext!r}: must not end like in_step_ext, {self.in_ext!r}; inputs are never written to")

    def band_folder(self, band: str) -> Path:
        """Return the folder of a band: its name as given, or in upper case where only that is there."""
        given, upper = self.in_dir / band, self.in_dir / band.upper()
        return given if given.is_dir() or not upper.is_dir() else upper

    def in_folder(self, band: str) -> Path:
        """Return the folder that images of a band lie in, and anchored ones go to."""
        return self.band_folder(band) / self.in_subdir

    def out_folder(self, band: str) -> Path:
        """Return the folder of a band's convolved images and plots."""
        return self.band_folder(band) / self.out_subdir

    def images(self, band: str) -> list[Path]:
        """Return the images of a band, by name; backgrounds (``_bgr_``) are left out."""
        found = self.in_folder(band).glob(f"*_{self.in_ext}.fits")
        return sorted(path for path in found if f"{BACKGROUND}_" not in path.name and path.is_file())

    def anchored(self, image: Path) -> Path:
        """Return the name of the anchored image of an image."""
        return image.with_name(f"{self._short(image)}_{self.out_ext}.fits")

    def convolved(self, band: str, image: Path, resolution: str) -> Path:
        """Return the name of an image convolved to a resolution."""
        return self.out_folder(band) / f"{image.name.removesuffix('.fits')}_at{resolution.lower()}.fits"

    def figures(self, band: str, image: Path, reference: str, *, alone: bool = True) -> tuple[Path, ...]:
        """Return the names of the plots of a fit; with several images of the band (not `alone`) they begin with the image's."""
        start = f"{self.target}_{band.lower()}" if alone else self._short(image)
        return tuple(self.out_folder(band) / f"{start}_vs_{reference}_anchoring{suffix}" for suffix in FIGURES)

    def reference(self, survey: str) -> Path:
        """Return the file of a reference."""
        return self.ref_dir / f"{self.target}_{survey}.fits"

    def kernel(self, start: str, goal: str) -> Path:
        """Return the file of the kernel from one resolution to another."""
        return self.kernel_dir / f"{start.lower()}_to_{goal.lower()}.fits"

    @property
    def table(self) -> Path:
        """The table of fits."""
        return self.in_dir / f"{self.target}_anchor_tab.fits"

    @property
    def marker(self) -> Path:
        """The file that says that all is done."""
        return self.in_dir / MARKER

    def instrument(self, image: Path) -> str | None:
        """Return the instrument that an image's name tells, ``<target>_<instrument>_lv3_<band>_...``, lower case; None: it tells none."""
        name = image.name
        if not name.lower().startswith(f"{self.target.lower()}_"):
            return None
        parts = name[len(self.target) + 1 :].split("_")
        return parts[0].lower() if len(parts) > 2 and parts[1].lower() == "lv3" and parts[0] else None

    def band(self, image: Path) -> str | None:
        """Return the band, upper case, that an image lies in the folder of; None if it lies elsewhere."""
        if image.name in (self.table.name, MARKER):
            return None
        try:
            return image.parent.relative_to(self.in_dir).parts[0].upper()
        except (ValueError, IndexError):
            return None

    def _short(self, image: Path) -> str:
        return image.name.removesuffix(f"_{self.in_ext}.fits")


_ARGUMENTS = {"in_ext": "in_step_ext", "out_ext": "out_step_ext"}


def band_key(band: str) -> str:
    """Return a band's name as kernels and the table know it: lower case, without ``_bgr``."""
    return band.lower().removesuffix(BACKGROUND)


def resolution_of(survey: str) -> str:
    """Return the resolution of a reference's pixels by its name: what follows the last ``_at``, or the name itself.

    Examples
    --------
    >>> resolution_of("irac4_atgauss4"), resolution_of("irac1")
    ('gauss4', 'irac1')
    """
    return survey.rpartition("_at")[2].lower()


def label_of(survey: str, *, simplify: bool = True) -> str:
    """Return what plots call a reference or band; `simplify` cuts ``_atgauss...`` off and writes upper case."""
    return survey.split("_atgauss")[0].upper() if simplify else survey
