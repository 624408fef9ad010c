"""How it stands with a gateway: whether it is there, and what keeps it from its work. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from libs.domain.traffic import SHARED_GATEWAY, Gateway
from services.scheduler.routes.gateways import Gateway as Link


@dataclass(frozen=True)
class Standing:
    """`why` is empty when all is well, and for one that is not connected says what is missing."""

    connected: bool
    envoys: int
    why: str

    @property
    def serves(self) -> bool:
        """Whether an Envoy is connected that takes what it is told."""
        return self.connected and self.envoys > 0


def standing(name: str, record: Gateway | None, links: Sequence[Link]) -> Standing:
    """What its connections say together, and what follows from there being none."""
    if not links:
        return Standing(False, 0, _missing(name, record))
    envoys = sum(link.envoys for link in links)
    reasons = list(dict.fromkeys(link.why for link in links if link.why))
    if not envoys and not reasons:
        reasons.append("it has no Envoy yet, so nothing is answered there")
    at = links[0].port
    if record is not None and record.host and at and record.port != at and not reasons:
        reasons.append(f"it is at port {at} still, on its way to port {record.port}")
    if record is None and name != SHARED_GATEWAY and not links[0].node:
        reasons.append("nobody has created a gateway of this name, so no service is on it")
    return Standing(True, envoys, "; ".join(reasons))


def _missing(name: str, record: Gateway | None) -> str:
    if record is not None and record.host:
        return f"the process of gateway {record.host!r} does not run it yet"
    return f"no process of it is connected; one is started with EASEL_GATEWAY_NAME={name}"
