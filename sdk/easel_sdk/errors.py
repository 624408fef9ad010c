"""How the client library fails: one exception type a cause, one sentence each."""

from libs.domain.errors import (
    AlreadyExists,
    Conflict,
    DeadlineExceeded,
    EaselError,
    FailedPrecondition,
    InvalidRequest,
    InvalidSpec,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
)


class NoContext(Unauthenticated):
    """There is no context to take an address and a token from."""


class InvalidContext(EaselError):
    """The context file cannot be read, understood or written."""


class NoScheduler(Unavailable):
    """Nothing answers at the scheduler's address."""

    def __init__(self, address: str, remedy: str = "run `easel up`") -> None:
        super().__init__(f"no scheduler at {address}; {remedy}")
        self.address = address


class NoGateway(Unavailable):
    """Nothing answers at the gateway's address."""

    def __init__(self, address: str, remedy: str = "run `easel up`") -> None:
        super().__init__(f"no gateway at {address}; {remedy}")
        self.address = address


__all__ = [
    "AlreadyExists",
    "Conflict",
    "DeadlineExceeded",
    "EaselError",
    "FailedPrecondition",
    "InvalidContext",
    "InvalidRequest",
    "InvalidSpec",
    "NoContext",
    "NoGateway",
    "NoScheduler",
    "NotFound",
    "PermissionDenied",
    "ResourceExhausted",
    "Unauthenticated",
    "Unavailable",
]
