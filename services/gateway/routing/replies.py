"""What clients read when the gateway answers by itself: one table from cause to status and sentence."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Reply:
    """An answer of the gateway's own.

    `flags` are Envoy's names of the cause. Without them the cause is a route or a filter that answers with
    `mark`, a status that no client sees where it differs from `status`.
    """

    status: int
    sentence: str
    flags: tuple[str, ...] = ()
    # Said to a gRPC client in place of the sentence.
    to_grpc: str = ""
    mark: int = 0

    @property
    def answered(self) -> int:
        """The status by which a route asks for this reply."""
        return self.mark or self.status


NO_SERVICE = Reply(
    404,
    "no service answers here: check the name in /api/predict/{service} or in the host name, and that the"
    " service exists",
    ("NR",),
)
TOO_LATE = Reply(
    408,
    "no answer within the service's metadata.rpc.keepalive",
    ("UT", "SI"),
    to_grpc="no answer within the deadline of the call",
)
NO_HEALTHY_INSTANCE = Reply(
    503, "no healthy upstream: the service has no ready instance; `easel desc` says why", ("UH", "NC")
)
UNREACHABLE = Reply(
    503,
    "upstream connect error: no instance could be reached, or it closed the connection before answering",
    ("UF", "UC", "UR", "URX"),
)
NOT_OPENED = Reply(
    401,
    "the token is missing or wrong: send `Authorization: {token}`, `Authorization: Bearer {token}` or"
    " `Authorization: EAS {signature}`",
)
NO_INSTANCE = Reply(503, NO_HEALTHY_INSTANCE.sentence)

# The first that fits is said.
REPLIES = (NO_SERVICE, TOO_LATE, NO_HEALTHY_INSTANCE, UNREACHABLE, NOT_OPENED, NO_INSTANCE)
