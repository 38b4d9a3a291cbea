"""Full-text search, tags and ratings, what was removed after a withdrawal, and views with plain names."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_VIEWS = ("pictures", "dreams", "sources", "licences", "runs")

# Table -> (its column with the item's id, columns whose change changes the document; empty: no row is changed).
_SOURCES = {
    "item": (
        "id",
        ("title", "creator", "license_id", "width", "height", "near_duplicate_of_id", "withdrawn_at"),
    ),
    "sighting": ("item_id", ("item_id", "title", "alt", "caption", "creator", "tags", "source")),
    "item_keyword": ("item_id", ()),
    "item_tag": ("item_id", ()),
    "item_rating": ("item_id", ("stars",)),
    "derivation": ("item_id", ("item_id", "preset")),
}

# Letters, marks and digits are words, and `_` begins the words of facets. No sizes: nothing is ranked by relevance.
_FTS = """
CREATE VIRTUAL TABLE search_fts USING fts5(
    words, facets, content='search_document', content_rowid='item_id', columnsize=0, prefix='2 3 4',
    tokenize="unicode61 remove_diacritics 2 categories 'L* M* N* Co' tokenchars '_'"
)
"""
_ADD = "INSERT INTO search_fts(rowid, words, facets) VALUES (NEW.item_id, NEW.words, NEW.facets);"
_DROP = (
    "INSERT INTO search_fts(search_fts, rowid, words, facets) VALUES ('delete', OLD.item_id, OLD.words, OLD.facets);"
)


def upgrade() -> None:
    op.add_column("blob", sa.Column("removed_at", sa.DateTime(), nullable=True))
    _create_opinions()
    _create_documents()
    if op.get_bind().dialect.name == "postgresql":
        _create_postgresql_search()
    else:
        _create_sqlite_search()
    # Indexed by the code that runs the migrations, before their transaction ends.
    op.execute("INSERT INTO search_due(item_id) SELECT id FROM item")
    for statement in _views(op.get_bind().dialect.name):
        op.execute(statement)


def downgrade() -> None:
    for view in _VIEWS:
        op.execute(f"DROP VIEW {view}")
    if op.get_bind().dialect.name == "postgresql":
        for table in _SOURCES:
            op.execute(f"DROP TRIGGER {table}_search_due ON {table}")
        op.execute("DROP FUNCTION note_search_due()")
    else:
        for name, _ in _sqlite_triggers():
            op.execute(f"DROP TRIGGER {name}")
        op.execute("DROP TABLE search_fts")
    for table in ("search_word", "search_due", "search_document", "item_rating", "item_tag"):
        op.drop_table(table)
    with op.batch_alter_table("blob") as batch:
        batch.drop_column("removed_at")


def _create_opinions() -> None:
    op.create_table(
        "item_tag",
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("tag", sa.String(100), nullable=False),
        sa.Column("added_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name="fk_item_tag_item_id_item"),
        sa.PrimaryKeyConstraint("item_id", "tag", name="pk_item_tag"),
    )
    op.create_index("ix_item_tag_tag", "item_tag", ["tag"])
    op.create_table(
        "item_rating",
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("stars", sa.Integer(), nullable=False),
        sa.Column("rated_at", sa.DateTime(), nullable=False),
        sa.CheckConstraint("stars BETWEEN 1 AND 5", name=op.f("ck_item_rating_one_to_five")),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name="fk_item_rating_item_id_item"),
        sa.PrimaryKeyConstraint("item_id", name="pk_item_rating"),
    )


def _create_documents() -> None:
    op.create_table(
        "search_document",
        sa.Column("item_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("pixels", sa.Integer(), nullable=False),
        sa.Column("facets", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name="fk_search_document_item_id_item"),
        sa.PrimaryKeyConstraint("item_id", name="pk_search_document"),
    )
    op.create_index("ix_search_document_pixels", "search_document", ["pixels", "item_id"])
    op.create_table(
        "search_due",
        sa.Column("item_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("item_id", name="pk_search_due"),
    )
    op.create_table(
        "search_word",
        sa.Column("word", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("word", name="pk_search_word"),
    )


def _create_sqlite_search() -> None:
    op.execute(_FTS)
    for name, rest in _sqlite_triggers():
        op.execute(f"CREATE TRIGGER {name} {rest}")


def _sqlite_triggers() -> Iterator[tuple[str, str]]:
    yield "search_document_added", f"AFTER INSERT ON search_document BEGIN {_ADD} END"
    yield "search_document_changed", f"AFTER UPDATE ON search_document BEGIN {_DROP} {_ADD} END"
    yield "search_document_gone", f"AFTER DELETE ON search_document BEGIN {_DROP} END"
    for table, (item_id, columns) in _SOURCES.items():
        # No INSERT OR IGNORE: within a trigger the outer statement's way with conflicts would hold.
        note = (
            "INSERT INTO search_due(item_id) SELECT {0} WHERE NOT EXISTS"
            " (SELECT 1 FROM search_due WHERE item_id = {0});"
        )
        new, old = note.format(f"NEW.{item_id}"), note.format(f"OLD.{item_id}")
        yield f"{table}_search_added", f"AFTER INSERT ON {table} BEGIN {new} END"
        if columns:
            yield f"{table}_search_changed", f"AFTER UPDATE OF {', '.join(columns)} ON {table} BEGIN {old} {new} END"
        if table != "item":
            yield f"{table}_search_gone", f"AFTER DELETE ON {table} BEGIN {old} END"


def _create_postgresql_search() -> None:
    op.execute(
        "CREATE INDEX ft_search_document_words ON search_document USING gin (to_tsvector('simple'::regconfig, words))"
    )
    op.execute("CREATE INDEX ft_search_document_facets ON search_document USING gin (string_to_array(facets, ' '))")
    op.execute(
        """
        CREATE FUNCTION note_search_due() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP <> 'INSERT' THEN
                INSERT INTO search_due(item_id) VALUES ((to_jsonb(OLD) ->> TG_ARGV[0])::integer)
                ON CONFLICT DO NOTHING;
            END IF;
            IF TG_OP <> 'DELETE' THEN
                INSERT INTO search_due(item_id) VALUES ((to_jsonb(NEW) ->> TG_ARGV[0])::integer)
                ON CONFLICT DO NOTHING;
            END IF;
            RETURN NULL;
        END $$
        """
    )
    for table, (item_id, columns) in _SOURCES.items():
        events = ["INSERT", *([f"UPDATE OF {', '.join(columns)}"] if columns else [])]
        events += ["DELETE"] if table != "item" else []
        op.execute(
            f"CREATE TRIGGER {table}_search_due AFTER {' OR '.join(events)} ON {table}"
            f" FOR EACH ROW EXECUTE FUNCTION note_search_due('{item_id}')"
        )


def _views(dialect: str) -> Iterator[str]:
    """Everything as people would ask for it; the words are those of the gallery. Texts and addresses are plain."""
    is_postgresql = dialect == "postgresql"

    def joined(value: str, rest: str) -> str:
        together = f"string_agg({value}, ', ' ORDER BY {value})" if is_postgresql else "group_concat({0}, ', ')"
        if is_postgresql:
            return f"(SELECT {together} FROM {rest})"
        return f"(SELECT {together.format('value')} FROM (SELECT {value} AS value FROM {rest} ORDER BY 1))"

    def counter(name: str) -> str:
        return f"(r.counters ->> '{name}')::integer" if is_postgresql else f"json_extract(r.counters, '$.{name}')"

    words = (
        "(SELECT string_agg(value, ', ') FROM json_array_elements_text(r.keywords) AS value)"
        if is_postgresql
        else "(SELECT group_concat(value, ', ') FROM json_each(r.keywords))"
    )
    file = "substr({0}, 1, 2) || '/' || substr({0}, 3, 2) || '/' || {0}"
    first = "(SELECT {} FROM sighting AS s WHERE s.item_id = i.id ORDER BY s.id LIMIT 1)"
    yield f"""
        CREATE VIEW pictures AS
        SELECT i.id AS picture, i.title AS title, i.creator AS creator,
            coalesce(i.license_id, 'unknown') AS licence, i.license_url AS licence_url,
            i.width AS width, i.height AS height, i.format AS format, b.size_bytes AS size_bytes,
            {joined("k.keyword", "item_keyword AS k WHERE k.item_id = i.id")} AS keywords,
            {joined("t.tag", "item_tag AS t WHERE t.item_id = i.id")} AS tags,
            (SELECT g.stars FROM item_rating AS g WHERE g.item_id = i.id) AS stars,
            {first.format("s.source")} AS source, {first.format("s.page_url")} AS page,
            {first.format("s.image_url")} AS address, {first.format("s.caption")} AS caption,
            (SELECT count(*) FROM sighting AS s WHERE s.item_id = i.id) AS sightings,
            (SELECT count(*) FROM derivation AS d WHERE d.item_id = i.id) AS dreams,
            i.near_duplicate_of_id AS near_to, i.near_duplicate_distance AS bits_apart,
            i.created_at AS kept_at, i.withdrawn_at AS withdrawn_at, i.withdrawn_reason AS withdrawn_reason,
            {file.format("i.blob_sha256")} AS stored_file
        FROM item AS i JOIN blob AS b ON b.sha256 = i.blob_sha256
        """
    yield f"""
        CREATE VIEW dreams AS
        SELECT d.id AS dream, d.item_id AS picture, i.title AS title, d.preset AS look, d.network AS network,
            d.width AS width, d.height AS height, d.seconds AS seconds, d.created_at AS made_at,
            d.file_name AS file_name, coalesce(i.license_id, 'unknown') AS licence_of_picture,
            i.creator AS creator_of_picture, i.withdrawn_at AS withdrawn_at,
            {file.format("d.blob_sha256")} AS stored_file, d.manifest_sha256 AS manifest_digest
        FROM derivation AS d JOIN item AS i ON i.id = d.item_id
        """
    yield """
        CREATE VIEW sources AS
        SELECT s.source AS source, s.source_argument AS argument, count(DISTINCT s.item_id) AS pictures,
            count(*) AS sightings, min(s.fetched_at) AS first_seen, max(s.last_seen_at) AS last_seen
        FROM sighting AS s GROUP BY s.source, s.source_argument
        """
    yield """
        CREATE VIEW licences AS
        SELECT coalesce(i.license_id, 'unknown') AS licence, count(*) AS pictures,
            sum(CASE WHEN i.withdrawn_at IS NULL THEN 0 ELSE 1 END) AS withdrawn,
            sum((SELECT count(*) FROM derivation AS d WHERE d.item_id = i.id)) AS dreams
        FROM item AS i GROUP BY coalesce(i.license_id, 'unknown')
        """
    yield f"""
        CREATE VIEW runs AS
        SELECT r.id AS run, r.kind AS kind, r.status AS status, {words} AS keywords, r.source AS source,
            r.started_at AS started_at, r.finished_at AS finished_at, {counter("found")} AS found,
            {counter("fetched")} AS fetched, {counter("accepted")} AS accepted, {counter("rejected")} AS rejected,
            {counter("dreamed")} AS dreamed, r.error AS error
        FROM run AS r
        """
