"""Search documents that keep texts apart, and that know which dreams were made with a picture that is withdrawn.

Of a large catalog the documents are not all made anew here, as nobody should wait for that: the newest are, and the
rest is noted in `search_renewal`, to be made anew while the program is at work.
"""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

AT_ONCE = 5_000
"""As many documents take a second or two."""

_WITHDRAWN = (
    "(SELECT min(w.withdrawn_at) FROM item AS w WHERE w.id = d.item_id"
    " OR w.id IN (SELECT n.item_id FROM derivation_input AS n WHERE n.derivation_id = d.id))"
)
# The pictures whose dreams were made with the one that a trigger is about; the dream that a row of inputs is about.
_OF_INPUT = (
    "SELECT DISTINCT d.item_id FROM derivation_input AS n JOIN derivation AS d ON d.id = n.derivation_id"
    " WHERE n.item_id = {0}.id"
)
_OF_DREAM = "SELECT d.item_id FROM derivation AS d WHERE d.id = {0}.derivation_id"
# Name -> (table, event, what has changed, when).
_TRIGGERS = {
    "derivation_input_search_added": ("derivation_input", "INSERT", _OF_DREAM.format("NEW"), ""),
    "derivation_input_search_gone": ("derivation_input", "DELETE", _OF_DREAM.format("OLD"), ""),
    "item_search_inputs": (
        "item",
        "UPDATE OF withdrawn_at",
        _OF_INPUT.format("NEW"),
        "(OLD.withdrawn_at IS NULL) <> (NEW.withdrawn_at IS NULL)",
    ),
}


def upgrade() -> None:
    op.create_table(
        "search_renewal",
        sa.Column("up_to", sa.Integer(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("up_to", name="pk_search_renewal"),
    )
    dialect = op.get_bind().dialect.name
    for statement in _triggers(dialect):
        op.execute(statement)
    _replace_view(_WITHDRAWN)
    _note_documents()


def downgrade() -> None:
    for name, (table, *_) in _TRIGGERS.items():
        if op.get_bind().dialect.name == "postgresql":
            op.execute(f"DROP TRIGGER {name} ON {table}")
            op.execute(f"DROP FUNCTION note_{name}()")
        else:
            op.execute(f"DROP TRIGGER {name}")
    _replace_view("i.withdrawn_at")
    op.drop_table("search_renewal")


def _note_documents() -> None:
    """Have the newest documents made anew before the transaction ends, and those that are wrong about dreams."""
    wrong = (
        "SELECT DISTINCT d.item_id FROM derivation_input AS n JOIN item AS w ON w.id = n.item_id"
        " JOIN derivation AS d ON d.id = n.derivation_id WHERE w.withdrawn_at IS NOT NULL"
    )
    newest = f"SELECT id FROM (SELECT id FROM item ORDER BY id DESC LIMIT {AT_ONCE}) AS newest WHERE true"
    for item_ids in (wrong, newest):
        op.execute(f"INSERT INTO search_due(item_id) {item_ids} ON CONFLICT DO NOTHING")
    op.execute(
        "INSERT INTO search_renewal(up_to) SELECT id FROM"
        f" (SELECT id FROM item ORDER BY id DESC LIMIT 1 OFFSET {AT_ONCE}) AS older"
    )


def _triggers(dialect: str) -> Iterator[str]:
    for name, (table, event, item_ids, condition) in _TRIGGERS.items():
        when = f"WHEN ({condition}) " if condition else ""
        if dialect == "postgresql":
            yield (
                f"CREATE FUNCTION note_{name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                f" INSERT INTO search_due(item_id) {item_ids} ON CONFLICT DO NOTHING; RETURN NULL; END $$"
            )
            yield f"CREATE TRIGGER {name} AFTER {event} ON {table} FOR EACH ROW {when}EXECUTE FUNCTION note_{name}()"
        else:
            # No INSERT OR IGNORE: within a trigger the outer statement's way with conflicts would hold.
            note = f"INSERT INTO search_due(item_id) {item_ids} AND d.item_id NOT IN (SELECT item_id FROM search_due);"
            yield f"CREATE TRIGGER {name} AFTER {event} ON {table} {when}BEGIN {note} END"


def _replace_view(withdrawn_at: str) -> None:
    """The view `dreams`, with since when a dream is not to be shown any more."""
    op.execute("DROP VIEW dreams")
    file = "substr(d.blob_sha256, 1, 2) || '/' || substr(d.blob_sha256, 3, 2) || '/' || d.blob_sha256"
    op.execute(
        f"""
        CREATE VIEW dreams AS
        SELECT d.id AS dream, d.item_id AS picture, i.title AS title, d.preset AS look, d.network AS network,
            d.width AS width, d.height AS height, d.seconds AS seconds, d.created_at AS made_at,
            d.file_name AS file_name, coalesce(i.license_id, 'unknown') AS licence_of_picture,
            i.creator AS creator_of_picture, {withdrawn_at} AS withdrawn_at,
            {file} AS stored_file, d.manifest_sha256 AS manifest_digest
        FROM derivation AS d JOIN item AS i ON i.id = d.item_id
        """
    )
