"""Autoscalers, schedules, usage, and what services, instances, nodes and events gained with them."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("services", sa.Column("leave_first", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("rollouts", sa.Column("policies_before", sa.JSON(), nullable=False, server_default="[]"))
    for name in ("resource_group", "pool", "instance_type"):
        op.add_column("instances", sa.Column(name, sa.Text(), nullable=False, server_default=""))
    op.add_column("instances", sa.Column("price", sa.Float(), nullable=False, server_default="0"))
    op.add_column("instances", sa.Column("placed_at", sa.DateTime(timezone=True)))
    op.add_column(
        "instances", sa.Column("leaves_patiently", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.add_column("instances", sa.Column("phases", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("nodes", sa.Column("reclaim_at", sa.DateTime(timezone=True)))
    op.add_column("nodes", sa.Column("reclaim_why", sa.Text(), nullable=False, server_default=""))
    op.add_column(
        "nodes", sa.Column("reclaim_by_agent", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.add_column("events", sa.Column("details", sa.JSON(), nullable=False, server_default="{}"))
    op.create_table(
        "autoscalers",
        sa.Column("service", sa.String(), nullable=False),
        sa.Column("policy_json", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("service", name="pk_autoscalers"),
    )
    op.create_table(
        "cronscalers",
        sa.Column("service", sa.String(), nullable=False),
        sa.Column("policy_json", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("jobs", sa.JSON(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("service", name="pk_cronscalers"),
    )
    op.create_table(
        "usage",
        sa.Column("instance", sa.String(), nullable=False),
        sa.Column("begin", sa.DateTime(timezone=True), nullable=False),
        sa.Column("end", sa.DateTime(timezone=True), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("workspace", sa.Text(), nullable=False),
        sa.Column("resource_group", sa.Text(), nullable=False),
        sa.Column("pool", sa.Text(), nullable=False),
        sa.Column("instance_type", sa.Text(), nullable=False),
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("cpu_milli", sa.BigInteger(), nullable=False),
        sa.Column("memory_mib", sa.BigInteger(), nullable=False),
        sa.Column("gpus", sa.BigInteger(), nullable=False),
        sa.Column("price", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("instance", "begin", name="pk_usage"),
    )
    op.create_index("ix_usage_end", "usage", ["end"])


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
