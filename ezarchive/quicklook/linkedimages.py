"""Images under their labels, and how they are linked: what a session is made on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ezarchive import quicklook as look
from ezarchive.errors import InputError, near_misses
from ezarchive.quicklook.headers import numbered

if TYPE_CHECKING:
    from ezarchive.quicklook.places.links import Link
    from ezarchive.quicklook.planes.pictures import Picture


class LinkedImages:
    """Images in the order in which they were loaded; the first is the reference of the links. See `QuickLook`."""

    def __init__(self) -> None:
        self._pictures: dict[str, Picture] = {}
        self._links: dict[str, Link] = {}
        self._linking: dict[str, Any] = {"link_type": "pixels"}

    # ------------------------------------------------------------------ images

    def load(self, source: Any, label: str | None = None, *, wcs: Any = None, unit: Any = None, header: Any = None) -> list[str]:
        """Load images; what is there stays.

        Parameters
        ----------
        source : path, Image, FrameSet, NDData, array, or an iterable of such
            As for `ezarchive.quicklook.load_all`.
        label : str, optional
            For one image, or one file of several.
        wcs, unit, header : optional
            In place of those of every image.

        Returns
        -------
        list of str
            The labels of what was loaded: ``stem[EXTNAME,EXTVER]``; the second image of a label is ``label (2)``.

        Raises
        ------
        InputError, FrameError
            As `ezarchive.quicklook.load_all`; nothing is loaded then.
        """
        found = look.load_all(source, label, wcs=wcs, unit=unit, header=header)
        labels = numbered([made.label for made in found], taken=self._pictures)
        for name, made in zip(labels, found, strict=True):
            self._pictures[name] = made if made.label == name else look.picture(made, label=name)
        return labels

    @property
    def data_labels(self) -> list[str]:
        """The labels of the images, in the order in which they were loaded."""
        return list(self._pictures)

    def picture(self, label: str) -> Picture:
        """Return an image.

        Raises
        ------
        InputError
            If there is none of this label.
        """
        if not isinstance(label, str) or label not in self._pictures:
            raise InputError(f"data label {label!r}: {near_misses(str(label), self._pictures)}")
        return self._pictures[label]

    def remove(self, label: str) -> None:
        """Take an image out of the session; subsets and results stay. Without the reference the next image is it."""
        self.picture(label)
        was_reference = label == self.data_labels[0]
        del self._pictures[label]
        self._links = {} if was_reference else {name: way for name, way in self._links.items() if name != label}

    # ------------------------------------------------------------------ links

    def link_data(
        self,
        link_type: str = "pixels",
        *,
        wcs_use_affine: bool = True,
        tolerance: float = 0.05,
        wcs_fallback_scheme: str | None = "pixels",
        error_on_fail: bool = False,
    ) -> dict[str, Link]:
        """Link every image to the first one.

        Parameters
        ----------
        link_type : {"pixels", "wcs"}
            Pixel (0, 0) over pixel (0, 0), or by the place on the sky.
        wcs_use_affine : bool
            Use an affine map where it is as good as `tolerance`.
        tolerance : float
            Pixels.
        wcs_fallback_scheme : {"pixels", None}
            What becomes of an image that cannot be linked by WCS: linked by pixels, or, with a warning, all links stay as they were.
        error_on_fail : bool
            With ``wcs_fallback_scheme=None`` raise instead of warning.

        Returns
        -------
        dict of str to Link
            By label; the first is of kind "self". Images that are loaded later are linked in the same way.

        Raises
        ------
        InputError
            If an argument is wrong, or by `error_on_fail`; the links stay as they were.
        """
        if link_type not in ("pixels", "wcs"):
            raise InputError(f"link_type={link_type!r}: must be 'pixels' or 'wcs'")
        if link_type == "wcs" and wcs_fallback_scheme not in (None, "pixels"):
            raise InputError(f"wcs_fallback_scheme={wcs_fallback_scheme!r}: must be 'pixels' or None")
        options = {"link_type": link_type, "use_affine": wcs_use_affine, "tolerance": tolerance}
        strict = {"wcs_fallback": wcs_fallback_scheme if link_type == "wcs" else "pixels", "error_on_fail": error_on_fail}
        made: dict[str, Link] = {}
        for label, one in self._pictures.items():
            way = look.link(self._reference, one, **options, **strict)
            if way is None:
                return dict(self._links)
            made[label] = way
        self._links, self._linking = made, options
        return dict(made)

    def link(self, label: str) -> Link:
        """Return the link from the first image to this one (made now, if it was loaded since `link_data`)."""
        one = self.picture(label)
        if label not in self._links:
            self._links[label] = look.link(self._reference, one, **self._linking)
        return self._links[label]

    def link_type(self, label: str) -> str:
        """Return how an image is linked: ``"self"`` (the reference), ``"pixels"`` or ``"wcs"``."""
        return self.link(label).link_type

    @property
    def _reference(self) -> Picture:
        return next(iter(self._pictures.values()))
