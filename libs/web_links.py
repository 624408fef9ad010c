"""How a link to a service's pages is signed: the scheduler makes links, a gateway checks them."""

import hashlib
import hmac


def signature(token: str, service: str, until: str) -> str:
    """HMAC-SHA256 in hex, keyed by one of the service's tokens, over what the link opens and until when.

    `until` is seconds since 1970, as text.
    """
    return hmac.new(token.encode(), f"easel-link\n{service}\n{until}".encode(), hashlib.sha256).hexdigest()
