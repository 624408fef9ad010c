"""What a request must show to be let in: a token in one of its forms, or a cookie made of one."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from services.gateway.routes import Token
from services.gateway.routing.sessions import cookie_name, session_value


class Form(StrEnum):
    """How a token is shown."""

    PLAIN = "plain"
    BEARER = "bearer"
    SIGNATURE = "signature"
    SESSION = "session"


@dataclass(frozen=True)
class Door:
    """One way in, by any of `tokens`; a session is shown by one of `cookies`, each "name=value"."""

    form: Form
    tokens: tuple[Token, ...]
    cookies: tuple[str, ...] = ()


def doors(tokens: tuple[Token, ...], web: str = "", periods: Iterable[int] = ()) -> tuple[Door, ...]:
    """`{token}` and `Bearer {token}` for each token, then `EAS {signature}` checked against all of them.

    `web` is the service whose pages sessions open, too: those of `periods`. What has no tokens opens to
    nobody; an empty token is none.
    """
    tokens = tuple(each for each in tokens if each.value)
    if not tokens:
        return ()
    shown = [Door(form, (each,)) for each in tokens for form in (Form.PLAIN, Form.BEARER)]
    sessions = [Door(Form.SESSION, (each,), _cookies(each, web, periods)) for each in tokens if web]
    return (*shown, Door(Form.SIGNATURE, tokens), *sessions)


def counted_as(token: Token) -> str:
    """What the uses of a token are counted under where there are several: short, and no secret."""
    return "token-" + hashlib.blake2b(token.id.encode(), digest_size=6).hexdigest()


def _cookies(token: Token, service: str, periods: Iterable[int]) -> tuple[str, ...]:
    name = cookie_name(service)
    return tuple(f"{name}={session_value(token.value, service, period)}" for period in periods)
