"""The three forms in which a client may show a token, as matches that Envoy decides by itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from envoy.config.core.v3.base_pb2 import DataSource
from envoy.config.route.v3.route_components_pb2 import HeaderMatcher
from envoy.extensions.filters.http.lua.v3.lua_pb2 import Lua, LuaPerRoute
from envoy.type.matcher.v3.string_pb2 import StringMatcher
from google.protobuf.struct_pb2 import Struct

from services.gateway.xds.wire import packed

SIGNATURE_FILTER = "envoy.filters.http.lua"
_SCRIPT = Path(__file__).with_name("signature.lua")


@dataclass(frozen=True)
class Door:
    """One way in: the header that a request must show, and the filters that then look closer."""

    header: Any
    filters: Mapping[str, Any] = field(default_factory=dict)


def doors(tokens: tuple[str, ...]) -> list[Door]:
    """`{token}` and `Bearer {token}` for each token, then `EAS {signature}` checked against all of them.

    A service without tokens opens to nobody; an empty token is none.
    """
    tokens = tuple(each for each in tokens if each)
    plain = [Door(_authorization(exact=form)) for each in tokens for form in (each, f"Bearer {each}")]
    if not tokens:
        return []
    return [*plain, Door(_authorization(prefix="EAS "), {SIGNATURE_FILTER: _checked_against(tokens)})]


def signature_check() -> Any:
    """The filter that checks signatures; it runs only on routes that name tokens for it."""
    return packed(Lua(default_source_code=DataSource(inline_string=_SCRIPT.read_text())))


def _checked_against(tokens: tuple[str, ...]) -> Any:
    context = Struct()
    context.update({"tokens": list(tokens)})
    return packed(LuaPerRoute(filter_context=context))


def _authorization(**match: str) -> Any:
    return HeaderMatcher(name="authorization", string_match=StringMatcher(**match))
