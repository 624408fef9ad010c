"""What a request must show to be let in: a token in one of its forms."""

from dataclasses import dataclass
from enum import StrEnum

from services.gateway.routes import Token


class Form(StrEnum):
    """How a token is shown."""

    PLAIN = "plain"
    BEARER = "bearer"
    SIGNATURE = "signature"


@dataclass(frozen=True)
class Door:
    """One way in, by any of `tokens`."""

    form: Form
    tokens: tuple[Token, ...]


def doors(tokens: tuple[Token, ...]) -> tuple[Door, ...]:
    """`{token}` and `Bearer {token}` for each token, then `EAS {signature}` checked against all of them.

    What has no tokens opens to nobody; an empty token is none.
    """
    tokens = tuple(each for each in tokens if each.value)
    if not tokens:
        return ()
    shown = [Door(form, (each,)) for each in tokens for form in (Form.PLAIN, Form.BEARER)]
    return (*shown, Door(Form.SIGNATURE, tokens))
