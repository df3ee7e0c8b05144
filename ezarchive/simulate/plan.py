"""What a toy archive holds: every exposure of it, before a pixel is made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ezarchive.errors import InputError
from ezarchive.simulate.exposure import DROPPABLE, Exposure, iso
from ezarchive.simulate.field import Target, deproject, generator
from ezarchive.simulate.optics import OBSERVATORY, TELKEY, Telescope, altitude_azimuth, band

FIRST_NIGHT = 60919
"""MJD at 0 h UTC of the first night: 2025-09-01."""
DITHER = 10.0
"""Largest offset of a pointing from its target on either axis, arcsec."""
STACKED = 30
"""Exposures in a reference frame."""
_REFERENCE_SEEING = 2.0


@dataclass(frozen=True)
class Plan:
    """The arguments of `tree.toy_archive`."""

    shape: tuple[int, int]
    seed: int
    targets: tuple[Target, ...]
    telescopes: tuple[Telescope, ...]
    filters: tuple[str, ...]
    n_epochs: int
    density: float
    known_background: bool
    lacking: float

    def __post_init__(self) -> None:
        if len(self.shape) != 2 or any(not isinstance(n, (int, np.integer)) or n < 32 for n in self.shape):
            raise InputError(f"shape {self.shape!r}: must be two whole numbers (rows, columns) from 32")
        if not (self.targets and self.telescopes and self.filters):
            raise InputError("targets, telescopes, filters: each must hold at least one")
        for what in ("targets", "telescopes", "filters"):
            names = [getattr(value, "name", value) for value in getattr(self, what)]
            if len(set(names)) < len(names):
                raise InputError(f"{what} {names}: must not hold a name twice")
        for target in self.targets:
            if self.epochs(target) < 1:
                raise InputError(f"n_epochs {self.epochs(target)!r} of target {target.name!r}: must be at least 1")
        if not 0 <= self.lacking <= 1:
            raise InputError(f"lacking {self.lacking!r}: must be a fraction between 0 and 1")
        if not 0 < self.density < 1000:
            raise InputError(f"density {self.density!r}: must be a positive number of sources per square arcmin, below 1000")
        for name in self.filters:
            band(name)
        generator(self.seed)

    def epochs(self, target: Target) -> int:
        """Return how often a target is seen."""
        return self.n_epochs if target.epochs is None else target.epochs


def science_exposures(plan: Plan) -> Iterator[Exposure]:
    """Yield every target at every epoch with every telescope in every filter."""
    for order, target in enumerate(plan.targets):
        rng = generator(plan.seed, "epochs", target.name)
        nights = FIRST_NIGHT + np.concatenate([[0], np.cumsum(rng.integers(1, 4, plan.epochs(target) - 1))])
        for epoch, night in enumerate(nights):
            start = float(night) + rng.uniform(1.0, 6.5) / 24
            for telescope_order, camera in enumerate(plan.telescopes):
                for filter_order, name in enumerate(plan.filters):
                    later = (filter_order * 150 + telescope_order * 9 + order * 1.5) / 86400
                    yield _science_exposure(plan, target, camera, name, (epoch, start + later))


def _science_exposure(plan: Plan, target: Target, camera: Telescope, name: str, epoch: tuple[int, float]) -> Exposure:
    number, start = epoch
    rng = generator(plan.seed, "exposure", target.name, camera.name, name, str(number))
    night = generator(plan.seed, "night", target.name, str(number))
    seeing, cloud, moon = night.uniform(2.1, 3.8), night.exponential(0.06), night.uniform(0.85, 1.3)
    start = round(start * 86_400_000) / 86_400_000
    ra, dec = deproject(target.ra, target.dec, *rng.uniform(-DITHER, DITHER, 2))
    slopes = np.zeros(3) if plan.known_background else rng.normal(0, (0.03, 0.03, 0.01))
    altitude, azimuth = altitude_azimuth(start + 50 / 86400, float(ra), float(dec))
    airmass = 1 / max(np.sin(np.radians(altitude)), 0.2)
    hot = (40 + 7 * number) % plan.shape[1], (90 + 11 * number) % plan.shape[0]
    zero_point = band(name).zero_point - 0.12 * (airmass - 1) - cloud + rng.normal(0, 0.02)
    return Exposure(
        relpath=_relpath(target, camera.name, name, start, 100), objname=target.name, filter=name,
        mjd_start=start, exptime=100.0, nx=plan.shape[1], ny=plan.shape[0], ra=float(ra), dec=float(dec), **camera.exposure_fields(100.0),
        seeing=round(float(np.clip(seeing * rng.normal(1, 0.05), 2.0, 4.0)), 4),
        ellipticity=round(rng.uniform(0, 0.08), 4), theta=rng.uniform(0, 180),
        sky=band(name).sky * moon * rng.normal(1, 0.03), slope_x=slopes[0], slope_y=slopes[1], bowl=abs(slopes[2]),
        total_zero_point=float(zero_point), airmass=float(airmass), altitude=altitude, azimuth=azimuth,
        hot_x=hot[0], hot_y=hot[1], hot_value=5000.0, lacks=_lacks(plan.lacking, rng),
    )  # fmt: skip


def reference_exposures(plan: Plan) -> Iterator[Exposure]:
    """One sum of many exposures a target and filter, from the first telescope, a month before the first night."""
    n, camera = STACKED, plan.telescopes[0]
    for order, target in enumerate(plan.targets):
        for filter_order, name in enumerate(plan.filters):
            start = round((FIRST_NIGHT - 30 + order + (2 + filter_order) / 24) * 86_400_000) / 86_400_000
            altitude, azimuth = altitude_azimuth(start + 0.5 * n * 100 / 86400, target.ra, target.dec)
            filter_ = band(name)
            yield Exposure(
                relpath=_relpath(target, camera.name, name, start, 100 * n), root="refdata", objname=target.name, filter=name,
                mjd_start=start, exptime=100.0 * n, ncombine=n, nx=plan.shape[1], ny=plan.shape[0], ra=target.ra, dec=target.dec,
                **camera.exposure_fields(100.0 * n, n), seeing=_REFERENCE_SEEING, ellipticity=0.02, theta=30.0, sky=filter_.sky * n,
                total_zero_point=filter_.zero_point + 2.5 * float(np.log10(n)),
                airmass=float(1 / max(np.sin(np.radians(altitude)), 0.2)), altitude=altitude, azimuth=azimuth,
            )  # fmt: skip


def _lacks(fraction: float, rng: np.random.Generator) -> str:
    if rng.random() >= fraction:
        return ""
    return ",".join(sorted(rng.choice(DROPPABLE, size=rng.integers(1, 3), replace=False)))


def _relpath(target: Target, telname: str, name: str, start: float, exptime: int) -> str:
    date, time = iso(start).split("T")
    stamp = f"{date.replace('-', '')}_{time[:8].replace(':', '')}"
    file_name = f"calib_{telname}_{target.name}_{stamp}_{name}_{exptime}.fits"
    return f"{OBSERVATORY}/{TELKEY}/{target.name}/{telname}/{name}/{file_name}"
