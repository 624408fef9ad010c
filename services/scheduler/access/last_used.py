"""When each access token was last used: told by gateways, kept in memory, written now and then."""

from dataclasses import replace
from datetime import datetime

from libs.db.changes import Changes
from libs.domain.traffic import AccessToken
from services.scheduler.ledger import Ledger
from services.scheduler.world import World


class LastUsed:
    """Uses since the start are exact to the gateways' reports; those before it to `write`.

    That of a first token, which is no record of its own, is known since the start only.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._at: dict[str, datetime] = {}

    def heard(self, token_id: str, at: datetime) -> None:
        """A gateway says that the token was used."""
        known = self._at.get(token_id)
        self._at[token_id] = at if known is None else max(known, at)

    def at(self, token: AccessToken) -> datetime | None:
        """When its value was last used; None when that is never, or not known."""
        known = (self._at.get(token.id), token.last_used_at)
        return max((each for each in known if each is not None and each >= token.created_at), default=None)

    async def write(self) -> None:
        """Stores what is newer than what is stored, in one go."""
        await self._ledger.change(self._newer)

    def _newer(self, world: World) -> Changes:
        put = tuple(
            replace(token, last_used_at=used)
            for token_id, used in self._at.items()
            if (token := world.access_tokens.get(token_id)) is not None
            and used >= token.created_at
            and (token.last_used_at is None or token.last_used_at < used)
        )
        return Changes(put=put)
