"""The forms in which a client may show a token, as matches that Envoy decides by itself."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from envoy.config.core.v3.base_pb2 import DataSource
from envoy.config.route.v3.route_components_pb2 import HeaderMatcher
from envoy.extensions.filters.http.lua.v3.lua_pb2 import Lua, LuaPerRoute
from envoy.type.matcher.v3.string_pb2 import StringMatcher
from google.protobuf.struct_pb2 import Struct

from services.gateway.routing.doors import Door, Form
from services.gateway.xds.wire import packed

SIGNATURE_FILTER = "envoy.filters.http.lua"
_SCRIPT = Path(__file__).with_name("signature.lua")


def shown(door: Door) -> Any:
    """The header that a request must have to come in by this door."""
    match door.form:
        case Form.PLAIN:
            return _authorization(exact=door.tokens[0].value)
        case Form.BEARER:
            return _authorization(exact=f"Bearer {door.tokens[0].value}")
        case Form.SIGNATURE:
            return _authorization(prefix="EAS ")


def looked_at_closer(door: Door) -> Mapping[str, Any]:
    """The filters that decide what a route cannot, with what they need to know."""
    if door.form is not Form.SIGNATURE:
        return {}
    context = Struct()
    context.update({"tokens": [each.value for each in door.tokens]})
    return {SIGNATURE_FILTER: packed(LuaPerRoute(filter_context=context))}


def signature_check() -> Any:
    """The filter that checks signatures; it runs only on routes that name tokens for it."""
    return packed(Lua(default_source_code=DataSource(inline_string=_SCRIPT.read_text())))


def _authorization(**match: str) -> Any:
    return HeaderMatcher(name="authorization", string_match=StringMatcher(**match))
