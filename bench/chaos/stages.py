"""The two Easels that chaos is made on: one process with child processes, and the compose file.

Both have two nodes, so that one can be drained.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

from easel_sdk import Easel, EaselError
from easel_sdk.context import Context
from tests.support.compose import ComposedEasel, composed_easel
from tests.support.embedded import EmbeddedEasel, embedded_easel

HERE = Path(__file__).parent
TOKEN = "a-token-of-the-chaos-runs"
SECOND_NODE = "chaos-second"
# The release of which the programs end as soon as they are started.
CRASHES = 0
IMAGE = "easel:0.1.0"
# Beside the two services that are called all the time: a member of their group that copies can be sent to.
CANARY, GROUP = "chaos_canary", "chaos_all"
_PROGRAMS = {"chaos_web": "web.py", "chaos_rpc": "notes.py", CANARY: "web.py"}
_INSTANCES = {"chaos_web": 4, "chaos_rpc": 4, CANARY: 1}


class Stage(Protocol):
    """One Easel with two nodes, and how its parts are killed and come back."""

    name: str
    context: Context

    def spec(self, service: str, release: int, instances: int) -> dict[str, Any]:
        """The service.json of one of the two programs; another `release` is another version."""
        ...

    def kill_agent(self) -> str:
        """SIGKILL to one agent, and a new one; what was done, in words."""
        ...

    def kill_scheduler(self) -> str:
        """SIGKILL to the scheduler, and a new one."""
        ...

    def kill_gateway(self) -> str:
        """SIGKILL to the gateway, and a new one. Envoy is its child and outlives it."""
        ...


def settle(condition: Callable[[], bool], what: str, within: float = 120.0) -> None:
    """Returns once the condition holds. Raises TimeoutError."""
    ends = time.monotonic() + within
    while True:
        try:
            if condition():
                return
        except EaselError:
            pass  # a part was just killed
        if time.monotonic() > ends:
            raise TimeoutError(f"{what} did not come within {within:g} s")
        time.sleep(0.1)


def _listening() -> socket.socket:
    taken = socket.create_server(("127.0.0.1", 0))
    taken.listen()
    return taken


def _spec(service: str, release: int, instances: int, container: dict[str, Any]) -> dict[str, Any]:
    grouped = {} if service == "chaos_rpc" else {"group": GROUP}
    return {
        "metadata": {
            "name": service,
            **grouped,
            "instance": instances,
            "cpu": 0.1,
            "memory": 200,
            "enable_grpc": service == "chaos_rpc",
            "rpc": {"enable_sigterm": True},
        },
        "token": TOKEN,
        "containers": [{"env": [{"name": "RELEASE", "value": str(release)}], **container}],
    }


class Embedded:
    """`easel up`, and a second agent. One process is scheduler, gateway and first agent."""

    name = "embedded, process runtime"

    def __init__(self, easel: EmbeddedEasel) -> None:
        self._easel = easel
        self.context = easel.context
        # Taken, so that no instance gets the port it declares: both nodes are on this host.
        self._taken = {service: _listening() for service in _PROGRAMS}
        first = 25_000
        self._settings = {
            **os.environ,
            "EASEL_AGENT_SCHEDULER": self.context.scheduler,
            "EASEL_AGENT_JOIN_TOKEN_FILE": str(easel.data_dir / "join.token"),
            "EASEL_AGENT_NODE": SECOND_NODE,
            "EASEL_AGENT_DATA_DIR": str(easel.home / "second"),
            "EASEL_AGENT_FIRST_PORT": str(first),
            "EASEL_AGENT_LAST_PORT": str(first + 999),
            # Also when the services could not be deleted, nothing of them is left.
            "EASEL_AGENT_STOP_INSTANCES_ON_EXIT": "true",
        }
        self._second = self._agent()

    def spec(self, service: str, release: int, instances: int) -> dict[str, Any]:
        program = f"exec {sys.executable} {HERE / _PROGRAMS[service]}"
        return _spec(
            service,
            release,
            instances,
            {"image": "none", "script": program, "port": self._taken[service].getsockname()[1]},
        )

    def kill_agent(self) -> str:
        self._second.kill()
        self._second.wait()
        self._second = self._agent()
        return "the agent of one of two nodes"

    def kill_scheduler(self) -> str:
        self._easel.control_plane().kill()
        self._easel.up()
        return "the one process of all parts but Envoy"

    kill_gateway = kill_scheduler

    def close(self) -> None:
        self._second.terminate()
        self._second.wait(60)
        for taken in self._taken.values():
            taken.close()

    def _agent(self) -> "subprocess.Popen[bytes]":
        with (self._easel.home / "second.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "services.agent"],
                env=self._settings,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )


class Composed:
    """`docker-compose up`: a container each for scheduler, PostgreSQL, gateway and two agents."""

    name = "docker-compose, Docker runtime"

    def __init__(self, easel: ComposedEasel) -> None:
        self._easel = easel
        self.context = easel.context

    def spec(self, service: str, release: int, instances: int) -> dict[str, Any]:
        program = (HERE / _PROGRAMS[service]).read_text()
        container = {"image": IMAGE, "command": "python", "args": ["-c", program], "port": 8000}
        return _spec(service, release, instances, container)

    def kill_agent(self) -> str:
        self._easel.kill_container("agent")
        return "the agent's container, of one of two nodes"

    def kill_scheduler(self) -> str:
        self._easel.kill_container("scheduler")
        return "the scheduler's container"

    def kill_gateway(self) -> str:
        self._easel.kill_process("gateway", "services.gateway")
        return "the gateway's process"


@contextmanager
def embedded(home: Path) -> Iterator[Embedded]:
    """Up inside the block, gone after it."""
    with embedded_easel(home) as easel:
        stage = Embedded(easel)
        try:
            with _served(stage):
                yield stage
        finally:
            stage.close()


@contextmanager
def composed(home: Path) -> Iterator[Composed]:
    """Up inside the block, gone after it."""
    with ExitStack() as owned:
        easel = owned.enter_context(composed_easel(home))
        owned.enter_context(easel.further_host(SECOND_NODE))
        stage = Composed(easel)
        owned.enter_context(_served(stage))
        yield stage


@contextmanager
def _served(stage: Stage) -> Iterator[None]:
    """Two nodes, the two services that are called with four instances each, and the canary."""
    with Easel.of(stage.context) as easel:
        settle(lambda: len(easel.nodes.list()) == 2, "the second node")
        for service, instances in _INSTANCES.items():
            easel.services.create(stage.spec(service, 1, instances))
        for service, instances in _INSTANCES.items():
            settle(
                lambda name=service, wanted=instances: easel.services.get(name).ready == wanted,
                f"{service} with {instances} instances",
            )
        try:
            yield
        finally:
            for service in _PROGRAMS:
                easel.services.delete(service)
            settle(lambda: not easel.services.list(containing="chaos_"), "the services to be gone")
