"""Every stored column once: name, type, unit, UCD, meaning.

The database, the Parquet catalogs, the SQL views and the documentation are made from these; none of them has a list of its own.
Conventions: pixels are 0-based (the centre of the first pixel is 0, 0); positions are ICRS degrees; times are MJD UTC; fluxes are in
the stored unit of the image (``count`` stands for it) unless a column says otherwise; missing values are NULL, never NaN.
"""

from __future__ import annotations

from typing import NamedTuple

from ezarchive.errors import InputError

DEFAULT_APERTURE = 5.0
"""Diameter in arcsec of the aperture that light curves use unless told otherwise."""

DTYPES = ("bool", "int16", "int32", "int64", "float32", "float64", "str", "bytes")


class Column(NamedTuple):
    """One stored column.

    ``dtype`` is one of `DTYPES`; ``unit`` a VOUnit string or None; ``ucd`` a UCD1+ string or ``""``.
    """

    name: str
    dtype: str
    unit: str | None
    ucd: str
    description: str


# What `Frame` and the table `frame` hold of an exposure, in this order.
FRAME = (
    Column("kind", "str", None, "meta.code.class", "science, reference, bias, dark, flat, background, errormap, mask, catalog or derived"),
    Column("object_raw", "str", None, "meta.id;src", "the target's name as the path or header spells it"),
    Column("night", "str", None, "time.epoch", "night of observation, YYYY-MM-DD of its evening: local noon to noon at the site"),
    Column("date_obs", "str", None, "time.start;obs", "start of the exposure, ISO UTC"),
    Column("mjd_start", "float64", "d", "time.start;obs", "start of the exposure, MJD UTC"),
    Column("mjd_mid", "float64", "d", "time.epoch;obs", "middle of the exposure, MJD UTC"),
    Column("mjd_end", "float64", "d", "time.end;obs", "end of the exposure, MJD UTC"),
    Column("exptime", "float64", "s", "time.duration;obs.exposure", "exposure time; of a stack, the sum"),
    Column("ncombine", "int32", None, "meta.number", "number of frames combined"),
    Column("naxis1", "int32", "pix", "meta.number", "columns"),
    Column("naxis2", "int32", "pix", "meta.number", "rows"),
    Column("binning", "str", None, "instr.setup", "binning, as 1x1"),
    Column("wcs_ok", "bool", None, "meta.code", "a celestial WCS that inverts; without it the frame is not found by position"),
    Column("ra", "float64", "deg", "pos.eq.ra;meta.main", "centre of the frame, ICRS"),
    Column("dec", "float64", "deg", "pos.eq.dec;meta.main", "centre of the frame, ICRS"),
    Column("radius", "float64", "deg", "phys.angSize", "largest distance of the footprint from the centre"),
    Column("s_region", "str", None, "pos.outline;obs.field", "footprint, as POLYGON ICRS ra dec ..."),
    Column("pixel_scale", "float64", "arcsec/pix", "phys.angSize;instr.pixel", "square root of the area of the central pixel"),
    Column("gain", "float64", "electron/count", "instr.param", "electrons per stored unit"),
    Column("read_noise", "float64", "electron", "instr.det.noise", "read noise"),
    Column("saturation", "float64", "count", "instr.saturation", "level from which pixels are saturated, stored unit"),
    Column("bunit", "str", None, "meta.unit", "unit of the pixels as the header gives it"),
    Column("seeing", "float64", "arcsec", "instr.obsty.seeing", "FWHM of the stars, from the header"),
    Column("depth", "float64", "mag", "phot.mag;stat.max", "5-sigma limit, from the header"),
    Column("depth_aperture", "float64", "arcsec", "phys.angSize", "diameter of the aperture that `depth` is for"),
    Column("zero_point", "float64", "mag", "phot.calib", "magnitude of 1 stored unit per exposure, from the header"),
    Column("zero_point_err", "float64", "mag", "stat.error;phot.calib", "error of `zero_point`"),
    Column("zero_point_aperture", "float64", "arcsec", "phys.angSize", "diameter of the aperture that `zero_point` is for"),
    Column("zero_point_system", "str", None, "meta.code", "AB or Vega"),
    Column("sky", "float64", "count", "instr.skyLevel", "level of the sky, from the header"),
    Column("sky_sigma", "float64", "count", "instr.skyLevel;stat.stdev", "noise of the sky per pixel, from the header"),
    Column("airmass", "float64", None, "obs.airMass", "airmass"),
    Column("altitude", "float64", "deg", "pos.az.alt", "altitude"),
    Column("azimuth", "float64", "deg", "pos.az.azi", "azimuth, north through east"),
    Column("ccd_temp", "float64", "deg_C", "phys.temperature", "temperature of the detector"),
    Column("quality", "int32", None, "meta.code.qual", "bits of flags.QUALITY"),
    Column("header_hash", "str", None, "meta.checksum", "BLAKE2b of all cards but DATE, HISTORY, COMMENT, checksums and compression"),
    Column("data_sample", "str", None, "meta.checksum", "BLAKE2b of blocks spread over the data unit; NULL where that means decompressing"),
    Column("data_hash", "str", None, "meta.checksum", "SHA-256 of the data unit, made when it is needed"),
)

