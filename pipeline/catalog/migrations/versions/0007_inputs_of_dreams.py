"""The guides and masks of dreams, which until now only their manifests named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_AT_ONCE = 200


def upgrade() -> None:
    op.create_table(
        "derivation_input",
        sa.Column("derivation_id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["derivation_id"], ["derivation.id"], name="fk_derivation_input_derivation_id_derivation"
        ),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name="fk_derivation_input_item_id_item"),
        sa.PrimaryKeyConstraint("derivation_id", "item_id", name="pk_derivation_input"),
    )
    op.create_index("ix_derivation_input_item_id", "derivation_input", ["item_id"])
    connection = op.get_bind()
    insert = sa.text(
        "INSERT INTO derivation_input (derivation_id, item_id)"
        " SELECT :derivation_id, id FROM item WHERE pixel_sha256 = :pixel_sha256"
    )
    for derivation_id, manifest in _with_inputs(connection):
        for digest in {str(each.get("pixel_sha256")) for each in manifest["inputs"] if isinstance(each, dict)}:
            connection.execute(insert, {"derivation_id": derivation_id, "pixel_sha256": digest})


def downgrade() -> None:
    op.drop_table("derivation_input")


def _with_inputs(connection: sa.Connection) -> Iterator[tuple[int, dict[str, Any]]]:
    """The dreams whose manifests name guides or masks, most of which do not: told by the text, before any is parsed."""
    query = sa.text(
        "SELECT id, CAST(manifest AS TEXT) FROM derivation WHERE id > :after"
        " AND CAST(manifest AS TEXT) LIKE '%\"inputs\": [{%' ORDER BY id LIMIT :limit"
    )
    after = 0
    while rows := connection.execute(query, {"after": after, "limit": _AT_ONCE}).all():
        for derivation_id, text in rows:
            manifest = json.loads(text)
            if isinstance(manifest, dict) and isinstance(manifest.get("inputs"), list):
                yield derivation_id, manifest
        after = rows[-1][0]
