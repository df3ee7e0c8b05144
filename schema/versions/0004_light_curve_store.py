"""The light-curve store: its versions and what is in it; withdrawn runs; a counter of changes.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# SQLite numbers rows by itself in INTEGER columns only.
Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the step."""
    with op.batch_alter_table("run") as batch:
        batch.add_column(sa.Column("withdrawn", sa.Double(), nullable=True))
    op.create_table(
        "store_version",
        sa.Column("number", Id, autoincrement=False, nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("n_light_curve", "n_objects", "n_orphans")),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.CheckConstraint("kind IN ('associate', 'compact', 'rebuild')", name=op.f("ck_store_version_kind")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_store_version")),
    )
    op.create_table(
        "store_pointer",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("number", Id, nullable=False),
        sa.ForeignKeyConstraint(["number"], ["store_version.number"], name=op.f("fk_store_pointer_number")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_store_pointer")),
    )
    op.create_table(
        "store_catalog",
        sa.Column("catalog_id", Id, autoincrement=False, nullable=False),
        sa.Column("n_rows", sa.BigInteger(), nullable=False),
        sa.Column("calibration", sa.Text(), nullable=False),
        sa.Column("number", Id, nullable=False),
        sa.ForeignKeyConstraint(["catalog_id"], ["catalog.catalog_id"], name=op.f("fk_store_catalog_catalog_id")),
        sa.ForeignKeyConstraint(["number"], ["store_version.number"], name=op.f("fk_store_catalog_number")),
        sa.PrimaryKeyConstraint("catalog_id", name=op.f("pk_store_catalog")),
    )
    op.execute("INSERT INTO archive_meta (key, value) VALUES ('changes', '0')")
    op.execute("UPDATE archive_meta SET value = '1.3' WHERE key = 'schema_version'")
