"""The synchronous client: the asynchronous one, on an event loop in a thread of its own."""

from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from easel_sdk._waiting import Loop, Waiting, awaited, collected, followed
from easel_sdk.access_tokens import AsyncAccessTokens
from easel_sdk.aio import CALL_DEADLINE, AsyncEasel
from easel_sdk.capacity import AsyncCapacity, AsyncUsage
from easel_sdk.context import Context, current_context
from easel_sdk.datasets import AsyncDatasets
from easel_sdk.events import AsyncEvents
from easel_sdk.gateways import AsyncGateways, AsyncRegistries
from easel_sdk.groups import AsyncGroups
from easel_sdk.images import AsyncImages
from easel_sdk.instances import AsyncInstances
from easel_sdk.metrics import AsyncMetrics
from easel_sdk.mirrors import AsyncMirrors
from easel_sdk.nodes import AsyncNodes, AsyncResourceGroups
from easel_sdk.scaling import AsyncAutoscalers, AsyncCronscalers
from easel_sdk.secrets import AsyncSecrets
from easel_sdk.services import AsyncServices
from easel_sdk.tokens import AsyncTokens
from easel_sdk.traffic import AsyncTraffic


class Easel(Waiting[AsyncEasel]):
    """One Easel, for code that does not await. Use it as a context manager, or call `close`.

    It has the parts and the methods of `AsyncEasel`. Calls may come from several threads. Lists are
    complete; watches and logs are iterators.
    """

    def __init__(
        self, scheduler: str, token: str, *, gateway: str = "", deadline: timedelta = CALL_DEADLINE
    ) -> None:
        """`scheduler` is "host:port"; `gateway` a URL, asked of the scheduler when empty."""
        loop = Loop()

        async def opened() -> AsyncEasel:
            return AsyncEasel(scheduler, token, gateway=gateway, deadline=deadline)

        easel = loop.run(opened())
        super().__init__(loop, easel)
        self.services = Services(loop, easel.services)
        self.instances = Instances(loop, easel.instances)
        self.groups = Groups(loop, easel.groups)
        self.mirrors = Mirrors(loop, easel.mirrors)
        self.traffic = Traffic(loop, easel.traffic)
        self.gateways = Gateways(loop, easel.gateways)
        self.registries = Registries(loop, easel.registries)
        self.access_tokens = AccessTokens(loop, easel.access_tokens)
        self.metrics = Metrics(loop, easel.metrics)
        self.autoscalers = Autoscalers(loop, easel.autoscalers)
        self.cronscalers = Cronscalers(loop, easel.cronscalers)
        self.capacity = Capacity(loop, easel.capacity)
        self.usage = Usage(loop, easel.usage)
        self.nodes = Nodes(loop, easel.nodes)
        self.resource_groups = ResourceGroups(loop, easel.resource_groups)
        self.secrets = Secrets(loop, easel.secrets)
        self.datasets = Datasets(loop, easel.datasets)
        self.images = Images(loop, easel.images)
        self.events = Events(loop, easel.events)
        self.tokens = Tokens(loop, easel.tokens)

    @classmethod
    def from_context(cls, name: str = "", path: Path | None = None) -> Self:
        """The Easel of the context file. Raises `NoContext` when there is none to take."""
        return cls.of(current_context(name, path))

    @classmethod
    def of(cls, context: Context) -> Self:
        return cls(context.scheduler, context.token, gateway=context.gateway)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._loop.run(self._inner.close())
        self._loop.close()

    predict = awaited(AsyncEasel.predict)
    direct = awaited(AsyncEasel.direct)


class Services(Waiting[AsyncServices]):
    create = awaited(AsyncServices.create)
    get = awaited(AsyncServices.get)
    update = awaited(AsyncServices.update)
    roll_to = awaited(AsyncServices.roll_to)
    plan_update = awaited(AsyncServices.plan_update)
    clone = awaited(AsyncServices.clone)
    set_lock = awaited(AsyncServices.set_lock)
    set_labels = awaited(AsyncServices.set_labels)
    rollout_set = awaited(AsyncServices.rollout_set)
    rollout_pause = awaited(AsyncServices.rollout_pause)
    rollout_resume = awaited(AsyncServices.rollout_resume)
    rollout_promote = awaited(AsyncServices.rollout_promote)
    rollout_undo = awaited(AsyncServices.rollout_undo)
    rollout_control = awaited(AsyncServices.rollout_control)
    release = awaited(AsyncServices.release)
    ramp = awaited(AsyncServices.ramp)
    end_ramp = awaited(AsyncServices.end_ramp)
    diagnose = awaited(AsyncServices.diagnose)
    delete = awaited(AsyncServices.delete)
    start = awaited(AsyncServices.start)
    stop = awaited(AsyncServices.stop)
    restart = awaited(AsyncServices.restart)
    scale = awaited(AsyncServices.scale)
    versions = collected(AsyncServices.versions)
    token = awaited(AsyncServices.token)
    watch = followed(AsyncServices.watch)
    list = collected(AsyncServices.list)


