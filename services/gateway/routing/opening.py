"""Which door a request comes in by, as Envoy decides it."""

import base64
import hashlib
import hmac
from dataclasses import dataclass

from services.gateway.routes import Token
from services.gateway.routing.doors import Door, Form
from services.gateway.routing.request import Request

SIGNED = "EAS "
# Of what a signature is over, in bytes; the filter that checks signatures knows the same number.
_LONGEST_SIGNED = 8192
_SAID = {Form.PLAIN: "plain", Form.BEARER: "as Bearer"}


@dataclass(frozen=True)
class Opened:
    """The token that opens an entry, None where nothing does, and what is said of it."""

    token: Token | None
    step: str
    # The request came with a signature, which is looked at apart from the routes.
    signed: bool = False


def opened(request: Request, doors: tuple[Door, ...]) -> Opened:
    """A token that is shown wins over a signature, and both over a session."""
    if not doors:
        return Opened(None, "it has no token, so nothing opens it")
    shown = request.header("authorization")
    for door in doors:
        if door.form in _SAID and shown == _as_header(door):
            return Opened(door.tokens[0], f"the token {_named(door.tokens[0])} opens it, {_SAID[door.form]}")
    if shown is not None and shown.startswith(SIGNED):
        return _signed(request, doors, shown.removeprefix(SIGNED))
    for door in doors:
        if any(each in (request.header("cookie") or "") for each in door.cookies):
            return Opened(door.tokens[0], f"a session made of the token {_named(door.tokens[0])} opens it")
    if shown is None:
        return Opened(None, "the request has no header Authorization, and nothing else opens it")
    return Opened(None, "the header Authorization shows none of its tokens, and nothing else opens it")


def signature(token: str, request: Request, path: str) -> str:
    """What a client that knows the token signs such a request with."""
    text = _signed_text(request, path)
    return base64.b64encode(hmac.new(token.encode(), text, hashlib.sha1).digest()).decode()


def _signed(request: Request, doors: tuple[Door, ...], shown: str) -> Opened:
    if len(_signed_text(request, request.path)) > _LONGEST_SIGNED:
        return Opened(None, f"a signature is over at most {_LONGEST_SIGNED} bytes", signed=True)
    tokens = [token for door in doors if door.form is Form.SIGNATURE for token in door.tokens]
    for token in tokens:
        if shown in {signature(token.value, request, path) for path in (request.path, request.bare_path)}:
            return Opened(token, f"a signature made with the token {_named(token)} opens it", signed=True)
    return Opened(None, "the signature fits none of its tokens", signed=True)


def _signed_text(request: Request, path: str) -> bytes:
    named = (request.header(each) or "" for each in ("content-md5", "content-type", "date"))
    return "\n".join(("POST", *named, path)).encode()


def _as_header(door: Door) -> str:
    value = door.tokens[0].value
    return f"Bearer {value}" if door.form is Form.BEARER else value


def _named(token: Token) -> str:
    return repr(token.id) if token.id else "without a name"
