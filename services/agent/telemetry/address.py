"""Where an instance posts its metrics: a port of the agent, and a path with a word that only it is told."""

import hashlib
import hmac
import json
import random
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from libs.files import replace_file
from services.agent.runtime.sockets import is_free

# Beside the usual ports of instances, and below those that the kernel gives to callers.
PORTS = range(30_000, 32_700)
PATH = "/api/builtin/realtime_metrics"
_TRIES = 100
_WORD = 32


@dataclass(frozen=True)
class PostAddress:
    """`host` is that of the agent as instances see it; empty where the runtime is to find it."""

    port: int
    key: bytes
    host: str = ""

    def url(self, instance: str, host: str) -> str:
        """What the program of this instance is told; the same after a restart of the agent."""
        shown = self.host or host
        shown = f"[{shown}]" if ":" in shown else shown
        return f"http://{shown}:{self.port}{PATH}/{instance}/{self._word(instance)}"

    def instance_of(self, path: str) -> str | None:
        """Whose address this path is; None for nobody's."""
        instance, _, word = path.removeprefix(f"{PATH}/").rpartition("/")
        known = hmac.compare_digest(word.encode(), self._word(instance).encode())
        return instance if known and path.startswith(f"{PATH}/") else None

    def _word(self, instance: str) -> str:
        return hmac.new(self.key, instance.encode(), hashlib.sha256).hexdigest()[:_WORD]


def kept_address(directory: Path, port: int = 0, host: str = "") -> PostAddress:
    """The same at each start of an agent with this directory, so that programs that run know it. Blocks."""
    file = directory / "metrics.json"
    kept = {}
    with suppress(OSError, ValueError):
        kept = json.loads(file.read_bytes())
    try:
        address = PostAddress(port or int(kept["port"]), bytes.fromhex(kept["key"]), host)
    except (KeyError, TypeError, ValueError):
        address = PostAddress(port or _free(), secrets.token_bytes(32), host)
    now = {"port": address.port, "key": address.key.hex()}
    if now != kept:
        with suppress(OSError):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_file(file, json.dumps(now).encode())
    return address


def _free() -> int:
    for _ in range(_TRIES):
        port = random.choice(PORTS)  # noqa: S311
        if is_free(port):
            return port
    return PORTS.start