# The names of a frame; the database keeps each in a table of its own.
NAMES = (
    Column("observatory", "str", None, "meta.id;instr.obsty", "site"),
    Column("telkey", "str", None, "meta.id;instr", "site, camera, readout mode and binning, as 7DT_C361K_HIGH_1x1"),
    Column("objname", "str", None, "meta.id;src", "target"),
    Column("telname", "str", None, "meta.id;instr.tel", "telescope"),
    Column("filter", "str", None, "meta.id;instr.filter", "filter"),
)

# Constant columns of a per-image catalog: they compress to nothing and spare the reader a join.
CATALOG_LINK = (
    Column("frame_id", "int64", None, "meta.id;obs", "the frame, in the archive's database"),
    Column("run_id", "int64", None, "meta.id", "the run that measured it"),
    Column("telname", "str", None, "meta.id;instr.tel", "telescope"),
    Column("filter", "str", None, "meta.id;instr.filter", "filter"),
    Column("mjd_mid", "float64", "d", "time.epoch;obs", "middle of the exposure, MJD UTC"),
    Column("exptime", "float64", "s", "time.duration;obs.exposure", "exposure time"),
)

# One source on one frame. Names are SExtractor's; its manual defines them (0-based pixels here, XWIN and YWIN too).
SOURCE = (
    Column("_healpix_29", "int64", None, "pos.healpix", "HEALPix NESTED cell of order 29; NULL without WCS"),
    Column("NUMBER", "int32", None, "meta.id", "running number on this frame, from 1"),
    Column("X_IMAGE", "float64", "pix", "pos.cartesian.x;instr.det", "isophotal barycentre, 0-based"),
    Column("Y_IMAGE", "float64", "pix", "pos.cartesian.y;instr.det", "isophotal barycentre, 0-based"),
    Column("XWIN_IMAGE", "float64", "pix", "pos.cartesian.x;instr.det", "windowed position, 0-based"),
    Column("YWIN_IMAGE", "float64", "pix", "pos.cartesian.y;instr.det", "windowed position, 0-based"),
    Column("X_WORLD", "float64", "deg", "pos.wcs", "barycentre in the native world system, first axis"),
    Column("Y_WORLD", "float64", "deg", "pos.wcs", "barycentre in the native world system, second axis"),
    Column("ALPHA_J2000", "float64", "deg", "pos.eq.ra;meta.main", "barycentre, ICRS"),
    Column("DELTA_J2000", "float64", "deg", "pos.eq.dec;meta.main", "barycentre, ICRS"),
    Column("FLUX_AUTO", "float64", "count", "phot.count", "flux in the Kron ellipse"),
    Column("FLUXERR_AUTO", "float64", "count", "stat.error;phot.count", "error of FLUX_AUTO"),
    Column("MAG_AUTO", "float64", "mag", "phot.mag", "-2.5 log10 FLUX_AUTO; NULL where it is not positive"),
    Column("MAGERR_AUTO", "float64", "mag", "stat.error;phot.mag", "error of MAG_AUTO"),
    Column("NPIX_AUTO", "float64", "pix2", "phys.angArea", "area of the Kron ellipse"),
    Column("KRON_RADIUS", "float32", None, "phys.angSize", "semi-axes of the Kron ellipse in units of A_IMAGE and B_IMAGE"),
    Column("SNR", "float64", None, "stat.snr", "FLUX_AUTO / FLUXERR_AUTO"),
    Column("CLASS_STAR", "float32", None, "src.class.starGalaxy", "stellarity: 0 extended, 1 like a star"),
    Column("MU_MAX", "float64", "mag/arcsec2", "phot.mag.sb;stat.max", "peak surface brightness, instrumental; NULL without a scale"),
    Column("FLUX_ISO", "float64", "count", "phot.count", "flux above the analysis threshold's isophote"),
    Column("FLUXERR_ISO", "float64", "count", "stat.error;phot.count", "error of FLUX_ISO"),
    Column("FLUX_MAX", "float64", "count", "phot.count;stat.max", "peak above the background"),
    Column("FLUX_RADIUS", "float32", "pix", "phys.angSize;src", "radius that holds half of FLUX_AUTO"),
    Column("FWHM_IMAGE", "float32", "pix", "phys.angSize;src", "FWHM of a Gaussian core"),
    Column("FWHM_WORLD", "float32", "deg", "phys.angSize;src", "FWHM of a Gaussian core"),
    Column("A_IMAGE", "float32", "pix", "phys.angSize;src", "r.m.s. of the profile along the major axis"),
    Column("B_IMAGE", "float32", "pix", "phys.angSize;src", "r.m.s. of the profile along the minor axis"),
    Column("THETA_IMAGE", "float32", "deg", "pos.posAng", "major axis, counter-clockwise from +x"),
    Column("THETA_WORLD", "float32", "deg", "pos.posAng", "major axis, counter-clockwise from the first world axis"),
    Column("THETA_SKY", "float32", "deg", "pos.posAng", "position angle of the major axis, east of native north"),
    Column("THETA_J2000", "float32", "deg", "pos.posAng", "position angle of the major axis, east of north, ICRS"),
    Column("ELONGATION", "float32", None, "src.ellipticity", "A_IMAGE / B_IMAGE"),
    Column("ELLIPTICITY", "float32", None, "src.ellipticity", "1 - B_IMAGE / A_IMAGE"),
    Column("X2_IMAGE", "float64", "pix2", "src.morph.param", "variance along x"),
    Column("Y2_IMAGE", "float64", "pix2", "src.morph.param", "variance along y"),
    Column("XY_IMAGE", "float64", "pix2", "src.morph.param", "covariance of x and y"),
    Column("ISOAREA_IMAGE", "int32", "pix2", "phys.angArea", "area above the analysis threshold"),
    Column("XMIN_IMAGE", "int32", "pix", "pos.cartesian.x;instr.det;stat.min", "least column of the detected pixels, 0-based"),
    Column("XMAX_IMAGE", "int32", "pix", "pos.cartesian.x;instr.det;stat.max", "largest column of the detected pixels, 0-based"),
    Column("YMIN_IMAGE", "int32", "pix", "pos.cartesian.y;instr.det;stat.min", "least row of the detected pixels, 0-based"),
    Column("YMAX_IMAGE", "int32", "pix", "pos.cartesian.y;instr.det;stat.max", "largest row of the detected pixels, 0-based"),
    Column("THRESHOLD", "float32", "count", "instr.sensitivity;phot.count", "detection threshold above the background at the source"),
    Column("DETECT_THRESH", "float32", None, "instr.sensitivity", "detection threshold in units of the noise, as asked"),
    Column("BACKGROUND", "float32", "count", "instr.skyLevel", "background at the barycentre"),
    Column("SKYSIG", "float32", "count", "instr.skyLevel;stat.stdev", "noise of the sky per pixel at the source"),
    Column("SKYVAL", "float32", "count", "instr.skyLevel", "global level of the sky"),
    Column("FLAGS", "int16", None, "meta.code.qual", "bits of flags.FLAGS, SExtractor's"),
    Column("IMAFLAGS_ISO", "int32", None, "meta.code.qual", "OR of the mask over the isophote; NULL without a mask"),
    Column("NIMAFLAGS_ISO", "int32", None, "meta.number", "masked pixels in the isophote; NULL without a mask"),
)

