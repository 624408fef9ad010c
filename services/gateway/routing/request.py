"""A request as far as routes look at it."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Request:
    """`host` is the authority as it was sent, `path` has its query, names of `headers` are in lower case.

    `address` is the client's, `scheme` is "http" or "https"; both are empty where they are not known.
    """

    method: str = "GET"
    host: str = ""
    path: str = "/"
    headers: Mapping[str, str] = field(default_factory=dict)
    address: str = ""
    scheme: str = ""

    @property
    def bare_path(self) -> str:
        """The path without its query."""
        return self.path.partition("?")[0]

    def header(self, name: str) -> str | None:
        """The value of a header, if it is there."""
        return self.headers.get(name.lower())

    def has_cookie(self, name: str, value: str = "") -> bool:
        """Whether a cookie has this name and value; an empty value stands for any."""
        pairs = (self.header("cookie") or "").split("; ")
        return any(each == f"{name}={value}" if value else each.startswith(f"{name}=") for each in pairs)
