"""The compose file, brought up under a project name and on ports of a test's own."""

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
from docker.models.containers import Container

from easel_sdk.context import Context
from tests.support.free_ports import free_port

ROOT = Path(__file__).parents[2]
_KILL = """
import psutil, sys
(one,) = [p for p in psutil.process_iter() if p.cmdline()[1:] == ["-m", sys.argv[1]]]
one.kill()
"""


class ComposedEasel:
    """One `docker-compose` project. Nothing runs before `up`."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self.project = f"easel-test-{secrets.token_hex(4)}"
        self.engine = docker.from_env(timeout=60)
        self._gateway_port, self._admin_port, self.direct_port = free_port(), free_port(), free_port()
        self._metrics_port, self._metrics_http_port = free_port(), free_port()
        self._environment = {
            **os.environ,
            "EASEL_GATEWAY_BIND": "127.0.0.1",
            "EASEL_GATEWAY_PORT": str(self._gateway_port),
            "EASEL_ADMIN_PORT": str(self._admin_port),
            "EASEL_DIRECT_PORT": str(self.direct_port),
            "EASEL_METRICS_PORT": str(self._metrics_port),
            "EASEL_METRICS_HTTP_PORT": str(self._metrics_http_port),
            "EASEL_GATEWAY_PUBLIC_URL": f"http://127.0.0.1:{self._gateway_port}",
            "EASEL_AGENT_NODE": self.project,
            "EASEL_AGENT_DATA_DIR": str(data_dir),
        }

    def compose(self, *arguments: str, within: float = 300.0) -> str:
        """Runs one compose command; its output. Fails with what it said."""
        program = ["docker-compose"] if shutil.which("docker-compose") else ["docker", "compose"]
        ended = subprocess.run(
            [*program, "--project-name", self.project, *arguments],
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=within,
            check=False,
        )
        assert ended.returncode == 0, f"{ended.args} said: {ended.stdout[-4000:]}{ended.stderr[-4000:]}"
        return ended.stdout

    @contextmanager
    def further_host(self, node: str) -> Iterator[None]:
        """What OPERATIONS.md has one do on a further host; here it is the same host under another name."""
        token = self._data_dir / "join-token"
        token.touch(mode=0o600)
        token.write_text(self.compose("exec", "-T", "scheduler", "cat", "/run/easel/join/token"))
        host = ComposedEasel(self._data_dir / node)
        host._environment |= {
            "EASEL_AGENT_NODE": node,
            "EASEL_AGENT_SCHEDULER": f"127.0.0.1:{self._admin_port}",
            "EASEL_AGENT_METRICS": f"127.0.0.1:{self._metrics_port}",
            "EASEL_JOIN_TOKEN_FILE": str(token),
        }
        try:
            host.compose("--profile", "agent", "up", "-d", "joining-agent", "joining-node-gateway")
            yield
        finally:
            host.close()

    def up(self) -> None:
        self.compose("build", within=600)
        self.compose("up", "-d")

    @property
    def context(self) -> Context:
        token = self.compose("exec", "-T", "scheduler", "cat", "/var/lib/easel/admin/token").strip()
        return Context(f"127.0.0.1:{self._admin_port}", f"http://127.0.0.1:{self._gateway_port}", token)

    @property
    def metrics_url(self) -> str:
        """Where Prometheus would read."""
        return f"http://127.0.0.1:{self._metrics_http_port}/metrics"

    def container(self, service: str) -> Container:
        """The container of a service of the compose file, as it is now."""
        labels = [f"com.docker.compose.project={self.project}", f"com.docker.compose.service={service}"]
        filters = {"label": labels}
        (found,) = self.engine.containers.list(all=True, filters=filters, ignore_removed=True)
        return found

    def started_at(self, service: str) -> str:
        return str(self.container(service).attrs["State"]["StartedAt"])

    def kill_container(self, service: str) -> None:
        """Ends the container's first process from outside, as a crash would; its restart policy holds."""
        pid = self.container(service).attrs["State"]["Pid"]
        self.engine.containers.run(
            "python:3.11-slim", ["sh", "-c", f"kill -9 {pid}"], pid_mode="host", remove=True
        )

    def kill_process(self, service: str, module: str) -> None:
        """Ends the Python process that runs `module` inside the container, which goes on."""
        self.compose("exec", "-T", service, "python", "-c", _KILL, module)

    def instances(self, *, running: bool = True) -> list[Container]:
        """The containers that this project's agent started."""
        filters = {"label": f"easel.node={self.project}"}
        found = self.engine.containers.list(all=not running, filters=filters, ignore_removed=True)
        return list(found)

    def close(self) -> None:
        """Leaves none of its containers and volumes."""
        self.compose("--profile", "agent", "down", "--volumes", "--remove-orphans", "--timeout", "10")
        for left in self.instances(running=False):
            left.remove(force=True)
        self.engine.close()

    def logs(self) -> str:
        return self.compose("logs", "--no-color", "--tail=60")


@contextmanager
def composed_easel(data_dir: Path) -> Iterator[ComposedEasel]:
    """The compose file, up inside the block; afterwards none of its containers and volumes is left."""
    easel = ComposedEasel(data_dir)
    try:
        easel.up()
        yield easel
    except BaseException:
        print(easel.logs())  # noqa: T201
        raise
    finally:
        easel.close()
