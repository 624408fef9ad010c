"""Values on their way into the store and out of it: encrypted and authenticated, under keys that rotate."""

import json
from collections.abc import Mapping, Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from libs.domain.errors import FailedPrecondition


class Seal:
    """Seals with the first key and opens with any. What is sealed says whose it is, so that it cannot be
    passed off as another's."""

    def __init__(self, keys: Sequence[str]) -> None:
        fernets = [Fernet(key) for key in keys]
        self._all = MultiFernet(fernets) if fernets else None
        self._first = fernets[0] if fernets else None

    def closed(self, owner: str, values: Mapping[str, str]) -> str:
        """Raises FailedPrecondition when there is no key."""
        if self._all is None:
            raise FailedPrecondition(
                "the scheduler has no usable key for secrets; see EASEL_SCHEDULER_SECRETS_KEY_FILE in its log"
            )
        content = json.dumps({"owner": owner, "values": dict(values)}, sort_keys=True)
        return self._all.encrypt(content.encode()).decode()

    def opened(self, owner: str, sealed: str) -> Mapping[str, str] | None:
        """None when no key opens it, or when it was sealed for another owner."""
        if self._all is None:
            return None
        try:
            content = json.loads(self._all.decrypt(sealed))
        except InvalidToken:
            return None
        return content["values"] if content["owner"] == owner else None

    def is_newest(self, sealed: str) -> bool:
        """Whether the first key sealed it."""
        try:
            return self._first is not None and bool(self._first.decrypt(sealed))
        except InvalidToken:
            return False
