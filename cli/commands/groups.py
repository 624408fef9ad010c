"""`easel group`: services behind one entry."""

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from cli.asking import agreed
from cli.output import Format, Output, dump, facts, out, put, say, show_rows, table
from cli.pairs import changed_labels, pairs
from cli.session import listed, with_easel

if TYPE_CHECKING:
    from easel_sdk import AsyncEasel
    from easel_sdk.types import Group, MemberRule

groups = typer.Typer(help="Services behind one entry: canaries, testers, weights.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="GROUP", help="The group's name.")]


class Mode(StrEnum):
    AUTO = "auto"
    CUSTOMIZED = "customized"


@groups.command("create")
def create(
    name: Name,
    mode: Annotated[
        Mode, typer.Option("--mode", help="Share requests by ready instances, or by the members' weights.")
    ] = Mode.AUTO,
    gateway: Annotated[
        str, typer.Option("--gateway", help="The gateway of the group and its members; else the shared one.")
    ] = "",
    labels: Annotated[
        list[str] | None, typer.Option("-l", "--label", metavar="KEY=VALUE", help="A label to set.")
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """Create a group that stays also without members.

    The first service with metadata.group makes its group too; that one goes with its last member.
    """
    given = pairs(labels or [], "KEY=VALUE")
    group = with_easel(
        lambda easel: easel.groups.create(name, traffic_mode=mode.value, labels=given, gateway=gateway),
        "group create",
    )
    if output is not Format.TABLE:
        return dump(group, output)
    say(f'{name} is created; a service joins it with "metadata": {{"group": "{name}"}}')
    return typer.echo(f"  endpoint  {group.endpoint}\n  token     easel group token {name}")


@groups.command("list", hidden=True)
@groups.command("ls")
def ls(
    containing: Annotated[str, typer.Argument(metavar="[NAME]", help="Keep names containing this.")] = "",
    labels: Annotated[
        list[str] | None, typer.Option("-l", "--label", metavar="KEY=VALUE", help="Keep groups with it.")
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """List the groups, and which members take which share of their requests."""
    from cli.traffic_views import GROUPS

    wanted = pairs(labels or [], "KEY=VALUE")
    found = with_easel(
        lambda easel: listed(easel.groups.list(containing=containing, labels=wanted)), "group ls"
    )
    none = "no group yet; `easel group create NAME` or a service with metadata.group makes one"
    show_rows(found, output, GROUPS, "no group is like that" if containing or wanted else none)


@groups.command("desc")
def desc(name: Name, output: Output = Format.TABLE) -> None:
    """Describe a group: members with weight and share, rules, who keeps to one member, the newest ramp."""
    group = with_easel(lambda easel: easel.groups.get(name), "group desc")
    dump(group, output) if output is not Format.TABLE else show_group(group)


def show_group(group: "Group") -> None:
    """The whole of a group, for a person."""
    from cli.traffic_views import MEMBERS, group_lines, ramp_lines, rule_text

    put(facts([*group_lines(group), *(("rule", rule_text(each)) for each in group.rules)]))
    if group.ramp is not None:
        typer.echo()
        put(facts(ramp_lines(group.ramp)))
    typer.echo()
    if group.members:
        put(table(group.members, MEMBERS))
    else:
        out().print(f'no member; a service joins with "metadata": {{"group": "{group.name}"}}', markup=False)


@groups.command("set")
def set_(
    name: Name,
    mode: Annotated[
        Mode | None, typer.Option("--mode", help="Share requests by ready instances, or by weights.")
    ] = None,
    sticky_header: Annotated[
        str | None,
        typer.Option("--sticky-header", metavar="H", help='The same value goes to one member; "" ends it.'),
    ] = None,
    sticky_cookie: Annotated[
        str | None,
        typer.Option("--sticky-cookie", metavar="C", help='A browser keeps its first member; "" ends it.'),
    ] = None,
    rules: Annotated[
        list[str] | None,
        typer.Option(
            "--rule",
            metavar="SERVICE=header:NAME[=VALUE]",
            help="Requests that show this header, or cookie:NAME, go to the member whatever its weight. "
            "Repeatable, the first that fits decides; all of them replace those of before.",
        ),
    ] = None,
    no_rules: Annotated[bool, typer.Option("--no-rules", help="Remove all rules.")] = False,
    labels: Annotated[
        list[str] | None, typer.Option("-l", "--label", metavar="KEY=VALUE", help="Set it; KEY- removes it.")
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """Change what is given of a group; the rest stays.

    Example: easel group set llm --rule llm-v2=header:x-tester=yes --sticky-cookie llm-member
    """
    if rules and no_rules:
        raise typer.BadParameter("give either --rule or --no-rules")
    wanted = () if no_rules else tuple(rule_of(each) for each in rules) if rules else None
    if all(each is None for each in (mode, sticky_header, sticky_cookie, wanted)) and not labels:
        raise typer.BadParameter(
            "give --mode, --sticky-header, --sticky-cookie, --rule, --no-rules or --label"
        )
    group = with_easel(
        lambda easel: easel.groups.update(
            name,
            traffic_mode=mode.value if mode else None,
            labels=changed_labels(labels or []),
            sticky_header=sticky_header,
            sticky_cookie=sticky_cookie,
            rules=wanted,
        ),
        "group set",
    )
    say(f"{name} is changed") if output is Format.TABLE else dump(group, output)


def rule_of(text: str) -> "MemberRule":
    """`SERVICE=header:NAME[=VALUE]` or with `cookie:`. Ends the command with a usage error otherwise."""
    from easel_sdk.types import MemberRule

    service, _, shown = text.partition("=")
    kind, _, pair = shown.partition(":")
    name, _, value = pair.partition("=")
    if not service or not name or kind not in ("header", "cookie"):
        expected = "SERVICE=header:NAME, SERVICE=header:NAME=VALUE or the same with cookie:"
        raise typer.BadParameter(f"--rule: got {text!r}, expected {expected}")
    if kind == "header":
        return MemberRule(service, header=name, value=value)
    return MemberRule(service, cookie=name, value=value)


@groups.command("delete")
def delete(
    name: Name,
    cascade: Annotated[
        bool, typer.Option("--cascade", help="Delete its members too, with all their instances and versions.")
    ] = False,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Delete a group without members, or with --cascade the members as well, which it asks about first."""

    async def members(easel: "AsyncEasel") -> Sequence[str]:
        return [each.service for each in (await easel.groups.get(name)).members]

    if cascade and not yes and (gone := with_easel(members, "group delete")):
        agreed(f"{name} is deleted with its members {', '.join(gone)} and all their versions; go on?")
    deleted = with_easel(lambda easel: easel.groups.delete(name, cascade=cascade), "group delete")
    if output is not Format.TABLE:
        return dump({"deleted": name, "services": deleted}, output)
    return say(f"{name} is deleted" + (f", with {', '.join(deleted)}" if deleted else ""))


@groups.command("token")
def token(name: Name, output: Output = Format.TABLE) -> None:
    """Show the token that a group's callers send."""
    secret = with_easel(lambda easel: easel.groups.token(name), "group token")
    if output is Format.TABLE:
        return typer.echo(secret)
    return dump({"group": name, "token": secret}, output)


def add_to(app: typer.Typer) -> None:
    app.add_typer(groups, name="group", rich_help_panel="Traffic")
