"""What a gateway writes into registries, and what it does to get there."""

from services.gateway.registry.plan import steps, wanted
from services.gateway.registry.port import Entry, Place, Target
from services.gateway.routes import DirectEndpoint, Registration, Service

HERE, THERE = DirectEndpoint("10.0.0.1", 8802, 2), DirectEndpoint("10.0.0.2", 8802, 3)
OWN = {("10.0.0.1", 8802)}
NACOS = Registration("r-1", "nacos", "http://nacos:8848", "digits", user="easel", password="secret")
TARGET = Target("nacos", "http://nacos:8848", user="easel", password="secret")


def a_service(name: str = "digits", *direct: DirectEndpoint, registration: Registration = NACOS) -> Service:
    return Service(name, direct=direct or (HERE, THERE), registrations=(registration,))


def test_a_gateway_writes_its_own_addresses_and_no_others() -> None:
    found = wanted([a_service()], OWN)

    assert found == {
        TARGET: {Place("digits", "10.0.0.1", 8802): Entry(Place("digits", "10.0.0.1", 8802), 2, "digits")}
    }


def test_a_service_without_registrations_is_written_nowhere() -> None:
    assert wanted([Service("digits", direct=(HERE,))], OWN) == {}


def test_a_registry_that_nothing_is_to_be_written_to_is_kept_in_mind() -> None:
    found = wanted([a_service("digits", THERE)], OWN)

    assert found == {TARGET: {}}


def test_two_services_under_one_name_share_a_place_with_the_weight_of_both() -> None:
    (entries,) = wanted([a_service("digits"), a_service("beta")], OWN).values()

    (entry,) = entries.values()
    assert (entry.weight, entry.service) == (4, "beta")


def test_a_weight_is_never_below_one() -> None:
    (entries,) = wanted([a_service("digits", DirectEndpoint("10.0.0.1", 8802, 0))], OWN).values()

    assert [entry.weight for entry in entries.values()] == [1]


def test_no_password_is_in_what_a_target_prints() -> None:
    assert "secret" not in repr(TARGET)


def an_entry(port: int, weight: int = 1) -> Entry:
    return Entry(Place("digits", "10.0.0.1", port), weight, "digits")


def by_place(*entries: Entry) -> dict[Place, Entry]:
    return {entry.place: entry for entry in entries}


def test_what_differs_is_written_what_is_not_wanted_is_removed_what_is_due_is_renewed() -> None:
    held = by_place(an_entry(1), an_entry(2), an_entry(3), an_entry(4))
    entries = by_place(an_entry(1), an_entry(2, weight=5), an_entry(4), an_entry(5))

    todo = steps(entries, held, due={an_entry(2).place, an_entry(3).place, an_entry(4).place})

    assert todo.remove == (an_entry(3),)
    assert todo.register == (an_entry(2, weight=5), an_entry(5))
    assert todo.renew == (an_entry(4),)


def test_where_all_is_as_it_should_be_there_is_nothing_to_do() -> None:
    held = by_place(an_entry(1))

    assert not steps(held, held, due=())
