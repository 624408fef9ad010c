"""The whole of a service.json, typed."""

from typing import Annotated

from pydantic import Field

from libs.spec.autoscaler import Autoscaler, CronScaler, CustomMetric
from libs.spec.cloud import Cloud
from libs.spec.containers import Container, EnvVar
from libs.spec.extras import (
    Confidential,
    FrontEnd,
    Meta,
    Options,
    Queue,
    Runtime,
    Sinker,
    Unit,
)
from libs.spec.headroom import Headroom
from libs.spec.metadata import Metadata
from libs.spec.networking import Networking
from libs.spec.quantity import CountOrPercent
from libs.spec.scalars import (
    Flag,
    Json,
    OptionalText,
    RegistryLogin,
    ScalarText,
    TextOrObject,
    Token,
    choice,
    login_of,
)
from libs.spec.section import Section
from libs.spec.storage import Mount

DEFAULT_GRACE_SECONDS = 30
# What an update may lack in a quota, where nothing is said.
QUOTA_UNAVAILABLE = CountOrPercent(2, percent=True)


class ServiceSpec(Section):
    """One service as its service.json describes it. Only `parse_service` makes one that obeys every rule."""

    metadata: Metadata
    cloud: Cloud = Cloud()
    containers: tuple[Container, ...] = ()
    docker_auth: RegistryLogin | None = Field(default=None, alias="dockerAuth")
    networking: Networking = Networking()
    storage: tuple[Mount, ...] = ()
    token: Token | None = None
    generate_token: Flag = False
    processor: OptionalText = None
    processor_path: OptionalText = None
    processor_entry: OptionalText = None
    processor_mainclass: OptionalText = None
    processor_type: Annotated[str, choice("cpp", "java", "python")] | None = None
    processor_envs: tuple[EnvVar, ...] = ()
    model_path: OptionalText = None
    oss_endpoint: OptionalText = None
    model_entry: OptionalText = None
    model_settings: TextOrObject | None = Field(default=None, alias="model_config")
    warm_up_data_path: OptionalText = None
    runtime: Runtime = Runtime()
    autoscaler: Autoscaler | None = None
    cron_scaler: CronScaler | None = Field(default=None, alias="cronScaler")
    labels: dict[str, ScalarText] = Field(default_factory=dict)
    unit: Unit | None = None
    aimaster: dict[str, Json] | None = None
    sinker: Sinker | None = None
    confidential: Confidential | None = None
    features: dict[str, ScalarText] = Field(default_factory=dict)
    options: Options = Options()
    properties: dict[str, Json] = Field(default_factory=dict)
    metrics: tuple[CustomMetric, ...] = ()
    queue: Queue | None = None
    front_end: FrontEnd | None = None
    meta: Meta | None = None

    @property
    def name(self) -> str:
        """The name, as it was given."""
        return self.metadata.name

    @property
    def container(self) -> Container | None:
        """The main container; None for a service that a processor runs."""
        return self.containers[0] if self.containers else None

    @property
    def termination_grace_seconds(self) -> int:
        """How long an instance may take to end after it was asked to."""
        for chosen in (self.metadata.eas.termination_grace_period, self.runtime.termination_grace_period):
            if chosen is not None:
                return chosen
        return DEFAULT_GRACE_SECONDS

    @property
    def gateway(self) -> str | None:
        """The dedicated gateway, at either of its places."""
        return self.networking.gateway or self.metadata.gateway

    @property
    def shared_memory_mib(self) -> int | None:
        """The size of /dev/shm in MiB: that of its mount, else `metadata.shm_size`."""
        for mount in self.storage:
            if mount.is_shared_memory and mount.empty_dir and mount.empty_dir.size_limit:
                return mount.empty_dir.size_limit.mib
        return self.metadata.shm_size * 1024 if self.metadata.shm_size else None

    @property
    def registry_login(self) -> tuple[str, str] | None:
        """User and password of the image's registry."""
        return login_of(self.docker_auth) if self.docker_auth else None

    @property
    def headroom(self) -> Headroom:
        """How far an update may leave the wanted number of instances."""
        metadata, strategy = self.metadata, self.metadata.rolling_strategy
        unavailable, least = strategy.max_unavailable or CountOrPercent(0), 0
        if strategy.max_unavailable is None:
            if metadata.quota_id:
                unavailable, least = QUOTA_UNAVAILABLE, 1
            elif metadata.resource and not metadata.resource_burstable:
                unavailable = CountOrPercent(1)
        return Headroom(strategy.max_surge, unavailable, least)
