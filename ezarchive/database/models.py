"""The tables, as SQLAlchemy Core objects: the same on SQLite and PostgreSQL.

::

    archive_meta                  versions
    site  camera  filter          facts; a frame points at each
    telescope -> site
    target <- target_alias
    root <- file <- frame_file -> frame -> frame (parent)
    frame <- frame_header, frame_cell, product
    recipe <- run <- catalog -> frame          current_run -> catalog
    target_list                   positions of forced photometry; a catalog names the list that it holds
    zero_point -> frame, catalog, run          of a frame, for each way of measuring
    image_fit -> frame, run       seeing, scale, offset and pointing of a frame against a reference image
    anchor -> run                 levels of bands anchored to others
    aperture_photometry -> run, frame          what the quick look measured in regions of images
    store_version <- store_pointer             versions of the light-curve store, and the one that readers take
    store_catalog -> catalog, store_version    what that one holds
    quarantine                    what could not be read or measured
    rollup                        counts that lists and the calendar read

Ids are integers, times MJD UTC, angles ICRS degrees; missing values are NULL, never NaN; every constraint has a name. The columns of
``frame`` come from ``columns.FRAME``. ``schema/`` holds the steps that make these tables; a test compares the two.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)

from ezarchive import columns
from ezarchive.frames.record import KINDS

SCHEMA_VERSION = "1.5"
"""Version of the tables below. A new minor version can be read by older code of the same major version, a new major one cannot."""

FILE_STATES = ("ok", "waiting", "missing", "corrupt")
ROOT_KINDS = ("science", "reference", "calibration")
STORE_KINDS = ("associate", "compact", "rebuild")
FIT_STATES = ("ok", "flagged", "failed")
FIT_METHODS = ("image", "stars")
ANCHOR_KINDS = ("external", "internal")
FITTED = ("scale", "bg", "dx", "dy", "dra", "ddec", "fwhm", "beta")
"""What an image fit gives, each with an error."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite numbers rows by itself in INTEGER columns only.
Id = BigInteger().with_variant(Integer, "sqlite")


