"""The tables of `libs/domain/traffic.py`. A change here needs a migration beside it."""

from sqlalchemy import Column, Float, Table

from libs.db.column_types import Labels, Moment, Tuple, Values, Word
from libs.db.columns import flag, key, metadata, number, text
from libs.domain.states import RampPhase, TrafficMode, TrafficState
from libs.domain.traffic import GatewayDomain, MemberRule

groups = Table(
    "groups",
    metadata,
    key("name"),
    text("token"),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("traffic_mode", Word(TrafficMode), nullable=False),
    flag("kept"),
    text("gateway"),
    Column("labels", Labels, nullable=False),
    text("sticky_header"),
    text("sticky_cookie"),
    Column("rules", Values(MemberRule), nullable=False),
    number("revision"),
)

ramps = Table(
    "ramps",
    metadata,
    key("service"),
    text("group"),
    Column("steps", Tuple, nullable=False),
    number("every_s"),
    Column("started_at", Moment, nullable=False),
    Column("stepped_at", Moment, nullable=False),
    Column("max_error_rate", Float),
    Column("max_p99_increase", Float),
    number("min_requests"),
    number("step"),
    Column("phase", Word(RampPhase), nullable=False),
    text("why"),
    Column("before_state", Word(TrafficState), nullable=False),
    number("before_weight"),
    Column("finished_at", Moment),
    number("revision"),
)

mirrors = Table(
    "mirrors",
    metadata,
    key("service"),
    Column("targets", Tuple, nullable=False),
    number("ratio"),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    number("compare_ppm"),
    number("revision"),
)

gateways = Table(
    "gateways",
    metadata,
    key("name"),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    text("host"),
    number("port"),
    number("tls_port"),
    number("workers"),
    text("public_url"),
    Column("domains", Values(GatewayDomain), nullable=False),
    flag("redirect_https"),
    Column("allow", Tuple, nullable=False),
    Column("deny", Tuple, nullable=False),
    number("body_limit_bytes"),
    number("keepalive_ms"),
    number("max_connections"),
    text("upstream_tls_secret"),
    number("revision"),
)

access_tokens = Table(
    "access_tokens",
    metadata,
    key("id"),
    text("owner_kind"),
    text("owner"),
    text("name"),
    text("value"),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("last_used_at", Moment),
    number("revision"),
)

registries = Table(
    "registries",
    metadata,
    key("id"),
    text("kind"),
    text("url"),
    Column("created_at", Moment, nullable=False),
    text("namespace"),
    text("group"),
    text("secret"),
    number("revision"),
)
