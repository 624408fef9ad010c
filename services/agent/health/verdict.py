"""What all that is known of one run says about it: pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from libs.domain.causes import Cause
from libs.spec.probe import Probe
from services.agent.health.answers import Answer, Check, Counted, counted, sentence_of
from services.agent.runtime.port import Finding
from services.agent.workload import Probes

_CAUSES = {
    Check.STARTUP: Cause.STARTUP_PROBE_FAILED,
    Check.LIVENESS: Cause.LIVENESS_PROBE_FAILED,
    Check.READINESS: Cause.READINESS_PROBE_FAILED,
}
_UNKNOWN = Counted()


@dataclass(frozen=True)
class Health:
    """The verdict. `condemned`: it has to be started anew, for the reason of `finding`."""

    ready: bool = False
    warming_up: bool = False
    condemned: bool = False
    finding: Finding | None = None
    # What it is busy with, while that is no trouble.
    doing: str = ""


@dataclass(frozen=True)
class Known:
    """What is known of one run so far; each method gives what is known after one more thing."""

    probes: Probes
    listening: bool = False
    # Whether it was ready before, so that not listening is a loss.
    was_ready: bool = False
    warm: bool = True
    # Why it does not listen, has stalled, or is not warm.
    unheard: Finding | None = None
    stalled: Finding | None = None
    cold: Finding | None = None
    doing: str = ""
    answers: Mapping[Check, Counted] = field(default_factory=dict)

    def heard(self, listening: bool, loss: Finding | None) -> "Known":
        """`loss` is what is wrong when it listened and does so no longer."""
        return replace(self, listening=listening, unheard=None if listening else loss)

    def answered(self, check: Check, answer: Answer) -> "Known":
        probe = probe_of(self.probes, check)
        assert probe is not None  # noqa: S101
        now = counted(self.answers.get(check, _UNKNOWN), answer, probe)
        return replace(self, answers={**self.answers, check: now})

    @property
    def started(self) -> bool:
        """The other checks begin when the startup check has passed once."""
        return self.probes.startup is None or self._verdict(Check.STARTUP) is True

    @property
    def passes(self) -> bool:
        """Whether it could take traffic, were it warm."""
        ready = self.probes.readiness is None or self._verdict(Check.READINESS) is True
        return self.started and self.listening and ready

    def health(self) -> Health:
        for check in (Check.STARTUP, Check.LIVENESS):
            if self._verdict(check) is False:
                return Health(condemned=True, finding=self._finding(check))
        if self.stalled is not None:
            return Health(condemned=True, finding=self.stalled)
        if self.passes:
            return Health(self.warm, warming_up=not self.warm, finding=self.cold, doing=self.doing)
        if self.unheard is not None and not self.listening:
            return Health(finding=self.unheard)
        if self._verdict(Check.READINESS) is False:
            return Health(finding=self._finding(Check.READINESS))
        return Health()

    def _verdict(self, check: Check) -> bool | None:
        return self.answers.get(check, _UNKNOWN).verdict

    def _finding(self, check: Check) -> Finding:
        probe = probe_of(self.probes, check)
        assert probe is not None  # noqa: S101
        return Finding(_CAUSES[check], sentence_of(self._key(check), self.answers[check], probe))

    def _key(self, check: Check) -> str:
        """Both by one probe: its owner wrote health_check."""
        shared = self.probes.liveness is self.probes.readiness and check is not Check.STARTUP
        return "health_check" if shared else check.value


def probe_of(probes: Probes, check: Check) -> Probe | None:
    match check:
        case Check.STARTUP:
            return probes.startup
        case Check.LIVENESS:
            return probes.liveness
        case Check.READINESS:
            return probes.readiness


def recalled(probes: Probes, *, ready: bool) -> Known:
    """Of a run that was ready at some time: it has started and is warm.

    If it was `ready` when it was seen last, it is so until enough answers say otherwise.
    """
    verdicts = {Check.STARTUP: True, Check.READINESS: ready or None}
    answers = {check: Counted(each) for check, each in verdicts.items() if probe_of(probes, check)}
    return Known(probes, listening=ready, was_ready=True, answers=answers)
