"""All that a gateway was told, and which resources an update makes stale. Pure but for what it holds."""

from dataclasses import dataclass, field, replace

from services.gateway.routes import EdgeSettings, Group, HostedGateway, Service, Token, Update


@dataclass(frozen=True)
class Touched:
    """What must be built anew, and what there is no more. Ordered, so that equal updates act alike."""

    services: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    gone_groups: list[str] = field(default_factory=list)


class Known:
    """Services, groups and settings, with an index from services to the groups whose routes lead there."""

    def __init__(self) -> None:
        self.services: dict[str, Service] = {}
        self.groups: dict[str, Group] = {}
        self.settings = EdgeSettings()
        self.hosted: tuple[HostedGateway, ...] = ()
        # The groups that send requests to a service, and the services that say they are in a group.
        self._groups_of: dict[str, set[str]] = {}
        self._members_of: dict[str, set[str]] = {}

    def take(self, update: Update) -> Touched:
        """Makes `update` part of what is known."""
        gone = _gone(update.full, update.services, update.removed, self.services)
        gone_groups = _gone(update.full, update.groups, update.removed_groups, self.groups)
        for name in gone:
            self._forget(name)
        for name in gone_groups:
            self._forget_group(name)
        # Looked at now, so that what is taken away and given in one update is there in the end.
        changed = {each.name for each in update.services if self.services.get(each.name) != each}
        changed_groups = {each.name for each in update.groups if self.groups.get(each.name) != each}
        opened_anew = {each.name for each in update.groups if self._tokens(each.name) != each.tokens}
        for service in update.services:
            if service.name in changed:
                self._set(service)
        for group in update.groups:
            if group.name in changed_groups:
                self._set_group(group)
        if update.settings is not None:
            self.settings = update.settings
        if update.hosted is not None:
            self.hosted = update.hosted
        return self._touched(changed, changed_groups, opened_anew.union(gone_groups), gone, gone_groups)

    def everything(self, touched: Touched) -> Touched:
        """`touched` with all there is, for a change that every route shows."""
        return replace(touched, services=list(self.services), groups=list(self.groups))

    def pages(self, touched: Touched) -> Touched:
        """`touched` with every service that shows pages, for a change of what opens them."""
        web = [name for name, each in self.services.items() if each.webservice]
        return replace(touched, services=list(dict.fromkeys([*touched.services, *web])))

    def _touched(
        self,
        changed: set[str],
        changed_groups: set[str],
        opened_anew: set[str],
        gone: list[str],
        gone_groups: list[str],
    ) -> Touched:
        # A group's routes show its members' endpoints and keepalives; a member's show the group's tokens.
        groups = changed_groups | {
            group for name in (*changed, *gone) for group in self._groups_of.get(name, ())
        }
        services = changed | {name for group in opened_anew for name in self._members_of.get(group, ())}
        return Touched(
            [name for name in sorted(services) if name in self.services],
            [name for name in sorted(groups) if name in self.groups],
            gone,
            gone_groups,
        )

    def _tokens(self, group: str) -> tuple[Token, ...] | None:
        known = self.groups.get(group)
        return known.tokens if known is not None else None

    def _set(self, service: Service) -> None:
        self._forget(service.name)
        self.services[service.name] = service
        if service.group:
            self._members_of.setdefault(service.group, set()).add(service.name)

    def _forget(self, name: str) -> None:
        old = self.services.pop(name, None)
        if old is not None and old.group:
            _drop(self._members_of, old.group, name)

    def _set_group(self, group: Group) -> None:
        self._forget_group(group.name)
        self.groups[group.name] = group
        for name in group.leads_to:
            self._groups_of.setdefault(name, set()).add(group.name)

    def _forget_group(self, name: str) -> None:
        old = self.groups.pop(name, None)
        for service in old.leads_to if old is not None else ():
            _drop(self._groups_of, service, name)


def _drop(index: dict[str, set[str]], key: str, name: str) -> None:
    held = index.get(key, set())
    held.discard(name)
    if not held:
        index.pop(key, None)


def _gone(
    full: bool,
    named: tuple[Service, ...] | tuple[Group, ...],
    removed: tuple[str, ...],
    known: dict[str, Service] | dict[str, Group],
) -> list[str]:
    if not full:
        return [name for name in removed if name in known]
    kept = {each.name for each in named}
    return [name for name in known if name not in kept]
