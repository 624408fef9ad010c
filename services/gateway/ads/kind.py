"""What is known of one type of resource on one Envoy's stream."""

from dataclasses import dataclass, field

from services.gateway.xds.resource import Resource


@dataclass
class Kind:
    """The state of one type on this stream. Versions: acknowledged, on the way, refused."""

    everything: bool = False
    names: set[str] = field(default_factory=set)
    acked: dict[str, str] = field(default_factory=dict)
    sent: dict[str, str | None] = field(default_factory=dict)
    refused: dict[str, str | None] = field(default_factory=dict)
    dirty: dict[str, None] = field(default_factory=dict)
    # Sent one a response, because a response that held it and others was refused.
    alone: set[str] = field(default_factory=set)
    on_the_way: dict[str, dict[str, Resource | None]] = field(default_factory=dict)
    # The clusters that what is acknowledged names, as far as they are known.
    leads_to: dict[str, tuple[str, ...]] = field(default_factory=dict)
    first_answer_due: bool = True

    def has(self, name: str) -> str | None:
        """The version that Envoy will have when all that is on the way has arrived."""
        return self.sent[name] if name in self.sent else self.acked.get(name)

    def took(self, name: str, resource: Resource | None) -> None:
        """Notes what Envoy has in force under a name; None for nothing."""
        if resource is None:
            self.acked.pop(name, None)
            self.leads_to.pop(name, None)
        else:
            self.acked[name] = resource.version
            if resource.needs:
                self.leads_to[name] = resource.needs
            else:
                self.leads_to.pop(name, None)

    def forget(self, name: str) -> None:
        """Drops what was known of a name that Envoy no longer asks for."""
        self.took(name, None)
        self.sent.pop(name, None)
        self.refused.pop(name, None)
        self.dirty.pop(name, None)
        self.alone.discard(name)
