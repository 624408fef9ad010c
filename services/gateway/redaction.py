"""Keeps secrets out of what Envoy says of a configuration that it refuses: it quotes what it was sent."""

import re
from collections.abc import Iterable, Mapping

from services.gateway.routes import EdgeSettings, Group, Service

_MASK = "***"
_SESSION = re.compile(r"easel-[^=\s\"]+=[0-9a-f]{64}")
_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)", re.DOTALL)


def without_secrets(
    text: str,
    services: Mapping[str, Service],
    groups: Mapping[str, Group],
    settings: EdgeSettings,
    join_token: str = "",
) -> str:
    """The text with tokens, what opens pages, and private keys masked."""
    owners: Iterable[Service | Group] = (*services.values(), *groups.values())
    secrets = {token.value for owner in owners for token in owner.tokens}
    secrets |= {join_token, settings.upstream_key, *(domain.key for domain in settings.domains)}
    # The longest first, so that no part of one is left where another is its beginning.
    for secret in sorted(secrets - {""}, key=len, reverse=True):
        text = text.replace(secret, _MASK)
    return _KEY.sub(_MASK, _SESSION.sub(_MASK, text))
