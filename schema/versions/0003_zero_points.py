"""Zero points of frames, for each way of measuring.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# SQLite numbers rows by itself in INTEGER columns only.
Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the step."""
    numbers = (
        "error", "scatter", "ab_offset", "depth", "colour_term", "colour_term_err", "colour_pivot", "magnitude_slope", "magnitude_slope_err"
    )  # fmt: skip
    op.create_table(
        "zero_point",
        sa.Column("zero_point_id", Id, nullable=False),
        sa.Column("frame_id", Id, nullable=False),
        sa.Column("catalog_id", Id, nullable=False),
        sa.Column("run_id", Id, nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("measure", sa.Text(), nullable=False),
        sa.Column("aperture", sa.Double(), nullable=True),
        sa.Column("value", sa.Double(), nullable=False),
        *(sa.Column(name, sa.Double(), nullable=True) for name in numbers),
        sa.Column("n_stars", sa.Integer(), nullable=False),
        sa.Column("system", sa.Text(), nullable=True),
        sa.Column("details", sa.Text(), nullable=True),
        sa.Column("created", sa.Double(), nullable=False),
        sa.CheckConstraint("measure IN ('AUTO', 'APER')", name=op.f("ck_zero_point_measure")),
        sa.ForeignKeyConstraint(["frame_id"], ["frame.frame_id"], name=op.f("fk_zero_point_frame_id")),
        sa.ForeignKeyConstraint(["catalog_id"], ["catalog.catalog_id"], name=op.f("fk_zero_point_catalog_id")),
        sa.ForeignKeyConstraint(["run_id"], ["run.run_id"], name=op.f("fk_zero_point_run_id")),
        sa.PrimaryKeyConstraint("zero_point_id", name=op.f("pk_zero_point")),
    )
    op.create_index(op.f("ix_zero_point_frame_id_method_run_id"), "zero_point", ["frame_id", "method", "run_id"])
    op.create_index(op.f("ix_zero_point_catalog_id"), "zero_point", ["catalog_id"])
    op.execute("UPDATE archive_meta SET value = '1.2' WHERE key = 'schema_version'")