# One aperture; `aperture()` adds the suffix.
APERTURE = (
    Column("FLUX_APER", "float64", "count", "phot.count", "flux in the aperture"),
    Column("FLUXERR_APER", "float64", "count", "stat.error;phot.count", "error of the flux"),
    Column("MAG_APER", "float64", "mag", "phot.mag", "-2.5 log10 FLUX_APER; NULL where it is not positive"),
    Column("MAGERR_APER", "float64", "mag", "stat.error;phot.mag", "error of MAG_APER"),
    Column("SKYSIG_APER", "float64", "count", "instr.skyLevel;stat.stdev", "noise of the sky in the whole aperture"),
    Column("UL5_APER", "float64", "mag", "phot.mag;stat.max", "5-sigma limit, -2.5 log10(5 SKYSIG_APER)"),
    Column("UL3_APER", "float64", "mag", "phot.mag;stat.max", "3-sigma limit, -2.5 log10(3 SKYSIG_APER)"),
    Column("NPIX_APER", "float64", "pix2", "phys.angArea", "effective area: on the image and not masked"),
    Column("NPIX_NOM_APER", "float64", "pix2", "phys.angArea", "nominal area of the aperture that was measured"),
    Column("PIXSIZE_APER", "float32", "pix", "phys.angSize", "diameter of the aperture that was measured"),
    Column("FLAGS_APER", "int16", None, "meta.code.qual", "bits of flags.FLAGS_APER"),
)

# What `photutils` measures besides `SOURCE`.
PHOTUTILS = (
    Column("ECCENTRICITY", "float32", None, "src.ellipticity", "square root of 1 - (B_IMAGE / A_IMAGE)^2"),
    Column("FLUX_MIN", "float64", "count", "phot.count;stat.min", "least value above the background in the isophote"),
)

