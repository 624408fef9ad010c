"""What an Envoy is sent, and when: the delta protocol without an Envoy."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from services.gateway.ads.messages import Refusal, Request, Response
from services.gateway.ads.store import ResourceStore
from services.gateway.ads.view import EnvoyView
from services.gateway.xds.resource import CLUSTER, ENDPOINTS, LISTENER, SCOPE, SECRET, TYPES, Key, Resource

SHORT = {
    CLUSTER: "cluster",
    ENDPOINTS: "endpoints",
    LISTENER: "listener",
    SCOPE: "scope",
    SECRET: "secret",
}


class Wire:
    """A store and one Envoy that acknowledges what it is sent, except what it was told to refuse."""

    def __init__(self, *, connected: bool = True) -> None:
        self.store = ResourceStore()
        self.view = EnvoyView(self.store)
        self.refuses: set[str] = set()
        self.refusals: list[Refusal] = []
        self.sent: list[str] = []
        self.has: dict[Key, str] = {}
        self.change("edge", [Resource(Key(LISTENER, "edge"), b"", "1")])
        if connected:
            self.connect()

    def connect(self) -> None:
        for type_url in (CLUSTER, LISTENER, SCOPE):
            initial = {key.name: version for key, version in self.has.items() if key.type_url == type_url}
            self.view.receive(Request(type_url, initial=initial))
        names = {key.name: version for key, version in self.has.items() if key.type_url == ENDPOINTS}
        if names:
            self.view.receive(Request(ENDPOINTS, subscribe=tuple(names), initial=names))
        self.settle()

    def reconnect(self) -> None:
        self.view = EnvoyView(self.store)
        self.sent.clear()
        self.connect()

    def change(self, owner: str, resources: Iterable[Resource]) -> int:
        sequence, self.store.known = self.store.begin(), True
        self.view.changed(self.store.replace(owner, resources))
        return sequence

    def settle(self) -> None:
        while responses := self.view.responses():
            for response in responses:
                self.answer(response)

    def answer(self, response: Response) -> None:
        kind, names = SHORT[response.type_url], [each.key.name for each in response.resources]
        self.sent += [f"+{kind} {name}" for name in names] + [f"-{kind} {name}" for name in response.removed]
        refused = self.refuses.intersection(f"{each.key.name}@{each.version}" for each in response.resources)
        error = f"bad {sorted(refused)}" if refused else ""
        self.refusals += self.view.receive(Request(response.type_url, nonce=response.nonce, error=error))
        if error:
            return
        for each in response.resources:
            self.has[each.key] = each.version
            if response.type_url == CLUSTER:
                self.view.receive(Request(ENDPOINTS, subscribe=(each.key.name,)))
        for name in response.removed:
            self.has.pop(Key(response.type_url, name), None)
            if response.type_url == CLUSTER:
                self.has.pop(Key(ENDPOINTS, name), None)
                self.view.receive(Request(ENDPOINTS, unsubscribe=(name,)))


def a_service(name: str, endpoints: str = "1", scope: str = "1", version: int = 1) -> list[Resource]:
    cluster = f"{name}/{version}"
    return [
        Resource(Key(CLUSTER, cluster), b"", "1"),
        Resource(Key(ENDPOINTS, cluster), b"", endpoints),
        Resource(Key(SCOPE, name), b"", scope, needs=(cluster,)),
    ]


def test_a_route_is_sent_only_after_its_cluster_and_endpoints_are_in_force() -> None:
    wire = Wire()

    wire.change("a", a_service("a"))
    wire.settle()

    assert wire.sent == ["+listener edge", "+cluster a/1", "+endpoints a/1", "+scope a"]


def test_a_cluster_is_taken_away_only_after_the_routes_to_it() -> None:
    wire = Wire()
    wire.change("a", a_service("a"))
    wire.settle()
    wire.sent.clear()

    wire.change("a", a_service("a", scope="2", version=2))
    wire.settle()

    assert wire.sent == ["+cluster a/2", "+endpoints a/2", "+scope a", "-cluster a/1"]


def test_an_endpoint_change_sends_the_endpoints_of_that_service_and_nothing_else() -> None:
    wire = Wire()
    for name in ("a", "b", "c"):
        wire.change(name, a_service(name))
    wire.settle()
    wire.sent.clear()

    wire.change("b", a_service("b", endpoints="2"))
    wire.settle()

    assert wire.sent == ["+endpoints b/1"]


def test_changes_that_are_pending_together_are_one_response_a_type() -> None:
    wire = Wire()
    for name in ("a", "b", "c"):
        wire.change(name, a_service(name))

    responses = wire.view.responses()

    assert [len(each.resources) for each in responses if each.type_url == CLUSTER] == [3]


def test_a_change_that_is_taken_back_before_it_is_sent_sends_nothing() -> None:
    wire = Wire()
    wire.change("a", a_service("a"))
    wire.settle()
    wire.sent.clear()

    wire.change("a", a_service("a", endpoints="2"))
    sequence = wire.change("a", a_service("a"))
    wire.settle()

    assert wire.sent == []
    assert wire.view.applied() == sequence


def test_an_envoy_that_reconnects_is_sent_only_what_it_lacks() -> None:
    wire = Wire()
    for name in ("a", "b", "gone"):
        wire.change(name, a_service(name))
    wire.settle()
    wire.view = EnvoyView(wire.store)
    wire.change("a", a_service("a", endpoints="2"))
    wire.change("gone", [])

    wire.reconnect()

    assert wire.sent == ["+endpoints a/1", "-scope gone", "-cluster gone/1"]


def test_a_new_envoy_gets_all_routes_in_one_answer_so_that_it_opens_with_every_service() -> None:
    wire = Wire(connected=False)
    for number in range(3_000):
        wire.change(f"s{number}", a_service(f"s{number}"))
    answers: list[int] = []
    keep = wire.answer

    def noting(response: Response) -> None:
        if response.type_url == SCOPE:
            answers.append(len(response.resources))
        keep(response)

    wire.answer = noting  # type: ignore[method-assign]
    wire.connect()

    assert answers == [3_000]


def test_nothing_is_answered_before_the_first_state_is_known() -> None:
    view = EnvoyView(ResourceStore())

    for type_url in TYPES:
        view.receive(Request(type_url))

    assert view.responses() == []
    assert view.applied() == -1


def test_a_change_is_applied_once_the_envoy_has_acknowledged_all_of_it() -> None:
    wire = Wire()

    sequence = wire.change("a", a_service("a"))

    assert wire.view.applied() < sequence
    wire.settle()
    assert wire.view.applied() == sequence


def test_one_refused_resource_keeps_no_other_back_and_is_named() -> None:
    wire = Wire()
    for name in ("a", "b", "c"):
        wire.change(name, a_service(name))
    wire.settle()
    wire.refuses.add("b/1@bad")

    for name, version in (("a", "2"), ("b", "bad"), ("c", "2")):
        sequence = wire.change(name, a_service(name, endpoints=version))
    wire.settle()

    assert [refusal.names for refusal in wire.refusals] == [("b/1",)]
    assert [wire.has[Key(ENDPOINTS, f"{name}/1")] for name in "abc"] == ["2", "1", "2"]
    assert wire.view.applied() == sequence


def test_a_refused_resource_is_not_sent_again_until_it_changes() -> None:
    wire = Wire()
    wire.change("a", a_service("a"))
    wire.settle()
    wire.refuses.add("a/1@bad")
    wire.change("a", a_service("a", endpoints="bad"))
    wire.settle()
    wire.sent.clear()

    wire.change("b", a_service("b"))
    wire.settle()
    wire.change("a", a_service("a", endpoints="good"))
    wire.settle()

    assert [line for line in wire.sent if line.endswith("a/1")] == ["+endpoints a/1"]
    assert wire.has[Key(ENDPOINTS, "a/1")] == "good"


def test_a_route_whose_cluster_is_refused_waits_without_holding_up_acknowledgements() -> None:
    wire = Wire()
    wire.refuses.add("a/1@bad")
    wire.change("a", a_service("a", endpoints="bad"))
    wire.settle()

    sequence = wire.change("b", a_service("b"))
    wire.settle()

    assert Key(SCOPE, "a") not in wire.has
    assert wire.view.applied() == sequence


def test_a_route_that_waits_in_vain_keeps_no_cluster_of_another_service() -> None:
    wire = Wire()
    wire.refuses.add("a/1@bad")
    wire.change("a", a_service("a", endpoints="bad"))
    wire.change("b", a_service("b"))
    wire.settle()

    sequence = wire.change("b", [])
    wire.settle()

    assert Key(CLUSTER, "b/1") not in wire.has
    assert wire.view.applied() == sequence


def test_a_route_that_waits_in_vain_keeps_the_cluster_it_had_without_holding_up_acknowledgements() -> None:
    wire = Wire()
    wire.change("a", a_service("a"))
    wire.settle()
    wire.refuses.add("a/2@bad")

    sequence = wire.change("a", a_service("a", endpoints="bad", scope="2", version=2))
    wire.settle()

    assert Key(CLUSTER, "a/1") in wire.has
    assert wire.has[Key(SCOPE, "a")] == "1"
    assert wire.view.applied() == sequence


def a_group(scope: str, *needs: str) -> list[Resource]:
    return [Resource(Key(SCOPE, "group"), b"", scope, needs=needs)]


def with_a_group() -> Wire:
    wire = Wire()
    for name in ("a", "b"):
        wire.change(name, a_service(name))
    wire.change("group", a_group("1", "a/1", "b/1"))
    wire.settle()
    return wire


@pytest.mark.parametrize("again", [False, True])
def test_a_group_that_waits_in_vain_for_one_member_keeps_the_cluster_of_another(again: bool) -> None:
    wire = with_a_group()
    if again:
        wire.reconnect()
    wire.refuses.add("c/1@bad")

    wire.change("c", a_service("c", endpoints="bad"))
    wire.change("group", a_group("2", "a/1", "c/1"))
    sequence = wire.change("b", [])
    wire.settle()

    assert wire.has[Key(SCOPE, "group")] == "1"
    assert Key(CLUSTER, "b/1") in wire.has
    assert wire.view.applied() == sequence


def test_what_was_kept_for_a_group_goes_when_its_routes_can_be_changed() -> None:
    wire = with_a_group()
    wire.refuses.add("c/1@bad")
    wire.change("c", a_service("c", endpoints="bad"))
    wire.change("group", a_group("2", "a/1", "c/1"))
    wire.change("b", [])
    wire.settle()

    wire.change("c", a_service("c", endpoints="good"))
    wire.settle()

    assert wire.has[Key(SCOPE, "group")] == "2"
    assert Key(CLUSTER, "b/1") not in wire.has


def test_a_route_that_is_refused_itself_keeps_the_cluster_it_had() -> None:
    wire = Wire()
    wire.change("a", a_service("a"))
    wire.settle()
    wire.refuses.add("a@bad")

    sequence = wire.change("a", a_service("a", scope="bad", version=2))
    wire.settle()

    assert wire.has[Key(SCOPE, "a")] == "1"
    assert Key(CLUSTER, "a/1") in wire.has
    assert wire.view.applied() == sequence


def test_what_waits_for_the_next_try_of_a_refused_cluster_is_not_yet_applied() -> None:
    wire = Wire()
    wire.refuses.add("a/1@bad")
    wire.change("a", a_service("a", endpoints="bad"))
    wire.settle()

    sequence = wire.change("a", a_service("a", endpoints="good"))
    for response in wire.view.responses():
        wire.answer(response)
    before = wire.view.applied()
    wire.settle()

    assert before < sequence
    assert wire.has[Key(SCOPE, "a")] == "1"
    assert wire.view.applied() == sequence


def test_a_type_that_the_gateway_does_not_serve_is_answered_with_nothing() -> None:
    wire = Wire()

    wire.view.receive(Request("type.googleapis.com/other", subscribe=("x",)))

    assert wire.view.responses() == []


def test_a_changed_cluster_is_given_its_endpoints_again() -> None:
    wire = Wire()
    wire.change("a", a_service("a"))
    wire.settle()
    wire.sent.clear()

    changed = a_service("a")
    wire.change("a", [Resource(Key(CLUSTER, "a/1"), b"", "2"), *changed[1:]])
    wire.settle()

    assert "+endpoints a/1" in wire.sent


def a_port(name: str, *, by_name: bool = False) -> list[Resource]:
    cluster = Resource(Key(CLUSTER, f"{name}/tcp"), b"", "1")
    endpoints = [] if by_name else [Resource(Key(ENDPOINTS, f"{name}/tcp"), b"", "1")]
    return [cluster, *endpoints, Resource(Key(LISTENER, f"tcp/{name}"), b"", "1", needs=(f"{name}/tcp",))]


def test_a_port_opens_only_after_its_cluster_and_closes_before_it() -> None:
    wire = Wire()

    wire.change("a", a_port("a"))
    wire.settle()
    wire.change("a", [])
    wire.settle()

    opened = ["+cluster a/tcp", "+endpoints a/tcp", "+listener tcp/a"]
    assert wire.sent == ["+listener edge", *opened, "-listener tcp/a", "-cluster a/tcp"]


def test_a_port_whose_places_envoy_resolves_by_itself_waits_for_no_endpoints() -> None:
    wire = Wire()

    sequence = wire.change("a", a_port("a", by_name=True))
    wire.settle()

    assert wire.sent == ["+listener edge", "+cluster a/tcp", "+listener tcp/a"]
    assert wire.view.applied() >= sequence


def test_a_port_that_is_refused_is_named_and_holds_nothing_up() -> None:
    wire = Wire()
    wire.refuses = {"tcp/a@1"}

    wire.change("a", a_port("a"))
    sequence = wire.change("b", a_service("b"))
    wire.settle()

    assert [refusal.names for refusal in wire.refusals] == [("tcp/a",)]
    assert wire.view.applied() >= sequence


def test_a_secret_is_sent_to_those_that_ask_for_it_and_each_time_it_changes() -> None:
    wire = Wire()
    wire.change("tls", [Resource(Key(SECRET, "domain/a"), b"", "1")])
    wire.settle()
    assert wire.sent == ["+listener edge"]

    wire.view.receive(Request(SECRET, subscribe=("domain/a",)))
    wire.settle()
    wire.change("tls", [Resource(Key(SECRET, "domain/a"), b"", "2")])
    wire.settle()
    wire.change("tls", [])
    wire.settle()

    assert wire.sent == ["+listener edge", "+secret domain/a", "+secret domain/a"]


def asleep(name: str, scope: str = "asleep", version: int = 1) -> list[Resource]:
    """A service whose instances leave after its routes have changed."""
    *both, routes = a_service(name, endpoints="none", scope=scope, version=version)
    return [*(replace(each, after=(routes.key,)) for each in both), routes]


def test_instances_leave_only_after_the_routes_that_led_to_them() -> None:
    wire = Wire()
    wire.change("a", a_service("a"))
    wire.settle()
    wire.sent.clear()

    change = wire.change("a", asleep("a"))
    [first] = wire.view.responses()
    before = wire.view.applied()
    wire.answer(first)
    wire.settle()

    assert wire.sent == ["+scope a", "+endpoints a/1"]
    assert (before < change, wire.view.applied()) == (True, change)


def test_a_service_that_was_never_awake_waits_for_nothing() -> None:
    wire = Wire()

    wire.change("a", asleep("a"))
    wire.settle()

    assert wire.sent == ["+listener edge", "+cluster a/1", "+endpoints a/1", "+scope a"]


def test_an_envoy_that_refuses_the_routes_of_a_sleeper_gives_up_its_instances_all_the_same() -> None:
    wire = Wire()
    wire.change("a", a_service("a"))
    wire.settle()
    wire.sent.clear()
    wire.refuses.add("a@asleep")

    change = wire.change("a", asleep("a"))
    wire.settle()

    assert wire.sent[-1] == "+endpoints a/1"
    assert wire.view.applied() == change


def test_an_envoy_has_what_is_under_some_keys_once_it_has_acknowledged_all_of_it() -> None:
    wire = Wire()
    keys = [each.key for each in a_service("a")]
    wire.change("a", a_service("a"))
    wire.settle()
    wire.change("b", a_service("b"))

    assert wire.view.has(keys)
    assert not EnvoyView(wire.store).has(keys)

    wire.change("a", a_service("a", endpoints="2"))

    assert not wire.view.has(keys)
    wire.settle()
    assert wire.view.has(keys)