class Groups(Waiting[AsyncGroups]):
    create = awaited(AsyncGroups.create)
    get = awaited(AsyncGroups.get)
    update = awaited(AsyncGroups.update)
    delete = awaited(AsyncGroups.delete)
    token = awaited(AsyncGroups.token)
    list = collected(AsyncGroups.list)


class Mirrors(Waiting[AsyncMirrors]):
    put = awaited(AsyncMirrors.put)
    get = awaited(AsyncMirrors.get)
    delete = awaited(AsyncMirrors.delete)
    list = collected(AsyncMirrors.list)


class Traffic(Waiting[AsyncTraffic]):
    get = awaited(AsyncTraffic.get)
    explain = awaited(AsyncTraffic.explain)
    web_link = awaited(AsyncTraffic.web_link)


class Gateways(Waiting[AsyncGateways]):
    create = awaited(AsyncGateways.create)
    get = awaited(AsyncGateways.get)
    update = awaited(AsyncGateways.update)
    delete = awaited(AsyncGateways.delete)
    list = collected(AsyncGateways.list)


class Registries(Waiting[AsyncRegistries]):
    put = awaited(AsyncRegistries.put)
    delete = awaited(AsyncRegistries.delete)
    list = collected(AsyncRegistries.list)


class AccessTokens(Waiting[AsyncAccessTokens]):
    create = awaited(AsyncAccessTokens.create)
    get = awaited(AsyncAccessTokens.get)
    rotate = awaited(AsyncAccessTokens.rotate)
    delete = awaited(AsyncAccessTokens.delete)
    list = collected(AsyncAccessTokens.list)


class Metrics(Waiting[AsyncMetrics]):
    instant = awaited(AsyncMetrics.instant)
    range = awaited(AsyncMetrics.range)
    watch = followed(AsyncMetrics.watch)


class Autoscalers(Waiting[AsyncAutoscalers]):
    set = awaited(AsyncAutoscalers.set)
    get = awaited(AsyncAutoscalers.get)
    delete = awaited(AsyncAutoscalers.delete)
    history = collected(AsyncAutoscalers.history)
    replay = awaited(AsyncAutoscalers.replay)
    list = collected(AsyncAutoscalers.list)


class Cronscalers(Waiting[AsyncCronscalers]):
    set = awaited(AsyncCronscalers.set)
    get = awaited(AsyncCronscalers.get)
    delete = awaited(AsyncCronscalers.delete)
    list = collected(AsyncCronscalers.list)


class Capacity(Waiting[AsyncCapacity]):
    get = awaited(AsyncCapacity.get)


class Usage(Waiting[AsyncUsage]):
    get = awaited(AsyncUsage.get)


class Instances(Waiting[AsyncInstances]):
    get = awaited(AsyncInstances.get)
    delete = awaited(AsyncInstances.delete)
    restart = awaited(AsyncInstances.restart)
    isolate = awaited(AsyncInstances.isolate)
    detach = awaited(AsyncInstances.detach)
    diagnose = awaited(AsyncInstances.diagnose)
    logs = followed(AsyncInstances.logs)
    list = collected(AsyncInstances.list)


class Nodes(Waiting[AsyncNodes]):
    get = awaited(AsyncNodes.get)
    update = awaited(AsyncNodes.update)
    delete = awaited(AsyncNodes.delete)
    cordon = awaited(AsyncNodes.cordon)
    uncordon = awaited(AsyncNodes.uncordon)
    drain = awaited(AsyncNodes.drain)
    reclaim = awaited(AsyncNodes.reclaim)
    keep = awaited(AsyncNodes.keep)
    fence_gpu = awaited(AsyncNodes.fence_gpu)
    lift_gpu_fence = awaited(AsyncNodes.lift_gpu_fence)
    list = collected(AsyncNodes.list)


class ResourceGroups(Waiting[AsyncResourceGroups]):
    get = awaited(AsyncResourceGroups.get)
    create = awaited(AsyncResourceGroups.create)
    update = awaited(AsyncResourceGroups.update)
    delete = awaited(AsyncResourceGroups.delete)
    list = collected(AsyncResourceGroups.list)


class Secrets(Waiting[AsyncSecrets]):
    put = awaited(AsyncSecrets.put)
    delete = awaited(AsyncSecrets.delete)
    list = collected(AsyncSecrets.list)


class Datasets(Waiting[AsyncDatasets]):
    create = awaited(AsyncDatasets.create)
    delete = awaited(AsyncDatasets.delete)
    list = collected(AsyncDatasets.list)


class Images(Waiting[AsyncImages]):
    pull = awaited(AsyncImages.pull)
    delete = awaited(AsyncImages.delete)
    list = collected(AsyncImages.list)


class Events(Waiting[AsyncEvents]):
    watch = followed(AsyncEvents.watch)
    list = collected(AsyncEvents.list)


class Tokens(Waiting[AsyncTokens]):
    create = awaited(AsyncTokens.create)
    delete = awaited(AsyncTokens.delete)
    list = collected(AsyncTokens.list)