# One position of forced photometry; the apertures follow, or the ellipse.
FORCED = (
    Column("_healpix_29", "int64", None, "pos.healpix", "HEALPix NESTED cell of order 29; NULL without WCS"),
    Column("NUMBER", "int32", None, "meta.id", "running number of the position, from 1"),
    Column("target_id", "str", None, "meta.id;src", "identifier that came with the position; else its place in the list, from 0"),
    Column("X_IMAGE", "float64", "pix", "pos.cartesian.x;instr.det", "position that was measured, 0-based"),
    Column("Y_IMAGE", "float64", "pix", "pos.cartesian.y;instr.det", "position that was measured, 0-based"),
    Column("X_WORLD", "float64", "deg", "pos.wcs", "right ascension, ICRS"),
    Column("Y_WORLD", "float64", "deg", "pos.wcs", "declination, ICRS"),
    Column("ALPHA_J2000", "float64", "deg", "pos.eq.ra;meta.main", "right ascension, ICRS"),
    Column("DELTA_J2000", "float64", "deg", "pos.eq.dec;meta.main", "declination, ICRS"),
    Column("BACKGROUND", "float32", "count", "instr.skyLevel", "level of the sky that was subtracted at the position"),
    Column("SKYSIG", "float32", "count", "instr.skyLevel;stat.stdev", "noise of the sky per pixel at the position"),
    Column("sky_source", "str", None, "meta.code", "where level and noise come from: mesh, map, annulus or none"),
)

# The ring around a forced aperture, where one was asked for; `aperture_of` adds the suffix.
ANNULUS = (
    Column("BACKGROUND_APER", "float64", "count", "instr.skyLevel", "clipped median of the ring, per pixel"),
    Column("BACKGROUNDERR_APER", "float64", "count", "stat.error;instr.skyLevel", "error of BACKGROUND_APER"),
    Column("NPIX_ANNULUS_APER", "int32", "pix2", "phys.angArea", "pixels of the ring after clipping"),
)

# A forced ellipse, after `FORCED`.
ELLIPSE = (
    Column("SMA_IMAGE", "float64", "pix", "phys.angSize.smajAxis", "semi-major axis of the aperture"),
    Column("SMI_IMAGE", "float64", "pix", "phys.angSize.sminAxis", "semi-minor axis of the aperture"),
    Column("THETA_IMAGE", "float32", "deg", "pos.posAng", "major axis, counter-clockwise from +x"),
    Column("SMA_WORLD", "float64", "arcsec", "phys.angSize.smajAxis", "semi-major axis of the aperture"),
    Column("SMI_WORLD", "float64", "arcsec", "phys.angSize.sminAxis", "semi-minor axis of the aperture"),
    Column("THETA_SKY", "float32", "deg", "pos.posAng", "position angle of the major axis, east of north"),
    Column("FLUX_ELIP", "float64", "count", "phot.count", "flux in the ellipse"),
    Column("FLUXERR_ELIP", "float64", "count", "stat.error;phot.count", "error of FLUX_ELIP"),
    Column("MAG_ELIP", "float64", "mag", "phot.mag", "-2.5 log10 FLUX_ELIP; NULL where it is not positive"),
    Column("MAGERR_ELIP", "float64", "mag", "stat.error;phot.mag", "error of MAG_ELIP"),
    Column("SKYSIG_ELIP", "float64", "count", "instr.skyLevel;stat.stdev", "noise of the sky in the whole ellipse"),
    Column("UL5_ELIP", "float64", "mag", "phot.mag;stat.max", "5-sigma limit, -2.5 log10(5 SKYSIG_ELIP)"),
    Column("UL3_ELIP", "float64", "mag", "phot.mag;stat.max", "3-sigma limit, -2.5 log10(3 SKYSIG_ELIP)"),
    Column("NPIX_ELIP", "float64", "pix2", "phys.angArea", "effective area: on the image and not masked"),
    Column("NPIX_NOM_ELIP", "float64", "pix2", "phys.angArea", "nominal area, pi SMA_IMAGE SMI_IMAGE"),
    Column("FLAGS_ELIP", "int16", None, "meta.code.qual", "bits of flags.FLAGS_APER"),
)

# The elliptical ring around it, where one was asked for.
ELLIPSE_ANNULUS = (
    Column("BACKGROUND_ELIP", "float64", "count", "instr.skyLevel", "clipped median of the ring, per pixel"),
    Column("BACKGROUNDERR_ELIP", "float64", "count", "stat.error;instr.skyLevel", "error of BACKGROUND_ELIP"),
    Column("NPIX_ANNULUS_ELIP", "int32", "pix2", "phys.angArea", "pixels of the ring after clipping"),
)

# What a zero point adds to a catalog when it is read, for the measure FLUX_AUTO; `calibrated` renames it for the others.
CALIBRATED = (
    Column("MAGSKY_AUTO", "float64", "mag", "phot.mag", "MAG_AUTO with its zero point: a calibrated magnitude"),
    Column("MAGSKYERR_AUTO", "float64", "mag", "stat.error;phot.mag", "errors of MAG_AUTO and of its zero point together"),
    Column("FLUXUJY_AUTO", "float64", "uJy", "phot.flux.density", "AB flux density; NULL where the zero point is not AB"),
    Column("FLUXUJYERR_AUTO", "float64", "uJy", "stat.error;phot.flux.density", "error of FLUXUJY_AUTO, of the measurement alone"),
    Column("UL5SKY_AUTO", "float64", "mag", "phot.mag;stat.max", "5-sigma limit, calibrated"),
    Column("UL3SKY_AUTO", "float64", "mag", "phot.mag;stat.max", "3-sigma limit, calibrated"),
    Column("ZP_AUTO", "float64", "mag", "phot.calib", "zero point that was applied: magnitude of 1 stored unit per exposure"),
    Column("ZPERR_AUTO", "float64", "mag", "stat.error;phot.calib", "error of the zero point"),
)

