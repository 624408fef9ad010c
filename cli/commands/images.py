"""`easel image`: images that nodes fetch before an instance asks for them."""

import base64
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from cli.exits import Exit
from cli.output import Format, Output, dump, err, say, show_rows, warn
from cli.session import listed, with_easel
from cli.writing import Timeout, Wait

if TYPE_CHECKING:
    from easel_sdk import AsyncEasel
    from easel_sdk.types import ImagePull

images = typer.Typer(help="Fetch images to nodes ahead of time.", no_args_is_help=True)


@images.command("pull")
def pull(
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="The image, as under containers[].image.")],
    group: Annotated[
        str, typer.Option("--on", metavar="GROUP", help="The resource group whose nodes pull it.")
    ],
    auth: Annotated[
        str,
        typer.Option(
            "--auth",
            metavar="AUTH",
            help="secret://NAME/KEY, or base64 of user:password; - reads user:password.",
        ),
    ] = "",
    wait: Wait = False,
    timeout: Timeout = 1800,
    output: Output = Format.TABLE,
) -> None:
    """Fetch an image to every node of a resource group, also to those that join later."""
    docker_auth = _auth(auth)

    async def work(easel: "AsyncEasel") -> "ImagePull":
        made = await easel.images.pull(image, resource_group=group, docker_auth=docker_auth)
        say(f"{image} is fetched by the nodes of {group} ({made.id})")
        return await _pulled(easel, made, timeout) if wait else made

    made = with_easel(work, "image pull")
    if output is not Format.TABLE:
        dump(made, output)
    elif wait:
        _show([made], output)
    if wait and (failed := [each for each in made.nodes if each.failed]):
        whys = "; ".join(f"{each.node}: {each.why}" for each in failed)
        say(f"easel: {image} is not on every node of {group}: {whys}")
        raise typer.Exit(Exit.FAILED)


def _auth(given: str) -> str:
    if given == "-":
        text = sys.stdin.read().strip()
        if ":" not in text:
            raise typer.BadParameter("--auth - expects user:password on standard input")
        return base64.b64encode(text.encode()).decode()
    if given and not given.startswith("secret://"):
        warn("a password on a command line is seen by other users of this machine; keep it as a secret")
    return given


async def _pulled(easel: "AsyncEasel", made: "ImagePull", timeout: float) -> "ImagePull":
    """The pull once every node that runs containers has the image or failed.

    Raises `NotFound` and `DeadlineExceeded`, and `FailedPrecondition` when no node runs containers.
    """
    from cli.polling import poll
    from cli.progress import milestone, progress_text
    from easel_sdk.errors import FailedPrecondition, NotFound
    from easel_sdk.types import Runtime

    nodes = await listed(easel.nodes.list(resource_group=made.resource_group))
    without = {each.name for each in nodes if each.runtime is Runtime.PROCESS}
    if nodes and len(without) == len(nodes):
        raise FailedPrecondition(f"no node of {made.resource_group} runs containers, so none has images")
    told: dict[str, str] = {}
    waited_for: dict[str, str] = {}

    async def look() -> "ImagePull | None":
        found = [each for each in await listed(easel.images.list()) if each.id == made.id]
        if not found:
            raise NotFound(f"the pull of {made.image} was deleted meanwhile")
        waited_for.clear()
        for each in found[0].nodes:
            if not each.done and each.why:
                waited_for[each.node] = f"{each.node}: {each.why}"
            if each.progress and told.get(each.node) != milestone(each.progress):
                told[each.node] = milestone(each.progress)
                err().print(f"{each.node}: {progress_text(each.progress)}", markup=False)
        ended = all(each.done or each.failed or each.node in without for each in found[0].nodes)
        return found[0] if found[0].nodes and ended else None

    late = f"{made.image} is not on every node of {made.resource_group}"
    return await poll(look, timeout, lambda: "; ".join((late, *waited_for.values())))


@images.command("list", hidden=True)
@images.command("ls")
def ls(output: Output = Format.TABLE) -> None:
    """List what was asked for, and how far each node is."""
    _show(with_easel(lambda easel: listed(easel.images.list()), "image ls"), output)


def _show(pulls: "list[ImagePull]", output: Format) -> None:
    from cli.node_views import PULLS

    if output is not Format.TABLE:
        return dump(pulls, output)
    rows = [(each, node) for each in pulls for node in (each.nodes or (None,))]
    return show_rows(rows, output, PULLS, "no image was asked for; `easel image pull IMAGE --on GROUP` does")


@images.command("delete", hidden=True)
@images.command("rm")
def rm(
    pull_id: Annotated[str, typer.Argument(metavar="ID", help="Its id, as `easel image ls` shows.")],
    output: Output = Format.TABLE,
) -> None:
    """Ask for an image no more; nodes keep it, those that join later do not fetch it."""
    with_easel(lambda easel: easel.images.delete(pull_id), "image rm")
    say(f"{pull_id} is deleted; nodes keep the image") if output is Format.TABLE else dump(
        {"deleted": pull_id}, output
    )


def add_to(app: typer.Typer) -> None:
    app.add_typer(images, name="image", rich_help_panel="Storage and secrets")
