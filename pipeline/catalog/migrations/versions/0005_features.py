"""What a network makes of each picture, for finding similar ones."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "feature",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("algorithm", sa.String(32), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name="fk_feature_item_id_item"),
        sa.PrimaryKeyConstraint("id", name="pk_feature"),
        sa.UniqueConstraint("item_id", "algorithm", name="uq_feature_item_id"),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    op.execute("DELETE FROM duplicate_pair WHERE tier = 'similar' AND decision IS NULL")
    op.execute("UPDATE duplicate_pair SET tier = NULL WHERE tier = 'similar'")
    op.drop_table("feature")
