"""The whole story in a minute: start Easel, deploy two services, call them, kill an instance, watch it heal.

Run by `make demo`. Works again on an Easel that is up and on services that exist. Exits non-zero, with a
sentence, when anything is not as it should be. Arguments are handed to `easel up`.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from easel_sdk import AsyncEasel, Context
from easel_sdk.context import current_context
from easel_sdk.errors import AlreadyExists, EaselError, NoContext, NoScheduler
from easel_sdk.types import Instance, Service, ServiceState
from examples.demo_kill import kill_instance
from examples.demo_load import Load, Result, Target

EXAMPLES = Path(__file__).parent
MODEL = EXAMPLES / "digits" / "model"
SERVICES = ("quickstart", "digits")
READY_WITHIN_S = 300.0
FAILED_FOR_S = 30.0
HEALED_WITHIN_S = 60.0
CONNECTIONS = 4
# When an instance dies: what is in flight on it, and what is sent to it before its death is known.
MOST_FAILURES = 3 * CONNECTIONS
LEAST_ACCURACY = 0.95

console = Console(highlight=False)


class Wrong(Exception):
    """Something is not as the demo promises."""


def say(sentence: str) -> None:
    console.print(f"[green]✓[/] {escape(sentence)}")


def ensure_model() -> None:
    """Trains the digits model unless it is there."""
    if (MODEL / "digits.onnx").exists() and (MODEL / "held_out.json").exists():
        say("the digits model is there")
        return
    with console.status("training the digits model"):
        run([sys.executable, str(EXAMPLES / "digits" / "train.py")], within=300)
    say("trained the digits model")


def run(command: list[str], within: float) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=within, check=False)
    if done.returncode != 0:
        raise Wrong(f"{Path(command[0]).name} {command[1]} failed:\n{done.stdout}{done.stderr}".rstrip())


async def ensure_up(arguments: list[str]) -> Context:
    """The Easel of this machine: the one that runs, or one started now."""
    context = await running()
    if context is None:
        easel = Path(sys.executable).parent / "easel"
        bucket = f"easel-examples={EXAMPLES}"
        with console.status("starting Easel"):
            began = time.monotonic()
            run([str(easel), "up", "--detach", "--bucket", bucket, *arguments], within=120)
            took = time.monotonic() - began
        context = await running()
        if context is None:
            raise Wrong("`easel up` succeeded, yet no scheduler answers")
        say(f"started Easel in {took:.1f} s: gateway {context.gateway}, admin {context.scheduler}")
    else:
        say(f"Easel is up: gateway {context.gateway}, admin {context.scheduler}")
    if not context.scheduler.startswith(("127.0.0.1:", "localhost:", "[::1]:")):
        raise Wrong(
            f"the current context is an Easel on another machine ({context.scheduler}); choose this "
            "machine's with `easel context use local`"
        )
    return context


async def running() -> Context | None:
    try:
        context = current_context()
        async with AsyncEasel.of(context) as easel:
            _ = [service async for service in easel.services.list(containing="digits")]
    except (NoContext, NoScheduler):
        return None
    return context


async def deploy(easel: AsyncEasel, name: str) -> None:
    """Creates the service, or brings the one that exists to what its file says."""
    spec = (EXAMPLES / name / "service.json").read_text()
    try:
        written = await easel.services.create(spec)
        say(f"created {name} from examples/{name}/service.json")
    except AlreadyExists:
        written = await easel.services.update(name, spec)
        if written.service.state in (ServiceState.STOPPED, ServiceState.STOPPING):
            await easel.services.start(name)
        say(f"{name} exists; its service.json is in force")
    for warning in written.warnings:
        console.print(f"[yellow]![/] {escape(warning)}")


async def until_running(easel: AsyncEasel, name: str, within: float = READY_WITHIN_S) -> Service:
    """Waits until all instances of the newest version are ready.

    Raises Wrong when that takes too long, or when the service has failed and stays so.
    """
    began = well = time.monotonic()
    with console.status(name) as status:
        while True:
            service = await easel.services.get(name)
            waited = time.monotonic() - began
            if (
                service.state is ServiceState.RUNNING
                and service.ready == service.wanted
                and service.running_version == service.version
            ):
                say(f"{name} is running: {service.ready} of {service.wanted} instances ready, {waited:.1f} s")
                return service
            if service.state is not ServiceState.FAILED:
                well = time.monotonic()
            if waited > within or time.monotonic() - well > FAILED_FOR_S:
                raise Wrong(
                    "\n".join([f"{name} is {service.state}: {service.why}", *service.pending_reasons])
                )
            instances = [each async for each in easel.instances.list(service=name)]
            phases = Counter(str(each.state) for each in instances)
            shown = ", ".join(f"{count} {phase}" for phase, count in sorted(phases.items()))
            status.update(f"{name}: {shown or service.why or service.state}")
            await asyncio.sleep(0.2)


async def until_answering(easel: AsyncEasel, name: str, body: bytes, within: float = 10.0) -> str:
    """Calls the service until the gateway knows it; the text of the first good answer."""
    ends = time.monotonic() + within
    while True:
        answer = await easel.predict(name, body)
        if answer.ok:
            return answer.text.strip()
        if time.monotonic() > ends:
            raise Wrong(f"{name} answers {answer.status}: {answer.text.strip()}")
        await asyncio.sleep(0.1)


async def measure(target: Target) -> None:
    """Sends every held-out image once."""
    with console.status("sending the held-out images"):
        result = await Load(target, CONNECTIONS).once()
    console.print(table(result))
    if result.failures:
        raise Wrong(f"{len(result.failures)} requests failed, the first with {result.failures[0]}")
    if result.accuracy < LEAST_ACCURACY:
        raise Wrong(f"accuracy {result.accuracy:.1%} is below {LEAST_ACCURACY:.0%}")


def table(result: Result) -> Table:
    shown = Table(title="digits, held-out images through the gateway")
    for heading in ("accuracy", "requests", "failed", "requests/s", "p50", "p99"):
        shown.add_column(heading, justify="right")
    shown.add_row(
        f"{result.accuracy:.2%}",
        str(result.requests),
        str(len(result.failures)),
        f"{result.requests / result.seconds:.0f}",
        f"{result.quantile(0.50) * 1000:.1f} ms",
        f"{result.quantile(0.99) * 1000:.1f} ms",
    )
    return shown


async def heal(easel: AsyncEasel, target: Target) -> None:
    """Kills one of the digits instances under load and waits until all are ready again."""
    before = [each async for each in easel.instances.list(service="digits") if each.ready]
    victim = min(before, key=lambda each: (each.restarts, each.id))  # repeated crashes are restarted later
    load = Load(target, CONNECTIONS)
    steady = asyncio.create_task(load.until_stopped())
    try:
        await load.answered(50)
        how = await asyncio.to_thread(kill_instance, victim)
        say(f"killed instance {victim.id}: {how}")
        began = time.monotonic()
        with console.status("waiting for Easel to heal"):
            healed = await until_healed(easel, victim, len(before))
        took = time.monotonic() - began
        await load.answered(load.result.requests + 50)
    finally:
        load.stop()
        await steady
    result = load.result
    say(f"healed in {took:.1f} s: {healed}")
    lost = len(result.failures)
    why = "; the killed instance was answering" if lost else ""
    say(f"{result.requests} requests were sent meanwhile, {lost} failed{why}")
    if len(result.failures) > MOST_FAILURES:
        kinds = ", ".join(f"{count} × {what}" for what, count in Counter(result.failures).items())
        raise Wrong(f"more requests failed than one crash explains: {kinds}")


async def until_healed(easel: AsyncEasel, victim: Instance, wanted: int) -> str:
    ends = time.monotonic() + HEALED_WITHIN_S
    while True:
        now = {each.id: each async for each in easel.instances.list(service="digits")}
        ready = [each for each in now.values() if each.ready]
        same = now.get(victim.id)
        if same is not None and same.restarts > victim.restarts and len(ready) >= wanted:
            why = same.last_exit or "its program ended"
            return f"{victim.id} was restarted ({why}), {len(ready)} instances ready"
        if (same is None or not same.ready) and len(ready) >= wanted:
            return f"{victim.id} was replaced, {len(ready)} instances ready"
        if time.monotonic() > ends:
            shown = "; ".join(f"{each.id} {each.state}: {each.why}" for each in now.values())
            raise Wrong(f"not healed after {HEALED_WITHIN_S:.0f} s: {shown}")
        await asyncio.sleep(0.1)


NEXT = """\
[bold]easel ls[/]                          the services
[bold]easel desc digits[/]                 one of them, with its events
[bold]easel scale digits 3[/]              one instance more, no request lost
[bold]easel logs -f digits[/]              what the instances write
[bold]easel predict quickstart[/]          call a service
[bold]easel create examples/grpc/service.json --wait[/]
[bold]make down[/]                         stop Easel and everything it runs\
"""


async def demo(arguments: list[str]) -> None:
    ensure_model()
    context = await ensure_up(arguments)
    async with AsyncEasel.of(context) as easel:
        for name in SERVICES:
            await deploy(easel, name)
        for name in SERVICES:
            await until_running(easel, name)

        split = json.loads((MODEL / "held_out.json").read_text())
        first = json.dumps({"instances": split["instances"][:1]}).encode()
        say(f"quickstart answers: {await until_answering(easel, 'quickstart', b'')}")
        say(f"digits answers: {await until_answering(easel, 'digits', first)}")

        digits = await easel.services.get("digits")
        token = await easel.services.token("digits")
        target = Target(digits.endpoint, token, split["instances"], split["labels"])
        await measure(target)
        await heal(easel, target)
    console.print(Panel(NEXT, title="Easel stays up. Try next", expand=False))


def main() -> None:
    try:
        asyncio.run(demo(sys.argv[1:]))
    except (Wrong, EaselError) as error:
        console.print(f"[red]✗[/] {escape(str(error))}")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
