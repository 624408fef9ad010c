"""The paths that the gateway process answers by itself, and what the listener finds their scope by."""

from services.gateway.routing.rules import HOST_MARK

DISCOVERY = "/api/v1/servicediscovery/upstreams/"
# The same under the name that older clients know.
EXPORTED = "/exported/apis/eas.alibaba-inc.k8s.io/v1/upstreams/"
OPEN = "/easel/open/"
FRONT_PATHS = (DISCOVERY, EXPORTED, OPEN)
# Answered without TLS also where all else is sent on to it: who asks follows no redirect, and shows no token.
PLAIN_PATHS = (DISCOVERY, EXPORTED)
_SAYS = {
    DISCOVERY: "discovery: it says at which addresses a service answers",
    EXPORTED: "discovery: it says at which addresses a service answers",
    OPEN: "it opens the pages of a service to a browser that has a link to them",
}

# No host name: those of services have a dot.
FRONT_KEY = f"{HOST_MARK}front"


def said_of(path: str) -> str:
    """What the gateway process does with a request for this path; empty where it is no matter of its own."""
    found = (says for prefix, says in _SAYS.items() if path.startswith(prefix))
    return next((f"the gateway answers this path itself, {says}" for says in found), "")
