"""service.json files around the programs in apps/."""

import json
import sys
from pathlib import Path
from typing import Any

import httpx

from tests.support.free_ports import free_port

APPS = Path(__file__).parent / "apps"
TOKEN = "a-token-of-the-test"


def a_process_service(home: Path, name: str, app: str, instances: int = 1, **metadata: object) -> Path:
    """Writes a service.json under `home` that runs one of the programs in apps/ with this Python."""
    spec = _spec(name, instances, free_port(), {"script": f"{sys.executable} {APPS / app}"}, metadata)
    path = home / f"{name}.json"
    path.write_text(json.dumps(spec))
    return path


def a_container_service(name: str, app: str, instances: int = 1, **metadata: object) -> dict[str, Any]:
    """A service.json whose image is bare Python and whose program is handed over as an argument."""
    program = {"command": "python3", "args": ["-c", (APPS / app).read_text()]}
    return _spec(name, instances, 8000, program, metadata)


def call(url: str, token: str = TOKEN, content: str = "") -> httpx.Response:
    """One POST with the token as it is."""
    return httpx.post(url, headers={"Authorization": token}, content=content, timeout=20)


def _spec(
    name: str, instances: int, port: int, program: dict[str, object], metadata: dict[str, object]
) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "instance": instances, "cpu": 0.1, "memory": 200, **metadata},
        "token": TOKEN,
        "containers": [{"image": "python:3.11-slim", "port": port, **program}],
    }