# One aperture of the quick look on one image (`quicklook.aperture_photometry`), and the table of the database that keeps it. What has no
# unit here and is no pure number is in `unit`, the unit of the pixels (a variance in its square), or `sum_unit`.
LOOK = (
    Column("xcentroid", "float64", "pix", "pos.cartesian.x;instr.det", "centre of mass in the aperture, 0-based"),
    Column("ycentroid", "float64", "pix", "pos.cartesian.y;instr.det", "centre of mass in the aperture, 0-based"),
    Column("ra_centroid", "float64", "deg", "pos.eq.ra", "right ascension of the centroid, ICRS"),
    Column("dec_centroid", "float64", "deg", "pos.eq.dec", "declination of the centroid, ICRS"),
    Column("background", "float64", None, "instr.skyLevel", "level that was taken from each pixel, in `unit`"),
    Column(
        "sum", "float64", None, "phot.flux", "sum of the pixels after background, times the pixel area if they are per angle, in `sum_unit`"
    ),
    Column("sum_aper_area", "float64", "pix2", "phys.angArea", "area of the aperture: on the image, finite and not masked"),
    Column("pixarea_tot", "float64", "sr", "phys.angArea;instr.pixel", "solid angle of one pixel that `sum` was multiplied by"),
    Column("aperture_sum_counts", "float64", "count", "phot.count", "sum of the pixels in counts, without the pixel area"),
    Column("aperture_sum_counts_err", "float64", "count", "stat.error;phot.count", "square root of it"),
    Column("counts_fac", "float64", None, "arith.factor", "`unit` per count"),
    Column("aperture_sum_mag", "float64", "mag", "phot.mag", "-2.5 log10(sum_raw / flux_scaling_raw): without the pixel area"),
    Column("flux_scaling", "float64", None, "phot.calib", "flux of magnitude 0 in `sum_mag`, in `sum_unit`"),
    Column("min", "float64", None, "phot.flux;stat.min", "least pixel, in `unit`"),
    Column("max", "float64", None, "phot.flux;stat.max", "largest pixel, in `unit`"),
    Column("mean", "float64", None, "phot.flux;stat.mean", "mean of the pixels, in `unit`"),
    Column("median", "float64", None, "phot.flux;stat.median", "median of the pixels, in `unit`"),
    Column("mode", "float64", None, "phot.flux;stat", "3 median - 2 mean, in `unit`"),
    Column("std", "float64", None, "phot.flux;stat.stdev", "standard deviation of the pixels, in `unit`"),
    Column("mad_std", "float64", None, "phot.flux;stat.stdev", "1.4826 times the median absolute deviation, in `unit`"),
    Column("var", "float64", None, "stat.variance;phot.flux", "variance of the pixels, in the square of `unit`"),
    Column("biweight_midvariance", "float64", None, "stat.variance;phot.flux", "biweight midvariance, in the square of `unit`"),
    Column("biweight_location", "float64", None, "phot.flux;stat.mean", "biweight location, in `unit`"),
    Column("fwhm", "float64", "pix", "phys.angSize;src", "FWHM of a Gaussian with the second moments in the aperture"),
    Column("semimajor_sigma", "float64", "pix", "phys.angSize;src", "standard deviation along the major axis"),
    Column("semiminor_sigma", "float64", "pix", "phys.angSize;src", "standard deviation along the minor axis"),
    Column("orientation", "float64", "deg", "pos.posAng", "major axis, counter-clockwise from +x"),
    Column("eccentricity", "float64", None, "src.ellipticity", "square root of 1 - (semiminor_sigma / semimajor_sigma)^2"),
    Column("data_label", "str", None, "meta.id", "label of the image"),
    Column("subset_label", "str", None, "meta.id;src", "label of the region"),
    Column("timestamp", "str", None, "time.creation", "moment of calculation, ISO UTC"),
    Column("xcenter", "float64", "pix", "pos.cartesian.x;instr.det", "centre of the aperture, 0-based"),
    Column("ycenter", "float64", "pix", "pos.cartesian.y;instr.det", "centre of the aperture, 0-based"),
    Column("ra_center", "float64", "deg", "pos.eq.ra;meta.main", "right ascension of the centre, ICRS"),
    Column("dec_center", "float64", "deg", "pos.eq.dec;meta.main", "declination of the centre, ICRS"),
    Column("sum_err", "float64", None, "stat.error;phot.flux", "error of `sum`, in `sum_unit`; of what is in `err_source`"),
    Column("err_source", "str", None, "meta.note", "map, background, poisson, with + between, or none"),
    Column("sum_raw", "float64", None, "phot.flux", "sum of the pixels after background, in `unit`"),
    Column("background_err", "float64", None, "stat.error;instr.skyLevel", "error of `background`: background_std / sqrt(n_background)"),
    Column("background_std", "float64", None, "instr.skyLevel;stat.stdev", "scatter of the pixels behind `background`, in `unit`"),
    Column("n_background", "int64", None, "meta.number", "pixels behind `background`; 0 where it was given"),
    Column("aperture_sum_mag_err", "float64", "mag", "stat.error;phot.mag", "error of `aperture_sum_mag`"),
    Column("flux_scaling_raw", "float64", None, "phot.calib", "flux of magnitude 0 in `aperture_sum_mag`, in `unit`"),
    Column("sum_mag", "float64", "mag", "phot.mag", "-2.5 log10(sum / flux_scaling): after the pixel area"),
    Column("sum_mag_err", "float64", "mag", "stat.error;phot.mag", "error of `sum_mag`"),
    Column("ab_mag", "float64", "mag", "phot.mag", "AB magnitude of `sum`; NULL where it is no flux density"),
    Column("ab_mag_err", "float64", "mag", "stat.error;phot.mag", "error of `ab_mag`"),
    Column("pixarea_rule", "str", None, "meta.note", "where the pixel area comes from: user, a keyword, ASDF, WCS or instrument"),
    Column("n_pixels", "int64", None, "meta.number", "usable pixels with their centres in the aperture: those of the statistics"),
    Column("n_bad", "int64", None, "meta.number", "masked pixels and pixels that are not finite in the aperture"),
    Column("area_bad", "float64", "pix2", "phys.angArea", "their area in the aperture"),
    Column("on_image", "float64", None, "stat.value", "share of the aperture's area that is on the image"),
    Column("flags", "int32", None, "meta.code.qual", "bits of flags.FLAGS_LOOK"),
    Column("reason", "str", None, "meta.note", "why it could not be measured"),
    Column("region", "str", None, "pos.outline", "the aperture on the image's pixels, JSON"),
    Column("unit", "str", None, "meta.unit", "unit of the pixels"),
    Column("sum_unit", "str", None, "meta.unit", "unit of `sum`"),
    Column("file", "str", None, "meta.ref", "path of the image; NULL where it came from none"),
    Column("hdu", "int64", None, "meta.id.part", "HDU of the file"),
    Column("calculation", "str", None, "meta.id", "identifier (UUID) of the calculation"),
    Column("row", "int64", None, "meta.record", "row of the calculation, from 1"),
    Column("software", "str", None, "meta.version;meta.software", "versions of what calculated it"),
)

