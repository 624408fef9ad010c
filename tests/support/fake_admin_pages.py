"""What every servicer of the in-memory admin API shares: it knows the fake, and pages."""

from collections.abc import Sequence
from typing import Any, TypeVar

from tests.support.fake_admin import FakeAdmin

Item = TypeVar("Item")


class Servicer:
    def __init__(self, fake: FakeAdmin) -> None:
        self.fake = fake

    def page(self, items: Sequence[Item], request: Any) -> tuple[Sequence[Item], str]:
        start = int(request.page_token or 0)
        size = min(request.page_size or 100, self.fake.page_limit)
        following = start + size
        return items[start:following], str(following) if following < len(items) else ""
