"""Rollouts, GPU fences, secrets, datasets, image pulls, and what services and instances gained with them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column(
        "services", sa.Column("stable_version", sa.BigInteger(), nullable=False, server_default="0")
    )
    op.add_column("services", sa.Column("safety_lock", sa.String(), nullable=False, server_default="none"))
    op.add_column("services", sa.Column("edits", sa.BigInteger(), nullable=False, server_default="1"))
    op.add_column("services", sa.Column("idle_since", sa.DateTime(timezone=True)))
    op.add_column(
        "services", sa.Column("idle_warned_days", sa.BigInteger(), nullable=False, server_default="0")
    )
    for name in ("isolated", "detached"):
        op.add_column("instances", sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false()))
    for name in ("replace_why", "cause"):
        op.add_column("instances", sa.Column(name, sa.Text(), nullable=False, server_default=""))
    op.add_column("instances", sa.Column("restart_asked_at", sa.DateTime(timezone=True)))
    op.add_column("instances", sa.Column("run", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("nodes", sa.Column("cuda_versions", sa.JSON(), nullable=False, server_default="[]"))
    # What all instances ran before this migration is what an update falls back to; in the middle of an update
    # that is not known.
    op.execute(
        "UPDATE services SET stable_version = version WHERE NOT EXISTS (SELECT 1 FROM instances "
        "WHERE instances.service = services.name AND instances.version <> services.version "
        "AND instances.state NOT IN ('Terminating', 'Lost'))"
    )
    op.create_table(
        "rollouts",
        sa.Column("service", sa.String(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("from_version", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("phase", sa.String(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("partition", sa.Text(), nullable=False),
        sa.Column("batch_size", sa.Text(), nullable=False),
        sa.Column("interval_s", sa.BigInteger()),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("promoted", sa.Boolean(), nullable=False),
        sa.Column("released", sa.BigInteger(), nullable=False),
        sa.Column("stepped_at", sa.DateTime(timezone=True)),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column("because", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("service", name="pk_rollouts"),
    )
    op.create_table(
        "gpu_fences",
        sa.Column("node", sa.String(), nullable=False),
        sa.Column("uuid", sa.String(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("lifted_at", sa.DateTime(timezone=True)),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("node", "uuid", name="pk_gpu_fences"),
    )
    op.create_table(
        "secrets",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("keys", sa.JSON(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_secrets"),
    )
    op.create_table(
        "datasets",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("source_json", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", "version", name="pk_datasets"),
    )
    op.create_table(
        "image_pulls",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("image", sa.Text(), nullable=False),
        sa.Column("resource_group", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("docker_auth", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_image_pulls"),
    )


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
