"""What every command that changes a service does: the change, its warnings, the wait, the result."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from cli.exits import Exit
from cli.output import Format, dump, say, warn
from cli.session import listed, with_easel

if TYPE_CHECKING:
    from cli.phases import Outcome, Wanted
    from easel_sdk import AsyncEasel
    from easel_sdk.types import Service, Written

    Change = Callable[[AsyncEasel], Awaitable[Written | Service]]

Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Follow it until it is there.")]
Timeout = Annotated[float, typer.Option("--timeout", help="How long to wait, in seconds.", min=0.1)]


@dataclass(frozen=True)
class _Result:
    service: "Service"
    outcome: "Outcome | None"


def write(
    command: str,
    change: "Change",
    done: str | Callable[["Service"], str],
    *,
    wait: bool,
    timeout: float,
    output: Format,
    stopping: bool = False,
    anew: bool = False,
    endpoint: bool = False,
) -> None:
    """Makes the change and shows the service; with `wait`, follows it first.

    `stopping` waits for it to be stopped, `anew` for instances made after the change; `endpoint` shows how
    to call it. A wait that fails says why and ends the command with `Exit.FAILED`.
    """

    async def work(easel: "AsyncEasel") -> _Result:
        from easel_sdk.types import Written

        newest = await listed(easel.events.list(page_size=1), 1) if wait else []
        made = await change(easel)
        written = made if isinstance(made, Written) else Written(made)
        for warning in written.warnings:
            warn(warning)
        service = written.service
        say(done if isinstance(done, str) else done(service))
        if not wait:
            return _Result(service, None)
        after = newest[0].id if newest else 0
        return await _followed(easel, service, _wanted(service, stopping, anew, command), after, timeout)

    result = with_easel(work, command)
    if output is not Format.TABLE:
        dump(result.service, output)
    elif result.outcome is not None and result.outcome.ok:
        _show_end(result.service, result.outcome.why, endpoint=endpoint)
    elif result.outcome is None and endpoint:
        say(f"follow it with `easel desc {result.service.name}` or `easel events -f {result.service.name}`")
    if result.outcome is not None and not result.outcome.ok:
        say(f"easel: {result.service.name} did not get there: {result.outcome.why}")
        raise typer.Exit(Exit.FAILED)


def _wanted(service: "Service", stopping: bool, anew: bool, command: str) -> "Wanted":
    from cli.phases import Goal, Wanted

    goal = Goal.STOPPED if stopping else Goal.READY
    released = command in ("resume", "promote")
    wanted = Wanted(goal, service.version, changed=command != "create", released=released)
    return replace(wanted, since=service.updated_at) if anew else wanted


async def _followed(
    easel: "AsyncEasel", service: "Service", wanted: "Wanted", after_event: int, timeout: float
) -> _Result:
    from cli.last_words import LastWords
    from cli.waiting import follow
    from easel_sdk.errors import NotFound

    async with LastWords(easel, service.name, wanted.version) as words:
        ended = await follow(easel, service.name, wanted, after_event, timeout, words.listen)
        try:
            service = await easel.services.get(service.name)
        except NotFound:
            return _Result(service, ended)
        if not ended.ok:
            await words.show()
    return _Result(service, ended)


def _show_end(service: "Service", why: str, *, endpoint: bool) -> None:
    from cli.phases import readiness
    from easel_sdk.types import ServiceState

    stopped = service.state is ServiceState.STOPPED
    ready = "" if stopped else f": {readiness(service, 'instances ')}"
    held = f"; {why}" if service.state is ServiceState.UPDATING and why else ""
    typer.echo(f"{service.name} is {service.state}{ready}{held}")
    if endpoint and service.endpoint:
        for line in calling(service):
            typer.echo(line)


def speaks_grpc(service: "Service") -> bool:
    """Whether its service.json sets `metadata.enable_grpc`."""
    return str(service.spec.get("metadata", {}).get("enable_grpc", "")).lower() == "true"


def calling(service: "Service") -> list[str]:
    """How to call the service: its endpoint, where its token is, and a curl to paste."""
    token = f"easel token service {service.name}"
    if speaks_grpc(service):
        gateway = service.endpoint.partition("/api/")[0].rpartition("//")[2]
        return [
            f"  gRPC      {gateway}, with the metadata `x-easel-service: {service.name}`",
            f"  token     {token}, as the metadata `authorization`",
        ]
    return [
        f"  endpoint  {service.endpoint}",
        f"  token     {token}",
        f'  try it    curl -H "Authorization: $({token})" {service.endpoint}',
    ]
