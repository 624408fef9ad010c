"""Every way in which Easel refuses, as types a caller can act on.

The status code that each becomes on the wire is one table in `libs/rpc/errors.py`.
"""


class EaselError(Exception):
    """A refusal in one clear sentence: the field, the value and what was expected."""


class InvalidSpec(EaselError):
    """A service.json that cannot be accepted. `path` is the JSON path, such as `metadata.cpu`."""

    def __init__(self, path: str, value: object, expected: str) -> None:
        shown = repr(value)
        if len(shown) > 80:
            shown = shown[:77] + "..."
        super().__init__(f"{path}: got {shown}, expected {expected}")
        self.path, self.value, self.expected = path, value, expected


class InvalidRequest(EaselError):
    """A request field that cannot be accepted, other than inside a service.json."""

    def __init__(self, field: str, value: object, expected: str) -> None:
        super().__init__(f"{field}: got {value!r}, expected {expected}")
        self.field, self.value, self.expected = field, value, expected


class NotFound(EaselError):
    """The named thing does not exist."""


class AlreadyExists(EaselError):
    """The name is taken by something else."""


class Conflict(EaselError):
    """The write was computed from a version that is no longer the newest; read again and retry."""


class FailedPrecondition(EaselError):
    """The thing exists, but is not in a state in which this can be done."""


class Unauthenticated(EaselError):
    """No token, or one that is not known."""


class PermissionDenied(EaselError):
    """A known token whose role does not allow this call."""


class Unavailable(EaselError):
    """A part that is needed to answer is away; trying again later may work."""


class DeadlineExceeded(EaselError):
    """The work did not end in the time it was given."""


class ResourceExhausted(EaselError):
    """A bound was reached."""
