"""What a person sees of groups, ramps, mirrors and how requests travel."""

from datetime import UTC, datetime

from cli.output import Columns, age
from cli.quantities import length_text, share_text
from cli.resource_texts import labels_text
from easel_sdk.types import (
    ComparedPair,
    Comparison,
    DirectEndpoint,
    Group,
    GroupMember,
    MemberRule,
    Mirror,
    Ramp,
    RampPlan,
    Service,
    TrafficMode,
    TrafficState,
)

_MODES = {
    TrafficMode.AUTO: "auto: by the number of ready instances",
    TrafficMode.CUSTOMIZED: "customized: by the weights of the members",
}


def weight_text(weight: int) -> str:
    return "by instances" if weight < 0 else str(weight)


def traffic_text(service: Service) -> str:
    """What a member takes of its group's requests; empty for a service that is in no group."""
    if not service.group:
        return ""
    if service.traffic_state is TrafficState.STANDALONE:
        return "standalone: none of the group's requests, only its own"
    share = share_text(service.traffic_share)
    return f"grouping: {share} of the group's requests, weight {weight_text(service.weight)}"


def until_text(moment: datetime | None) -> str:
    """How far off a moment is: in 45s, in 3h; "over" once it is there."""
    if moment is None:
        return "never"
    now = datetime.now(UTC)
    return f"in {age(now - (moment - now))}" if moment > now else "over"


def rule_text(rule: MemberRule) -> str:
    """The rule as a sentence: what a request shows, and where it goes."""
    kind, name = ("header", rule.header) if rule.header else ("cookie", rule.cookie)
    value = f" {rule.value!r}" if rule.value else ""
    return f"{kind} {name}{value} → {rule.service}"


def ramp_plan_text(plan: RampPlan) -> str:
    """The steps in words, and what takes the member back."""
    steps = ", ".join(f"{step}%" for step in plan.steps)
    bounds = []
    if plan.max_error_rate is not None:
        bounds.append(f"more than {share_text(plan.max_error_rate)} of its requests fail")
    if plan.max_p99_increase is not None:
        bounds.append(f"its p99 is more than {share_text(plan.max_p99_increase)} above the others'")
    back = f"; back when {' or '.join(bounds)}" if bounds else ""
    least = f"; at least {plan.min_requests} requests a step" if plan.min_requests else ""
    return f"{steps}, each for {length_text(plan.every)}{back}{least}"


def step_text(ramp: Ramp) -> str:
    """Which step is in force: "step 2 of 5 (5%)"."""
    if not 0 <= ramp.step < len(ramp.plan.steps):
        return "no step"
    return f"step {ramp.step + 1} of {len(ramp.plan.steps)} ({ramp.plan.steps[ramp.step]}%)"


def ramp_lines(ramp: Ramp) -> list[tuple[str, object]]:
    return [
        ("ramp", f"{ramp.service}: {ramp.phase}, {step_text(ramp)}"),
        ("why", ramp.why),
        ("plan", ramp_plan_text(ramp.plan)),
        ("began", ramp.started_at),
        ("step began", ramp.stepped_at),
        ("finished", ramp.finished_at),
    ]


def sticky_text(group: Group) -> str:
    """How one user keeps to one member."""
    ways = [
        f"{kind} {name}"
        for kind, name in (("header", group.sticky_header), ("cookie", group.sticky_cookie))
        if name
    ]
    return ", ".join(ways)


def group_lines(group: Group) -> list[tuple[str, object]]:
    """What `easel group desc` says first, as labels and values."""
    return [
        ("group", group.name),
        ("endpoint", group.endpoint),
        ("token", f"easel group token {group.name}"),
        ("traffic mode", _MODES[group.traffic_mode]),
        ("gateway", group.gateway),
        ("sticky", sticky_text(group)),
        ("labels", labels_text(group.labels)),
        ("stays", "also without members" if group.kept else "until its last member leaves"),
        ("created", group.created_at),
        ("changed", group.updated_at),
    ]


def members_text(group: Group) -> str:
    """The members that take the group's requests, with their shares; how many do not."""
    taking = [each for each in group.members if each.traffic_state is TrafficState.GROUPING]
    apart = len(group.members) - len(taking)
    shares = [f"{each.service} {share_text(each.share)}" for each in taking]
    return ", ".join([*shares, *([f"{apart} standalone"] if apart else [])])


GROUPS: Columns[Group] = (
    ("NAME", lambda each: each.name),
    ("MODE", lambda each: each.traffic_mode),
    ("MEMBERS", members_text),
    ("RULES", lambda each: len(each.rules) or ""),
    ("STICKY", sticky_text),
    ("RAMP", lambda each: f"{each.ramp.service} {each.ramp.phase}" if each.ramp else ""),
    ("AGE", lambda each: each.created_at),
)
MEMBERS: Columns[GroupMember] = (
    ("SERVICE", lambda each: each.service),
    ("STATE", lambda each: each.traffic_state),
    ("WEIGHT", lambda each: weight_text(each.weight)),
    ("READY", lambda each: each.ready),
    ("SHARE", lambda each: share_text(each.share)),
)
MIRRORS: Columns[Mirror] = (
    ("SERVICE", lambda each: each.service),
    ("TO", lambda each: ", ".join(each.targets)),
    ("RATIO", lambda each: f"{each.ratio}%"),
    ("COMPARED", lambda each: share_text(each.compare) if each.compare else ""),
    ("PAIRS", lambda each: sum(found.pairs for found in each.comparisons) or ""),
    ("AGE", lambda each: each.created_at),
    ("WHY", lambda each: "; ".join(each.notes)),
)


def mirror_lines(mirror: Mirror) -> list[tuple[str, object]]:
    compared = f"{share_text(mirror.compare)} of the requests" if mirror.compare else "no"
    notes: list[tuple[str, object]] = [("note", each) for each in mirror.notes]
    return [
        ("mirror of", mirror.service),
        ("to", ", ".join(mirror.targets)),
        ("copies", f"{mirror.ratio}% of the requests, to each"),
        ("compared", compared),
        *notes,
        ("created", mirror.created_at),
        ("changed", mirror.updated_at),
    ]


def _of_pairs(number: int, whole: int) -> str:
    return f"{number} ({share_text(number / whole)})" if whole else str(number)


def _difference(milliseconds: float) -> str:
    return f"{milliseconds:+.1f} ms"


COMPARISONS: Columns[Comparison] = (
    ("TARGET", lambda each: each.target),
    ("PAIRS", lambda each: each.pairs),
    ("SAME STATUS", lambda each: _of_pairs(each.same_status, each.pairs)),
    ("SAME BODY", lambda each: _of_pairs(each.same_body, each.same_status)),
    ("NO ANSWER", lambda each: each.unanswered),
    ("P50", lambda each: _difference(each.latency_difference_p50_ms)),
    ("P99", lambda each: _difference(each.latency_difference_p99_ms)),
    ("SINCE", lambda each: each.since),
)


def pair_text(pair: ComparedPair) -> str:
    """One request whose answers differ: what was asked, both statuses and both latencies."""
    status = f"{pair.status} → {pair.target_status or 'no answer'}"
    took = f"{pair.latency_ms:.1f} → {pair.target_latency_ms:.1f} ms"
    return f"{age(pair.at)} ago  {pair.method} {pair.path}  {status}  {took}"


UPSTREAMS: Columns[DirectEndpoint] = (
    ("ADDRESS", lambda each: each.address),
    ("PORT", lambda each: each.port),
    ("WEIGHT", lambda each: each.weight),
)
