"""A service under a policy, second by second, for tests of decisions."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from services.autoscaler.cron import Timetable
from services.autoscaler.policies.decide import decide
from services.autoscaler.policies.model import Decision, Observed, Policy, Reading, State, Target

BEGIN = 1_800_000_000.0


def a_policy(metric: str = "qps", threshold: float = 10, **changes: Any) -> Policy:
    """One metric, 1 to 100 instances, and no burst window unless it is asked for."""
    policy = Policy(1, 100, (Target(metric, threshold),))
    return replace(policy, **{"burst": replace(policy.burst, enabled=False), **changes})


@dataclass
class Story:
    """Looks at one service once a second; what is decided is there at once, ready unless said otherwise."""

    policy: Policy | None
    current: int = 1
    timetable: Timetable | None = None
    now: float = BEGIN
    state: State = field(default_factory=State)
    said: list[Decision] = field(default_factory=list)

    def look(
        self, *values: float | None, burst: Sequence[float | None] | None = None, **observed: Any
    ) -> Decision:
        """One look, with the value of each target; over the burst window the same unless said otherwise."""
        short = values if burst is None else burst
        seen = Observed(
            readings=tuple(Reading(each, at_once) for each, at_once in zip(values, short, strict=True)),
            **{"ready": self.current, **observed},
        )
        decision, self.state = decide(self.policy, self.timetable, seen, self.current, self.now, self.state)
        self.current = decision.wanted
        self.now += 1
        self.said.append(decision)
        return decision

    def for_s(self, seconds: int, *values: float | None, **observed: Any) -> list[int]:
        """So many looks that show the same; the sizes after each."""
        return [self.look(*values, **observed).wanted for _ in range(seconds)]
