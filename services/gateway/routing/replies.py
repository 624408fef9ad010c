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
    "no service answers here: check the name in /api/predict/{service} or in the host name, in lower case,"
    " and that the service exists",
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
NOT_FROM_HERE = Reply(
    403, "the gateway takes no requests from your network: an operator has set which networks may call it"
)
TOO_LONG = Reply(413, "the body is longer than the gateway takes")
TOO_MANY_HEADERS = Reply(431, "the headers are longer, or more, than the gateway takes: 64 KiB and 100")
TOO_SLOW = Reply(408, "the request did not arrive in time")
OVERLOADED = Reply(503, "the gateway is short of memory and takes no more requests", ("OM",))
PAGE_NOT_OPENED = Reply(
    401,
    "no token and no open session: in a browser open the link that `easel open` prints; a program sends"
    " `Authorization: {token}`, `Authorization: Bearer {token}` or `Authorization: EAS {signature}`",
    mark=490,
)
NO_INSTANCE = Reply(503, NO_HEALTHY_INSTANCE.sentence)

NO_MEMBER = Reply(
    503,
    "no healthy upstream: no member that takes requests of this group has a ready instance; `easel desc` of"
    " each says why",
    mark=590,
)

# The first that fits is said.
REPLIES = (
    NO_SERVICE,
    TOO_LATE,
    NO_HEALTHY_INSTANCE,
    UNREACHABLE,
    NOT_OPENED,
    PAGE_NOT_OPENED,
    NOT_FROM_HERE,
    TOO_LONG,
    TOO_MANY_HEADERS,
    TOO_SLOW,
    OVERLOADED,
    NO_INSTANCE,
    NO_MEMBER,
)
