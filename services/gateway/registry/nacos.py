"""Nacos, over the open API (v1) that its servers of versions 1 and 2 offer.

Entries are ephemeral instances: Nacos calls one unhealthy 15 s after its last beat and drops it after 30 s.
"""

import json
import time
from typing import Any
from urllib.parse import urlsplit

import httpx

from libs.domain.errors import FailedPrecondition, Unavailable
from services.gateway.registry.port import Entry, Target

_DEADLINE = 3.0
_CLUSTER = "DEFAULT"
_GROUP = "DEFAULT_GROUP"
_NOT_THERE = 20404
_REFUSED = (401, 403)


class Nacos:
    """One namespace and group of a Nacos server."""

    def __init__(self, target: Target) -> None:
        self._target = target
        # Given bare, a server is at the path that it has unless somebody changed that.
        base = target.url.rstrip("/")
        self._base = base if urlsplit(base).path else f"{base}/nacos"
        self._http = httpx.AsyncClient(timeout=_DEADLINE, trust_env=False)
        self._token, self._good_until = "", 0.0

    async def register(self, entry: Entry) -> None:
        said = {"weight": str(entry.weight), "enabled": "true", "healthy": "true"}
        said["metadata"] = json.dumps(_metadata(entry))
        await self._call("POST", "/v1/ns/instance", self._names(entry) | said)

    async def renew(self, entry: Entry) -> bool:
        # The oldest servers insist on being told all of it in each beat.
        beat = {
            "serviceName": f"{self._target.group or _GROUP}@@{entry.place.name}",
            "cluster": _CLUSTER,
            "ip": entry.place.address,
            "port": entry.place.port,
            "weight": entry.weight,
            "metadata": _metadata(entry),
            "scheduled": True,
        }
        parameters = self._names(entry) | {"beat": json.dumps(beat)}
        answer = await self._call("PUT", "/v1/ns/instance/beat", parameters)
        try:
            known: bool = json.loads(answer).get("code") != _NOT_THERE
        except (ValueError, AttributeError) as unreadable:
            raise Unavailable(f"{self._base} answered a beat with {answer[:200]!r}") from unreadable
        return known

    async def remove(self, entry: Entry) -> None:
        await self._call("DELETE", "/v1/ns/instance", self._names(entry))

    async def close(self) -> None:
        await self._http.aclose()

    def _names(self, entry: Entry) -> dict[str, str]:
        return {
            "serviceName": entry.place.name,
            "groupName": self._target.group or _GROUP,
            "namespaceId": self._target.namespace or "public",
            "clusterName": _CLUSTER,
            "ip": entry.place.address,
            "port": str(entry.place.port),
            "ephemeral": "true",
        }

    async def _call(self, method: str, path: str, parameters: dict[str, str]) -> str:
        """One call; once more with a new access token where the first was refused.

        Raises FailedPrecondition for a call that this server will not carry out, however often it is made.
        """
        for fresh in (False, True):
            token = await self._access_token(fresh) if self._target.user else ""
            more = {"accessToken": token} if token else {}
            answer = await self._send(method, path, params=parameters | more)
            if answer.status_code not in _REFUSED or not token:
                break
        said = f"{self._base} answered {answer.status_code}: {answer.text[:200]}"
        if answer.status_code >= 500 or answer.status_code in _REFUSED:
            raise Unavailable(said)
        if answer.status_code != 200:
            raise FailedPrecondition(said)
        return answer.text

    async def _access_token(self, fresh: bool) -> str:
        """The token of the last login, until a fifth of its time is left or a `fresh` one is asked for."""
        if fresh or time.monotonic() >= self._good_until:
            login = {"username": self._target.user, "password": self._target.password}
            answer = await self._send("POST", "/v1/auth/login", data=login)
            if answer.status_code != 200:
                raise Unavailable(
                    f"{self._base} refused the login of {self._target.user!r}: {answer.text[:200]}"
                )
            try:
                said = answer.json()
                self._token = str(said["accessToken"])
                self._good_until = time.monotonic() + 0.8 * float(said["tokenTtl"])
            except (ValueError, KeyError, TypeError) as unreadable:
                raise Unavailable(f"{self._base} answered a login with something else") from unreadable
        return self._token

    async def _send(self, method: str, path: str, **what: Any) -> httpx.Response:
        try:
            return await self._http.request(method, self._base + path, **what)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # The error's own text may hold the address with the access token in it.
            raise Unavailable(f"{self._base} cannot be reached: {type(error).__name__}") from None


def _metadata(entry: Entry) -> dict[str, str]:
    return {"easel.service": entry.service, "preserved.register.source": "EASEL"}
