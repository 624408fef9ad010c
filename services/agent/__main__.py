"""The agent: one on each host. Runs the instances that the scheduler assigns to it."""

import asyncio
import fcntl
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import grpc

from libs.domain.errors import EaselError, FailedPrecondition
from libs.domain.states import Runtime as RuntimeName
from libs.lifecycle import run_until_asked
from libs.rpc.client import dial
from libs.settings import settings_of
from libs.telemetry.logs import configure
from libs.telemetry.traces import configure_traces
from services.agent.agent import Obedience, View, Voice
from services.agent.board import Board
from services.agent.gpu import GpuWatch, Nvml
from services.agent.health.remembered import Remembered
from services.agent.images import ImageKeeper
from services.agent.link import Link
from services.agent.memory import Memory
from services.agent.reclaim import ReclaimSignal
from services.agent.reconciler import Reconciler
from services.agent.runtime.cgroups import ControlGroups
from services.agent.runtime.port import Runtime
from services.agent.runtime.process_launch import ProcessSettings
from services.agent.runtime.process_runtime import ProcessRuntime
from services.agent.runtime.venvs import Venvs
from services.agent.settings import Settings, handed_on, own_environment
from services.agent.storage.node_storage import NodeStorage
from services.agent.tidying import keep_tidy
from services.agent.warm_up import WarmUp

if TYPE_CHECKING:
    from services.agent.telemetry.wiring import Telemetry

log = logging.getLogger(__name__)


async def run(settings: Settings, stop: asyncio.Event, ready: asyncio.Event | None = None) -> None:
    """Until `stop`. Instances keep running afterwards, unless the settings say otherwise.

    `ready` is set as soon as what already runs has been adopted. Raises FailedPrecondition when another
    agent uses the data directory.
    """
    async with AsyncExitStack() as owned:
        owned.enter_context(_only_agent(settings.data_dir))
        traces = owned.enter_context(configure_traces("easel-agent", settings.otlp_endpoint))
        nvml = await asyncio.to_thread(Nvml)
        owned.callback(nvml.close)
        storage = NodeStorage(settings.storage())
        owned.callback(storage.close)
        runtime = await owned.enter_async_context(_runtime(settings, storage))
        board, memory = Board(), Memory(settings.data_dir)
        telemetry = _telemetry(settings, runtime, nvml)
        reconciler = Reconciler(
            runtime,
            board,
            traces,
            warm_up=WarmUp(runtime),
            patience=settings.patience(),
            remembered=Remembered(settings.data_dir / "health"),
            post_url=telemetry.url_of if telemetry is not None else None,
        )
        images = ImageKeeper(runtime)
        obedience = Obedience(memory, reconciler, images, settings.directories())
        reclaim = ReclaimSignal(settings.reclaim_file)
        voice = Voice(View(settings, runtime, nvml, board, reclaim), memory)
        link = Link(partial(_dial, settings), voice, board, images, obedience.obey, settings.heartbeat_every)
        here = partial(_here, runtime, memory)
        alone = settings.act_alone_after.total_seconds()
        watch = GpuWatch(nvml, _say_xid)
        owned.callback(watch.close)
        watch.start()
        async with asyncio.TaskGroup() as loops:
            tasks = [loops.create_task(reconciler.run())]
            await _either(reconciler.observed, stop)
            tasks += [
                loops.create_task(loop)
                for loop in (
                    link.run(),
                    obedience.act_alone(alone),
                    images.run(),
                    keep_tidy(runtime),
                    storage.run(here),
                    reclaim.run(link.beat_now),
                    *(telemetry.loops(reconciler, stop) if telemetry is not None else ()),
                )
            ]
            if ready is not None:
                ready.set()
            await stop.wait()
            for task in tasks:
                task.cancel()
        if settings.stop_instances_on_exit:
            await _stop_everything(runtime)


def main() -> None:
    """The process: ends on SIGTERM and SIGINT."""
    settings = settings_of(Settings, "agent")
    configure(settings.log_level)
    try:
        run_until_asked(partial(run, settings))
    except EaselError as refused:
        raise SystemExit(f"easel agent: {refused}") from refused


def _dial(settings: Settings) -> grpc.aio.Channel:
    return dial(settings.scheduler, settings.token())


