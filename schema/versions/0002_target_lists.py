"""Forced photometry: lists of targets, and one current catalog for each frame, method and list.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the step."""
    with op.batch_alter_table("catalog") as batch:
        batch.add_column(_targets())
    with op.batch_alter_table("current_run") as batch:
        batch.add_column(_targets())
        batch.drop_constraint(op.f("pk_current_run"), type_="primary")
        batch.create_primary_key(op.f("pk_current_run"), ["frame_id", "method", "targets"])
    op.create_table(
        "target_list",
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("n_rows", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_target_list")),
        sa.UniqueConstraint("path", name=op.f("uq_target_list_path")),
    )
    op.execute("UPDATE archive_meta SET value = '1.1' WHERE key = 'schema_version'")


def _targets() -> sa.Column:
    # Rows that exist are of detection, which has no list.
    return sa.Column("targets", sa.Text(), nullable=False, server_default=sa.text("''"))
