"""What Envoy is sent for groups, their members and web sessions, one file a feature."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from services.gateway.routes import Backend, Endpoint, Group, GroupMember, Hold, MemberRule, Service, Token
from services.gateway.xds.build import group_resources, service_resources
from services.gateway.xds.resource import SCOPE, Resource
from tests.golden.test_gateway_resources import readable

HERE = Path(__file__).parent / "groups"


def a_member(name: str, instances: int = 1) -> Service:
    endpoints = tuple(Endpoint(f"{name}-{n}", f"10.0.0.{n}", 9000) for n in range(1, instances + 1))
    return Service(
        name, (Token(f"token-{name}", f"service:{name}"),), backends=(Backend(1, endpoints),), group="g"
    )


STABLE, CANARY = a_member("stable", 2), replace(a_member("canary"), keep_path=True)
AUTO = Group("g", (Token("token-g", "group:g"),), (GroupMember("stable", 2), GroupMember("canary", 1)))
GROUPS = {
    "weights": (AUTO, (STABLE, CANARY)),
    "members_with_keepalives_of_their_own": (
        AUTO,
        (STABLE, replace(CANARY, keepalive=timedelta(seconds=60))),
    ),
    "one_member_ready": (AUTO, (STABLE, replace(CANARY, backends=(Backend(1),)))),
    "no_member_ready": (AUTO, ()),
    "all_members_asleep": (
        AUTO,
        tuple(replace(each, backends=(Backend(1),), hold=Hold()) for each in (STABLE, CANARY)),
    ),
    "rules": (
        replace(
            AUTO,
            members=(GroupMember("stable", 1), GroupMember("canary", 0)),
            rules=(
                MemberRule("canary", header="x-tester", value="yes"),
                MemberRule("canary", header="x-any"),
                MemberRule("canary", cookie="beta", value="1"),
                MemberRule("canary", cookie="beta-any"),
            ),
        ),
        (STABLE, CANARY),
    ),
    "sticky_cookie": (replace(AUTO, sticky_cookie="easel-member"), (STABLE, CANARY)),
    "sticky_header": (replace(AUTO, sticky_header="x-user"), (STABLE, CANARY)),
    "several_tokens": (replace(AUTO, tokens=(Token("a", "group:g"), Token("b", "more"))), (STABLE,)),
}
WEB = replace(STABLE, name="app", group="", webservice=True)
SERVICES = {
    "member": (STABLE, AUTO),
    "web_service": (WEB, None),
    "web_service_with_several_tokens": (replace(WEB, tokens=(Token("a", "1"), Token("b", "2"))), None),
}


def check(name: str, resources: list[Resource], rewrite: bool) -> None:
    file, text = HERE / f"{name}.yaml", readable([each for each in resources if each.key.type_url == SCOPE])
    if rewrite:
        file.write_text(text)
    assert file.read_text() == text, f"{file} differs; if that is meant, run pytest with --rewrite-golden"


@pytest.mark.parametrize("feature", GROUPS)
def test_a_group_becomes_these_scopes(feature: str, rewrite_golden: bool) -> None:
    group, members = GROUPS[feature]
    built = group_resources(group, {each.name: each for each in members}, ("easel.local",))

    check(feature, built, rewrite_golden)


@pytest.mark.parametrize("feature", SERVICES)
def test_a_member_and_a_web_service_become_these_scopes(feature: str, rewrite_golden: bool) -> None:
    service, group = SERVICES[feature]

    check(feature, service_resources(service, ("easel.local",), group, periods=(7, 6)), rewrite_golden)


def test_every_golden_file_belongs_to_a_feature() -> None:
    assert {file.stem for file in HERE.glob("*.yaml")} == GROUPS.keys() | SERVICES.keys()


def test_a_change_of_weights_changes_the_scopes_of_the_group_alone() -> None:
    members = {each.name: each for each in (STABLE, CANARY)}
    other = replace(AUTO, members=(GroupMember("stable", 1), GroupMember("canary", 1)))

    before, after = group_resources(AUTO, members, ("d",)), group_resources(other, members, ("d",))

    assert [each.key for each in before] == [each.key for each in after]
    assert service_resources(STABLE, ("d",), AUTO) == service_resources(STABLE, ("d",), other)
