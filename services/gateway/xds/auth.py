"""The forms in which a client may show a token, as matches that Envoy decides by itself."""

from collections.abc import Iterable, Mapping
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
SIGNED = "EAS "
_SCRIPT = Path(__file__).with_name("signature.lua")


def headers_of(door: Door) -> tuple[str, ...]:
    """The values of `Authorization` that open a door; empty where it is opened otherwise."""
    match door.form:
        case Form.PLAIN:
            return tuple(each.value for each in door.tokens)
        case Form.BEARER:
            return tuple(f"Bearer {each.value}" for each in door.tokens)
        case _:
            return ()


def shown(door: Door) -> Iterable[Any]:
    """The headers of which a request must have one to come in by this door."""
    if door.form is Form.SIGNATURE:
        return [HeaderMatcher(name="authorization", string_match=StringMatcher(prefix=SIGNED))]
    if door.form is Form.SESSION:
        # Whoever knows the value may come in, whatever stands around it.
        return [
            HeaderMatcher(name="cookie", string_match=StringMatcher(contains=each)) for each in door.cookies
        ]
    return [
        HeaderMatcher(name="authorization", string_match=StringMatcher(exact=each))
        for each in headers_of(door)
    ]


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
