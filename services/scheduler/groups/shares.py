"""What each member takes of its group's requests. Pure; whole numbers, the same for gateways and people."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import gcd

from libs.domain.records import Service
from libs.domain.states import RampPhase, TrafficMode, TrafficState
from libs.domain.traffic import BY_INSTANCES, Group, Ramp

HIGHEST_WEIGHT = 1000


@dataclass(frozen=True)
class Share:
    """A member's weight among the others', and its share of the group's requests now, from 0 to 1."""

    service: str
    weight: int
    ready: int
    share: float


def group_shares(
    group: Group, members: Iterable[Service], ready: Mapping[str, int], ramp: Ramp | None
) -> tuple[Share, ...]:
    """Of every member, by name; standalone ones take nothing. `ready` counts their instances in the routes.

    As gateways do: members without a ready instance are left out while another has one.
    """
    by_name = sorted(members, key=lambda member: member.name)
    weights = told_weights(group_weights(group, by_name, ready, ramp), ready)
    reached = {name: weight for name, weight in weights.items() if ready.get(name)} or weights
    total = sum(reached.values())
    return tuple(
        Share(
            service=member.name,
            weight=weights.get(member.name, 0),
            ready=ready.get(member.name, 0),
            share=reached.get(member.name, 0) / total if total else 0.0,
        )
        for member in by_name
    )


def group_weights(
    group: Group, members: Iterable[Service], ready: Mapping[str, int], ramp: Ramp | None
) -> dict[str, int]:
    """Of the members that take the group's requests, by name.

    By their ready instances or their own weights, as the group's traffic mode says; while a ramp is under way
    its percent goes to its member, and the rest to the others in proportion to what they would have.
    """
    weights = {
        member.name: _weight(group, member, ready.get(member.name, 0))
        for member in members
        if member.traffic_state is TrafficState.GROUPING
    }
    if ramp is None or ramp.phase is not RampPhase.RUNNING or ramp.service not in weights:
        return weights
    others = {name: weight for name, weight in weights.items() if name != ramp.service}
    return _divided(ramp.service, ramp.steps[ramp.step], others)


def told_weights(weights: Mapping[str, int], ready: Mapping[str, int]) -> dict[str, int]:
    """What gateways are told of these weights: the same, while one that has a weight has a ready instance.

    Else those answer that have instances though no weight, by these: the old version after a ramp, say, when
    nothing is left of the new one. One that is to answer in no case is standalone.
    """
    there = {name: ready.get(name, 0) for name in weights}
    answered = any(weights[name] and there[name] for name in weights)
    return dict(weights) if answered or not any(there.values()) else there


def fixed_weights(member: str, percent: int, others: Mapping[str, int]) -> dict[str, int]:
    """Weights from 0 to 1000 by which `member` has `percent` and the others the rest, as before among them.

    Others that have nothing to go by, since none of them has a ready instance, have the same each.
    """
    known = others if sum(others.values()) else dict.fromkeys(others, 1)
    exact = _divided(member, percent, known)
    total, largest = sum(exact.values()), max(exact.values())
    if 100 % total == 0:
        # People read them as percents then.
        return {name: weight * 100 // total for name, weight in exact.items()}
    if largest <= HIGHEST_WEIGHT:
        return exact
    return {
        name: max(1, round(weight * HIGHEST_WEIGHT / largest)) if weight else 0
        for name, weight in exact.items()
    }


def _weight(group: Group, member: Service, ready: int) -> int:
    if group.traffic_mode is TrafficMode.AUTO or member.weight == BY_INSTANCES:
        return ready
    return member.weight


def _divided(member: str, percent: int, others: Mapping[str, int]) -> dict[str, int]:
    total = sum(others.values())
    weights = {name: (100 - percent) * weight for name, weight in others.items()}
    weights[member] = percent * total or 1
    common = gcd(*weights.values())
    return {name: weight // common for name, weight in sorted(weights.items())}
