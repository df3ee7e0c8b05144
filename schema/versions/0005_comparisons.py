"""Comparisons of images: fits of frames against a reference image, and levels of bands anchored to others.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# SQLite numbers rows by itself in INTEGER columns only.
Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the step."""
    fitted = ("scale", "bg", "dx", "dy", "dra", "ddec", "fwhm", "beta")
    op.create_table(
        "image_fit",
        sa.Column("image_fit_id", Id, nullable=False),
        sa.Column("frame_id", Id, nullable=False),
        sa.Column("run_id", Id, nullable=False),
        sa.Column("reference_id", Id, nullable=True),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("reference", "method", "status")),
        *(sa.Column(name, sa.Text(), nullable=True) for name in ("code", "message")),
        *(sa.Column(name + suffix, sa.Double(), nullable=True) for name in fitted for suffix in ("", "_err")),
        *(sa.Column(name, sa.Double(), nullable=True) for name in ("rms", "chi2")),
        sa.Column("n_pixels", sa.BigInteger(), nullable=True),
        *(sa.Column(name, sa.Text(), nullable=True) for name in ("unit", "fixed", "details")),
        sa.Column("created", sa.Double(), nullable=False),
        sa.CheckConstraint("method IN ('image', 'stars')", name=op.f("ck_image_fit_method")),
        sa.CheckConstraint("status IN ('ok', 'flagged', 'failed')", name=op.f("ck_image_fit_status")),
        sa.ForeignKeyConstraint(["frame_id"], ["frame.frame_id"], name=op.f("fk_image_fit_frame_id")),
        sa.ForeignKeyConstraint(["run_id"], ["run.run_id"], name=op.f("fk_image_fit_run_id")),
        sa.ForeignKeyConstraint(["reference_id"], ["frame.frame_id"], name=op.f("fk_image_fit_reference_id")),
        sa.PrimaryKeyConstraint("image_fit_id", name=op.f("pk_image_fit")),
        sa.UniqueConstraint("frame_id", "run_id", "method", name=op.f("uq_image_fit_frame_id_run_id_method")),
    )
    op.create_index(op.f("ix_image_fit_run_id"), "image_fit", ["run_id"])
    numbers = (
        "slope", "slope_err", "intercept", "intercept_err", "anchor_offset", "anchor_offset_err", "range_low", "range_high"
    )  # fmt: skip
    op.create_table(
        "anchor",
        sa.Column("anchor_id", Id, nullable=False),
        sa.Column("run_id", Id, nullable=False),
        sa.Column("frame_id", Id, nullable=True),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("target", "band", "kind", "reference")),
        sa.Column("resolution", sa.Text(), nullable=True),
        *(sa.Column(name, sa.Double(), nullable=True) for name in numbers),
        *(sa.Column(name, sa.Integer(), nullable=True) for name in ("n_bins", "n_cells")),
        sa.Column("used", sa.Boolean(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=True) for name in ("code", "message", "unit", "file", "output", "details")),
        sa.Column("created", sa.Double(), nullable=False),
        sa.CheckConstraint("kind IN ('external', 'internal')", name=op.f("ck_anchor_kind")),
        sa.CheckConstraint("status IN ('ok', 'flagged', 'failed')", name=op.f("ck_anchor_status")),
        sa.ForeignKeyConstraint(["run_id"], ["run.run_id"], name=op.f("fk_anchor_run_id")),
        sa.ForeignKeyConstraint(["frame_id"], ["frame.frame_id"], name=op.f("fk_anchor_frame_id")),
        sa.PrimaryKeyConstraint("anchor_id", name=op.f("pk_anchor")),
    )
    op.create_index(op.f("ix_anchor_target_band"), "anchor", ["target", "band"])
    op.create_index(op.f("ix_anchor_run_id"), "anchor", ["run_id"])
    op.execute("UPDATE archive_meta SET value = '1.4' WHERE key = 'schema_version'")
