"""service.json: read into types, written back, merged, and refused in one sentence."""

from libs.spec.containers import Container
from libs.spec.gaps import not_carried_out
from libs.spec.parsing import Parsed, dump_service, parse_service, parse_stored
from libs.spec.quantity import CountOrPercent, Quantity
from libs.spec.scaling import parse_autoscaler, parse_cronscaler
from libs.spec.service import ServiceSpec
from libs.spec.storage import Mount
from libs.spec.suggestions import Notice
from libs.spec.updates import merge_update, replace_update

__all__ = [
    "Container",
    "CountOrPercent",
    "Mount",
    "Notice",
    "Parsed",
    "Quantity",
    "ServiceSpec",
    "dump_service",
    "merge_update",
    "not_carried_out",
    "parse_autoscaler",
    "parse_cronscaler",
    "parse_service",
    "parse_stored",
    "replace_update",
]
