"""The tables of `libs/domain/scaling.py`. A change here needs a migration beside it."""

from sqlalchemy import Column, Float, Index, Table

from libs.db.column_types import Moment, Values
from libs.db.columns import key, metadata, number, text
from libs.domain.scaling import CronJobState

autoscalers = Table(
    "autoscalers",
    metadata,
    key("service"),
    text("policy_json"),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    number("revision"),
)

cronscalers = Table(
    "cronscalers",
    metadata,
    key("service"),
    text("policy_json"),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("jobs", Values(CronJobState), nullable=False),
    number("revision"),
)

# Only added to; what began when is known of each instance.
usage = Table(
    "usage",
    metadata,
    key("instance"),
    Column("begin", Moment, primary_key=True),
    Column("end", Moment, nullable=False),
    text("service"),
    text("workspace"),
    text("resource_group"),
    text("pool"),
    text("instance_type"),
    text("node"),
    number("cpu_milli"),
    number("memory_mib"),
    number("gpus"),
    Column("price", Float, nullable=False),
    Index(None, "end"),
)
