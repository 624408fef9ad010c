"""The changes of a service's size, as `easel autoscale` and `easel cronscale` show them."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.session import listed, with_easel

if TYPE_CHECKING:
    from easel_sdk import AsyncEasel
    from easel_sdk.types import Scaling

Most = Annotated[int, typer.Option("-n", "--most", help="How many to show.", min=1)]


def changes_of(service: str, most: int, command: str, policy: str = "") -> "list[Scaling]":
    """The newest ones; those of one policy where one is named."""

    async def work(easel: "AsyncEasel") -> "list[Scaling]":
        await easel.services.get(service)  # Of one that is not there nothing is kept.
        history = easel.autoscalers.history(service)
        return await listed((each async for each in history if policy in ("", each.policy)), most)

    return with_easel(work, command)
