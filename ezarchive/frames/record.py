"""`Frame`: everything the archive knows about one exposure, as a plain record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

KINDS = ("science", "reference", "bias", "dark", "flat", "background", "errormap", "mask", "catalog", "derived")
"""What a frame can be."""

CALIBRATION_KINDS = ("bias", "dark", "flat")
"""Kinds of a calibration root."""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One 2-D image: who took it of what, when, where it points, and what its pixels mean.

    The fields are the columns of ``columns.NAMES`` and ``columns.FRAME`` (units and meanings there), and where it lies. Missing
    values are None. A frame read from a file has no ``frame_id`` yet; the database gives it one. Two frames with the same
    ``frame_id`` are equal.
    """

    frame_id: int | None = None
    parent_id: int | None = None
    root: str | None = None
    relpath: str | None = None
    path: str | None = None
    hdu: int = 0

    observatory: str | None = None
    telkey: str | None = None
    telname: str | None = None
    objname: str | None = None
    filter: str | None = None

    kind: str = "science"
    object_raw: str | None = None
    night: str | None = None
    date_obs: str | None = None
    mjd_start: float | None = None
    mjd_mid: float | None = None
    mjd_end: float | None = None
    exptime: float | None = None
    ncombine: int | None = None
    naxis1: int = 0
    naxis2: int = 0
    binning: str | None = None
    wcs_ok: bool = False
    ra: float | None = None
    dec: float | None = None
    radius: float | None = None
    s_region: str | None = None
    pixel_scale: float | None = None
    gain: float | None = None
    read_noise: float | None = None
    saturation: float | None = None
    bunit: str | None = None
    seeing: float | None = None
    depth: float | None = None
    depth_aperture: float | None = None
    zero_point: float | None = None
    zero_point_err: float | None = None
    zero_point_aperture: float | None = None
    zero_point_system: str | None = None
    sky: float | None = None
    sky_sigma: float | None = None
    airmass: float | None = None
    altitude: float | None = None
    azimuth: float | None = None
    ccd_temp: float | None = None
    quality: int = 0
    header_hash: str | None = None
    data_sample: str | None = None
    data_hash: str | None = None

    origin: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Where each field came from (``path``, ``header:KEYWORD``, ``default``, ``instrument:NAME``); ``note:FIELD`` keeps disagreements."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Frame):
            return NotImplemented
        if self.frame_id is not None and other.frame_id is not None:
            return self.frame_id == other.frame_id
        return self is other

    def __hash__(self) -> int:
        return hash(self.frame_id) if self.frame_id is not None else id(self)

    @property
    def fov(self) -> tuple[float | None, float | None]:
        """Extent along x and y in degrees: pixel scale times size."""
        if self.pixel_scale is None:
            return None, None
        return self.naxis1 * self.pixel_scale / 3600, self.naxis2 * self.pixel_scale / 3600
