"""Recipe files with long paths, and schedules of many moments, in collections: PostgreSQL took 64 characters."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_COLUMNS = ("preset", "cron")


def upgrade() -> None:
    with op.batch_alter_table("collection") as batch:
        for column in _COLUMNS:
            batch.alter_column(column, existing_type=sa.String(64), type_=sa.Text(), existing_nullable=False)


def downgrade() -> None:
    with op.batch_alter_table("collection") as batch:
        for column in _COLUMNS:
            batch.alter_column(
                column,
                existing_type=sa.Text(),
                type_=sa.String(64),
                existing_nullable=False,
                postgresql_using=f"left({column}, 64)",
            )
