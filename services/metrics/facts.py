"""What the scheduler says there is, as of now."""

from collections.abc import Callable

from easel.facts.v1 import facts_pb2 as pb


class Facts:
    """Services, nodes and gateways by name, as the scheduler told them last. Read the messages, change none.

    `instances` has the service and the facts of each instance by its id.
    """

    def __init__(self) -> None:
        self.connected = False
        # Whether a full state was told since the start.
        self.known = False
        self.services: dict[str, pb.ServiceFacts] = {}
        self.nodes: dict[str, pb.NodeFacts] = {}
        self.gateways: dict[str, pb.GatewayFacts] = {}
        # The SHA-256 of every join token.
        self.join_tokens: frozenset[str] = frozenset()
        self.instances: dict[str, tuple[str, pb.InstanceFacts]] = {}
        self._listeners: list[Callable[[], None]] = []

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Calls `listener` after each change."""
        self._listeners.append(listener)

    def take(self, told: pb.WatchResponse) -> None:
        """Takes one message of the feed: all there is, or what changed."""
        if told.full:
            self.services, self.nodes, self.gateways, self.instances = {}, {}, {}, {}
            self.known = True
        for name in told.removed_services:
            self._forget_instances(self.services.pop(name, None))
        for service in told.services:
            self._forget_instances(self.services.get(service.name))
            self.services[service.name] = service
            self.instances.update({each.id: (service.name, each) for each in service.instances})
        for name in told.removed_nodes:
            self.nodes.pop(name, None)
        self.nodes.update({node.name: node for node in told.nodes})
        for name in told.removed_gateways:
            self.gateways.pop(name, None)
        self.gateways.update({gateway.name: gateway for gateway in told.gateways})
        if told.HasField("join_tokens"):
            self.join_tokens = frozenset(told.join_tokens.sha256)
        for listener in self._listeners:
            listener()

    def _forget_instances(self, service: pb.ServiceFacts | None) -> None:
        for instance in service.instances if service is not None else ():
            self.instances.pop(instance.id, None)
