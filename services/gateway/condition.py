"""Whether a gateway does what its settings ask for: what does not work, and how its certificates stand."""

from collections.abc import Callable
from dataclasses import dataclass

from services.gateway.certificates import CertificateState


@dataclass(frozen=True)
class Condition:
    """`why` is empty when all is well."""

    why: str = ""
    certificates: tuple[CertificateState, ...] = ()


class Conditions:
    """Gathers what the parts of a gateway say, and tells when that changes."""

    def __init__(self) -> None:
        self._why: dict[str, str] = {}
        self._certificates: tuple[CertificateState, ...] = ()
        self.on_changed: Callable[[Condition], None] = lambda condition: None

    @property
    def now(self) -> Condition:
        """What holds now."""
        bad = [f"certificate of {each.domain}: {each.why}" for each in self._certificates if each.why]
        return Condition("; ".join([*filter(None, self._why.values()), *bad]), self._certificates)

    def say(self, part: str, why: str) -> None:
        """What does not work in one part of the gateway; empty once it does."""
        before = self.now
        self._why[part] = why
        self._tell(before)

    def certificates(self, states: tuple[CertificateState, ...]) -> None:
        """How it stands with each certificate."""
        before = self.now
        self._certificates = states
        self._tell(before)

    def _tell(self, before: Condition) -> None:
        if self.now != before:
            self.on_changed(self.now)
