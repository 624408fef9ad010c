"""What is said of a database that is away, however many writes it refuses meanwhile."""

import logging

log = logging.getLogger(__name__)


class BeingAway:
    """Says once that nothing is written and why, and once that it is over."""

    def __init__(self) -> None:
        self._refused = 0

    def lasts(self, why: str) -> None:
        """To be called for each transaction that was refused."""
        if not self._refused:
            log.warning("nothing is written", extra={"why": why})
        self._refused += 1

    def over(self) -> None:
        """To be called for each transaction that was written."""
        if self._refused:
            log.info("the database answers again", extra={"refused": self._refused})
        self._refused = 0
