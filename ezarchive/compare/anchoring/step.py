"""`AnchoringStep`: the zero levels of a target's bands, from surveys whose zero level is right and from each other.

The band of reference is compared with surveys at their resolution and gets its level from them; the other bands are compared with it, at a
common resolution, and get theirs so that they are zero where it is. What is found is added to the pixels of new files; inputs stay.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import QTable

from ezarchive import pool
from ezarchive.compare.anchoring import plan
from ezarchive.compare.anchoring.choice import Anchored, chained, direct, failed_bands, nearest
from ezarchive.compare.anchoring.dynamicrange import read_galaxy_table
from ezarchive.compare.anchoring.files import AnchorPaths
from ezarchive.compare.anchoring.pixels import write_anchored
from ezarchive.compare.anchoring.table import (
    EXTERNAL,
    FAILED,
    INTERNAL,
    AnchorReport,
    FitRecord,
    ImageRecord,
    anchor_cards,
    anchor_history,
    fit_table,
    write_table,
)
from ezarchive.compare.anchoring.tasks import images_at_once, run_tasks
from ezarchive.compare.anchoring.threads import run_threads
from ezarchive.compare.anchoring.work import AnchorJob, AnchorTask, BandImage, fit_image
from ezarchive.errors import FrameError, InputError
from ezarchive.files import atomic_write, sync_files

log = logging.getLogger(__name__)


class AnchoringStep:
    """Anchor the bands of a target.

    Parameters
    ----------
    target : str
        First part of the names of files; may hold ``_``.
    bands : sequence of str
        As they are to be anchored; each has a folder in `in_dir`. A band without one is told of in the report, and is no failure.
    in_dir, ref_dir : path
        Of the bands' folders, and of references (``<target>_<survey>.fits``, MJy/sr unless BUNIT says otherwise).
    procs : int
        Processes; with 1, threads of this one, as many as there are cores and memory for. The files that are written do not depend on it.
    in_step_ext, out_step_ext : str
        Last parts of the names of images and of anchored images.
    in_subdir, out_subdir : str
        Of a band's folder: where images lie and anchored ones go; where convolved images and plots go. None for `in_subdir`: the band's
        folder itself.
    kernel_dir : path
        Of kernels, ``<from>_to_<to>.fits``, lower case.
    ref_band : str, sequence of str, or mapping of instrument to these
        The band that surveys are compared with; several: the first that can be anchored. Without instruments, for all together.
    external_bands : str, sequence of str, or mapping of instrument to these
        Surveys, the preferred one first; the first that serves gives the level. All are in the table.
    internal_conv_band : str
        The resolution at which bands are compared with each other: a band, or ``gauss...``.
    reproject_func : {"interp", "adaptive", "exact"}
    simplify_labels : bool
        Of plots only.
    overwrite : bool
        Do everything again, whatever the marker says.
    galaxy_table : path, optional
        CSV with name, ra, dec, posang, inclination, size_reff: percentiles are taken within `reff_factor` effective radii.
    reff_factor : float
    percentile_range : (float, float), optional
        Of the axis that is binned. With a galaxy table (15, 60) by default.
    method : {"robust", "classic"}
        ``robust``: pixels that lie on data only, cells of a beam, bins of equal counts, errors by bootstrap. ``classic``: the published
        algorithm, fixed bins of 0.1 in a fixed range and an unweighted line; see `ezarchive.compare.offsets.fit_offset`.
    psf_fwhm : mapping of str to float, optional
        FWHM in arcsec of bands (or resolutions) whose beam is a round Gaussian: kernels that are not there are made from them.
    masks : path, or mapping of band to path, optional
        DS9 region files, or FITS images that are not 0 where pixels must not be used in the fits; the constant is added there all the same.
    unit : str
        Of images and references that do not say theirs.
    plots : bool

    Attributes
    ----------
    report : AnchorReport or None
        Of the last run.

    Raises
    ------
    InputError
        If an argument is missing or wrong.

    Notes
    -----
    Image = intercept + slope * reference. A survey gives the offset ``-intercept``; another band, ``-intercept + slope * offset`` of its
    reference band, with the errors of all three propagated. Pixels that are not finite or exactly 0 stay as they are.
    """

    def __init__(  # noqa: PLR0913  the published signature
        self,
        target: str,
        bands: Sequence[str],
        in_dir: str | os.PathLike[str],
        ref_dir: str | os.PathLike[str],
        procs: int,
        in_step_ext: str,
        out_step_ext: str = "i2d_anchor",
        in_subdir: str | None = None,
        out_subdir: str | None = None,
        kernel_dir: str | os.PathLike[str] | None = None,
        ref_band: Any = None,
        external_bands: Any = None,
        internal_conv_band: str | None = None,
        reproject_func: str = "interp",
        simplify_labels: bool = True,
        overwrite: bool = False,
        galaxy_table: str | os.PathLike[str] | None = None,
        reff_factor: float = 2.0,
        percentile_range: Sequence[float] | None = None,
        *,
        method: str = "robust",
        psf_fwhm: Mapping[str, float] | None = None,
        masks: Any = None,
        unit: str = "MJy/sr",
        plots: bool = True,
    ) -> None:
        kernels = Path(plan.given("kernel_dir", kernel_dir))
        if not kernels.is_dir():
            raise InputError(f"kernel_dir {str(kernels)!r}: must be a folder that exists")
        self.bands = plan.names_of("bands", bands)
        self.references = plan.ranked("ref_band", plan.given("ref_band", ref_band))
        self.surveys = plan.ranked("external_bands", plan.given("external_bands", external_bands))
        self.procs, self.overwrite = pool.worker_count(procs), bool(overwrite)
        self.galaxy_table = None if galaxy_table is None else Path(galaxy_table)
        paths = AnchorPaths(
            target=target, in_dir=Path(in_dir), ref_dir=Path(ref_dir), kernel_dir=kernels, in_subdir=in_subdir or "",
            out_subdir=plan.given("out_subdir", out_subdir), in_ext=in_step_ext, out_ext=out_step_ext,
        )  # fmt: skip
        self.job = AnchorJob(
            paths=paths, common=plan.names_of("internal_conv_band", plan.given("internal_conv_band", internal_conv_band))[0],
            method=plan.one_of("method", method, plan.METHODS), reproject=plan.one_of("reproject_func", reproject_func, plan.REPROJECTIONS),
            beams=plan.beams_of(psf_fwhm), masks=plan.masks_of(masks), reff_factor=plan.positive("reff_factor", reff_factor),
            percentiles=plan.percentiles_of(percentile_range), unit=plan.unit_of("unit", unit), plots=bool(plots),
            simplify=bool(simplify_labels), threads=pool.worker_count(None) if self.procs == 1 else 1,
        )  # fmt: skip
        self.report: AnchorReport | None = None

    @property
    def paths(self) -> AnchorPaths:
        """Where everything is."""
        return self.job.paths

    def do_step(self) -> bool:
        """Anchor every image of every band, unless that is done already.

        Returns
        -------
        bool
            True if no band failed (or all was done before); `report` says what became of each.

        Raises
        ------
        InputError, FrameError
            Before anything is written: a folder that is not there or cannot be written to, a galaxy table that does not have the target.
        OSError
            If a disk is full, or the like; no file is half-written, and the same call goes on from there.
        """
        if not self.paths.in_dir.is_dir():
            raise InputError(f"in_dir {str(self.paths.in_dir)!r}: must be a folder that exists")
        self.job = replace(self.job, galaxy=self._galaxy())
        files = {band: self.paths.images(band) for band in self.bands}
        marker = plan.read_marker(self.paths.marker)
        if marker is not None and not self.overwrite and marker in ("", self._fingerprint(files)):
            log.info("%s: anchored before, nothing has changed", self.paths.target)
            self.report = AnchorReport(self.paths.target, method=self.job.method, done_before=True)
            return True
        return self.run_again()

    def run_again(self) -> bool:
        """Do what `do_step` does, whatever the marker says."""
        self.job = replace(self.job, galaxy=self._galaxy())
        files = {band: self.paths.images(band) for band in self.bands}
        done = self.run_step(files)
        if done:
            with atomic_write(self.paths.marker) as stream:
                stream.write(self._fingerprint(files).encode())
        return done

    def run_step(self, files: Any) -> bool:
        """Anchor some images, whatever the marker says.

        Parameters
        ----------
        files : mapping of anything to paths, or sequence of paths
            Images in the folders of their bands. The table holds these alone.

        Returns
        -------
        bool
            True if no band failed; see `report`.

        Raises
        ------
        InputError, FrameError, OSError
            As of `do_step`.
        """
        self.job = replace(self.job, galaxy=self._galaxy())
        images = plan.band_images(self.paths, files, self.bands)
        folders = [self.paths.in_dir]
        for image in images:
            folders += [image.image.parent, self.paths.out_folder(image.band)]
        plan.check_writable(folders)
        plan.make_folders(folders)
        self.paths.marker.unlink(missing_ok=True)
        groups, others = plan.grouped(images, self.references)
        records: list[FitRecord] = []
        team = pool.Team(self.procs)
        try:
            anchored = self._internal(groups, self._external(groups, records, team), records, team)
        finally:
            team.end()
        self.report = self._finished(images, others, anchored, records)
        for line in str(self.report).splitlines():
            log.info(line)
        return self.report.ok

    def parallel_anchoring(
        self, file: str | os.PathLike[str], external: bool = True, internal_reference: str | os.PathLike[str] | None = None
    ) -> tuple[FitRecord, ...]:
        """Compare one image with its references; nothing is written but convolved images and plots.

        Parameters
        ----------
        file : path
            In the folder of its band.
        external : bool
            Compare it with the surveys named for its instrument.
        internal_reference : path, optional
            An image of another band (or another image of the same) to compare it with, at the common resolution.

        Returns
        -------
        tuple of FitRecord
            A fit that could not be made has ``fit=None`` and a message.

        Raises
        ------
        InputError, OSError
            As of `do_step`.
        """
        (image,) = plan.band_images(self.paths, [file], self.bands)
        others = () if internal_reference is None else plan.band_images(self.paths, [internal_reference], self.bands)
        folders = [self.paths.out_folder(image.band), *(self.paths.out_folder(other.band) for other in others)]
        plan.check_writable(folders)
        plan.make_folders(folders)
        surveys = plan.surveys_of(image, self.surveys) if external else ()
        return fit_image(AnchorTask(replace(self.job, galaxy=self._galaxy()), image, surveys, others))

    def plan(self) -> QTable:
        """Return what `do_step` would compare with what, and what is missing; no pixel is read and nothing written."""
        images = plan.band_images(self.paths, {band: self.paths.images(band) for band in self.bands}, self.bands)
        return plan.planned(self.job, plan.grouped(images, self.references)[0], self.surveys)

    def plan_text(self) -> str:
        """Return `plan` as text, a line each."""
        lines = [f"{self.paths.target}: {len(self.bands)} bands"]
        for row in self.plan():
            band, file, kind, reference, resolution, kernel, problem = row
            how = f"{kind} against {reference} at {resolution}, kernel {kernel or '-'}"
            lines.append(f"  {band:<8} {file}: {how}{f'; {problem}' if problem else ''}")
        lines += [f"  {band:<8} no image" for band in self.bands if not self.paths.images(band)]
        return "\n".join(lines)

    def kind_of(self, band: str) -> str:
        """Return what a band gets its level from: surveys (``external``) or another band (``internal``)."""
        first = {names[0].upper() for names in self.references.values()}
        return EXTERNAL if band.upper() in first else INTERNAL

    def _external(self, groups: Sequence[plan.Group], records: list[FitRecord], team: pool.Team) -> list[Anchored]:
        """Compare reference bands with surveys, rank by rank, until each group has an image with a level."""
        anchored: list[Anchored] = []
        for rank in range(max((len(group.ranks) for group in groups), default=0)):
            settled = {one.image for one in anchored}
            waiting = [group for group in groups if not settled.intersection(group.images)]
            images = [
                image for group in waiting if rank < len(group.ranks) for image in group.images if image.band.upper() == group.ranks[rank]
            ]
            tasks = [
                AnchorTask(self.job, image, plan.surveys_of(image, self.surveys), prepare=self._prepares(image, groups)) for image in images
            ]
            for task, found in run_tasks(tasks, self.procs, team):
                records += found
                anchored += direct(task.target, found)
        return anchored

    def _internal(
        self, groups: Sequence[plan.Group], anchored: list[Anchored], records: list[FitRecord], team: pool.Team
    ) -> list[Anchored]:
        """Compare the other images of each group with those that have a level."""
        levels = {one.image: one for one in anchored}
        tasks = []
        for group in groups:
            known = [image for image in group.images if image in levels]
            tasks += [AnchorTask(self.job, image, (), nearest(image, known)) for image in group.images if known and image not in levels]
        made = list(anchored)
        for task, found in run_tasks(tasks, self.procs, team):
            records += found
            made += chained(task.target, found, levels)
        return made

    def _prepares(self, image: BandImage, groups: Sequence[plan.Group]) -> bool:
        return any(image in group.images and len(group.images) > 1 for group in groups)

    def _finished(
        self, images: Sequence[BandImage], others: Sequence[BandImage], anchored: Sequence[Anchored], records: Sequence[FitRecord]
    ) -> AnchorReport:
        """Write the anchored images and the table."""
        levels = {one.image: one for one in anchored}
        made = [self._image_record(image, levels, others, records) for image in images]
        for k, (record, result) in enumerate(run_threads(_written, made, images_at_once(one.image for one in images))):
            if isinstance(result, FrameError):
                made[k] = replace(record, status=FAILED, message=str(result), offset=np.nan, offset_err=np.nan)
            elif isinstance(result, Exception):
                raise result
        sync_files([record.output for record in made if record.status != FAILED])
        offsets = {key: value for one in anchored for key, value in one.offsets.items()}
        fits = [record for record in records if record.reference]
        write_table(self.paths.table, fit_table(self.paths.target, fits, made, offsets, self.job.method))
        bands = failed_bands(self.bands, made, self.paths)
        return AnchorReport(self.paths.target, bands, tuple(records), self.job.method, offsets=offsets)

    def _image_record(
        self, image: BandImage, levels: Mapping[BandImage, Anchored], others: Sequence[BandImage], records: Sequence[FitRecord]
    ) -> ImageRecord:
        output, level = self.paths.anchored(image.image), levels.get(image)
        if level is not None:
            return ImageRecord(
                image.band, image.instrument, image.image, output, level.status, level.offset, level.offset_err,
                level.record, level.record.unit, level.message,
            )  # fmt: skip
        mine = [f"{record.reference}: {record.message}".removeprefix(": ") for record in records if record.image == image.image]
        mine = list(dict.fromkeys(mine))
        if image in others:
            mine.append(f"ref_band names no band for the instrument {image.instrument!r}")
        elif not mine:
            mine.append(self._why_not(image, records))
        return ImageRecord(image.band, image.instrument, image.image, output, FAILED, message="; ".join(mine))

    def _why_not(self, image: BandImage, records: Sequence[FitRecord]) -> str:
        key = image.instrument if image.instrument in self.references else plan.ANY
        ranks = self.references.get(key, ())
        if image.band.upper() in [band.upper() for band in ranks] and not plan.surveys_of(image, self.surveys):
            return f"external_bands names no survey for the instrument {image.instrument!r}"
        tried = {record.band.upper() for record in records}
        missing = [band for band in ranks if band.upper() not in tried]
        return f"no reference band was anchored: {', '.join(ranks)}{f' (no image of {chr(44).join(missing)})' if missing else ''}"

    def _galaxy(self) -> Any:
        return None if self.galaxy_table is None else read_galaxy_table(self.galaxy_table, self.paths.target)

    def _fingerprint(self, files: Mapping[str, Sequence[Path]]) -> str:
        job, inputs = self.job, [path for listed in files.values() for path in listed]
        surveys = {name for names in self.surveys.values() for name in names}
        used = [*inputs, *map(job.paths.anchored, inputs), job.paths.table, *map(job.paths.reference, surveys), *job.masks.values()]
        used += [] if self.galaxy_table is None else [self.galaxy_table]
        for band in files:
            used += job.paths.kernel_dir.glob(f"{band.lower()}_to_*.fits")
        settings = {name: getattr(job, name) for name in job.__dataclass_fields__ if name not in ("paths", "threads")}
        return plan.fingerprint({**settings, "bands": self.bands, "references": self.references, "surveys": self.surveys}, used)


def _written(record: ImageRecord) -> None:
    if record.status == FAILED:
        record.output.unlink(missing_ok=True)  # of an earlier run: it does not hold any more
    else:
        write_anchored(record.image, record.output, record.offset, anchor_cards(record), anchor_history(record))
