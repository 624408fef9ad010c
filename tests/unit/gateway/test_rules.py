"""Which requests go where, and what an update makes stale, without an Envoy."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from services.gateway.ads.store import ResourceStore
from services.gateway.known import Known
from services.gateway.publisher import Publisher, unchanging
from services.gateway.redaction import without_secrets
from services.gateway.routes import (
    Backend,
    EdgeSettings,
    Endpoint,
    Group,
    GroupMember,
    HostedGateway,
    MemberRule,
    Service,
    Token,
    Update,
)
from services.gateway.routing.doors import Form, counted_as, doors
from services.gateway.routing.members import Choice, Hashed, Share, Shows, choices
from services.gateway.routing.rules import group_entries, service_entries
from services.gateway.routing.sessions import PERIOD, periods, session_value
from services.gateway.snapshot import Snapshots, load
from services.gateway.xds.resource import SCOPE, Key
from services.gateway.xds.scopes import scope_name
from tests.support.waiting import until

READY = (Backend(1, (Endpoint("i", "127.0.0.1", 1),)),)
A, B, C = (Service(name, (Token(name, f"service:{name}"),), backends=READY, group="g") for name in "abc")
GROUP = Group("g", (Token("g", "group:g"),), tuple(GroupMember(name, 1) for name in "abc"))


def members(*services: Service) -> dict[str, Service]:
    return {each.name: each for each in services}


def test_shares_add_up_to_everything_and_the_last_takes_what_is_left() -> None:
    chosen = choices(GROUP, members(A, B, C))

    assert chosen == (Choice(A, Share(333_333)), Choice(B, Share(666_666)), Choice(C))


def test_a_member_that_is_not_ready_or_not_known_takes_nothing() -> None:
    assert choices(GROUP, members(replace(A, backends=()), B)) == (Choice(B),)


def test_rules_come_before_cookies_before_hashes_before_weights() -> None:
    group = replace(
        GROUP,
        members=(GroupMember("a", 3), GroupMember("b", 1), GroupMember("c", 0)),
        rules=(MemberRule("c", header="x-tester"),),
        sticky_cookie="keep",
        sticky_header="x-user",
    )

    assert choices(group, members(A, B, C)) == (
        Choice(C, Shows(header="x-tester")),
        Choice(A, Shows(cookie="keep", value="a")),
        Choice(B, Shows(cookie="keep", value="b")),
        Choice(B, Hashed("x-user", 750_000)),
        Choice(A, Hashed("x-user", 0)),
        Choice(A, Share(750_000), remember="keep"),
        Choice(B, None, remember="keep"),
    )


def test_a_member_has_entries_of_its_own_and_of_its_group_by_path_and_host() -> None:
    found = {each.key: (each.path, each.group) for each in service_entries(A, ("d", "d:80"), GROUP)}

    assert found == {
        "a": ("/api/predict/a", ""),
        "#a.d": ("", ""),
        "#a.d:80": ("", ""),
        "g.a": ("/api/predict/g.a", "g"),
        "#g.a.d": ("", "g"),
        "#g.a.d:80": ("", "g"),
    }


def test_an_entry_of_a_member_in_its_group_opens_with_the_tokens_of_both() -> None:
    own, _, in_group, _ = service_entries(A, ("d",), GROUP)
    (of_group, _) = group_entries(GROUP, members(A), ("d",))

    opened_by = [
        {token.value for door in entry.doors for token in door.tokens} for entry in (own, in_group, of_group)
    ]

    assert opened_by == [{"a"}, {"a", "g"}, {"g"}]


def test_pages_are_opened_by_a_cookie_of_this_period_and_the_one_before() -> None:
    now = datetime(2026, 11, 22, 9, tzinfo=UTC)
    current, before = periods(now)

    door = doors((Token("secret"),), "app", periods(now))[-1]

    assert door.form is Form.SESSION
    assert door.cookies == tuple(
        f"easel-app={session_value('secret', 'app', period)}" for period in (current, before)
    )
    assert periods(now + PERIOD) == (current + 1, current)
    assert "secret" not in "".join(door.cookies)


def test_the_name_under_which_a_token_is_counted_says_nothing_of_it() -> None:
    assert counted_as(Token("secret", "one")) == counted_as(Token("other", "one"))
    assert counted_as(Token("secret", "one")) != counted_as(Token("secret", "two"))


def test_a_change_of_a_member_touches_its_group_and_other_tokens_of_a_group_its_members() -> None:
    known = Known()
    other = replace(C, name="other", group="")
    known.take(Update(1, True, (A, B, other), groups=(replace(GROUP, members=(GroupMember("a", 1),)),)))

    by_member = known.take(Update(2, False, (replace(A, backends=()),)))
    by_stranger = known.take(Update(3, False, (replace(other, backends=()),)))
    by_weights = known.take(Update(4, False, groups=(GROUP,)))
    by_tokens = known.take(Update(5, False, groups=(replace(GROUP, tokens=(Token("another"),)),)))
    by_removal = known.take(Update(6, False, removed=("a",), removed_groups=("g",)))

    assert (by_member.services, by_member.groups) == (["a"], ["g"])
    assert (by_stranger.services, by_stranger.groups) == (["other"], [])
    assert (by_weights.services, by_weights.groups) == ([], ["g"])
    assert (by_tokens.services, by_tokens.groups) == (["a", "b"], ["g"])
    assert (by_removal.services, by_removal.gone, by_removal.gone_groups) == (["b"], ["a"], ["g"])


def test_what_is_taken_away_and_given_in_one_update_is_there() -> None:
    known = Known()
    known.take(Update(1, True, (A,), groups=(GROUP,)))

    touched = known.take(Update(2, False, (A,), ("a",), (GROUP,), ("g",)))

    assert (touched.services, touched.groups) == (["a"], ["g"])
    assert (known.services, known.groups) == ({"a": A}, {"g": GROUP})


async def test_the_routes_of_pages_alone_are_built_anew_when_a_period_ends() -> None:
    now = [datetime(2026, 11, 22, 9, tzinfo=UTC)]
    store = ResourceStore()
    publisher = Publisher(store, unchanging([], ("d",)), clock=lambda: now[0])
    pages = replace(B, name="pages", webservice=True, group="")
    await publisher.publish(Update(1, True, (A, pages)))
    before = dict(store.of(SCOPE))
    assert not publisher.is_out_of_date()

    now[0] += timedelta(hours=12)
    assert publisher.is_out_of_date()
    await publisher.refresh()

    changed = {name for name, entry in store.of(SCOPE).items() if before[name] != entry}
    assert changed == {"pages", "#pages.d"}
    assert not publisher.is_out_of_date()


async def test_groups_settings_and_gateways_are_found_on_disk_again(tmp_path: Path) -> None:
    publisher, stop = Publisher(ResourceStore(), unchanging([], ("d",))), asyncio.Event()
    saving = asyncio.create_task(Snapshots(publisher, tmp_path / "snapshot").run(until=stop))
    settings, hosted = EdgeSettings(tls_port=443), (HostedGateway("other", 9000),)

    await publisher.publish(Update(1, True, (A,), groups=(GROUP,), settings=settings, hosted=hosted))
    await publisher.publish(Update(2, False, (B,)))
    await until(lambda: publisher.saved == publisher.sequence, "the snapshot")
    stop.set()
    await saving

    found = Update(2, True, (A, B), groups=(GROUP,), settings=settings, hosted=hosted)
    assert load(tmp_path / "snapshot") == found


async def test_a_service_may_take_the_name_of_a_group_that_goes_in_the_same_update() -> None:
    store = ResourceStore()
    publisher = Publisher(store, unchanging([], ("d",)))
    await publisher.publish(Update(1, True, (A,), groups=(GROUP,)))

    await publisher.publish(Update(2, False, (replace(B, name="g", group=""),), removed_groups=("g",)))

    entry = store.get(Key(SCOPE, "g"))
    assert entry is not None
    assert entry.resource.needs == ("g/1",)


def test_what_envoy_quotes_of_a_refused_configuration_shows_no_secret() -> None:
    cookie = f"easel-app={session_value('of-a', 'app', 1)}"
    pem = "-----BEGIN PRIVATE KEY-----\\nabc\\n-----END PRIVATE KEY-----"
    text = (
        f'exact: "Bearer of-a" exact: "of-a-2" exact: "of-g" contains: "{cookie}" inline: "{pem}" name: "a"'
    )
    service = replace(A, tokens=(Token("of-a"), Token("of-a-2"), Token("")))

    shown = without_secrets(
        text, members(service), {"g": replace(GROUP, tokens=(Token("of-g"),))}, EdgeSettings()
    )

    assert shown == 'exact: "Bearer ***" exact: "***" exact: "***" contains: "***" inline: "***" name: "a"'


def test_the_name_of_a_scope_is_short_and_its_own() -> None:
    keys = [f"#group-of-some-length.member-{number}.a-domain.example:8800" for number in range(2_000)]
    names = {scope_name(key) for key in keys}

    assert len(names) == len(keys)
    assert max(map(len, names)) <= 22
    assert scope_name("digits") == "digits"
