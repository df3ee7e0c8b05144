"""The first schema: all tables, and the view ivoa_obscore.

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# SQLite numbers rows by itself in INTEGER columns only.
Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the step."""
    _facts()
    _files()
    _frames()
    _around_frames()
    _measurements()
    _audit()
    _obscore()
    meta = sa.table("archive_meta", sa.column("key"), sa.column("value"))
    values = {
        "schema_version": "1.0",
        # The oldest schema version whose code can read this database.
        "reader_version": "1.0",
        "cell_order": "7",
        # ObsCore's obs_publisher_did is this and the number of the frame.
        "publisher_did": "ivo://ezarchive/frame?",
    }
    op.bulk_insert(meta, [{"key": key, "value": value} for key, value in values.items()])


def _facts() -> None:
    """Make the tables of facts."""
    op.create_table(
        "archive_meta",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_archive_meta")),
    )
    op.create_table(
        "site",
        sa.Column("site_id", Id, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("longitude", sa.Double(), nullable=True),
        sa.Column("latitude", sa.Double(), nullable=True),
        sa.Column("elevation", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("site_id", name=op.f("pk_site")),
        sa.UniqueConstraint("name", name=op.f("uq_site_name")),
    )
    op.create_table(
        "telescope",
        sa.Column("telescope_id", Id, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("site_id", Id, nullable=True),
        sa.ForeignKeyConstraint(["site_id"], ["site.site_id"], name=op.f("fk_telescope_site_id")),
        sa.PrimaryKeyConstraint("telescope_id", name=op.f("pk_telescope")),
        sa.UniqueConstraint("name", name=op.f("uq_telescope_name")),
    )
    op.create_table(
        "camera",
        sa.Column("camera_id", Id, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("camera_id", name=op.f("pk_camera")),
        sa.UniqueConstraint("name", name=op.f("uq_camera_name")),
    )
    op.create_table(
        "filter",
        sa.Column("filter_id", Id, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("em_min", sa.Double(), nullable=True),
        sa.Column("em_max", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("filter_id", name=op.f("pk_filter")),
        sa.UniqueConstraint("name", name=op.f("uq_filter_name")),
    )
    op.create_table(
        "target",
        sa.Column("target_id", Id, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("ra", sa.Double(), nullable=True),
        sa.Column("dec", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("target_id", name=op.f("pk_target")),
        sa.UniqueConstraint("key", name=op.f("uq_target_key")),
        sa.UniqueConstraint("name", name=op.f("uq_target_name")),
    )
    op.create_table(
        "target_alias",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("alias", sa.Text(), nullable=False),
        sa.Column("target_id", Id, nullable=False),
        sa.ForeignKeyConstraint(["target_id"], ["target.target_id"], name=op.f("fk_target_alias_target_id")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_target_alias")),
    )
    op.create_index(op.f("ix_target_alias_target_id"), "target_alias", ["target_id"])


def _files() -> None:
    """Make roots and files."""
    op.create_table(
        "root",
        sa.Column("root_id", Id, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("online", sa.Boolean(), nullable=False),
        sa.Column("seen", sa.Double(), nullable=True),
        sa.CheckConstraint("kind IN ('science', 'reference', 'calibration')", name=op.f("ck_root_kind")),
        sa.PrimaryKeyConstraint("root_id", name=op.f("pk_root")),
        sa.UniqueConstraint("name", name=op.f("uq_root_name")),
    )
    op.create_table(
        "file",
        sa.Column("file_id", Id, nullable=False),
        sa.Column("root_id", Id, nullable=False),
        sa.Column("relpath", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("inode", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("first_seen", sa.Double(), nullable=False),
        sa.Column("last_seen", sa.Double(), nullable=False),
        sa.CheckConstraint("state IN ('ok', 'waiting', 'missing', 'corrupt')", name=op.f("ck_file_state")),
        sa.ForeignKeyConstraint(["root_id"], ["root.root_id"], name=op.f("fk_file_root_id")),
        sa.PrimaryKeyConstraint("file_id", name=op.f("pk_file")),
        sa.UniqueConstraint("root_id", "relpath", name=op.f("uq_file_root_id_relpath")),
    )


def _frames() -> None:
    """Make frames."""
    op.create_table(
        "frame",
        sa.Column("frame_id", Id, nullable=False),
        sa.Column("parent_id", Id, nullable=True),
        sa.Column("file_id", Id, nullable=True),
        sa.Column("hdu", sa.Integer(), nullable=True),
        sa.Column("site_id", Id, nullable=True),
        sa.Column("telescope_id", Id, nullable=True),
        sa.Column("camera_id", Id, nullable=True),
        sa.Column("filter_id", Id, nullable=True),
        sa.Column("target_id", Id, nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("object_raw", sa.Text(), nullable=True),
        sa.Column("night", sa.Text(), nullable=True),
        sa.Column("date_obs", sa.Text(), nullable=True),
        sa.Column("mjd_start", sa.Double(), nullable=True),
        sa.Column("mjd_mid", sa.Double(), nullable=True),
        sa.Column("mjd_end", sa.Double(), nullable=True),
        sa.Column("exptime", sa.Double(), nullable=True),
        sa.Column("ncombine", sa.Integer(), nullable=True),
        sa.Column("naxis1", sa.Integer(), nullable=False),
        sa.Column("naxis2", sa.Integer(), nullable=False),
        sa.Column("binning", sa.Text(), nullable=True),
        sa.Column("wcs_ok", sa.Boolean(), nullable=False),
        sa.Column("ra", sa.Double(), nullable=True),
        sa.Column("dec", sa.Double(), nullable=True),
        sa.Column("radius", sa.Double(), nullable=True),
        sa.Column("s_region", sa.Text(), nullable=True),
        sa.Column("pixel_scale", sa.Double(), nullable=True),
        sa.Column("gain", sa.Double(), nullable=True),
        sa.Column("read_noise", sa.Double(), nullable=True),
        sa.Column("saturation", sa.Double(), nullable=True),
        sa.Column("bunit", sa.Text(), nullable=True),
        sa.Column("seeing", sa.Double(), nullable=True),
        sa.Column("depth", sa.Double(), nullable=True),
        sa.Column("depth_aperture", sa.Double(), nullable=True),
        sa.Column("zero_point", sa.Double(), nullable=True),
        sa.Column("zero_point_err", sa.Double(), nullable=True),
        sa.Column("zero_point_aperture", sa.Double(), nullable=True),
        sa.Column("zero_point_system", sa.Text(), nullable=True),
        sa.Column("sky", sa.Double(), nullable=True),
        sa.Column("sky_sigma", sa.Double(), nullable=True),
        sa.Column("airmass", sa.Double(), nullable=True),
        sa.Column("altitude", sa.Double(), nullable=True),
        sa.Column("azimuth", sa.Double(), nullable=True),
        sa.Column("ccd_temp", sa.Double(), nullable=True),
        sa.Column("quality", sa.Integer(), nullable=False),
        sa.Column("header_hash", sa.Text(), nullable=True),
        sa.Column("data_sample", sa.Text(), nullable=True),
        sa.Column("data_hash", sa.Text(), nullable=True),
        sa.Column("origin", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('science', 'reference', 'bias', 'dark', 'flat', 'background', 'errormap', 'mask', 'catalog', 'derived')",
            name=op.f("ck_frame_kind"),
        ),
        sa.ForeignKeyConstraint(["camera_id"], ["camera.camera_id"], name=op.f("fk_frame_camera_id")),
        sa.ForeignKeyConstraint(["file_id"], ["file.file_id"], name=op.f("fk_frame_file_id")),
        sa.ForeignKeyConstraint(["filter_id"], ["filter.filter_id"], name=op.f("fk_frame_filter_id")),
        sa.ForeignKeyConstraint(["parent_id"], ["frame.frame_id"], name=op.f("fk_frame_parent_id")),
        sa.ForeignKeyConstraint(["site_id"], ["site.site_id"], name=op.f("fk_frame_site_id")),
        sa.ForeignKeyConstraint(["target_id"], ["target.target_id"], name=op.f("fk_frame_target_id")),
        sa.ForeignKeyConstraint(["telescope_id"], ["telescope.telescope_id"], name=op.f("fk_frame_telescope_id")),
        sa.PrimaryKeyConstraint("frame_id", name=op.f("pk_frame")),
    )
    op.create_index(op.f("ix_frame_filter_id_mjd_mid"), "frame", ["filter_id", "mjd_mid"])
    op.create_index(op.f("ix_frame_header_hash"), "frame", ["header_hash"])
    op.create_index(op.f("ix_frame_mjd_mid"), "frame", ["mjd_mid"])
    op.create_index(op.f("ix_frame_night_telescope_id_target_id_filter_id"), "frame", ["night", "telescope_id", "target_id", "filter_id"])
    op.create_index(op.f("ix_frame_parent_id"), "frame", ["parent_id"])
    op.create_index(
        op.f("ix_frame_target_id_filter_id_mjd_mid_telescope_id"), "frame", ["target_id", "filter_id", "mjd_mid", "telescope_id"]
    )


def _around_frames() -> None:
    """Make what hangs on a frame."""
    op.create_table(
        "frame_header",
        sa.Column("frame_id", Id, autoincrement=False, nullable=False),
        sa.Column("cards", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["frame_id"], ["frame.frame_id"], name=op.f("fk_frame_header_frame_id")),
        sa.PrimaryKeyConstraint("frame_id", name=op.f("pk_frame_header")),
    )
    op.create_table(
        "frame_cell",
        sa.Column("cell", Id, autoincrement=False, nullable=False),
        sa.Column("frame_id", Id, autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["frame_id"], ["frame.frame_id"], name=op.f("fk_frame_cell_frame_id")),
        sa.PrimaryKeyConstraint("cell", "frame_id", name=op.f("pk_frame_cell")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_frame_cell_frame_id"), "frame_cell", ["frame_id"])
    op.create_table(
        "frame_file",
        sa.Column("file_id", Id, autoincrement=False, nullable=False),
        sa.Column("hdu", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("frame_id", Id, nullable=False),
        sa.ForeignKeyConstraint(["file_id"], ["file.file_id"], name=op.f("fk_frame_file_file_id")),
        sa.ForeignKeyConstraint(["frame_id"], ["frame.frame_id"], name=op.f("fk_frame_file_frame_id")),
        sa.PrimaryKeyConstraint("file_id", "hdu", name=op.f("pk_frame_file")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_frame_file_frame_id"), "frame_file", ["frame_id"])


def _measurements() -> None:
    """Make recipes, runs and what they made."""
    op.create_table(
        "recipe",
        sa.Column("recipe_id", Id, nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("apertures", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("recipe_id", name=op.f("pk_recipe")),
        sa.UniqueConstraint("hash", name=op.f("uq_recipe_hash")),
    )
    op.create_table(
        "run",
        sa.Column("run_id", Id, nullable=False),
        sa.Column("recipe_id", Id, nullable=False),
        sa.Column("versions", sa.Text(), nullable=False),
        sa.Column("started", sa.Double(), nullable=False),
        sa.Column("ended", sa.Double(), nullable=True),
        sa.Column("counts", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["recipe_id"], ["recipe.recipe_id"], name=op.f("fk_run_recipe_id")),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_run")),
    )
    op.create_index(op.f("ix_run_recipe_id"), "run", ["recipe_id"])
    op.create_table(
        "catalog",
        sa.Column("catalog_id", Id, nullable=False),
        sa.Column("frame_id", Id, nullable=False),
        sa.Column("run_id", Id, nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("n_rows", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("seeing", sa.Double(), nullable=True),
        sa.Column("depth", sa.Double(), nullable=True),
        sa.Column("depth_aperture", sa.Double(), nullable=True),
        sa.Column("apertures", sa.Text(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["frame_id"], ["frame.frame_id"], name=op.f("fk_catalog_frame_id")),
        sa.ForeignKeyConstraint(["run_id"], ["run.run_id"], name=op.f("fk_catalog_run_id")),
        sa.PrimaryKeyConstraint("catalog_id", name=op.f("pk_catalog")),
        sa.UniqueConstraint("frame_id", "run_id", name=op.f("uq_catalog_frame_id_run_id")),
    )
    op.create_index(op.f("ix_catalog_run_id"), "catalog", ["run_id"])
    op.create_table(
        "current_run",
        sa.Column("frame_id", Id, autoincrement=False, nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("catalog_id", Id, nullable=False),
        sa.Column("run_id", Id, nullable=False),
        sa.Column("pinned", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["catalog_id"], ["catalog.catalog_id"], name=op.f("fk_current_run_catalog_id")),
        sa.ForeignKeyConstraint(["frame_id"], ["frame.frame_id"], name=op.f("fk_current_run_frame_id")),
        sa.ForeignKeyConstraint(["run_id"], ["run.run_id"], name=op.f("fk_current_run_run_id")),
        sa.PrimaryKeyConstraint("frame_id", "method", name=op.f("pk_current_run")),
    )
    op.create_index(op.f("ix_current_run_catalog_id"), "current_run", ["catalog_id"])
    op.create_table(
        "product",
        sa.Column("product_id", Id, nullable=False),
        sa.Column("frame_id", Id, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("run_id", Id, nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("sha256", sa.Text(), nullable=True),
        sa.Column("created", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["frame_id"], ["frame.frame_id"], name=op.f("fk_product_frame_id")),
        sa.ForeignKeyConstraint(["run_id"], ["run.run_id"], name=op.f("fk_product_run_id")),
        sa.PrimaryKeyConstraint("product_id", name=op.f("pk_product")),
        sa.UniqueConstraint("path", name=op.f("uq_product_path")),
    )
    op.create_index(op.f("ix_product_frame_id_kind"), "product", ["frame_id", "kind"])


def _audit() -> None:
    """Make the lists that are read by people."""
    op.create_table(
        "quarantine",
        sa.Column("quarantine_id", Id, nullable=False),
        sa.Column("root_id", Id, nullable=True),
        sa.Column("relpath", sa.LargeBinary(), nullable=True),
        sa.Column("frame_id", Id, nullable=True),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("first_seen", sa.Double(), nullable=False),
        sa.Column("last_seen", sa.Double(), nullable=False),
        sa.Column("resolved", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["frame_id"], ["frame.frame_id"], name=op.f("fk_quarantine_frame_id")),
        sa.ForeignKeyConstraint(["root_id"], ["root.root_id"], name=op.f("fk_quarantine_root_id")),
        sa.PrimaryKeyConstraint("quarantine_id", name=op.f("pk_quarantine")),
    )
    op.create_index(op.f("ix_quarantine_root_id_relpath_stage"), "quarantine", ["root_id", "relpath", "stage"])
    op.create_table(
        "rollup",
        sa.Column("rollup_id", Id, nullable=False),
        sa.Column("root_id", Id, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("night", sa.Text(), nullable=True),
        sa.Column("site_id", Id, nullable=True),
        sa.Column("telescope_id", Id, nullable=True),
        sa.Column("camera_id", Id, nullable=True),
        sa.Column("filter_id", Id, nullable=True),
        sa.Column("target_id", Id, nullable=True),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("exptime", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["camera_id"], ["camera.camera_id"], name=op.f("fk_rollup_camera_id")),
        sa.ForeignKeyConstraint(["filter_id"], ["filter.filter_id"], name=op.f("fk_rollup_filter_id")),
        sa.ForeignKeyConstraint(["root_id"], ["root.root_id"], name=op.f("fk_rollup_root_id")),
        sa.ForeignKeyConstraint(["site_id"], ["site.site_id"], name=op.f("fk_rollup_site_id")),
        sa.ForeignKeyConstraint(["target_id"], ["target.target_id"], name=op.f("fk_rollup_target_id")),
        sa.ForeignKeyConstraint(["telescope_id"], ["telescope.telescope_id"], name=op.f("fk_rollup_telescope_id")),
        sa.PrimaryKeyConstraint("rollup_id", name=op.f("pk_rollup")),
    )
    op.create_index(op.f("ix_rollup_camera_id"), "rollup", ["camera_id"])
    op.create_index(op.f("ix_rollup_filter_id_telescope_id"), "rollup", ["filter_id", "telescope_id"])
    op.create_index(op.f("ix_rollup_root_id_kind_night"), "rollup", ["root_id", "kind", "night"])
    op.create_index(op.f("ix_rollup_night_telescope_id_target_id_filter_id"), "rollup", ["night", "telescope_id", "target_id", "filter_id"])
    op.create_index(op.f("ix_rollup_site_id"), "rollup", ["site_id"])
    op.create_index(op.f("ix_rollup_target_id_filter_id"), "rollup", ["target_id", "filter_id"])
    op.create_index(op.f("ix_rollup_telescope_id_target_id"), "rollup", ["telescope_id", "target_id"])


# A path as a URL. Names may hold any byte, so a path with other than plain characters is percent-encoded byte by byte (but for /).
_PLAIN = "A-Za-z0-9._~/+,=@-"

_URL_SQLITE = f"""
    'file://' || CASE
        WHEN root.uri || '/' || CAST(file.relpath AS TEXT) NOT GLOB '*[^{_PLAIN}]*'
        THEN root.uri || '/' || CAST(file.relpath AS TEXT)
        ELSE (
            WITH RECURSIVE encoded (n, text) AS (
                SELECT 0, ''
                UNION ALL
                SELECT n + 1, text || '%' || substr(hex(root.uri) || '2F' || hex(file.relpath), 2 * n + 1, 2)
                FROM encoded
                WHERE n < (length(hex(root.uri)) + 2 + length(hex(file.relpath))) / 2
            )
            SELECT replace(text, '%2F', '/') FROM encoded ORDER BY n DESC LIMIT 1
        )
    END
"""

_URL_POSTGRESQL = f"""
    'file://' || CASE
        WHEN root.uri || '/' || encode(file.relpath, 'escape') ~ '^[{_PLAIN}]*$'
        THEN root.uri || '/' || encode(file.relpath, 'escape')
        ELSE replace(
            upper(regexp_replace(encode(convert_to(root.uri || '/', 'UTF8') || file.relpath, 'hex'), '(..)', '%\\1', 'g')), '%2F', '/'
        )
    END
"""

# ObsCore 1.1 (IVOA Recommendation, 2017), table 1: the mandatory columns in its order.
_OBSCORE = """
CREATE VIEW ivoa_obscore AS
SELECT
    CAST('image' AS TEXT) AS dataproduct_type,
    CASE WHEN frame.ncombine > 1 THEN 3 ELSE 2 END AS calib_level,
    root.name AS obs_collection,
    CAST(frame.frame_id AS TEXT) AS obs_id,
    (SELECT value FROM archive_meta WHERE key = 'publisher_did') || CAST(frame.frame_id AS TEXT) AS obs_publisher_did,
    {url} AS access_url,
    CAST('image/fits' AS TEXT) AS access_format,
    (file.size + 999) / 1000 AS access_estsize,
    COALESCE(target.name, frame.object_raw) AS target_name,
    frame.ra AS s_ra,
    frame.dec AS s_dec,
    2 * frame.radius AS s_fov,
    frame.s_region AS s_region,
    frame.naxis1 AS s_xel1,
    frame.naxis2 AS s_xel2,
    frame.seeing AS s_resolution,
    frame.mjd_start AS t_min,
    frame.mjd_end AS t_max,
    frame.exptime AS t_exptime,
    frame.exptime AS t_resolution,
    1 AS t_xel,
    filter.em_min AS em_min,
    filter.em_max AS em_max,
    (filter.em_min + filter.em_max) / 2 / NULLIF(filter.em_max - filter.em_min, 0) AS em_res_power,
    1 AS em_xel,
    CAST('phot.count' AS TEXT) AS o_ucd,
    CAST(NULL AS TEXT) AS pol_states,
    0 AS pol_xel,
    COALESCE(telescope.name, site.name) AS facility_name,
    camera.name AS instrument_name
FROM frame
JOIN file ON file.file_id = frame.file_id
JOIN root ON root.root_id = file.root_id
LEFT JOIN site ON site.site_id = frame.site_id
LEFT JOIN telescope ON telescope.telescope_id = frame.telescope_id
LEFT JOIN camera ON camera.camera_id = frame.camera_id
LEFT JOIN filter ON filter.filter_id = frame.filter_id
LEFT JOIN target ON target.target_id = frame.target_id
WHERE frame.kind = 'science'
"""


def _obscore() -> None:
    """Make the view of ObsCore: science frames that can be read at present."""
    connection = op.get_bind()
    url = _URL_SQLITE if connection.dialect.name == "sqlite" else _URL_POSTGRESQL
    connection.exec_driver_sql(_OBSCORE.format(url=url.strip()).replace("%", "%%" if connection.dialect.name == "postgresql" else "%"))