# The SQL view `light_curve`.
LIGHT_CURVE = (
    Column("frame_id", "int64", None, "meta.id;obs", "the frame"),
    Column("run_id", "int64", None, "meta.id", "the run that measured it"),
    Column("catalog_id", "int64", None, "meta.id", "the catalog that holds the row"),
    Column("row", "int64", None, "meta.record", "row in the catalog's file, from 0"),
    Column("object_id", "int64", None, "meta.id;src", "the object; NULL before association"),
    Column("telname", "str", None, "meta.id;instr.tel", "telescope"),
    Column("filter", "str", None, "meta.id;instr.filter", "filter"),
    Column("mjd_mid", "float64", "d", "time.epoch;obs", "middle of the exposure, MJD UTC"),
    Column("exptime", "float64", "s", "time.duration;obs.exposure", "exposure time"),
    Column("ra", "float64", "deg", "pos.eq.ra;meta.main", "ICRS"),
    Column("dec", "float64", "deg", "pos.eq.dec;meta.main", "ICRS"),
    Column("flux", "float64", "count/s", "phot.count", "flux per second, stored unit; of an image that is a rate, the flux as it stands"),
    Column("flux_err", "float64", "count/s", "stat.error;phot.count", "error of `flux`"),
    Column("mag_inst", "float64", "mag", "phot.mag", "-2.5 log10 flux; NULL where it is not positive"),
    Column("mag_inst_err", "float64", "mag", "stat.error;phot.mag", "error of `mag_inst`"),
    Column("mag", "float64", "mag", "phot.mag", "calibrated magnitude; NULL without a zero point of this aperture (ellipses: of AUTO)"),
    Column("mag_err", "float64", "mag", "stat.error;phot.mag", "error of `mag`, of the measurement alone"),
    Column("flux_ujy", "float64", "uJy", "phot.flux.density", "calibrated AB flux density; NULL unless calibrated in AB"),
    Column("flux_ujy_err", "float64", "uJy", "stat.error;phot.flux.density", "error of `flux_ujy`"),
    Column("aperture_arcsec", "float64", "arcsec", "phys.angSize", "diameter of the aperture; NULL of an ellipse"),
    Column("mag_limit", "float64", "mag", "phot.mag;stat.max", "5-sigma limit there, else that of the frame; NULL unless calibrated"),
    Column("snr", "float64", None, "stat.snr", "flux / flux_err"),
    Column("flags", "int32", None, "meta.code.qual", "bits of flags.FLAGS"),
    Column("kind", "str", None, "meta.code.class", "detection, forced or limit"),
    Column("flags_aper", "int32", None, "meta.code.qual", "bits of flags.FLAGS_APER of this aperture or ellipse"),
    Column("zero_point", "float64", "mag", "phot.calib", "zero point that was applied: a stored one of this aperture, else the header's"),
    Column("zero_point_err", "float64", "mag", "stat.error;phot.calib", "error of `zero_point`, the same for all sources of the frame"),
    Column("flux_limit", "float64", "count/s", "phot.count;stat.max", "5-sigma limit in the aperture, as `flux`; NULL without a sky"),
    Column("target_id", "str", None, "meta.id;src", "identifier of a forced target; NULL of detections"),
    Column("night", "str", None, "time.epoch", "night of observation, YYYY-MM-DD of its evening"),
)

