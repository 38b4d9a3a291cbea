"""What strangers tell, on PostgreSQL: an ordinary index takes no address above 2,704 bytes, an integer no 32 bits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# Unique by the digest of the address; found by a hash index, which has no limit and no order.
_UNIQUE = {
    "fetch": "address_key(image_url)",
    "sighting": "address_key(image_url), address_key(page_url), blob_sha256",
    "rejection": "run_id, address_key(image_url)",
}
_FOUND_BY_ADDRESS = ("fetch", "sighting")
_TOLD = (("fetch", "width"), ("fetch", "height"), ("host", "quota_used"), ("host", "quota_limit"))


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    # Its encoding is the same for as long as a database lives, which PostgreSQL cannot know.
    op.execute(
        "CREATE FUNCTION address_key(address text) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE"
        " AS $$ SELECT sha256(convert_to(address, 'UTF8')) $$"
    )
    op.drop_constraint("pk_fetch", "fetch")
    op.drop_constraint("uq_sighting_image_url", "sighting")
    op.drop_constraint("uq_rejection_run_id", "rejection")
    for table, columns in _UNIQUE.items():
        op.execute(f'CREATE UNIQUE INDEX ft_{table}_unique ON "{table}" ({columns})')
    for table, column in _TOLD:
        op.alter_column(table, column, type_=sa.BigInteger())
    for table in _FOUND_BY_ADDRESS:
        op.execute(f'CREATE INDEX ft_{table}_address ON "{table}" USING hash (image_url)')


def downgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    for table, column in _TOLD:
        op.alter_column(table, column, type_=sa.Integer())
    for table in _FOUND_BY_ADDRESS:
        op.execute(f"DROP INDEX ft_{table}_address")
    for table in _UNIQUE:
        op.execute(f"DROP INDEX ft_{table}_unique")
    op.create_primary_key("pk_fetch", "fetch", ["image_url"])
    op.create_unique_constraint("uq_sighting_image_url", "sighting", ["image_url", "page_url", "blob_sha256"])
    op.create_unique_constraint("uq_rejection_run_id", "rejection", ["run_id", "image_url"])
    op.execute("DROP FUNCTION address_key(text)")
