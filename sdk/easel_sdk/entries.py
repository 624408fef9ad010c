"""Where services and groups are called, and what opens them: asked of the scheduler once, and kept."""

from dataclasses import dataclass

from easel_sdk.errors import NoGateway, NotFound, Unavailable
from easel_sdk.groups import AsyncGroups
from easel_sdk.services import AsyncServices
from libs.domain.traffic import SHARED_GATEWAY


@dataclass(frozen=True)
class Entry:
    """One name under which requests come in: `owner` is the service or the group behind it."""

    owner: str
    is_group: bool
    gateway: str
    endpoint: str


class Entries:
    """Names are those of services, of groups, or "group.service" for one member of a group."""

    def __init__(self, services: AsyncServices, groups: AsyncGroups, gateway: str) -> None:
        """`gateway` is the URL of the shared gateway; empty when it is to be asked for."""
        self._services, self._groups, self._gateway = services, groups, gateway
        self._entries: dict[str, Entry] = {}
        self._tokens: dict[str, str] = {}

    async def base(self, name: str) -> str:
        """The URL of the gateway that the entry is on. Raises `NotFound` and `NoGateway`."""
        try:
            entry = await self._entry(name)
        except Unavailable:
            # What is on the shared gateway answers also while the scheduler is away.
            if self._gateway:
                return self._gateway
            raise
        shared = entry.gateway in ("", SHARED_GATEWAY)
        known = self._gateway if shared else ""
        base = known or entry.endpoint.partition("/api/")[0] or self._gateway
        if not base:
            raise NoGateway("an address the scheduler knows")
        return base

    def secured(self, name: str) -> str:
        """The URL with TLS that the scheduler has told for the entry's gateway; empty where there is none."""
        endpoint = self._entries[name].endpoint if name in self._entries else ""
        return endpoint.partition("/api/")[0] if endpoint.startswith("https://") else ""

    def remedy(self, name: str) -> str:
        """What to do when nothing answers at the entry's gateway."""
        gateway = self._entries[name].gateway if name in self._entries else ""
        if gateway in ("", SHARED_GATEWAY):
            return "run `easel up`"
        return f"{name} is on gateway {gateway!r}; `easel gateway desc {gateway}` says what is wrong with it"

    def knows_token(self, name: str) -> bool:
        return name in self._tokens

    async def token(self, name: str) -> str:
        """The token that opens the entry; a member of a group is opened by its own."""
        if name not in self._tokens:
            entry = await self._entry(name)
            ask = self._groups.token if entry.is_group else self._services.token
            self._tokens[name] = await ask(entry.owner)
        return self._tokens[name]

    def forget(self, name: str) -> None:
        """What is known of the name is asked anew."""
        self._tokens.pop(name, None)
        self._entries.pop(name, None)

    async def _entry(self, name: str) -> Entry:
        if name not in self._entries:
            self._entries[name] = await self._asked(name)
        return self._entries[name]

    async def _asked(self, name: str) -> Entry:
        group, _, member = name.rpartition(".")
        try:
            service = await self._services.get(member)
            return Entry(service.name, False, service.gateway, service.endpoint)
        except NotFound as unknown:
            if group:
                raise
            try:
                found = await self._groups.get(name)
            except NotFound:
                raise NotFound(f"no service and no group named {name!r}") from unknown
            return Entry(found.name, True, found.gateway, found.endpoint)
