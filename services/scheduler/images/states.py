"""How far each node is with the images it was asked for: as agents say it, in memory only."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from easel.agent.v1 import agent_pb2
from easel.common.v1 import common_pb2
from libs.db.changes import Changes
from libs.domain.assets import ImagePull
from libs.domain.records import Event, Node
from libs.domain.states import EventKind, NodeState, Runtime
from services.scheduler.secrets.vault import Vault
from services.scheduler.world import World


@dataclass(frozen=True)
class PullState:
    """What one node said last of one pull. `failed_before` until it is done: it was told as an event."""

    done: bool = False
    failed: bool = False
    why: str = ""
    progress: common_pb2.Progress | None = None
    failed_before: bool = False


# By the id of the pull, then by node.
States = Mapping[str, Mapping[str, PullState]]


class PullStates:
    """A level: every agent tells it again when it connects."""

    def __init__(self, started_at: datetime) -> None:
        self.started_at = started_at
        self.states: dict[str, dict[str, PullState]] = {}

    def take(self, world: World, node: str, reports: Iterable[agent_pb2.ImagePullReport]) -> None:
        """Takes over what `node` says of pulls that there are."""
        for report in reports:
            if report.id in world.image_pulls:
                of_pull = self.states.setdefault(report.id, {})
                of_pull[node] = _after(of_pull.get(node), report)

    def heard(self, changes: Changes) -> None:
        """A ledger listener: forgets the pulls and the nodes that are gone."""
        for record in changes.delete:
            if isinstance(record, ImagePull):
                self.states.pop(record.id, None)
            elif isinstance(record, Node):
                for of_pull in self.states.values():
                    of_pull.pop(record.name, None)


def pull_events(
    world: World,
    known: PullStates,
    node: str,
    reports: Iterable[agent_pb2.ImagePullReport],
    now: datetime,
) -> Changes:
    """An event for each pull that `node` ended, and one for the first failure of each.

    What was done before this scheduler started was told by the one before it.
    """
    events = []
    for report in reports:
        pull = world.image_pulls.get(report.id)
        if pull is None:
            continue
        before = known.states.get(report.id, {}).get(node)
        ended_earlier = before is None and pull.created_at < known.started_at
        if report.done and not ended_earlier and not (before and before.done):
            events.append(_event(EventKind.NORMAL, "ImagePulled", f"has {pull.image}", node, now))
        elif report.failed and not (before and before.failed_before):
            why = f"{pull.image} could not be pulled: {report.why}"
            events.append(_event(EventKind.WARNING, "ImagePullFailed", why, node, now))
    return Changes(events=tuple(events))


def on_nodes(world: World, pull: ImagePull, states: States, vault: Vault) -> list[tuple[str, PullState]]:
    """Every node of the pull's group with what is known of it, by name. Pure."""
    said = states.get(pull.id, {})
    nodes = sorted(n.name for n in world.nodes.values() if n.resource_group == pull.resource_group)
    unreadable = vault.login(pull) is None
    return [(name, _shown(world.nodes[name], said.get(name), unreadable)) for name in nodes]


def _shown(node: Node, said: PullState | None, unreadable: bool) -> PullState:
    if node.runtime is Runtime.PROCESS:
        return PullState(why="this node runs processes and has no images")
    if said is not None and said.done:
        return said
    if unreadable:
        return PullState(failed=True, why="the login of its registry cannot be read; see `easel secret ls`")
    if node.state is not NodeState.READY:
        return PullState(why=f"the node is {node.state.value.lower()}")
    return said or PullState(why="its agent has not answered yet")


def _after(before: PullState | None, report: agent_pb2.ImagePullReport) -> PullState:
    return PullState(
        done=report.done,
        failed=report.failed,
        why=report.why,
        progress=report.progress if report.HasField("progress") else None,
        failed_before=not report.done and (report.failed or (before is not None and before.failed_before)),
    )


def _event(kind: EventKind, reason: str, why: str, node: str, now: datetime) -> Event:
    return Event(now, kind, reason, why, "node", node)