# The light-curve store: one measurement of one object. What is left out of `LIGHT_CURVE` follows from the rest.
_DERIVED = ("mag_inst", "mag_inst_err", "snr")
_SINGLE = (
    "flux", "flux_err", "mag", "mag_err", "flux_ujy", "flux_ujy_err", "mag_limit", "zero_point", "zero_point_err", "flux_limit"
)  # fmt: skip
STORE = (
    Column("object_id", "int64", None, "meta.id;src", "the object: twice its HEALPix NESTED cell of order 29, or the next free number"),
    *(
        column._replace(dtype="float32") if column.name in _SINGLE else column
        for column in LIGHT_CURVE
        if column.name not in (*_DERIVED, "object_id")
    ),
    Column("object_ra", "float64", "deg", "pos.eq.ra", "centre of the cell in `object_id`, ICRS: where the object is filed, for ever"),
    Column("object_dec", "float64", "deg", "pos.eq.dec", "centre of the cell in `object_id`, ICRS"),
    Column("_healpix_29", "int64", None, "pos.healpix", "HEALPix NESTED cell of order 29 in `object_id`"),
)

# Measurements that belong to no object (yet): the same, with their own place.
ORPHAN = (
    *(column for column in STORE if column.name not in ("object_id", "object_ra", "object_dec", "_healpix_29")),
    Column("_healpix_29", "int64", None, "pos.healpix", "HEALPix NESTED cell of order 29 of `ra`, `dec`"),
)

# One object, over all filters.
OBJECT = (
    Column("object_id", "int64", None, "meta.id;src;meta.main", "the object; never changes its meaning"),
    Column("ra", "float64", "deg", "pos.eq.ra;meta.main", "mean of its detections, weighted by S/N squared, ICRS"),
    Column("dec", "float64", "deg", "pos.eq.dec;meta.main", "mean of its detections, weighted by S/N squared, ICRS"),
    Column("ra_err", "float64", "arcsec", "stat.error;pos.eq.ra", "error of the mean, along RA on the sky; NULL of one detection"),
    Column("dec_err", "float64", "arcsec", "stat.error;pos.eq.dec", "error of the mean, along declination; NULL of one detection"),
    Column("n_det", "int32", None, "meta.number", "detections"),
    Column("n_forced", "int32", None, "meta.number", "forced measurements"),
    Column("n_good", "int32", None, "meta.number", "detections with a magnitude and no flag of saturation, truncation or a bad aperture"),
    Column("n_nights", "int32", None, "meta.number", "nights with a detection"),
    Column("n_filters", "int32", None, "meta.number", "filters with a detection"),
    Column("mjd_first", "float64", "d", "time.start;obs", "first detection, MJD UTC"),
    Column("mjd_last", "float64", "d", "time.end;obs", "last detection, MJD UTC"),
    Column("chi2_reduced", "float64", None, "stat.fit.chi2", "against constancy, each filter around its own mean; NULL without freedom"),
    Column("stetson_j", "float64", None, "src.var.index", "Stetson J of pairs of measurements within half an hour, any filters"),
    Column("amplitude", "float64", "mag", "src.var.amplitude", "largest of the filters' amplitudes"),
    Column("ambiguous", "bool", None, "meta.code.qual", "shares its surroundings with another: which measurement is whose is a choice"),
    Column("_healpix_29", "int64", None, "pos.healpix", "HEALPix NESTED cell of order 29 of `ra`, `dec`"),
)

