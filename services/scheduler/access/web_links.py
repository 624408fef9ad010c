"""Links that open a service's pages in a browser for a while, without a token in them. Pure.

A gateway checks the signature, which is keyed by one of the service's tokens, and sets the cookie that the
browser shows from then on.
"""

import math
from datetime import datetime, timedelta
from urllib.parse import urlencode, urlsplit

from libs.domain.errors import FailedPrecondition, InvalidRequest
from libs.domain.records import Service
from libs.domain.spans import span_text
from libs.spec.refusal import Words
from libs.web_links import signature

VALID_FOR = timedelta(minutes=5)
LONGEST = timedelta(days=1)


def expiry(valid_for: timedelta | None, now: datetime) -> datetime:
    """When a link that is made now ends. Raises InvalidRequest."""
    span = VALID_FOR if valid_for is None else valid_for
    if not timedelta() < span <= LONGEST:
        raise InvalidRequest("valid_for", Words(span_text(span)), "more than 0, a day at most")
    return now + span


def web_link(service: Service, webservice: bool, base_url: str, expires_at: datetime) -> str:
    """The link below `base_url`, the gateway's or the service's own host. Raises FailedPrecondition."""
    if not webservice:
        raise FailedPrecondition(
            f"service {service.name!r} shows no pages: its service.json lacks metadata.enable_webservice"
        )
    until = str(math.ceil(expires_at.timestamp()))
    query = urlencode({"until": until, "sig": signature(service.token, service.name, until)})
    return f"{base_url.rstrip('/')}/easel/open/{service.name}?{query}"


def host_url(public_url: str, service: str, domain: str) -> str:
    """A service's own host below a gateway's domain, with the scheme and port of the gateway's public URL."""
    parts = urlsplit(public_url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{service}.{domain}{port}"
