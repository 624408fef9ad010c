"""The paths that the gateway process answers by itself, and what the listener finds their scope by."""

from services.gateway.routing.rules import HOST_MARK

DISCOVERY = "/api/v1/servicediscovery/upstreams/"
# The same under the name that older clients know.
EXPORTED = "/exported/apis/eas.alibaba-inc.k8s.io/v1/upstreams/"
OPEN = "/easel/open/"
FRONT_PATHS = (DISCOVERY, EXPORTED, OPEN)

# No host name: those of services have a dot.
FRONT_KEY = f"{HOST_MARK}front"
