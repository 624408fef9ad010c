"""The exit codes that scripts can rely on."""

from enum import IntEnum

from libs.domain import errors


class Exit(IntEnum):
    """Documented in docs/CLI.md; a code never changes its meaning."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    REFUSED = 4
    UNAVAILABLE = 5
    TIMEOUT = 6
    UNAUTHENTICATED = 7
    TROUBLED = 8


_CODES: dict[type[errors.EaselError], Exit] = {
    errors.NotFound: Exit.NOT_FOUND,
    errors.InvalidSpec: Exit.REFUSED,
    errors.InvalidRequest: Exit.REFUSED,
    errors.AlreadyExists: Exit.REFUSED,
    errors.Conflict: Exit.REFUSED,
    errors.FailedPrecondition: Exit.REFUSED,
    errors.ResourceExhausted: Exit.REFUSED,
    errors.Unavailable: Exit.UNAVAILABLE,
    errors.DeadlineExceeded: Exit.TIMEOUT,
    errors.Unauthenticated: Exit.UNAUTHENTICATED,
    errors.PermissionDenied: Exit.UNAUTHENTICATED,
}


def code_of(error: errors.EaselError) -> Exit:
    """The exit code of a refusal: that of the nearest type in the table, else `FAILED`."""
    return next((_CODES[kind] for kind in type(error).__mro__ if kind in _CODES), Exit.FAILED)


def code_of_status(status: int) -> Exit:
    """The exit code of a service's HTTP answer."""
    named = {401: Exit.UNAUTHENTICATED, 404: Exit.NOT_FOUND, 408: Exit.TIMEOUT, 504: Exit.TIMEOUT}
    if status in named:
        return named[status]
    # What has not been changed since the caller saw it is an answer; what is elsewhere is none.
    if 200 <= status < 300 or status == 304:
        return Exit.OK
    if status in (502, 503):
        return Exit.UNAVAILABLE
    return Exit.REFUSED if status < 500 else Exit.FAILED
