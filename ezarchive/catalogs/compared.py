"""What the views ``image_fits`` and ``anchors`` hold: frames against a reference image, and bands anchored to others."""

from __future__ import annotations

from collections.abc import Iterator

from ezarchive.columns import Column


def _with_error(name: str, unit: str | None, ucd: str, meaning: str, error: str | None = None) -> Iterator[Column]:
    yield Column(name, "float64", unit, ucd, meaning)
    yield Column(f"{name}_err", "float64", unit, f"stat.error;{ucd}", error or f"error of `{name}`; NULL or 0 where it was given")


IMAGE_FITS_SCHEMA = (
    Column("frame_id", "int64", None, "meta.id;obs", "the frame"),
    Column("run_id", "int64", None, "meta.id", "the run that made it"),
    Column("objname", "str", None, "meta.id;src", "target"),
    Column("telname", "str", None, "meta.id;instr.tel", "telescope"),
    Column("filter", "str", None, "meta.id;instr.filter", "filter"),
    Column("night", "str", None, "time.epoch", "night of observation, YYYY-MM-DD of its evening"),
    Column("mjd_mid", "float64", "d", "time.epoch;obs", "middle of the exposure, MJD UTC"),
    Column("exptime", "float64", "s", "time.duration;obs.exposure", "exposure time"),
    Column("method", "str", None, "meta.code", "image (the whole image was fitted) or stars"),
    Column("reference", "str", None, "meta.id", "path of the reference image, or `frame N`"),
    Column("reference_id", "int64", None, "meta.id;obs", "the reference, where it is a frame"),
    Column("status", "str", None, "meta.code.status", "ok, flagged or failed"),
    Column("code", "str", None, "meta.code.error", "why it failed or is flagged, in a word"),
    Column("message", "str", None, "meta.note", "why it failed or is flagged"),
    *_with_error("scale", None, "phot.calib", "flux of the image divided by that of the reference"),
    *_with_error("bg", None, "instr.background", "background of the image less that of the reference, in `unit`"),
    *_with_error("dx", "arcsec", "pos.cartesian.x", "things lie at larger x in the image than in the reference by so much"),
    *_with_error("dy", "arcsec", "pos.cartesian.y", "the same along y"),
    *_with_error("dra", "arcsec", "pos.eq.ra;arith.diff", "the same as a difference of right ascension (times cos(dec): an angle)"),
    *_with_error("ddec", "arcsec", "pos.eq.dec;arith.diff", "the same as a difference of declination"),
    *_with_error("fwhm", "arcsec", "instr.obsty.seeing", "seeing: FWHM of the Moffat profile of the image"),
    *_with_error("beta", None, "instr.det.psf", "exponent of that profile"),
    Column("rms", "float64", None, "stat.stdev", "of the residual, in `unit`"),
    Column("chi2", "float64", None, "stat.fit.chi2", "of the residual, per degree of freedom"),
    Column("n_pixels", "int64", None, "meta.number", "pixels that were fitted"),
    Column("unit", "str", None, "meta.unit", "of the image"),
    Column("fixed", "str", None, "meta.note", "what was given and not fitted, with commas between"),
)
"""Of each frame, method and reference the fit that counts."""

ANCHORS_SCHEMA = (
    Column("run_id", "int64", None, "meta.id", "the run that made it"),
    Column("frame_id", "int64", None, "meta.id;obs", "the image, where it is a frame"),
    Column("target", "str", None, "meta.id;src", "target"),
    Column("band", "str", None, "meta.id;instr.filter", "band that is anchored"),
    Column("kind", "str", None, "meta.code", "external or internal"),
    Column("reference", "str", None, "meta.id", "what it is anchored to"),
    Column("resolution", "str", None, "meta.id;instr.det.psf", "at which the two were compared"),
    Column("status", "str", None, "meta.code.status", "ok, flagged or failed"),
    Column("code", "str", None, "meta.code.error", "why it failed or is flagged, in a word"),
    Column("message", "str", None, "meta.note", "why it failed or is flagged"),
    *_with_error("anchor_offset", None, "instr.background", "what is added to the image, in `unit`", "error of `anchor_offset`"),
    *_with_error("slope", None, "stat.fit.param", "band = slope * reference + intercept", "error of `slope`"),
    *_with_error("intercept", None, "stat.fit.param", "see `slope`; in `unit`", "error of `intercept`"),
    Column("range_low", "float64", None, "stat.min", "range of values that was fitted, in `unit`"),
    Column("range_high", "float64", None, "stat.max", "see `range_low`"),
    Column("n_bins", "int64", None, "meta.number", "bins of the fit"),
    Column("n_cells", "int64", None, "meta.number", "cells behind them"),
    Column("used", "bool", None, "meta.code.status", "the image got its offset from this fit"),
    Column("unit", "str", None, "meta.unit", "of the image"),
    Column("file", "str", None, "meta.ref", "the image"),
    Column("output", "str", None, "meta.ref", "the anchored image"),
)
"""Of each target, band, reference and file the fit that counts."""
