"""Kills one instance on this machine as a crash would: `python -m examples.demo_kill SERVICE`."""

import argparse
import os
import signal

import docker
import psutil

from easel_sdk import Easel
from easel_sdk.errors import EaselError
from easel_sdk.types import Instance, Runtime
from libs.domain.errors import FailedPrecondition, NotFound


def kill_instance(instance: Instance) -> str:
    """Ends the instance's program at once, and says how. Raises an EaselError when it cannot be found."""
    if instance.runtime is Runtime.DOCKER:
        return _kill_container(instance)
    return _kill_process(instance)


def _kill_process(instance: Instance) -> str:
    for connection in psutil.net_connections("tcp"):
        listens = connection.status == psutil.CONN_LISTEN and connection.laddr.port == instance.port
        if listens and connection.pid and _runs(connection.pid, instance):
            os.kill(connection.pid, signal.SIGKILL)
            return f"kill -9 {connection.pid}"
    raise NotFound(f"no process of this user listens on port {instance.port} of instance {instance.id}")


def _runs(pid: int, instance: Instance) -> bool:
    """Whether a process is the instance's program, not one that has the same port here by chance."""
    try:
        return psutil.Process(pid).environ().get("EASEL_INSTANCE") == instance.id
    except psutil.Error:
        return False


def _kill_container(instance: Instance) -> str:
    engine = docker.from_env(timeout=20)
    try:
        found = engine.containers.list(filters={"label": f"easel.instance={instance.id}"})
        if not found:
            raise NotFound(f"no container of instance {instance.id} runs on this machine")
        found[0].kill()
        return f"docker kill {found[0].name}"
    except docker.errors.DockerException as error:
        raise FailedPrecondition(f"Docker Engine: {error}") from error
    finally:
        engine.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="Kills the program of one instance on this machine.")
    parser.add_argument("service", help="the service whose newest ready instance is killed")
    service = parser.parse_args().service
    with Easel.from_context() as easel:
        ready = [each for each in easel.instances.list(service=service) if each.ready]
    if not ready:
        raise NotFound(f"service {service!r} has no ready instance")
    newest = max(ready, key=lambda each: (each.created_at, each.id))
    print(f"{newest.id}: {kill_instance(newest)}")


if __name__ == "__main__":
    try:
        main()
    except EaselError as refused:
        raise SystemExit(f"demo_kill: {refused}") from None
