"""Aperture photometry of the quick look: what was measured in regions of images.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# SQLite numbers rows by itself in INTEGER columns only.
Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

NUMBERS = (
    "xcentroid", "ycentroid", "ra_centroid", "dec_centroid", "background", "sum", "sum_aper_area", "pixarea_tot", "aperture_sum_counts",
    "aperture_sum_counts_err", "counts_fac", "aperture_sum_mag", "flux_scaling", "min", "max", "mean", "median", "mode", "std", "mad_std",
    "var", "biweight_midvariance", "biweight_location", "fwhm", "semimajor_sigma", "semiminor_sigma", "orientation", "eccentricity",
)  # fmt: skip
MORE = ("background_err", "background_std")
MAGNITUDES = ("aperture_sum_mag_err", "flux_scaling_raw", "sum_mag", "sum_mag_err", "ab_mag", "ab_mag_err")


def _numbers(*names: str) -> list[sa.Column]:
    return [sa.Column(name, sa.Double(), nullable=True) for name in names]


def _texts(*names: str) -> list[sa.Column]:
    return [sa.Column(name, sa.Text(), nullable=True) for name in names]


def _whole(*names: str) -> list[sa.Column]:
    return [sa.Column(name, sa.BigInteger(), nullable=True) for name in names]


def upgrade() -> None:
    """Make the step."""
    op.create_table(
        "aperture_photometry",
        sa.Column("photometry_id", Id, nullable=False),
        sa.Column("run_id", Id, nullable=False),
        sa.Column("frame_id", Id, nullable=True),
        *_numbers(*NUMBERS),
        *_texts("data_label", "subset_label", "timestamp"),
        *_numbers("xcenter", "ycenter", "ra_center", "dec_center", "sum_err"),
        *_texts("err_source"),
        *_numbers("sum_raw", *MORE),
        *_whole("n_background"),
        *_numbers(*MAGNITUDES),
        *_texts("pixarea_rule"),
        *_whole("n_pixels", "n_bad"),
        *_numbers("area_bad", "on_image"),
        sa.Column("flags", sa.Integer(), nullable=False),
        *_texts("reason", "region", "unit", "sum_unit", "file"),
        *_whole("hdu"),
        sa.Column("calculation", sa.Text(), nullable=False),
        sa.Column("row", sa.BigInteger(), nullable=False),
        *_texts("software"),
        sa.Column("created", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.run_id"], name=op.f("fk_aperture_photometry_run_id")),
        sa.ForeignKeyConstraint(["frame_id"], ["frame.frame_id"], name=op.f("fk_aperture_photometry_frame_id")),
        sa.PrimaryKeyConstraint("photometry_id", name=op.f("pk_aperture_photometry")),
        sa.UniqueConstraint("calculation", "row", name=op.f("uq_aperture_photometry_calculation_row")),
    )
    op.create_index(op.f("ix_aperture_photometry_run_id"), "aperture_photometry", ["run_id"])
    op.create_index(op.f("ix_aperture_photometry_frame_id"), "aperture_photometry", ["frame_id"])
    op.execute("UPDATE archive_meta SET value = '1.5' WHERE key = 'schema_version'")
