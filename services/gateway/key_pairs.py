"""The certificates in force: from the feed or from files, watched, and the last good ones kept on disk."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from libs.domain.errors import InvalidRequest
from libs.files import replace_file
from libs.lifecycle import wait_until_any
from services.gateway.certificates import CertificateState, judged
from services.gateway.routes import Domain
from services.gateway.xds.edge import KeyPair

log = logging.getLogger(__name__)

_GLANCE = timedelta(seconds=1)


@dataclass(frozen=True)
class _Look:
    """What one look found: the pair as it is written for each domain, the good ones, and how each stands."""

    written: Mapping[str, KeyPair] = field(default_factory=dict)
    good: Mapping[str, KeyPair] = field(default_factory=dict)
    states: Mapping[str, CertificateState] = field(default_factory=dict)


class KeyPairs:
    """Holds the good pair of each domain. What would replace it and is bad is said, and the good one stays.

    Good pairs are kept in `file`, readable by its owner alone: after a restart they are in force at once.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._wanted: tuple[Domain, ...] = ()
        self._last = _Look()
        self._wake = asyncio.Event()
        self.on_changed: Callable[[], Awaitable[None]] = _nothing
        self.on_states: Callable[[tuple[CertificateState, ...]], None] = lambda states: None

    def restore(self) -> None:
        """Takes up what was in force before a restart. Blocks for a moment; call it once, first."""
        try:
            kept = json.loads(self._file.read_text())
            self._last = _Look(good={domain: KeyPair(**pair) for domain, pair in kept.items()})
        except FileNotFoundError:
            return
        except (OSError, ValueError, TypeError, AttributeError) as unreadable:
            log.warning("the kept certificates cannot be read", extra={"why": str(unreadable)})

    def of(self, domains: tuple[Domain, ...]) -> dict[str, KeyPair]:
        """The good pairs of these domains, which from now on are the ones that are looked after."""
        if domains != self._wanted:
            self._wanted = domains
            self._wake.set()
        good = self._last.good
        return {each.name: good[each.name] for each in domains if each.name in good}

    async def run(self, until: asyncio.Event) -> None:
        """Looks at the files every second, and at once when other domains are asked for."""
        while not until.is_set():
            self._wake.clear()
            before, self._last = self._last, await asyncio.to_thread(_look, self._wanted, self._last)
            if self._last.states != before.states:
                self._say(before.states)
            if self._last.good != before.good:
                await asyncio.to_thread(self._keep)
                await self.on_changed()
            await wait_until_any(_GLANCE, self._wake, until)

    def _say(self, before: Mapping[str, CertificateState]) -> None:
        for domain, state in self._last.states.items():
            if state.why and state != before.get(domain):
                log.error("a certificate is not in force", extra={"domain": domain, "why": state.why})
        self.on_states(tuple(self._last.states.values()))

    def _keep(self) -> None:
        kept = {domain: asdict(pair) for domain, pair in self._last.good.items()}
        try:
            replace_file(self._file, json.dumps(kept).encode())
        except OSError as refused:
            log.error("the certificates in force cannot be kept", extra={"why": str(refused)})


def _look(wanted: tuple[Domain, ...], last: _Look) -> _Look:
    written: dict[str, KeyPair] = {}
    good: dict[str, KeyPair] = {}
    states: dict[str, CertificateState] = {}
    for domain in wanted:
        if not (domain.certificate or domain.certificate_file):
            continue
        name = domain.name
        if name in last.good:
            good[name] = last.good[name]
        try:
            written[name] = _read(domain)
            if written[name] == last.written.get(name):
                states[name] = last.states[name]
                continue
            states[name] = CertificateState(name, judged(written[name]))
            good[name] = written[name]
        except (ValueError, InvalidRequest) as refused:
            states[name] = CertificateState(name, _end_of(good.get(name)), str(refused))
    return _Look(written, good, states)


def _read(domain: Domain) -> KeyPair:
    """Blocks; raises ValueError for a file that cannot be read, or is no text."""
    certificate = domain.certificate or _text_of(domain.certificate_file)
    return KeyPair(certificate, domain.key or _text_of(domain.key_file))


def _text_of(file: str) -> str:
    try:
        return Path(file).read_text()
    except OSError as refused:
        raise ValueError(f"file {file} cannot be read: {refused.strerror}") from refused
    except UnicodeDecodeError as broken:
        raise ValueError(f"file {file} is no text") from broken


def _end_of(pair: KeyPair | None) -> datetime | None:
    return judged(pair) if pair is not None else None


async def _nothing() -> None:
    return