# One object in one filter: good detections (see `n_good`), calibrated if any of them is, else instrumental.
OBJECT_FILTER = (
    Column("object_id", "int64", None, "meta.id;src", "the object"),
    Column("filter", "str", None, "meta.id;instr.filter", "filter"),
    Column("n_det", "int32", None, "meta.number", "detections"),
    Column("n_good", "int32", None, "meta.number", "good ones that the numbers below are of"),
    Column("calibrated", "bool", None, "meta.code.status", "magnitudes are calibrated; else instrumental, of counts per second"),
    Column("mag_mean", "float64", "mag", "phot.mag;stat.mean", "mean weighted by the errors, those of zero points included"),
    Column("mag_mean_err", "float64", "mag", "stat.error;phot.mag", "error of `mag_mean`"),
    Column("mag_median", "float64", "mag", "phot.mag;stat.median", "median"),
    Column("mag_std", "float64", "mag", "stat.stdev;phot.mag", "standard deviation (n - 1): the scatter"),
    Column("mag_min", "float64", "mag", "phot.mag;stat.min", "brightest"),
    Column("mag_max", "float64", "mag", "phot.mag;stat.max", "faintest"),
    Column("amplitude", "float64", "mag", "src.var.amplitude", "mag_max - mag_min"),
    Column("chi2_reduced", "float64", None, "stat.fit.chi2", "against constancy"),
    Column("eta", "float64", None, "src.var.index", "von Neumann's: mean square of successive differences over the variance; 2 for noise"),
    Column("stetson_j", "float64", None, "src.var.index", "Stetson J of pairs within half an hour in this filter"),
    Column("mjd_first", "float64", "d", "time.start;obs", "first detection, MJD UTC"),
    Column("mjd_last", "float64", "d", "time.end;obs", "last detection, MJD UTC"),
    Column("ra", "float64", "deg", "pos.eq.ra", "of the object, as in `OBJECT`"),
    Column("dec", "float64", "deg", "pos.eq.dec", "of the object, as in `OBJECT`"),
    Column("_healpix_29", "int64", None, "pos.healpix", "of the object, as in `OBJECT`"),
)

# Pairs that share a place: which of their measurements is whose is a choice that another order might have made otherwise.
AMBIGUOUS = (
    Column("object_id", "int64", None, "meta.id;src", "the object"),
    Column("other_id", "int64", None, "meta.id;src", "the other one; NULL while it has no id"),
    Column("separation", "float64", "arcsec", "pos.angDistance", "between their mean positions when it was recorded"),
)

# Objects that turned out to be another one: the ids stay valid.
ALIAS = (
    Column("old_id", "int64", None, "meta.id;src", "an id that was published"),
    Column("object_id", "int64", None, "meta.id;src;meta.main", "the object that it is now"),
)

_FAMILIES = (
    *FRAME, *NAMES, *CATALOG_LINK, *SOURCE, *APERTURE, *PHOTUTILS, *FORCED, *ANNULUS, *ELLIPSE, *ELLIPSE_ANNULUS, *CALIBRATED, *LIGHT_CURVE,
    *STORE, *OBJECT, *OBJECT_FILTER, *AMBIGUOUS, *ALIAS,
)  # fmt: skip
_BY_NAME = {column.name: column for column in reversed(_FAMILIES)}


def suffix(index: int) -> str:
    """Return the suffix of an aperture: none for the first, ``_1``, ``_2`` ... for the others.

    Examples
    --------
    >>> [suffix(i) for i in range(3)]
    ['', '_1', '_2']
    """
    return f"_{index}" if index else ""


def aperture(index: int) -> tuple[Column, ...]:
    """Return the columns of the aperture with this index, named with its suffix.

    Parameters
    ----------
    index : int
        Place of the aperture: the arcsec list first, then the seeing list.

    Returns
    -------
    tuple of Column
    """
    return tuple(column._replace(name=column.name + suffix(index)) for column in APERTURE)


def annulus(index: int) -> tuple[Column, ...]:
    """Return the columns of the ring around the aperture with this index, named with its suffix."""
    return tuple(column._replace(name=column.name + suffix(index)) for column in ANNULUS)


def calibrated(measure: str) -> tuple[Column, ...]:
    """Return the columns that a zero point adds for a measure.

    Parameters
    ----------
    measure : str
        What follows ``FLUX_``: ``AUTO``, ``ELIP``, ``APER``, ``APER_1`` ...

    Returns
    -------
    tuple of Column
    """
    limits = measure != "AUTO"
    kept = (column for column in CALIBRATED if limits or not column.name.startswith("UL"))
    made = []
    for column in kept:
        described = column.description.replace("_AUTO", "_" + measure)
        made.append(column._replace(name=column.name.replace("_AUTO", "_" + measure), description=described))
    return tuple(made)


def lookup(name: str) -> Column:
    """Return the column of a catalog, frame or light curve with this name, aperture suffix or not.

    Parameters
    ----------
    name : str
        For example ``"FLUX_APER_2"`` or ``"mjd_mid"``.

    Returns
    -------
    Column

    Raises
    ------
    InputError
        If no such column is stored anywhere.
    """
    if name in _BY_NAME:
        return _BY_NAME[name]
    stem, _, index = name.rpartition("_")
    if index.isdigit() and any(column.name == stem for column in (*APERTURE, *ANNULUS)):
        return _BY_NAME[stem]._replace(name=name)
    for column in CALIBRATED:
        prefix = column.name.removesuffix("AUTO")
        if name.startswith((prefix + "APER", prefix + "ELIP")):
            return next(made for made in calibrated(name.removeprefix(prefix)) if made.name == name)
    raise InputError(f"column {name!r}: no table of the archive has it")
