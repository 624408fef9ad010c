"""A share of a service's requests is recorded with their answers, while the gateway process asks for some.

The recording filter stands in the listener switched off. The routes of a service whose answers are compared
switch it on for a share of their requests. Even there it records nothing but while Envoy's admin page is
asked to (`comparing/recorder.py`), and then into memory, as many as were asked for.
"""

from typing import Any

from envoy.config.core.v3.base_pb2 import RuntimeFractionalPercent
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig as Extension
from envoy.extensions.common.matching.v3.extension_matcher_pb2 import (
    ExtensionWithMatcher,
    ExtensionWithMatcherPerRoute,
)
from envoy.extensions.common.tap.v3.common_pb2 import AdminConfig, CommonExtensionConfig
from envoy.extensions.filters.common.matcher.action.v3.skip_action_pb2 import SkipFilter
from envoy.extensions.filters.http.tap.v3.tap_pb2 import Tap
from envoy.extensions.matching.input_matchers.runtime_fraction.v3.runtime_fraction_pb2 import RuntimeFraction
from envoy.type.matcher.v3.http_inputs_pb2 import HttpRequestHeaderMatchInput
from envoy.type.v3.percent_pb2 import FractionalPercent
from xds.core.v3.extension_pb2 import TypedExtensionConfig
from xds.type.matcher.v3.matcher_pb2 import Matcher

from services.gateway.routes import Mirror, Service
from services.gateway.xds.wire import packed

SAMPLE_FILTER = "easel.sample"
# What the recording filters of all listeners are called on Envoy's admin page.
SAMPLES = "easel"
_ALL = 1_000_000


def compared_with(service: Service) -> list[Mirror]:
    """The targets whose answers are compared now. gRPC is not, and a paused mirror is paused as a whole."""
    if service.grpc:
        return []
    return [
        each
        for each in service.mirrors
        if each.ratio and each.compare_ppm and each.endpoints and not each.grpc
    ]


def sample_filter() -> Any:
    """Records nothing by itself; an Envoy that has it must have an admin page, as each of ours has."""
    tap = Tap(
        common_config=CommonExtensionConfig(admin_config=AdminConfig(config_id=SAMPLES)),
        record_headers_received_time=True,
        record_upstream_connection=True,
    )
    recording = Extension(name="envoy.filters.http.tap", typed_config=packed(tap))
    return packed(ExtensionWithMatcher(extension_config=recording, xds_matcher=_all_but(0)))


def sampled(service: Service) -> dict[str, Any]:
    """What the routes of a service say of it; nothing where no answers are compared."""
    share = max((each.compare_ppm for each in compared_with(service)), default=0)
    if not share:
        return {}
    return {SAMPLE_FILTER: packed(ExtensionWithMatcherPerRoute(xds_matcher=_all_but(share)))}


def _all_but(share_ppm: int) -> Matcher:
    """Passes over all requests but a share, drawn by their ids, so that it depends on nothing else drawn."""
    of_requests = Matcher.MatcherList.Predicate.SinglePredicate(
        input=TypedExtensionConfig(
            name="request-id", typed_config=packed(HttpRequestHeaderMatchInput(header_name="x-request-id"))
        ),
        custom_match=TypedExtensionConfig(name="share", typed_config=packed(_fraction(_ALL - share_ppm))),
    )
    pass_over = Matcher.OnMatch(action=TypedExtensionConfig(name="skip", typed_config=packed(SkipFilter())))
    rule = Matcher.MatcherList.FieldMatcher(
        predicate=Matcher.MatcherList.Predicate(single_predicate=of_requests), on_match=pass_over
    )
    return Matcher(matcher_list=Matcher.MatcherList(matchers=[rule]))


def _fraction(ppm: int) -> RuntimeFraction:
    share = FractionalPercent(numerator=ppm, denominator=FractionalPercent.DenominatorType.MILLION)
    return RuntimeFraction(
        runtime_fraction=RuntimeFractionalPercent(default_value=share, runtime_key="easel.unset")
    )
