"""The same trivial server without Easel: as a child process, and as a container."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import docker
from docker.errors import DockerException, ImageNotFound

from tests.support.free_ports import free_port

SERVER = Path(__file__).with_name("trivial_server.py")
IMAGE = "python:3.11-slim"
_LOOK_EVERY_S = 0.002


class NoAnswer(Exception):
    """What was started did not answer with 200 in time."""


def first_200(port: int, path: str = "/", token: str = "", within: float = 60.0) -> float:
    """Asks again and again; the time (of the wall clock) at which the first 200 was there."""
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    headers = {"Authorization": token} if token else {}
    ends, said = time.monotonic() + within, "nothing"
    while time.monotonic() < ends:
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status == 200:
                connection.close()
                return time.time()
            said = f"status {answer.status}"
        except (OSError, HTTPException) as error:
            said = str(error)
            connection.close()
        time.sleep(_LOOK_EVERY_S)
    raise NoAnswer(f"{path} on port {port} did not answer within {within:g} s; last: {said}")


def as_process() -> float:
    """Seconds from starting a child process to its first 200."""
    port = free_port()
    began = time.time()
    child = subprocess.Popen([sys.executable, str(SERVER)], env={**os.environ, "PORT": str(port)})
    try:
        return first_200(port) - began
    finally:
        child.kill()
        child.wait()


def why_no_docker() -> str:
    """Why containers cannot be measured; empty when they can. Pulls nothing."""
    try:
        client = docker.from_env(timeout=10)
        client.images.get(IMAGE)
    except ImageNotFound:
        return f"the image {IMAGE} is not on this machine (docker pull {IMAGE})"
    except DockerException as error:
        return f"no Docker Engine answers: {error}"
    return ""


def as_container() -> float:
    """Seconds to create and start a container, until its first 200."""
    client, port = docker.from_env(timeout=60), free_port()
    command = ["python3", "-c", SERVER.read_text()]
    began = time.time()
    container = client.containers.create(IMAGE, command, ports={"8000/tcp": ("127.0.0.1", port)})
    try:
        container.start()
        return first_200(port) - began
    finally:
        container.remove(force=True)


BARE: dict[str, Callable[[], float]] = {"process": as_process, "docker": as_container}