class Unsigned(TypeDecorator[int]):
    """A 64-bit number without sign, kept in a column with one (inode numbers of some file systems need the top bit)."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> int | None:
        """Wrap the upper half of the range to negative numbers."""
        return value if value is None or value < 1 << 63 else value - (1 << 64)

    def process_result_value(self, value: int | None, dialect: Dialect) -> int | None:
        """Undo `process_bind_param`."""
        return value if value is None or value >= 0 else value + (1 << 64)


_TYPES: dict[str, Any] = {
    "bool": Boolean,
    "int16": SmallInteger,
    "int32": Integer,
    "int64": BigInteger,
    "float32": Double,
    "float64": Double,
    "str": Text,
    "bytes": LargeBinary,
}

_REQUIRED = ("kind", "naxis1", "naxis2", "wcs_ok", "quality")
_LOOK_REQUIRED = ("calculation", "row", "flags")


def _ref(name: str, target: str, *, null: bool = True) -> Column[Any]:
    return Column(name, Id, ForeignKey(target), nullable=null)


def _one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


def _text(name: str, *, null: bool = True) -> Column[Any]:
    return Column(name, Text, nullable=null)


def _targets(*, primary_key: bool = False) -> Column[Any]:
    """Return the column that says which list of targets was measured: its name, else its hash; empty for detection."""
    return Column("targets", Text, nullable=False, server_default=text("''"), primary_key=primary_key)


def _double(name: str, *, null: bool = True) -> Column[Any]:
    return Column(name, Double, nullable=null)


archive_meta = Table("archive_meta", metadata, Column("key", Text, primary_key=True), _text("value", null=False))

root = Table(
    "root",
    metadata,
    Column("root_id", Id, primary_key=True),
    _text("name", null=False),
    _text("uri", null=False),
    _text("kind", null=False),
    Column("online", Boolean, nullable=False),
    _double("seen"),  # when the whole root was last walked; `touch_seen`
    UniqueConstraint("name"),
    _one_of("kind", ROOT_KINDS),
)

site = Table(
    "site",
    metadata,
    Column("site_id", Id, primary_key=True),
    _text("name", null=False),
    _double("longitude"),
    _double("latitude"),
    _double("elevation"),
    UniqueConstraint("name"),
)

telescope = Table(
    "telescope",
    metadata,
    Column("telescope_id", Id, primary_key=True),
    _text("name", null=False),
    _ref("site_id", "site.site_id"),  # where it was first seen; what a frame says is in `frame.site_id`
    UniqueConstraint("name"),
)

camera = Table("camera", metadata, Column("camera_id", Id, primary_key=True), _text("name", null=False), UniqueConstraint("name"))

filter_ = Table(
    "filter",
    metadata,
    Column("filter_id", Id, primary_key=True),
    _text("name", null=False),
    _double("em_min"),  # edges of the band in metres, for ObsCore
    _double("em_max"),
    UniqueConstraint("name"),
)

target = Table(
    "target",
    metadata,
    Column("target_id", Id, primary_key=True),
    _text("name", null=False),  # as it was first spelt
    _text("key", null=False),  # names.target_key(name)
    _double("ra"),
    _double("dec"),
    UniqueConstraint("name"),
    UniqueConstraint("key"),
)

target_alias = Table(
    "target_alias",
    metadata,
    Column("key", Text, primary_key=True),
    _text("alias", null=False),
    _ref("target_id", "target.target_id", null=False),
    Index(None, "target_id"),
)

file = Table(
    "file",
    metadata,
    Column("file_id", Id, primary_key=True),
    _ref("root_id", "root.root_id", null=False),
    Column("relpath", LargeBinary, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("inode", Unsigned, nullable=False),
    _text("state", null=False),
    _double("first_seen", null=False),
    _double("last_seen", null=False),
    UniqueConstraint("root_id", "relpath"),
    _one_of("state", FILE_STATES),
)

frame = Table(
    "frame",
    metadata,
    Column("frame_id", Id, primary_key=True),
    _ref("parent_id", "frame.frame_id"),
    _ref("file_id", "file.file_id"),  # the copy that is read; NULL while there is none
    Column("hdu", Integer, nullable=True),
    _ref("site_id", "site.site_id"),
    _ref("telescope_id", "telescope.telescope_id"),
    _ref("camera_id", "camera.camera_id"),
    _ref("filter_id", "filter.filter_id"),
    _ref("target_id", "target.target_id"),
    *(Column(c.name, _TYPES[c.dtype], nullable=c.name not in _REQUIRED) for c in columns.FRAME),
    _text("origin"),  # JSON
    _one_of("kind", KINDS),
    # With the telescope at its end, a question for one of many telescopes is answered from the index alone.
    Index(None, "target_id", "filter_id", "mjd_mid", "telescope_id"),
    # (night, telescope) finds a night; the two more columns find the group of one row of `rollup`.
    Index(None, "night", "telescope_id", "target_id", "filter_id"),
    Index(None, "filter_id", "mjd_mid"),
    Index(None, "mjd_mid"),
    Index(None, "header_hash"),
    Index(None, "parent_id"),
)

frame_header = Table(
    "frame_header",
    metadata,
    Column("frame_id", Id, ForeignKey("frame.frame_id"), primary_key=True, autoincrement=False),
    # zlib of the raw card bytes; of an extension, an END card and those of the primary header follow
    Column("cards", LargeBinary, nullable=False),
)

frame_cell = Table(
    "frame_cell",
    metadata,
    Column("cell", Id, primary_key=True, autoincrement=False),
    Column("frame_id", Id, ForeignKey("frame.frame_id"), primary_key=True, autoincrement=False),
    Index(None, "frame_id"),
    sqlite_with_rowid=False,
)

frame_file = Table(
    "frame_file",
    metadata,
    Column("file_id", Id, ForeignKey("file.file_id"), primary_key=True, autoincrement=False),
    Column("hdu", Integer, primary_key=True, autoincrement=False),
    _ref("frame_id", "frame.frame_id", null=False),
    Index(None, "frame_id"),
    sqlite_with_rowid=False,
)

recipe = Table(
    "recipe",
    metadata,
    Column("recipe_id", Id, primary_key=True),
    _text("method", null=False),
    _text("parameters", null=False),  # JSON
    _text("apertures", null=False),  # JSON
    _text("hash", null=False),
    _double("created", null=False),
    UniqueConstraint("hash"),
)

run = Table(
    "run",
    metadata,
    Column("run_id", Id, primary_key=True),
    _ref("recipe_id", "recipe.recipe_id", null=False),
    _text("versions", null=False),  # JSON
    _double("started", null=False),
    _double("ended"),
    _text("counts"),  # JSON
    _double("withdrawn"),  # when; what it made counts no more
    Index(None, "recipe_id"),
)

catalog = Table(
    "catalog",
    metadata,
    Column("catalog_id", Id, primary_key=True),
    _ref("frame_id", "frame.frame_id", null=False),
    _ref("run_id", "run.run_id", null=False),
    _text("method", null=False),
    _text("path", null=False),  # relative to the archive's home
    Column("n_rows", BigInteger, nullable=False),
    _text("sha256", null=False),
    _double("seeing"),
    _double("depth"),
    _double("depth_aperture"),
    _text("apertures", null=False),  # JSON: diameters in arcsec in the order of the suffixes, null where there is no scale
    _double("created", null=False),
    _targets(),
    UniqueConstraint("frame_id", "run_id"),
    Index(None, "run_id"),
)

current_run = Table(
    "current_run",
    metadata,
    Column("frame_id", Id, ForeignKey("frame.frame_id"), primary_key=True, autoincrement=False),
    Column("method", Text, primary_key=True),
    _ref("catalog_id", "catalog.catalog_id", null=False),
    _ref("run_id", "run.run_id", null=False),
    Column("pinned", Boolean, nullable=False),
    _targets(primary_key=True),
    Index(None, "catalog_id"),
)

target_list = Table(
    "target_list",
    metadata,
    Column("hash", Text, primary_key=True),  # of ids and positions
    _text("name"),
    _text("path", null=False),  # relative to the archive's home
    Column("n_rows", BigInteger, nullable=False),
    _text("sha256", null=False),  # of the file
    _double("created", null=False),
    UniqueConstraint("path"),
)

zero_point = Table(
    "zero_point",
    metadata,
    Column("zero_point_id", Id, primary_key=True),
    _ref("frame_id", "frame.frame_id", null=False),
    _ref("catalog_id", "catalog.catalog_id", null=False),  # whose stars it was made of
    _ref("run_id", "run.run_id", null=False),  # the run that made it, not the one that measured
    *(_text(name, null=False) for name in ("method", "measure")),  # of that catalog; AUTO or APER
    _double("value", null=False),
    *(_double(name) for name in ("aperture", "error", "scatter", "ab_offset", "depth", "colour_term", "colour_term_err")),
    *(_double(name) for name in ("colour_pivot", "magnitude_slope", "magnitude_slope_err")),
    Column("n_stars", Integer, nullable=False),
    _text("system"),
    _text("details"),
    _double("created", null=False),
    _one_of("measure", ("AUTO", "APER")),
    Index(None, "frame_id", "method", "run_id"),
    Index(None, "catalog_id"),
)

image_fit = Table(
    "image_fit",
    metadata,
    Column("image_fit_id", Id, primary_key=True),
    _ref("frame_id", "frame.frame_id", null=False),
    _ref("run_id", "run.run_id", null=False),
    _ref("reference_id", "frame.frame_id"),  # where the reference is a frame of the archive
    _text("reference", null=False),  # a path, "frame N", or the hash of pixels that came from no file
    *(_text(name, null=False) for name in ("method", "status")),
    *(_text(name) for name in ("code", "message")),  # of what failed
    *(_double(name + suffix) for name in FITTED for suffix in ("", "_err")),
    *(_double(name) for name in ("rms", "chi2")),
    Column("n_pixels", BigInteger),
    *(_text(name) for name in ("unit", "fixed", "details")),  # of bg and rms; names of what was not fitted; JSON
    _double("created", null=False),
    _one_of("method", FIT_METHODS),
    _one_of("status", FIT_STATES),
    UniqueConstraint("frame_id", "run_id", "method"),
    Index(None, "run_id"),
)

anchor = Table(
    "anchor",
    metadata,
    Column("anchor_id", Id, primary_key=True),
    _ref("run_id", "run.run_id", null=False),
    _ref("frame_id", "frame.frame_id"),  # where the image is a frame of the archive
    *(_text(name, null=False) for name in ("target", "band", "kind", "reference")),
    _text("resolution"),
    *(_double(name) for name in ("slope", "slope_err", "intercept", "intercept_err", "anchor_offset", "anchor_offset_err")),
    *(_double(name) for name in ("range_low", "range_high")),
    *(Column(name, Integer) for name in ("n_bins", "n_cells")),
    Column("used", Boolean, nullable=False),  # whether the image got its offset from this fit
    _text("status", null=False),
    *(_text(name) for name in ("code", "message", "unit", "file", "output", "details")),
    _double("created", null=False),
    _one_of("kind", ANCHOR_KINDS),
    _one_of("status", FIT_STATES),
    Index(None, "target", "band"),
    Index(None, "run_id"),
)

aperture_photometry = Table(
    "aperture_photometry",
    metadata,
    Column("photometry_id", Id, primary_key=True),
    _ref("run_id", "run.run_id", null=False),
    _ref("frame_id", "frame.frame_id"),  # where the image is a frame of the archive
    *(Column(spec.name, _TYPES[spec.dtype], nullable=spec.name not in _LOOK_REQUIRED) for spec in columns.LOOK),
    _double("created", null=False),
    UniqueConstraint("calculation", "row"),
    Index(None, "run_id"),
    Index(None, "frame_id"),
)

store_version = Table(
    "store_version",
    metadata,
    Column("number", Id, primary_key=True, autoincrement=False),  # of the folder HOME/store/<number>
    _double("created", null=False),
    _text("kind", null=False),
    *(Column(name, BigInteger, nullable=False) for name in ("n_light_curve", "n_objects", "n_orphans")),
    _text("parameters", null=False),  # JSON
    _one_of("kind", STORE_KINDS),
)

store_pointer = Table(
    "store_pointer",
    metadata,
    Column("name", Text, primary_key=True),
    _ref("number", "store_version.number", null=False),
)

store_catalog = Table(
    "store_catalog",
    metadata,
    Column("catalog_id", Id, ForeignKey("catalog.catalog_id"), primary_key=True, autoincrement=False),
    Column("n_rows", BigInteger, nullable=False),  # that went into the store
    _text("calibration", null=False),  # hash of the zero points that its rows have there
    _ref("number", "store_version.number", null=False),  # the version that put them there
)

product = Table(
    "product",
    metadata,
    Column("product_id", Id, primary_key=True),
    _ref("frame_id", "frame.frame_id", null=False),
    _text("kind", null=False),
    _text("path", null=False),  # relative to the archive's home
    _ref("run_id", "run.run_id"),
    Column("size", BigInteger, nullable=True),
    _text("sha256"),
    _double("created", null=False),
    UniqueConstraint("path"),
    Index(None, "frame_id", "kind"),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("quarantine_id", Id, primary_key=True),
    _ref("root_id", "root.root_id"),
    Column("relpath", LargeBinary, nullable=True),
    _ref("frame_id", "frame.frame_id"),
    _text("stage", null=False),
    _text("code", null=False),
    _text("message", null=False),
    Column("tries", Integer, nullable=False),
    _double("first_seen", null=False),
    _double("last_seen", null=False),
    _double("resolved"),
    Index(None, "root_id", "relpath", "stage"),
)

rollup = Table(
    "rollup",
    metadata,
    Column("rollup_id", Id, primary_key=True),
    _ref("root_id", "root.root_id", null=False),
    _text("kind", null=False),
    _text("night"),
    _ref("site_id", "site.site_id"),
    _ref("telescope_id", "telescope.telescope_id"),
    _ref("camera_id", "camera.camera_id"),
    _ref("filter_id", "filter.filter_id"),
    _ref("target_id", "target.target_id"),
    Column("n", BigInteger, nullable=False),
    _double("exptime", null=False),
    Index(None, "night", "telescope_id", "target_id", "filter_id"),
    Index(None, "target_id", "filter_id"),
    Index(None, "filter_id", "telescope_id"),
    Index(None, "telescope_id", "target_id"),
    Index(None, "camera_id"),
    Index(None, "site_id"),
    Index(None, "root_id", "kind", "night"),
)

NAME_TABLES = {"observatory": site, "telname": telescope, "telkey": camera, "filter": filter_, "objname": target}
"""Where the names of a frame are kept, by the names of ``columns.NAMES``."""

NAME_IDS = {"observatory": "site_id", "telname": "telescope_id", "telkey": "camera_id", "filter": "filter_id", "objname": "target_id"}
"""The column of ``frame`` and of ``rollup`` that points into each of `NAME_TABLES`."""
