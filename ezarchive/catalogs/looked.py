"""What the view ``aperture_photometry`` holds: regions of images, measured by the quick look and saved."""

from __future__ import annotations

from ezarchive.columns import LOOK, Column

APERTURE_PHOTOMETRY_SCHEMA = (
    Column("run_id", "int64", None, "meta.id", "the run that saved it"),
    Column("frame_id", "int64", None, "meta.id;obs", "the image, where it is a frame of the archive"),
    Column("objname", "str", None, "meta.id;src", "target of the frame"),
    Column("telname", "str", None, "meta.id;instr.tel", "telescope of the frame"),
    Column("filter", "str", None, "meta.id;instr.filter", "filter of the frame"),
    Column("night", "str", None, "time.epoch", "night of observation, YYYY-MM-DD of its evening"),
    Column("mjd_mid", "float64", "d", "time.epoch;obs", "middle of the exposure, MJD UTC"),
    Column("exptime", "float64", "s", "time.duration;obs.exposure", "exposure time"),
    *LOOK,
)
"""Every saved row, of runs that are not withdrawn."""
