"""A Nacos server as far as its open API for instances goes: namespaces, groups, beats, expiry, tokens.

What it answers, and with which status, is what servers of versions 1 and 2 answer. Its times can be shorter.
"""

import json
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

NOT_THERE = 20404
FINE = 10200


@dataclass
class NacosInstance:
    """One ephemeral instance."""

    ip: str
    port: int
    weight: float
    cluster: str
    metadata: dict[str, str]
    beaten_at: float


@dataclass
class NacosServer:
    """Seconds since its last beat after which an instance is unhealthy (`lag`), and dropped (`expiry`)."""

    users: dict[str, str] = field(default_factory=dict)
    lag: float = 15.0
    expiry: float = 30.0
    token_ttl: float = 18_000.0
    # Answers everything with this status where it is set.
    broken: int = 0
    url: str = ""
    logins: int = 0
    # When anything was written or beat last, on the monotonic clock.
    beaten_at: float = 0.0
    calls: list[str] = field(default_factory=list)
    _tokens: dict[str, float] = field(default_factory=dict)
    _known: dict[tuple[str, str], dict[tuple[str, int, str], NacosInstance]] = field(default_factory=dict)

    def forget(self) -> None:
        """Loses all instances and tokens, as a restart does."""
        self._known.clear()
        self._tokens.clear()

    def instances(self, service: str, group: str = "DEFAULT_GROUP", namespace: str = "public") -> list[Any]:
        """The instances that are there, as the list of the API tells them."""
        return self._hosts(namespace, f"{group}@@{service}")

    def _hosts(self, namespace: str, name: str) -> list[dict[str, Any]]:
        found, now = self._known.get((namespace, name), {}), time.monotonic()
        for key in [key for key, each in found.items() if now - each.beaten_at > self.expiry]:
            del found[key]
        return [
            {
                "instanceId": f"{each.ip}#{each.port}#{each.cluster}#{name}",
                "ip": each.ip,
                "port": each.port,
                "weight": each.weight,
                "healthy": now - each.beaten_at <= self.lag,
                "enabled": True,
                "ephemeral": True,
                "clusterName": each.cluster,
                "serviceName": name,
                "metadata": each.metadata,
            }
            for each in found.values()
        ]

    @web.middleware
    async def guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.calls.append(f"{request.method} {request.path}")
        if self.broken:
            return web.Response(status=self.broken, text="caused: out of order;")
        if self.users and not request.path.endswith("/auth/login"):
            good_until = self._tokens.get(request.query.get("accessToken", ""))
            if good_until is None:
                return _refused(request, "user not found!")
            if time.monotonic() > good_until:
                return _refused(request, "token expired!")
        answer: web.StreamResponse = await handler(request)
        return answer

    async def login(self, request: web.Request) -> web.Response:
        form = await request.post()
        if self.users.get(str(form.get("username"))) != form.get("password"):
            return web.Response(status=403, text="unknown user!")
        self.logins += 1
        token = secrets.token_hex(8)
        self._tokens[token] = time.monotonic() + self.token_ttl
        return web.json_response({"accessToken": token, "tokenTtl": self.token_ttl, "globalAdmin": False})

    async def register(self, request: web.Request) -> web.Response:
        key, name = _key(request), _name(request)
        if name is None or key is None:
            missing = "serviceName" if name is None else "ip"
            return web.Response(status=400, text=f"caused: Param '{missing}' is required.;")
        weight = float(request.query.get("weight", "1"))
        if not 0 <= weight <= 10_000:
            return web.Response(
                status=400, text="caused: instance format invalid: The weights range from 0 to 10000;"
            )
        metadata = json.loads(request.query.get("metadata", "{}"))
        self._put(name, key, weight, metadata)
        return web.Response(text="ok")

    async def remove(self, request: web.Request) -> web.Response:
        key, name = _key(request), _name(request)
        if name is None or key is None:
            return web.Response(status=400, text="caused: Param 'serviceName' is required.;")
        self._known.get(name, {}).pop(key, None)
        return web.Response(text="ok")

    async def beat(self, request: web.Request) -> web.Response:
        key, name = _key(request), _name(request)
        if name is None or key is None:
            return web.Response(status=400, text="caused: Param 'serviceName' is required.;")
        self._hosts(*name)
        known = self._known.get(name, {}).get(key)
        answer = {"clientBeatInterval": 5000, "lightBeatEnabled": True, "code": FINE}
        said = json.loads(request.query.get("beat", "null"))
        if known is not None:
            known.beaten_at = self.beaten_at = time.monotonic()
        elif said is not None:
            self._put(name, key, float(said["weight"]), said["metadata"])
        else:
            answer["code"] = NOT_THERE
        return web.json_response(answer)

    async def list(self, request: web.Request) -> web.Response:
        name = _name(request)
        if name is None:
            return web.Response(status=400, text="caused: Param 'serviceName' is required.;")
        hosts = self._hosts(*name)
        if request.query.get("healthyOnly") == "true":
            hosts = [each for each in hosts if each["healthy"]]
        answer = {"name": name[1], "clusters": "", "cacheMillis": 10000, "hosts": hosts, "valid": True}
        return web.json_response(answer)

    def _put(
        self, name: tuple[str, str], key: tuple[str, int, str], weight: float, metadata: dict[str, str]
    ) -> None:
        ip, port, cluster = key
        self.beaten_at = now = time.monotonic()
        self._known.setdefault(name, {})[key] = NacosInstance(ip, port, weight, cluster, metadata, now)


def _refused(request: web.Request, why: str) -> web.Response:
    body = {"status": 403, "error": "Forbidden", "message": why, "path": request.path}
    return web.json_response(body, status=403)


def _name(request: web.Request) -> tuple[str, str] | None:
    """The namespace, and the name with its group."""
    name = request.query.get("serviceName")
    if not name:
        return None
    group = request.query.get("groupName", "DEFAULT_GROUP")
    return request.query.get("namespaceId") or "public", name if "@@" in name else f"{group}@@{name}"


def _key(request: web.Request) -> tuple[str, int, str] | None:
    ip = request.query.get("ip")
    return (ip, int(request.query["port"]), request.query.get("clusterName", "DEFAULT")) if ip else None


@asynccontextmanager
async def nacos_server(server: NacosServer, port: int = 0) -> AsyncIterator[str]:
    """Serves it; yields its address, as an operator would write it."""
    app = web.Application(middlewares=[server.guard])
    app.add_routes(
        [
            web.post("/nacos/v1/auth/login", server.login),
            web.post("/nacos/v1/ns/instance", server.register),
            web.delete("/nacos/v1/ns/instance", server.remove),
            web.put("/nacos/v1/ns/instance/beat", server.beat),
            web.get("/nacos/v1/ns/instance/list", server.list),
        ]
    )
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    bound = runner.addresses[0][1]
    server.url = f"http://127.0.0.1:{bound}"
    try:
        yield server.url
    finally:
        await runner.cleanup()
