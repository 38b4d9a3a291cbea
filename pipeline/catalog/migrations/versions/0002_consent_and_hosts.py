"""Consent and withdrawal, what the ledger knows of a picture without its bytes, and the budgets of hosts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ITEM = ("withdrawn_reason", "withdrawn_at")
_SIGHTING = ("consent", "rendition", "attribution", "made_at", "source_id")
_FETCH = ("record", "consent", "media_type", "height", "width", "source_hash", "source_id", "source")


def upgrade() -> None:
    op.add_column("item", sa.Column("withdrawn_at", sa.DateTime(), nullable=True))
    op.add_column("item", sa.Column("withdrawn_reason", sa.Text(), nullable=True))
    op.create_index("ix_item_withdrawn_at", "item", ["withdrawn_at"])
    op.add_column("sighting", sa.Column("source_id", sa.Text(), nullable=True))
    op.add_column("sighting", sa.Column("made_at", sa.String(32), nullable=True))
    op.add_column("sighting", sa.Column("attribution", sa.Text(), nullable=True))
    op.add_column("sighting", sa.Column("rendition", sa.String(32), nullable=True))
    op.add_column("sighting", sa.Column("consent", sa.JSON(), nullable=True))
    op.add_column("fetch", sa.Column("source", sa.String(32), nullable=True))
    op.add_column("fetch", sa.Column("source_id", sa.Text(), nullable=True))
    op.add_column("fetch", sa.Column("source_hash", sa.String(140), nullable=True))
    op.add_column("fetch", sa.Column("width", sa.Integer(), nullable=True))
    op.add_column("fetch", sa.Column("height", sa.Integer(), nullable=True))
    op.add_column("fetch", sa.Column("media_type", sa.String(64), nullable=True))
    op.add_column("fetch", sa.Column("consent", sa.JSON(), nullable=True))
    op.add_column("fetch", sa.Column("record", sa.JSON(), nullable=True))
    op.create_index("ix_fetch_state", "fetch", ["state"])
    op.create_index("ix_fetch_source_hash", "fetch", ["source_hash"])
    op.create_index("ix_fetch_source_id", "fetch", ["source", "source_id"])
    op.add_column("collection", sa.Column("options", sa.JSON(), nullable=True))
    _create_hosts()


def downgrade() -> None:
    with op.batch_alter_table("collection") as batch:
        batch.drop_column("options")
    op.drop_table("host_lease")
    op.drop_table("host")
    for index in ("ix_fetch_source_id", "ix_fetch_source_hash", "ix_fetch_state"):
        op.drop_index(index, "fetch")
    op.drop_index("ix_item_withdrawn_at", "item")
    for table, columns in (("fetch", _FETCH), ("sighting", _SIGHTING), ("item", _ITEM)):
        with op.batch_alter_table(table) as batch:
            for column in columns:
                batch.drop_column(column)


def _create_hosts() -> None:
    op.create_table(
        "host",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("next_at", sa.Float(), nullable=False),
        sa.Column("cooldown_until", sa.Float(), nullable=False),
        sa.Column("cooldown_reason", sa.Text(), nullable=True),
        sa.Column("cooldowns", sa.Integer(), nullable=False),
        sa.Column("delay_seconds", sa.Float(), nullable=False),
        sa.Column("quota_day", sa.String(10), nullable=True),
        sa.Column("quota_used", sa.Integer(), nullable=False),
        sa.Column("quota_limit", sa.Integer(), nullable=True),
        sa.Column("requests", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_host"),
    )
    op.create_table(
        "host_lease",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("process", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_host_lease"),
    )
    op.create_index("ix_host_lease_host", "host_lease", ["host"])
