"""`QuickLook`: images under their labels, subsets, links, and every analysis of this room by label; no screen, and nothing is drawn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from astropy.table import QTable

from ezarchive import quicklook as look
from ezarchive.errors import EzarchiveError, InputError, near_misses
from ezarchive.quicklook.display.plotoptions import PlotOptions, mixed
from ezarchive.quicklook.linkedimages import LinkedImages

if TYPE_CHECKING:
    from ezarchive.quicklook.apertures.growth import GrowthCurve
    from ezarchive.quicklook.apertures.pixelarea import PixelArea
    from ezarchive.quicklook.apertures.profilefit import ProfileFit
    from ezarchive.quicklook.apertures.radial import RadialProfile
    from ezarchive.quicklook.apertures.results import PhotometryResults
    from ezarchive.quicklook.display.contouring import Contours
    from ezarchive.quicklook.display.imagestatistics import ImageStatistics
    from ezarchive.quicklook.display.limits import Limits
    from ezarchive.quicklook.display.previews import Preview
    from ezarchive.quicklook.display.readout import Cursor
    from ezarchive.quicklook.headers import Metadata
    from ezarchive.quicklook.places.cuts import Cut
    from ezarchive.quicklook.places.lines import LineProfiles
    from ezarchive.quicklook.places.links import Link
    from ezarchive.quicklook.places.orientation import Compass
    from ezarchive.quicklook.planes.pictures import Picture
    from ezarchive.quicklook.regions.centroids import Recentered
    from ezarchive.quicklook.regions.shapes import Shape
    from ezarchive.quicklook.regions.subsets import LoadReport, Subset, Subsets

Labels = str | Sequence[str]


class _Placed:
    """A subset as photometry takes it: on each image where the session puts it."""

    def __init__(self, subset: Subset, session: QuickLook) -> None:
        self.subset, self.label, self._session = subset, subset.label, session

    def on(self, picture: Picture) -> Shape:
        """Return its shape on an image: by the sky, if it was given there or both images are linked so; else by pixels."""
        subset, session = self.subset, self._session
        if subset.sky is None:
            if not session.data_labels or not (session._on_sky(picture) and (subset.picture is None or session._on_sky(subset.picture))):
                return subset.on(picture, link_type="pixels")
            if subset.picture is None:
                subset = replace(subset, picture=session._reference)
        return subset.on(picture)


class QuickLook(LinkedImages):
    """A session with images.

    Every analysis of `ezarchive.quicklook` is a method that takes the label of an image (or a list of labels) in place of the image, and
    the label of a subset, or any region, in place of a region; all else is as the function of the same name has it. The first image is
    the reference of the links.

    Attributes
    ----------
    subsets : Subsets
        The regions of the session.
    results : PhotometryResults
        Every row of aperture photometry ever measured in it.

    Examples
    --------
    >>> import numpy as np
    >>> session = QuickLook()
    >>> session.load(np.ones((20, 30)), label="flat")
    ['flat']
    >>> session.data_labels
    ['flat']
    """

    def __init__(self) -> None:
        super().__init__()
        self._plot_options: dict[str, PlotOptions] = {}
        self.subsets: Subsets = look.Subsets()
        self.results: PhotometryResults = look.PhotometryResults()

    def __repr__(self) -> str:
        return f"QuickLook({len(self._pictures)} images, {len(self.subsets)} subsets, {len(self.results)} rows of photometry)"

    def remove(self, label: str) -> None:
        """Take an image out of the session; subsets and results stay. Without the reference the next image is it."""
        super().remove(label)
        self._plot_options.pop(label, None)

    def to_dict(self) -> dict[str, Any]:
        """Return images, subsets and rows of photometry as plain values for JSON."""
        images = [
            {
                "label": label,
                "shape": list(one.shape),
                "unit": one.unit_text if one.unit is None else one.unit.to_string(),
                "path": None if one.path is None else str(one.path),
                "has_wcs": one.wcs is not None,
                "link_type": self.link_type(label),
                "plot_options": self.plot_options(label).to_dict(),
            }
            for label, one in self._pictures.items()
        ]
        return {"images": images, "subsets": self.subsets.to_dict(), "photometry": self.results.to_dict()}

    # ------------------------------------------------------------------ what is known of an image

    def metadata(self, label: str, show_primary: bool = False, **options: Any) -> Metadata:
        """Return the metadata of an image: `ezarchive.quicklook.metadata`."""
        return look.metadata(self.picture(label), show_primary, **options)

    def metadata_differences(self, labels: Iterable[str] | None = None, show_primary: bool = False, **options: Any) -> QTable:
        """Return in what images (by default all) differ: `ezarchive.quicklook.metadata_differences`."""
        wanted = self.data_labels if labels is None else labels
        return look.metadata_differences(self._several(wanted), show_primary, **options)

    def statistics(self, label: str, subset: Any = None) -> ImageStatistics:
        """Return numbers of an image, or of what is in a subset: `ezarchive.quicklook.statistics`."""
        region = None if subset is None else self._shape(subset, label)
        return look.statistics(self.picture(label), region)

    def display_limits(self, label: str, percentile: Any = 95) -> Limits:
        """Return the limits between which an image is shown: `ezarchive.quicklook.display_limits`."""
        return look.display_limits(self.picture(label), percentile)

    def preview(self, label: str, size: int = 800, **options: Any) -> Preview:
        """Return an image averaged to fewer pixels: `ezarchive.quicklook.preview`."""
        return look.preview(self.picture(label), size, **options)

    def contours(self, label: str, levels: Any = None, **options: Any) -> Contours:
        """Return lines of equal level: `ezarchive.quicklook.contours`."""
        return look.contours(self.picture(label), levels, **options)

    def pixel_area(self, label: str, **options: Any) -> PixelArea:
        """Return the solid angle of a pixel and how it is known: `ezarchive.quicklook.pixel_area`."""
        return look.pixel_area(self.picture(label), **options)

    def compass(self, label: str, r_fac: float = 0.4, *, zoom: Any = None, linked: bool = False, **options: Any) -> Compass:
        """Return where north and east are: `ezarchive.quicklook.compass`; with `linked`, `zoom` is in pixels of the reference."""
        return look.compass(self.picture(label), r_fac, zoom=zoom, link=self._way(label, linked), **options)

    def cursor(self, label: str, x: float, y: float, *, linked: bool = False) -> Cursor:
        """Return what a read-out says of a pixel: `ezarchive.quicklook.cursor`; with `linked` it is one of the reference."""
        return look.cursor(self.picture(label), x, y, link=self._way(label, linked))

    # ------------------------------------------------------------------ how images are shown

    def plot_options(self, label: str) -> PlotOptions:
        """Return how an image is shown."""
        self.picture(label)
        return self._plot_options.get(label, PlotOptions())

    def set_plot_options(self, label: Labels, **values: Any) -> None:
        """Change how images are shown.

        Parameters
        ----------
        label : str or list of str
        **values
            Of `ezarchive.quicklook.PlotOptions`; and ``v_min``, ``v_max``.

        Raises
        ------
        InputError
            If one is wrong; then nothing is changed.
        """
        made = {}
        for one in [label] if isinstance(label, str) else label:
            now = self.plot_options(one)
            edges = "v_min" in values or "v_max" in values
            made[one] = now.changed(**values, **({"limits": now.limits_of(self.picture(one))} if edges else {}))
        self._plot_options |= made

    def mixed_plot_options(self, labels: Iterable[str]) -> tuple[str, ...]:
        """Return the names of the settings in which images differ."""
        return mixed(self.plot_options(label) for label in labels)

    # ------------------------------------------------------------------ lines

    def line_profiles(
        self, label: Labels, x: Any, y: float | None = None, *, linked: bool = False, **options: Any
    ) -> LineProfiles | list[LineProfiles]:
        """Return row and column through a pixel: `ezarchive.quicklook.line_profiles`.

        Of several images the pixel is of the first, and they are linked as the session is; with `linked`, that of one is of the reference.
        """
        return look.line_profiles(self._images(label), x, y, links=self._ways(label, linked), **options)

    def cut(self, label: Labels, start: Any, end: Any, width: float = 1, *, linked: bool = False, **options: Any) -> Cut:
        """Return the pixels along a segment: `ezarchive.quicklook.cut`; several images and `linked` as for `line_profiles`."""
        return look.cut(self._images(label), start, end, width, links=self._ways(label, linked), **options)

    # ------------------------------------------------------------------ apertures

    def add_subset(self, region: Any, label: str | None = None, **options: Any) -> Subset:
        """Make a subset on the pixels of an image, by default the reference: ``subsets.add``."""
        return self.subsets.add(region, self._home(label), **options)

    def shape(self, subset: Any, label: str) -> Shape:
        """Return a subset or region as a shape on the pixels of an image, where the links of the session put it."""
        return look.shape_of(self._shape(subset, label), self.picture(label))

    def load_regions(self, regions: Any, label: str | None = None, **options: Any) -> LoadReport:
        """Make a subset of each region of a file or list, on an image, by default the reference: ``subsets.load``."""
        return self.subsets.load(regions, self._home(label), **options)

    def recenter(self, label: str, subset: Any, **options: Any) -> Recentered:
        """Return a subset moved to the centre of mass in it: `ezarchive.quicklook.recenter`; ``subsets.recenter`` moves it for good."""
        return look.recenter(self.picture(label), self._shape(subset, label), **self._resolved(options))

    def curve_of_growth(self, label: str, subset: Any, **options: Any) -> GrowthCurve:
        """Return sums in apertures of growing size: `ezarchive.quicklook.curve_of_growth`."""
        return look.curve_of_growth(self.picture(label), self._shape(subset, label), **self._resolved(options))

    def radial_profile(self, label: str, subset: Any, **options: Any) -> RadialProfile:
        """Return the profile around a centre: `ezarchive.quicklook.radial_profile`."""
        return look.radial_profile(self.picture(label), self._shape(subset, label), **self._resolved(options))

    def fit_profile(self, label: str, subset: Any, model: str = "gaussian", *, raw: bool = True, **options: Any) -> ProfileFit:
        """Return the fit of a radial profile, by default of all pixels: `ezarchive.quicklook.fit_profile`.

        `options` are those of `radial_profile`, and ``fixed``.
        """
        fixed = options.pop("fixed", None)
        return look.fit_profile(self.radial_profile(label, subset, raw=raw, **options), model, fixed=fixed)

    def aperture_photometry(self, label: Labels, subset: Any, *, columns: Any = "all", **options: Any) -> QTable:
        """Measure subsets or regions on images, and keep the rows.

        Parameters
        ----------
        label : str or list of str
            Of images.
        subset : str, region, or list of them
            Labels of subsets, or regions.
        columns : {"all", "legacy"} or sequence of str
            Of the table that is returned; all are kept.
        **options
            Of `ezarchive.quicklook.aperture_photometry`; ``background`` may be the label of a subset too.

        Returns
        -------
        QTable
            The new rows, with their ids in the session.

        Raises
        ------
        InputError
            If an argument is wrong; what was measured before stays.
        """
        if subset is None:
            raise InputError("No data for aperture photometry: subset must be given")
        found = look.aperture_photometry(self._images(label), self._regions(subset), **self._resolved(options))
        new = look.PhotometryResults(found)
        before = len(self.results)
        self.results.append(new)
        table = new.to_table(columns)
        if "id" in table.colnames:
            table["id"] += before
        return table

    def batch_aperture_photometry(self, jobs: Sequence[Mapping[str, Any]]) -> QTable:
        """Measure many things, each with settings of its own.

        Parameters
        ----------
        jobs : list of dict
            The arguments of `aperture_photometry`, ``label`` and ``subset`` among them.

        Returns
        -------
        QTable
            The new rows.

        Raises
        ------
        InputError
            If the list is none, or an argument is unknown: then nothing is measured. If some of the jobs failed: the rows of all others
            are kept then.
        """
        known = _photometry_arguments()
        if isinstance(jobs, (str, Mapping)) or not isinstance(jobs, Sequence) or not all(isinstance(job, Mapping) for job in jobs):
            raise InputError("jobs: must be a list of dicts, each with the arguments of aperture_photometry")
        for place, job in enumerate(jobs):
            for name in job:
                if name not in known:
                    raise InputError(f"jobs[{place}]: {name!r}: {near_misses(str(name), known)}")
            for name in ("label", "subset"):
                if name not in job:
                    raise InputError(f"jobs[{place}]: must have {name!r}")
        before, failed = len(self.results), {}
        for place, job in enumerate(jobs):
            try:
                self.aperture_photometry(**job)
            except EzarchiveError as err:
                failed[place] = str(err)
        if failed:
            reasons = "; ".join(f"{place}: {reason}" for place, reason in failed.items())
            raise InputError(f"inputs {list(failed)} failed and were skipped: {reasons}")
        return self.results.to_table()[before:]

    def get_aperture_photometry_results(self, columns: Any = "all") -> QTable:
        """Return every row ever measured in the session; see `ezarchive.quicklook.aperture_photometry` for `columns`."""
        return self.results.to_table(columns)

    # ------------------------------------------------------------------ labels to things

    def _several(self, labels: Iterable[str]) -> list[Picture]:
        if isinstance(labels, str):
            raise InputError(f"labels={labels!r}: must be a list of data labels")
        return [self.picture(label) for label in labels]

    def _home(self, label: str | None) -> Picture | None:
        if label is not None:
            return self.picture(label)
        return self._reference if self._pictures else None

    def _images(self, label: Labels) -> Any:
        """Return an image of a label, a list of images of a list."""
        return self.picture(label) if isinstance(label, str) else self._several(label)

    def _way(self, label: str, linked: bool) -> Link | None:
        return self.link(label) if linked else None

    def _ways(self, label: Labels, linked: bool) -> Any:
        """Return the links of `line_profiles` and `cut`: of one image that of the session if asked, of several those from the first."""
        if isinstance(label, str):
            return self._way(label, linked)
        if linked:
            raise InputError("linked=True: must be given with one label; of several the pixels are those of the first")
        first, *others = self._several(label)
        return [look.link(first, other, **self._linking) for other in others]

    def _placed(self, subset: Any) -> Any:
        """Return what a region is: a subset by its label, anything else as it is."""
        if isinstance(subset, str):
            if subset not in self.subsets.labels:
                raise InputError(f"subset {subset!r}: {near_misses(subset, self.subsets.labels)}")
            subset = self.subsets[subset]
        if hasattr(subset, "on") and hasattr(subset, "label"):
            return _Placed(subset, self)
        return subset

    def _on_sky(self, picture: Picture) -> bool:
        """Say whether an image, of this session or not, is linked to the reference by the sky."""
        if self._linking["link_type"] == "pixels":
            return False
        return self._pictures.get(picture.label) is not picture or self.link_type(picture.label) != "pixels"

    def _regions(self, subset: Any) -> Any:
        if isinstance(subset, (list, tuple)):
            return [self._placed(one) for one in subset]
        return self._placed(subset)

    def _shape(self, subset: Any, label: str) -> Any:
        placed, image = self._placed(subset), self.picture(label)
        return placed.on(image) if isinstance(placed, _Placed) else placed

    def _resolved(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return options in which a background that is a subset is placed on the image."""
        background = options.get("background")
        placed = isinstance(background, str) or hasattr(background, "on")
        return {**options, "background": self._placed(background)} if placed else dict(options)


def _photometry_arguments() -> list[str]:
    code = look.aperture_photometry.__code__
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    return ["label", "subset", *(name for name in names if name not in ("image", "region", "label"))]
