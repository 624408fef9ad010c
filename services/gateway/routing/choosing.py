"""Which services may take a request, as Envoy decides it, and how likely each is to."""

from dataclasses import dataclass

from services.gateway.routes import Service
from services.gateway.routing.hashing import xxh64
from services.gateway.routing.members import WHOLE, Choice, Hashed, Share, Shows
from services.gateway.routing.request import Request


@dataclass(frozen=True)
class Likely:
    """A service, and which share of requests like this one it takes."""

    service: Service
    share: float


@dataclass(frozen=True)
class Chosen:
    """Who may take a request; nobody where it is empty. `step` says what decided, if there was a choice."""

    likely: tuple[Likely, ...]
    step: str = ""


def chosen(request: Request, choices: tuple[Choice, ...]) -> Chosen:
    """The first choice whose condition holds; where chance decides, all that it may fall on."""
    for choice in choices:
        match choice.when:
            case Shows() as shows if _shown(request, shows):
                return Chosen(
                    (Likely(choice.service, 1.0),), f"{_what(shows)} sends it to {choice.service.name}"
                )
            case Hashed() as hashed if _reached(request, hashed):
                step = f"the hash of the header {hashed.header} sends it to {choice.service.name}"
                return Chosen((Likely(choice.service, 1.0),), step)
    drawn = [each for each in choices if each.when is None or isinstance(each.when, Share)]
    if len(drawn) < 2:
        return Chosen(tuple(Likely(each.service, 1.0) for each in drawn))
    likely, before = [], 0
    for choice in drawn:
        below = choice.when.below if isinstance(choice.when, Share) else WHOLE
        likely.append(Likely(choice.service, (below - before) / WHOLE))
        before = below
    shares = ", ".join(f"{each.service.name} {each.share:.4g}" for each in likely)
    return Chosen(tuple(likely), f"weights decide: {shares}")


def _shown(request: Request, shows: Shows) -> bool:
    if shows.cookie:
        return request.has_cookie(shows.cookie, shows.value)
    value = request.header(shows.header)
    return value is not None and (not shows.value or value == shows.value)


def _reached(request: Request, hashed: Hashed) -> bool:
    value = request.header(hashed.header)
    return value is not None and xxh64(value.encode()) % WHOLE >= hashed.start


def _what(shows: Shows) -> str:
    kind, name = ("cookie", shows.cookie) if shows.cookie else ("header", shows.header)
    return f"the {kind} {name}={shows.value}" if shows.value else f"the {kind} {name}"
