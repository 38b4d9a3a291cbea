"""The first catalog: runs, pictures and where they were met, the ledger of fetches, dreams and schedules."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_DIGEST = sa.String(64)


def upgrade() -> None:
    _create_runs_and_collections()
    _create_items()
    _create_item_facts()
    _create_fetches()
    _create_derivations()


def downgrade() -> None:
    for table in (
        "derivation",
        "ingest_progress",
        "rejection",
        "fetch",
        "run_item",
        "item_keyword",
        "sighting",
        "fingerprint",
        "item",
        "blob",
        "collection",
        "run",
    ):
        op.drop_table(table)


def _create_runs_and_collections() -> None:
    op.create_table(
        "run",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("process", sa.Text(), nullable=False),
        sa.Column("keywords", sa.JSON(), nullable=False),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("counters", sa.JSON(), nullable=False),
        sa.Column("flow_run_id", sa.Text(), nullable=True),
        sa.Column("collection", sa.Text(), nullable=True),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("started_at", sa.DateTime(), nullable=False),
        sa.Column("finished_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_run"),
    )
    op.create_table(
        "collection",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("keywords", sa.JSON(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("limit", sa.Integer(), nullable=False),
        sa.Column("preset", sa.String(64), nullable=False),
        sa.Column("network", sa.String(64), nullable=True),
        sa.Column("cron", sa.String(64), nullable=False),
        sa.Column("timezone", sa.String(64), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_collection"),
        sa.UniqueConstraint("name", name="uq_collection_name"),
    )


def _create_items() -> None:
    op.create_table(
        "blob",
        sa.Column("sha256", _DIGEST, nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("media_type", sa.String(64), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_blob"),
    )
    op.create_table(
        "item",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("blob_sha256", _DIGEST, nullable=False),
        sa.Column("pixel_sha256", _DIGEST, nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("format", sa.String(16), nullable=False),
        sa.Column("frames", sa.Integer(), nullable=False),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("creator", sa.Text(), nullable=True),
        sa.Column("license_id", sa.String(64), nullable=True),
        sa.Column("license_url", sa.Text(), nullable=True),
        sa.Column("near_duplicate_of_id", sa.Integer(), nullable=True),
        sa.Column("near_duplicate_distance", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("first_run_id", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "near_duplicate_of_id IS NULL OR near_duplicate_of_id <> id", name=op.f("ck_item_not_near_itself")
        ),
        sa.ForeignKeyConstraint(["blob_sha256"], ["blob.sha256"], name="fk_item_blob_sha256_blob"),
        sa.ForeignKeyConstraint(["first_run_id"], ["run.id"], name="fk_item_first_run_id_run"),
        sa.ForeignKeyConstraint(["near_duplicate_of_id"], ["item.id"], name="fk_item_near_duplicate_of_id_item"),
        sa.PrimaryKeyConstraint("id", name="pk_item"),
        sa.UniqueConstraint("blob_sha256", name="uq_item_blob_sha256"),
        sa.UniqueConstraint("pixel_sha256", name="uq_item_pixel_sha256"),
    )
    op.create_index("ix_item_created_at", "item", ["created_at"])
    op.create_index("ix_item_license_id", "item", ["license_id"])
    op.create_index("ix_item_near_duplicate_of_id", "item", ["near_duplicate_of_id"])


def _create_item_facts() -> None:
    op.create_table(
        "fingerprint",
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("algorithm", sa.String(32), nullable=False),
        sa.Column("bits", sa.LargeBinary(32), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name="fk_fingerprint_item_id_item"),
        sa.PrimaryKeyConstraint("item_id", "algorithm", name="pk_fingerprint"),
    )
    op.create_table(
        "sighting",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=True),
        sa.Column("blob_sha256", _DIGEST, nullable=False),
        sa.Column("relation", sa.String(16), nullable=False),
        sa.Column("source", sa.String(32), nullable=False),
        sa.Column("source_argument", sa.Text(), nullable=False),
        sa.Column("image_url", sa.Text(), nullable=False),
        sa.Column("page_url", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("alt", sa.Text(), nullable=True),
        sa.Column("caption", sa.Text(), nullable=True),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("creator", sa.Text(), nullable=True),
        sa.Column("creator_url", sa.Text(), nullable=True),
        sa.Column("license_id", sa.String(64), nullable=True),
        sa.Column("license_url", sa.Text(), nullable=True),
        sa.Column("license_declared_by", sa.String(32), nullable=True),
        sa.Column("license_text", sa.Text(), nullable=True),
        sa.Column("http", sa.JSON(), nullable=False),
        sa.Column("fetched_at", sa.DateTime(), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["blob_sha256"], ["blob.sha256"], name="fk_sighting_blob_sha256_blob"),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name="fk_sighting_item_id_item"),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name="fk_sighting_run_id_run"),
        sa.PrimaryKeyConstraint("id", name="pk_sighting"),
        sa.UniqueConstraint("image_url", "page_url", "blob_sha256", name="uq_sighting_image_url"),
    )
    op.create_index("ix_sighting_blob_sha256", "sighting", ["blob_sha256"])
    op.create_index("ix_sighting_item_id", "sighting", ["item_id"])
    op.create_index("ix_sighting_run_id", "sighting", ["run_id"])
    op.create_index("ix_sighting_source", "sighting", ["source"])
    op.create_table(
        "item_keyword",
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("keyword", sa.String(200), nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name="fk_item_keyword_item_id_item"),
        sa.PrimaryKeyConstraint("item_id", "keyword", name="pk_item_keyword"),
    )
    op.create_index("ix_item_keyword_keyword", "item_keyword", ["keyword"])
    op.create_table(
        "run_item",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name="fk_run_item_item_id_item"),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name="fk_run_item_run_id_run"),
        sa.PrimaryKeyConstraint("run_id", "item_id", name="pk_run_item"),
    )
    op.create_index("ix_run_item_item_id", "run_item", ["item_id"])


def _create_fetches() -> None:
    op.create_table(
        "fetch",
        sa.Column("image_url", sa.Text(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(32), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("item_id", sa.Integer(), nullable=True),
        sa.Column("sha256", _DIGEST, nullable=True),
        sa.Column("http_status", sa.Integer(), nullable=True),
        sa.Column("etag", sa.Text(), nullable=True),
        sa.Column("last_modified", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("first_tried_at", sa.DateTime(), nullable=False),
        sa.Column("last_tried_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name="fk_fetch_item_id_item"),
        sa.PrimaryKeyConstraint("image_url", name="pk_fetch"),
    )
    op.create_index("ix_fetch_item_id", "fetch", ["item_id"])
    op.create_table(
        "rejection",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("image_url", sa.Text(), nullable=False),
        sa.Column("page_url", sa.Text(), nullable=True),
        sa.Column("stage", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name="fk_rejection_run_id_run"),
        sa.PrimaryKeyConstraint("id", name="pk_rejection"),
        sa.UniqueConstraint("run_id", "image_url", name="uq_rejection_run_id"),
    )
    op.create_index("ix_rejection_run_reason", "rejection", ["run_id", "reason"])
    op.create_table(
        "ingest_progress",
        sa.Column("crawl_id", sa.String(128), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=True),
        sa.Column("reason", sa.String(32), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name="fk_ingest_progress_item_id_item"),
        sa.PrimaryKeyConstraint("crawl_id", "position", name="pk_ingest_progress"),
    )


def _create_derivations() -> None:
    op.create_table(
        "derivation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", _DIGEST, nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=True),
        sa.Column("preset", sa.String(64), nullable=True),
        sa.Column("network", sa.String(64), nullable=False),
        sa.Column("recipe", sa.JSON(), nullable=False),
        sa.Column("recipe_sha256", _DIGEST, nullable=False),
        sa.Column("weights_sha256", _DIGEST, nullable=False),
        sa.Column("blob_sha256", _DIGEST, nullable=False),
        sa.Column("pixel_sha256", _DIGEST, nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("manifest", sa.JSON(), nullable=False),
        sa.Column("manifest_sha256", _DIGEST, nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["blob_sha256"], ["blob.sha256"], name="fk_derivation_blob_sha256_blob"),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name="fk_derivation_item_id_item"),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name="fk_derivation_run_id_run"),
        sa.PrimaryKeyConstraint("id", name="pk_derivation"),
        sa.UniqueConstraint("key", name="uq_derivation_key"),
    )
    op.create_index("ix_derivation_blob_sha256", "derivation", ["blob_sha256"])
    op.create_index("ix_derivation_created_at", "derivation", ["created_at"])
    op.create_index("ix_derivation_file_name", "derivation", ["file_name"])
    op.create_index("ix_derivation_item_id", "derivation", ["item_id"])
    op.create_index("ix_derivation_pixel_sha256", "derivation", ["pixel_sha256"])
    op.create_index("ix_derivation_preset", "derivation", ["preset"])
    op.create_index("ix_derivation_run_id", "derivation", ["run_id"])
