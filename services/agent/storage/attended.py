"""A `Phase` that ends the work of threads when nobody waits for it any more."""

from libs.domain.states import InstanceState
from services.agent.runtime.port import Phase


class GivenUp(Exception):
    """Whoever asked for the work was cancelled; only a thread that went on sees this."""


class Attended:
    """Passes on what it is told until `stop`. From then on a thread ends at its next sign of life."""

    def __init__(self, phase: Phase) -> None:
        self._phase, self._stopped = phase, False

    def stop(self) -> None:
        self._stopped = True

    def __call__(self, state: InstanceState, why: str) -> None:
        self._check()
        self._phase(state, why)

    def progress(self, what: str, done_bytes: int, total_bytes: int = 0) -> None:
        self._check()
        self._phase.progress(what, done_bytes, total_bytes)

    def moved(self) -> None:
        self._check()
        self._phase.moved()

    def _check(self) -> None:
        if self._stopped:
            raise GivenUp
