"""The health check of containers: `python -m libs.rpc.health ADDRESS...` asks servers whether they serve."""

import sys

import grpc
from grpc_health.v1 import health_pb2


def unhealthy(address: str, within: float = 3.0) -> str:
    """Says why the server at `address` does not serve, in one sentence; "" when it does.

    `address` is "host:port" or "unix:/path"; `within` is the time to answer, in seconds.
    """
    with grpc.insecure_channel(address) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        try:
            status = check(health_pb2.HealthCheckRequest(), timeout=within).status
        except grpc.RpcError as refused:
            reason = refused.details() if isinstance(refused, grpc.Call) else str(refused)
            return f"{address} does not answer: {reason}"
    if status == health_pb2.HealthCheckResponse.SERVING:
        return ""
    return f"{address} answers {health_pb2.HealthCheckResponse.ServingStatus.Name(status)}"


def main(addresses: list[str]) -> int:
    """Exit status 0 when every address serves, 1 when one does not, 2 without an address."""
    if not addresses:
        sys.stderr.write("usage: python -m libs.rpc.health ADDRESS...\n")
        return 2
    reasons = [reason for address in addresses if (reason := unhealthy(address))]
    sys.stderr.writelines(f"{reason}\n" for reason in reasons)
    return 1 if reasons else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