def _telemetry(settings: Settings, runtime: Runtime, nvml: Nvml) -> "Telemetry | None":
    """None without metrics to tell."""
    if not settings.metrics:
        return None
    # Imported when it is used: the HTTP server takes long to load.
    from services.agent.telemetry.wiring import Telemetry

    return Telemetry(settings, runtime, nvml)


@asynccontextmanager
async def _runtime(settings: Settings, storage: NodeStorage) -> AsyncIterator[Runtime]:
    make = _docker if settings.runtime is RuntimeName.DOCKER else _process
    runtime = make(settings, storage)
    try:
        yield runtime
    finally:
        await runtime.close()


def _process(settings: Settings, storage: NodeStorage) -> Runtime:
    groups = ControlGroups.below(settings.control_group) if settings.control_group is not None else None
    bound = "control group" if groups is not None else "memory by watching it, CPU not at all"
    log.info("instances are processes", extra={"limits": bound})
    venvs = Venvs(settings.data_dir.absolute() / "venvs", settings.python, own_environment())
    process = ProcessSettings(
        directory=settings.data_dir.absolute() / "instances",
        address=settings.address,
        ports=range(settings.first_port, settings.last_port + 1),
        inherited=_with_python(settings),
        log_bytes=settings.log_bytes,
        control_groups=groups,
    )
    return ProcessRuntime(process, venvs, storage)


def _with_python(settings: Settings) -> dict[str, str]:
    """What instances inherit, with a `python` at the end of their PATH for hosts that have only `python3`."""
    directory = settings.data_dir.absolute() / "bin"
    directory.mkdir(parents=True, exist_ok=True)
    for name in ("python", "python3"):
        draft = directory / f"{name}.draft"
        draft.unlink(missing_ok=True)
        draft.symlink_to(settings.python)
        draft.replace(directory / name)
    inherited = dict(handed_on())
    return {**inherited, "PATH": f"{inherited.get('PATH', '/usr/bin:/bin')}:{directory}"}


def _docker(settings: Settings, storage: NodeStorage) -> Runtime:
    # Imported when it is chosen: the engine's client takes as long as all else of the agent.
    from services.agent.runtime.docker_runtime import DockerRuntime, DockerSettings

    log.info("instances are containers", extra={"limits": "CPU, memory and shared memory by the engine"})
    return DockerRuntime(
        DockerSettings(
            node=settings.node,
            address=settings.address,
            publish=settings.published_on(),
            host=settings.docker_host,
            network=settings.docker_network,
            agent_environment=own_environment(),
        ),
        storage,
    )


async def _here(runtime: Runtime, memory: Memory) -> set[str] | None:
    """The instances that run or are wanted; None while that is not known."""
    if memory.desired is None:
        return None
    try:
        running = await runtime.instances()
    except (EaselError, OSError):
        return None
    wanted = {assignment.id for assignment in memory.desired.assignments if not assignment.stop}
    return wanted | {each.id for each in running}


@contextmanager
def _only_agent(directory: Path) -> Iterator[None]:
    """Holds the data directory; its instances must have one agent."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (directory / "agent.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FailedPrecondition(f"another agent uses the data directory {directory}") from None
        yield


def _say_xid(uuid: str, xid: int) -> None:
    log.warning("GPU error event", extra={"gpu": uuid, "xid": xid})


async def _either(first: asyncio.Event, second: asyncio.Event) -> None:
    waits = [asyncio.create_task(event.wait()) for event in (first, second)]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


async def _stop_everything(runtime: Runtime) -> None:
    try:
        running = await runtime.instances()
    except (EaselError, OSError) as refused:
        log.warning("instances were left running", extra={"why": str(refused)})
        return
    stops = (runtime.ensure_absent(each.id, each.grace, each.sigterm) for each in running)
    for each, outcome in zip(running, await asyncio.gather(*stops, return_exceptions=True), strict=True):
        if isinstance(outcome, BaseException):
            log.warning("an instance was left running", extra={"instance": each.id, "why": str(outcome)})
    # There may never be another agent that tidies this node.
    try:
        await runtime.remove_shared()
    except (EaselError, OSError) as refused:
        log.warning("what instances shared was left", extra={"why": str(refused)})


if __name__ == "__main__":
    main()
