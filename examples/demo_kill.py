"""Kills one instance on this machine the hard way, as a crash would."""

import os
import signal

import docker
import psutil

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
        if listens and connection.pid:
            os.kill(connection.pid, signal.SIGKILL)
            return f"kill -9 {connection.pid}"
    raise NotFound(f"no process of this user listens on port {instance.port} of instance {instance.id}")


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
