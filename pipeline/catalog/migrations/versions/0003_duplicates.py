"""Signatures for finding duplicates, and what was found and decided about pairs of items."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Hashes of the first catalogs are of an algorithm that is gone; they are made anew from the store.
    op.drop_table("fingerprint")
    op.create_table(
        "fingerprint",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("algorithm", sa.String(32), nullable=False),
        sa.Column("bits", sa.LargeBinary(32), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name="fk_fingerprint_item_id_item"),
        sa.PrimaryKeyConstraint("id", name="pk_fingerprint"),
        sa.UniqueConstraint("item_id", "algorithm", name="uq_fingerprint_item_id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "signature",
        sa.Column("item_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("algorithm", sa.String(32), nullable=False),
        sa.Column("views", sa.LargeBinary(), nullable=False),
        sa.Column("searched", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name="fk_signature_item_id_item"),
        sa.PrimaryKeyConstraint("item_id", name="pk_signature"),
    )
    op.create_table(
        "duplicate_pair",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("first_id", sa.Integer(), nullable=False),
        sa.Column("second_id", sa.Integer(), nullable=False),
        sa.Column("tier", sa.String(16), nullable=True),
        sa.Column("relation", sa.Text(), nullable=True),
        sa.Column("distance", sa.Integer(), nullable=True),
        sa.Column("algorithm", sa.String(32), nullable=True),
        sa.Column("evidence", sa.JSON(), nullable=True),
        sa.Column("found_at", sa.DateTime(), nullable=True),
        sa.Column("decision", sa.String(16), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.DateTime(), nullable=True),
        sa.CheckConstraint("first_id < second_id", name=op.f("ck_duplicate_pair_in_order")),
        sa.ForeignKeyConstraint(["first_id"], ["item.id"], name="fk_duplicate_pair_first_id_item"),
        sa.ForeignKeyConstraint(["second_id"], ["item.id"], name="fk_duplicate_pair_second_id_item"),
        sa.PrimaryKeyConstraint("id", name="pk_duplicate_pair"),
        sa.UniqueConstraint("first_id", "second_id", name="uq_duplicate_pair_first_id"),
    )
    op.create_index("ix_duplicate_pair_second_id", "duplicate_pair", ["second_id"])
    op.create_index("ix_duplicate_pair_decision", "duplicate_pair", ["decision", "tier"])


def downgrade() -> None:
    op.drop_table("duplicate_pair")
    op.drop_table("signature")
    op.drop_table("fingerprint")
    op.create_table(
        "fingerprint",
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("algorithm", sa.String(32), nullable=False),
        sa.Column("bits", sa.LargeBinary(32), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name="fk_fingerprint_item_id_item"),
        sa.PrimaryKeyConstraint("item_id", "algorithm", name="pk_fingerprint"),
    )
