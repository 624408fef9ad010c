"""What an operator can set for the scheduler."""

from datetime import timedelta
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

# What is longer than this is never, and no date is as late.
LONGEST = timedelta(days=100 * 365)


class Settings(BaseSettings):
    """Read once from EASEL_SCHEDULER_* variables."""

    model_config = SettingsConfigDict(env_prefix="EASEL_SCHEDULER_", frozen=True)

    # sqlite:///path or postgresql://user:password@host:port/name
    database_url: str
    listen: str = "127.0.0.1:8801"
    # Files that hold the first admin token and the join token of agents and gateways. A file that is
    # missing is made, with mode 0600.
    admin_token_file: Path
    join_token_file: Path
    # An admin token for the autoscaler, made likewise where a file is named: so the autoscaler needs to read
    # nothing of what lies beside the operator's.
    autoscaler_token_file: Path | None = None
    # One key a line: the first seals secrets, all open them. Made when missing; beside the admin token when
    # not set. `secrets_key` holds the keys themselves, separated by commas, and then no file is read.
    secrets_key_file: Path | None = None
    secrets_key: SecretStr = SecretStr("")
    # Shown as a service's endpoint until a gateway says where it is reached.
    public_url: str = "http://127.0.0.1:8800"
    resync_every: timedelta = timedelta(seconds=10)
    node_suspect_after: timedelta = timedelta(seconds=10)
    node_lost_after: timedelta = timedelta(seconds=40)
    # When more than this share of the nodes looks dead at once, none is given up on.
    storm_share: float = Field(default=0.5, gt=0, le=1)
    # A removal waits this long for a gateway that does not answer.
    gateway_ack_timeout: timedelta = timedelta(seconds=30)
    # A service that does not run for so long is deleted, with warnings 30, 7 and 1 days before; 0 for never.
    delete_idle_after: timedelta = Field(default=timedelta(days=180), ge=timedelta(), le=LONGEST)
    events_kept: int = Field(default=100_000, ge=1_000)
    # How long it is known what instances have used.
    usage_kept: timedelta = Field(default=timedelta(days=400), ge=timedelta(days=1), le=LONGEST)
    # Where calls about numbers, and replays of policies, are handed on to; empty: there is no such service.
    metrics: str = ""
    autoscaler: str = ""
    # How long requests under way may hold an instance that is one too many while its service goes on.
    scale_in_drain: timedelta = Field(default=timedelta(hours=1), ge=timedelta(), le=timedelta(days=7))
    # How often instances are looked at that could be on a better node.
    rebalance_every: timedelta = Field(default=timedelta(minutes=1), gt=timedelta())
    drain_for: timedelta = timedelta(seconds=3)
    log_level: str = "INFO"
    otlp_endpoint: str = Field(default="", validation_alias="EASEL_OTLP_ENDPOINT")

    @property
    def keys_for_secrets(self) -> Path:
        """The file of the keys."""
        return self.secrets_key_file or self.admin_token_file.with_name("secrets.key")

    @field_validator("delete_idle_after", mode="before")
    @classmethod
    def _zero_needs_no_unit(cls, value: object) -> object:
        return timedelta() if value == "0" else value

    @model_validator(mode="after")
    def _suspicion_comes_before_loss(self) -> Self:
        if self.node_lost_after <= self.node_suspect_after:
            raise ValueError("node_lost_after must be longer than node_suspect_after")
        return self
