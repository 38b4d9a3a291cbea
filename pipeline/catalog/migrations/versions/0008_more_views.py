"""More views with plain names: who did what, how far each picture is, where it was met, what it may be the same as.

Nothing new is kept: they show what is on record, and so cannot differ from it.
"""

from __future__ import annotations

from collections.abc import Iterator

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_VIEWS = ("agents", "stages", "sightings", "duplicates")


def upgrade() -> None:
    for statement in _views(op.get_bind().dialect.name):
        op.execute(statement)


def downgrade() -> None:
    for view in _VIEWS:
        op.execute(f"DROP VIEW {view}")


def _views(dialect: str) -> Iterator[str]:
    def told(*path: str) -> str:
        if dialect == "postgresql":
            return f"(d.manifest #>> '{{{','.join(path)}}}')"
        return f"json_extract(d.manifest, '$.{'.'.join(path)}')"

    yield f"""
        CREATE VIEW agents AS
        SELECT 'software' AS kind, 'dreamcrawl' AS name, r.version AS detail, 'runs' AS what, count(*) AS how_many,
            min(r.started_at) AS first_at, max(r.started_at) AS last_at
        FROM run AS r GROUP BY r.version
        UNION ALL
        SELECT 'network', d.network, d.weights_sha256, 'dreams', count(*), min(d.created_at), max(d.created_at)
        FROM derivation AS d GROUP BY d.network, d.weights_sha256
        UNION ALL
        SELECT 'signer', {told("signature", "signer")}, {told("signature", "certificate_sha256")}, 'dreams',
            count(*), min(d.created_at), max(d.created_at)
        FROM derivation AS d WHERE {told("signature", "signer")} IS NOT NULL
        GROUP BY {told("signature", "signer")}, {told("signature", "certificate_sha256")}
        UNION ALL
        SELECT 'creator', i.creator, NULL, 'pictures', count(*), min(i.created_at), max(i.created_at)
        FROM item AS i WHERE i.creator IS NOT NULL GROUP BY i.creator
        UNION ALL
        SELECT 'reviewer', p.decided_by, NULL, 'decisions', count(*), min(p.decided_at), max(p.decided_at)
        FROM duplicate_pair AS p WHERE p.decided_by IS NOT NULL GROUP BY p.decided_by
        """
    yield f"""
        CREATE VIEW stages AS
        SELECT g.item_id AS picture, 'sign' AS stage, g.algorithm AS algorithm, 'done' AS state FROM signature AS g
        UNION ALL
        SELECT g.item_id, 'find duplicates', g.algorithm, CASE WHEN g.searched THEN 'done' ELSE 'due' END
        FROM signature AS g
        UNION ALL
        SELECT f.item_id, 'features', f.algorithm, 'done' FROM feature AS f
        UNION ALL
        SELECT d.item_id, 'dream', d.network || ', engine ' || coalesce({told("engine_version")}, '?'), 'done'
        FROM derivation AS d
        """
    yield """
        CREATE VIEW sightings AS
        SELECT s.id AS sighting, s.item_id AS picture, s.relation AS met_as, s.source AS source,
            s.source_argument AS argument, s.page_url AS page, s.image_url AS address, s.title AS title,
            s.caption AS caption, s.creator AS creator, coalesce(s.license_id, 'unknown') AS licence,
            s.license_url AS licence_url, s.license_declared_by AS licence_declared_by, s.attribution AS attribution,
            s.fetched_at AS first_seen, s.last_seen_at AS last_seen,
            substr(s.blob_sha256, 1, 2) || '/' || substr(s.blob_sha256, 3, 2) || '/' || s.blob_sha256 AS stored_file
        FROM sighting AS s
        """
    yield """
        CREATE VIEW duplicates AS
        SELECT p.id AS pair, p.first_id AS picture, p.second_id AS other_picture, p.tier AS tier,
            p.relation AS looks_like, p.distance AS bits_apart, p.algorithm AS algorithm, p.found_at AS found_at,
            p.decision AS decision, p.decided_by AS decided_by, p.decided_at AS decided_at
        FROM duplicate_pair AS p
        """
