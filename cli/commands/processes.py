"""`easel up` and `easel down`: all of Easel in one process on this machine."""

import os
import signal
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.output import Format, Output, dump, say
from cli.pairs import pairs
from cli.settings import cli_settings

if TYPE_CHECKING:
    from cli.data_dir import Running
    from cli.up import Wish

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Where Easel keeps everything.", metavar="DIR", file_okay=False),
]
_KILL_AFTER = 100.0


class RuntimeChoice(StrEnum):
    PROCESS = "process"
    DOCKER = "docker"


def up(
    data_dir: DataDir = None,
    runtime: Annotated[
        RuntimeChoice, typer.Option("--runtime", help="What runs instances.")
    ] = RuntimeChoice.PROCESS,
    port: Annotated[int, typer.Option("--port", help="The gateway's port.", min=1, max=65535)] = 8800,
    admin_port: Annotated[
        int, typer.Option("--admin-port", help="The admin API's port.", min=1, max=65535)
    ] = 8801,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            "--metrics-port",
            help="The port of /metrics, for Prometheus.",
            show_default="the admin port + 3",
            min=1,
            max=65535,
        ),
    ] = None,
    host: Annotated[str, typer.Option("--host", help="The address the gateway listens on.")] = "127.0.0.1",
    admin_host: Annotated[
        str, typer.Option("--admin-host", help="The address the admin API listens on.")
    ] = "127.0.0.1",
    detach: Annotated[
        bool, typer.Option("--detach", help="Run in the background; return when ready.")
    ] = False,
    bucket: Annotated[
        list[str] | None,
        typer.Option(
            "--bucket",
            metavar="NAME=DIR",
            help="Serve oss://NAME/ from a directory of this machine; kept for the next start. "
            "NAME= forgets it.",
        ),
    ] = None,
    host_root: Annotated[
        list[str] | None,
        typer.Option(
            "--host-root",
            metavar="DIR",
            help="Let services mount directories below it with host_path; kept for the next start. "
            "DIR= forgets it.",
        ),
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """Start Easel on this machine, and make it the one the commands talk to."""
    from cli.buckets import kept, merged
    from cli.host_roots import kept_roots, merged_roots
    from cli.ports import refuse_one_port
    from cli.session import chosen
    from cli.up import Wish

    settings = cli_settings()
    where = (data_dir or settings.data_dir).expanduser().absolute()
    wish = Wish(
        data_dir=where,
        runtime=runtime.value,
        host=host,
        port=port,
        admin_host=admin_host,
        admin_port=admin_port,
        metrics_port=metrics_port or 0,
        buckets=merged(kept(where), _buckets(bucket or [])),
        host_roots=merged_roots(kept_roots(where), _roots(host_root or [])),
        context=chosen() or "local",
        otlp_endpoint=settings.otlp_endpoint,
        log_level=settings.log_level,
    )
    refuse_one_port(wish)
    _up_detached(wish, output) if detach else _up_here(wish, output)


def _buckets(given: list[str]) -> dict[str, Path | None]:
    found: dict[str, Path | None] = {}
    for name, text in pairs(given, "NAME=DIR").items():
        path = Path(text).expanduser().absolute() if text else None
        if path is not None and not path.is_dir():
            raise typer.BadParameter(f"--bucket {name}: {path} is not a directory")
        found[name] = path
    return found


def _roots(given: list[str]) -> dict[Path, bool]:
    """Whether each directory is one from now on; `DIR=` is none any more."""
    found: dict[Path, bool] = {}
    for text in given:
        path, stays = Path(text.removesuffix("=")).expanduser().absolute(), not text.endswith("=")
        if stays and not path.is_dir():
            raise typer.BadParameter(f"--host-root: {path} is not a directory")
        found[path] = stays
    return found


def _up_here(wish: "Wish", output: Format) -> None:
    from cli.up import serve

    serve(wish, lambda running, took: _banner(wish, running.pid, took, output, detached=False))
    say("Easel is stopped")


def _up_detached(wish: "Wish", output: Format) -> None:
    from cli.data_dir import prepare
    from cli.detach import Tell, detached
    from cli.up import PATIENCE, serve

    def work(tell: Tell) -> None:
        serve(wish, lambda running, took: tell({"pid": running.pid, "took": took}))

    began = time.monotonic()
    prepare(wish.data_dir)
    word = detached(wish.data_dir, work, PATIENCE.start.total_seconds() + 30)
    _banner(wish, int(word["pid"]), time.monotonic() - began, output, detached=True)


def _banner(wish: "Wish", pid: int, took: float, output: Format, *, detached: bool) -> None:
    if output is not Format.TABLE:
        told: dict[str, Any] = {
            "gateway": wish.gateway,
            "scheduler": wish.scheduler,
            "metrics": wish.metrics,
            **({"reports": wish.reports_listen} if wish.reports_listen else {}),
            "data_dir": str(wish.data_dir),
            "runtime": wish.runtime,
            "buckets": {name: str(path) for name, path in wish.buckets.items()},
            "host_roots": [str(path) for path in wish.host_roots],
            "context": wish.context,
            "pid": pid,
            "seconds": round(took, 3),
        }
        dump(told, output)
        return
    lines = [
        f"Easel is up after {took:.1f} s",
        f"  gateway    {wish.gateway}",
        f"  admin API  {wish.scheduler}",
        f"  metrics    {wish.metrics}",
        *([f"  reports    {wish.reports_listen}, of other hosts"] if wish.reports_listen else []),
        f"  data       {wish.data_dir}",
        f"  runtime    {wish.runtime}",
        *(f"  bucket     oss://{name}/ is {path}" for name, path in wish.buckets.items()),
        *(f"  host root  {path}" for path in wish.host_roots),
        "",
        "next",
        "  easel create SERVICE.JSON --wait    deploy a service",
        "  easel ls                            see what runs",
        "  easel down                          stop Easel"
        if detached
        else "  Ctrl-C                              stop Easel",
    ]
    for line in lines:
        typer.echo(line)
    sys.stdout.flush()


def down(data_dir: DataDir = None, output: Output = Format.TABLE) -> None:
    """Stop the Easel that `easel up` started, and what it runs."""
    from cli.data_dir import in_use, running_on

    settings = cli_settings()
    named = data_dir or (settings.data_dir if settings.data_dir_named else _of_context())
    where = (named or settings.data_dir).expanduser().absolute()
    running = running_on(where)
    if running is None:
        if in_use(where):
            from libs.domain.errors import Unavailable

            raise Unavailable(f"Easel is just starting or stopping on {where}; try again")
        return _said(_nothing(where), {"stopped": False}, output)
    _end(running, where)
    return _said(f"Easel is stopped (process {running.pid})", {"stopped": True, "pid": running.pid}, output)


def _of_context() -> Path | None:
    """The data directory of the Easel that the current context names, None when it names none."""
    from cli.session import chosen
    from easel_sdk.context import current_context
    from libs.domain.errors import EaselError

    try:
        known = current_context(chosen()).data_dir
    except EaselError:
        return None
    return Path(known) if known else None


def _nothing(data_dir: Path) -> str:
    from cli.data_dir import left_behind

    left = left_behind(data_dir) if data_dir.exists() else 0
    more = f", but {left} processes of one that was killed do; `easel up` takes them over" if left else ""
    return f"no Easel runs on {data_dir}{more}"


def _end(running: "Running", data_dir: Path) -> None:
    """Asks the process to end, and makes it when it does not. Raises `DeadlineExceeded` if it stays."""
    from libs.domain.errors import DeadlineExceeded, EaselError

    for wanted, patience in ((signal.SIGTERM, _KILL_AFTER), (signal.SIGKILL, 5.0)):
        try:
            os.kill(running.pid, wanted)
        except ProcessLookupError:
            return
        except PermissionError as error:
            raise EaselError(f"process {running.pid} belongs to another user; ask its owner") from error
        if _gone(data_dir, patience):
            return
        if wanted is signal.SIGTERM:
            say(f"process {running.pid} did not end within {patience:g} s; ending it by force")
    raise DeadlineExceeded(f"process {running.pid} still holds {data_dir}")


def _gone(data_dir: Path, patience: float) -> bool:
    from cli.data_dir import in_use

    ends = time.monotonic() + patience
    while in_use(data_dir):
        if time.monotonic() > ends:
            return False
        time.sleep(0.02)
    return True


def _said(sentence: str, value: dict[str, Any], output: Format) -> None:
    say(sentence) if output is Format.TABLE else dump(value, output)


def add_to(app: typer.Typer) -> None:
    app.command("up", rich_help_panel="This machine")(up)
    app.command("down", rich_help_panel="This machine")(down)
