"""The one table from Easel's refusals to gRPC status codes, and the way back.

Details follow google.rpc (error_details.proto): an `ErrorInfo` with the refusal's class name as its
reason, and a `BadRequest` naming the field where the refusal is about one.
"""

import json

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from libs.domain import errors

DOMAIN = "easel"
DETAILS_KEY = "grpc-status-details-bin"
# A refusal travels in headers, three times over, and all headers together have room for 8 KiB.
_MOST_BYTES = 1000

STATUS: dict[type[errors.EaselError], grpc.StatusCode] = {
    errors.InvalidSpec: grpc.StatusCode.INVALID_ARGUMENT,
    errors.InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
    errors.NotFound: grpc.StatusCode.NOT_FOUND,
    errors.AlreadyExists: grpc.StatusCode.ALREADY_EXISTS,
    errors.Conflict: grpc.StatusCode.ABORTED,
    errors.FailedPrecondition: grpc.StatusCode.FAILED_PRECONDITION,
    errors.Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    errors.PermissionDenied: grpc.StatusCode.PERMISSION_DENIED,
    errors.Unavailable: grpc.StatusCode.UNAVAILABLE,
    errors.DeadlineExceeded: grpc.StatusCode.DEADLINE_EXCEEDED,
    errors.ResourceExhausted: grpc.StatusCode.RESOURCE_EXHAUSTED,
}

_BY_CODE: dict[grpc.StatusCode, type[errors.EaselError]] = {
    code: kind for kind, code in STATUS.items() if kind not in (errors.InvalidSpec, errors.InvalidRequest)
}


def status_of(error: errors.EaselError) -> tuple[grpc.StatusCode, str, bytes]:
    """The code, the sentence and the serialised google.rpc.Status that carry `error` to a caller."""
    kind = next((each for each in type(error).__mro__ if each in STATUS), None)
    code = STATUS[kind] if kind is not None else grpc.StatusCode.INTERNAL
    sentence = _cut(str(error), _MOST_BYTES)
    details = [error_details_pb2.ErrorInfo(reason=(kind or type(error)).__name__, domain=DOMAIN)]
    status = status_pb2.Status(code=code.value[0], message=sentence)
    if isinstance(error, errors.InvalidSpec | errors.InvalidRequest):
        field = error.path if isinstance(error, errors.InvalidSpec) else error.field
        details[0].metadata.update(
            {
                "field": _cut(field, 200),
                "value": json.dumps(error.value, default=str)[:500],
                "expected": _cut(error.expected, 500),
            }
        )
        bad = error_details_pb2.BadRequest()
        bad.field_violations.add(field=_cut(field, 200), description=sentence)
        status.details.append(_packed(bad))
    status.details.insert(0, _packed(details[0]))
    return code, sentence, status.SerializeToString()


def _cut(sentence: str, most_bytes: int) -> str:
    """The beginning of what is longer than a header can carry."""
    whole = sentence.encode()
    if len(whole) <= most_bytes:
        return sentence
    return whole[: most_bytes - 3].decode(errors="ignore") + "..."


def easel_error(error: grpc.RpcError) -> errors.EaselError:
    """The refusal that a failed call carried, as the type its sender raised."""
    if not isinstance(error, grpc.aio.AioRpcError):
        return errors.Unavailable(str(error))
    sentence = error.details() or error.code().name
    info = _error_info(error)
    if info is not None and info.reason in ("InvalidSpec", "InvalidRequest"):
        return _field_error(info)
    return _BY_CODE.get(error.code(), errors.EaselError)(sentence)


def _field_error(info: error_details_pb2.ErrorInfo) -> errors.EaselError:
    try:
        value: object = json.loads(info.metadata["value"])
    except ValueError:
        value = info.metadata["value"]
    kind = errors.InvalidSpec if info.reason == "InvalidSpec" else errors.InvalidRequest
    return kind(info.metadata["field"], value, info.metadata["expected"])


def _error_info(error: grpc.aio.AioRpcError) -> error_details_pb2.ErrorInfo | None:
    for key, value in error.trailing_metadata() or ():
        if key == DETAILS_KEY and isinstance(value, bytes):
            status = status_pb2.Status.FromString(value)
            for detail in status.details:
                info = error_details_pb2.ErrorInfo()
                if detail.Unpack(info):
                    return info
    return None


def _packed(message: error_details_pb2.ErrorInfo | error_details_pb2.BadRequest) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed
