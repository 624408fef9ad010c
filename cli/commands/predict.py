"""`easel predict`: one call to a service through the gateway, for online debugging."""

import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.exits import code_of_status
from cli.output import Format, Output, dump, err, say
from cli.session import with_easel
from cli.writing import speaks_grpc

if TYPE_CHECKING:
    from easel_sdk import AsyncEasel
    from easel_sdk.types import Prediction

# What the gateway makes of an HTTP/1.1 call to a server that speaks gRPC alone.
_NOT_HTTP = (415, 502, 503)


def predict(
    name: Annotated[
        str,
        typer.Argument(metavar="SERVICE", help="A service, a group, or GROUP.SERVICE for a member of it."),
    ],
    data: Annotated[
        str | None, typer.Option("-d", "--data", help="The body: text, @FILE, or - for standard input.")
    ] = None,
    path: Annotated[str, typer.Option("--path", help="The path below the service's own.")] = "",
    headers: Annotated[
        list[str] | None, typer.Option("-H", "--header", metavar="'NAME: VALUE'", help="A header to send.")
    ] = None,
    method: Annotated[
        str, typer.Option("-X", "--request", help="The HTTP method; POST with a body, else GET.")
    ] = "",
    eas_signature: Annotated[
        bool, typer.Option("--eas-signature", help="Sign the call as the EAS client libraries do.")
    ] = False,
    token: Annotated[
        str | None, typer.Option("--token", help="Send this token instead of the service's own.")
    ] = None,
    timeout: Annotated[
        float, typer.Option("--timeout", help="Seconds to wait for the answer.", min=0.1)
    ] = 60,
    output: Output = Format.TABLE,
) -> None:
    """Call a service or a group and show status, time and body.

    The body goes to standard output, the rest to standard error. The exit code tells the status: 0 for
    success, 3 for 404, 7 for 401, 6 for a time-out, 5 for 502 and 503, 4 for redirects and other refusals, 1
    for failures.
    """
    body, sent = read_body(data), read_headers(headers or [])
    verb = (method or ("POST" if data is not None or eas_signature else "GET")).upper()

    async def work(easel: "AsyncEasel") -> "Prediction":
        from easel_sdk.predict import TokenForm

        answer = await easel.predict(
            name,
            body,
            path=path,
            headers=sent,
            method=verb,
            form=TokenForm.EAS if eas_signature else TokenForm.PLAIN,
            deadline=timedelta(seconds=timeout),
            token=token,
        )
        if answer.status in _NOT_HTTP and await _is_grpc(easel, name):
            say(f"{name} speaks gRPC, and this was plain HTTP: call it with its gRPC client")
        return answer

    answer = with_easel(work, "predict")
    if output is Format.TABLE:
        _show(answer)
    else:
        dump(_told(answer), output)
    if 300 <= answer.status < 400 and (where := answer.headers.get("location")):
        say(f"the answer is at {where}: no redirect is followed, so that the token goes nowhere else")
    if code := code_of_status(answer.status):
        raise typer.Exit(code)


async def _is_grpc(easel: "AsyncEasel", name: str) -> bool:
    from easel_sdk.errors import NotFound

    try:
        return speaks_grpc(await easel.services.get(name.rpartition(".")[2]))
    except NotFound:
        return False  # A group: its members may speak differently.


def read_body(data: str | None) -> bytes:
    """The body that `-d` means. Raises `InvalidRequest` when its file cannot be read."""
    from libs.domain.errors import InvalidRequest

    if data is None:
        return b""
    if data == "-":
        return sys.stdin.buffer.read()
    if not data.startswith("@"):
        return data.encode()
    try:
        return Path(data[1:]).read_bytes()
    except OSError as error:
        raise InvalidRequest("data", data, f"a file that can be read ({error.strerror})") from error


def read_headers(given: list[str]) -> dict[str, str]:
    """`NAME: VALUE` arguments as a mapping. Ends the command with a usage error on another shape."""
    found: dict[str, str] = {}
    for each in given:
        name, colon, value = each.partition(":")
        if not colon or not name.strip():
            raise typer.BadParameter(f"{each!r} is not 'NAME: VALUE'")
        found[name.strip()] = value.strip()
    return found


def _told(answer: "Prediction") -> dict[str, Any]:
    """The answer as a value; a body that is not text is told in Base64."""
    import base64

    try:
        body = {"body": answer.body.decode("utf-8")}
    except UnicodeDecodeError:
        body = {"body_base64": base64.b64encode(answer.body).decode()}
    return {
        "url": answer.url,
        "status": answer.status,
        "seconds": round(answer.seconds, 6),
        "headers": answer.headers,
        **body,
    }


def _show(answer: "Prediction") -> None:
    from http import HTTPStatus

    known = answer.status in HTTPStatus._value2member_map_
    phrase = f" {HTTPStatus(answer.status).phrase}" if known else ""
    kind = answer.headers.get("content-type", "no content type")
    colour = "green" if answer.ok else "red"
    sizes = f"{answer.seconds * 1000:.1f} ms, {len(answer.body)} bytes, {kind}"
    err().print(f"[{colour}]{answer.status}{phrase}[/{colour}]  {sizes}")
    if sys.stdout.isatty() and b"\0" in answer.body:
        say("the body is binary; send it to a file with `>`")
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(answer.body)
    if sys.stdout.isatty() and not answer.body.endswith(b"\n"):
        typer.echo()
    sys.stdout.flush()


def add_to(app: typer.Typer) -> None:
    app.command("predict", rich_help_panel="Look inside")(predict)
