"""Autoscalers, schedules, usage, and what services, instances, nodes and events gained with them."""

import json
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


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
    _copy_policies_of_documents()


def _copy_policies_of_documents() -> None:
    """What services named in their documents before anything followed it.

    As it stands there, and set at the beginning of time: so the first start knows it, which reads it
    (`services/scheduler/scaling/upgrade.py`).
    """
    documents = sa.text(
        "SELECT services.name, service_versions.spec_json FROM services JOIN service_versions "
        "ON service_versions.service = services.name AND service_versions.number = services.version"
    )
    autoscalers, cronscalers = [], []
    for name, text in op.get_bind().execute(documents):
        document = json.loads(text)
        row = {"service": name, "created_at": _BEGINNING, "updated_at": _BEGINNING, "revision": 1}
        if policy := document.get("autoscaler"):
            autoscalers.append(row | {"policy_json": json.dumps(policy)})
        schedule = document.get("cronScaler")
        if isinstance(schedule, dict) and schedule.get("ScaleJobs"):
            cronscalers.append(row | {"policy_json": json.dumps(schedule), "jobs": []})
    op.bulk_insert(_policies("autoscalers"), autoscalers)
    op.bulk_insert(_policies("cronscalers", sa.column("jobs", sa.JSON())), cronscalers)


def _policies(table: str, *more: sa.ColumnClause[Any]) -> sa.TableClause:
    columns: list[sa.ColumnClause[Any]] = [sa.column(each) for each in ("service", "policy_json", "revision")]
    times = (sa.column(each, sa.DateTime(timezone=True)) for each in ("created_at", "updated_at"))
    return sa.table(table, *columns, *times, *more)


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
