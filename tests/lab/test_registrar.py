"""Contacts come, move, are counted, and end with their time."""

from __future__ import annotations

from imsphone.lab.registrar import MOST_CONTACTS, Bound, Registrar
from imsphone.lab.subscriber import Profile
from imsphone.sip.fields import NameAddr

PROFILE = Profile("a@x", ("sip:hidden@x", "sip:a@x", "tel:+1"), frozenset(["sip:hidden@x"]))


def bound(contact: str, until: float = 100.0, impi: str = "a@x") -> Bound:
    return Bound(NameAddr.parse(contact), ("<sip:t@p;lr>",), impi, until)


def contacts(registrar: Registrar) -> list[str]:
    registration = registrar.find("tel:+1")
    return [] if registration is None else [str(one.contact.uri) for one in registration.bound]


def test_all_identities_of_a_set_are_registered_and_barred_ones_not_told() -> None:
    registrar = Registrar()
    registration = registrar.open(PROFILE)
    registrar.bind(registration, bound("<sip:a@h>"))
    assert all(registrar.find(impu) is registration for impu in PROFILE.impus)
    assert registration.associated() == ["sip:a@x", "tel:+1"]
    assert registrar.open(PROFILE) is registration
    assert len(registrar) == 1


def test_the_same_device_takes_its_own_place_and_another_stands_beside() -> None:
    registrar = Registrar()
    registration = registrar.open(PROFILE)
    for contact in ("<sip:a@h1>", "<sip:a@h2>", '<sip:b@h3>;+sip.instance="<urn:1>"'):
        registrar.bind(registration, bound(contact))
    assert contacts(registrar) == ["sip:a@h2", "sip:b@h3"]
    registrar.bind(registration, bound('<sip:b@h4>;+sip.instance="<urn:1>"'))
    registrar.bind(registration, bound("<sip:c@h5>", impi="other@x"))
    assert contacts(registrar) == ["sip:a@h2", "sip:b@h4", "sip:c@h5"]


def test_there_is_an_end_to_room() -> None:
    registrar = Registrar()
    registration = registrar.open(PROFILE)
    for number in range(MOST_CONTACTS):
        registrar.bind(registration, bound(f'<sip:a@h{number}>;+sip.instance="<urn:{number}>"'))
    known = NameAddr.parse('<sip:a@new>;+sip.instance="<urn:3>"')
    assert registrar.has_room(registration, [known], "a@x")
    assert not registrar.has_room(registration, [NameAddr.parse("<sip:a@new>")], "a@x")
    assert registrar.has_room(None, [known], "a@x")


def test_contacts_end_with_their_time_and_the_last_one_ends_it_all() -> None:
    registrar = Registrar()
    registration = registrar.open(PROFILE)
    registrar.bind(registration, bound("<sip:a@h1>", 50.0))
    registrar.bind(registration, bound('<sip:b@h2>;+sip.instance="<urn:1>"', 80.0))
    assert registrar.deadline == 50.0
    assert [(one, len(gone)) for one, gone in registrar.end(60.0)] == [(registration, 1)]
    assert contacts(registrar) == ["sip:b@h2"]
    registrar.bind(registration, bound('<sip:b@h2>;+sip.instance="<urn:1>"', 120.0))
    assert registrar.deadline == 120.0
    assert [(one, len(gone)) for one, gone in registrar.end(120.0)] == [(registration, 1)]
    assert registrar.find("sip:a@x") is None
    assert registrar.deadline is None


def test_only_his_own_contacts_go_with_a_private_identity() -> None:
    registrar = Registrar()
    registration = registrar.open(PROFILE)
    registrar.bind(registration, bound("<sip:a@h1>"))
    registrar.bind(registration, bound("<sip:c@h2>", 200.0, impi="other@x"))
    registrar.unbind(registration, NameAddr.parse("<sip:c@h2>"), "a@x")
    assert contacts(registrar) == ["sip:a@h1", "sip:c@h2"]
    registrar.unbind(registration, None, "a@x")
    assert contacts(registrar) == ["sip:c@h2"]
    assert registrar.deadline == 200.0


def test_flows_stand_beside_each_other_and_go_one_by_one() -> None:
    """RFC 5626 6: instance and reg-id tell them apart, the address does not."""
    registrar = Registrar()
    registration = registrar.open(PROFILE)
    contact = '<sip:a@h>;+sip.instance="<urn:1>";reg-id='
    for number in (1, 2, 2):
        registrar.bind(registration, bound(f"{contact}{number}"))
    assert [one.contact.params["reg-id"] for one in registration.bound] == ["1", "2"]
    registrar.unbind(registration, NameAddr.parse(f"{contact}1"), "a@x")
    assert [one.contact.params["reg-id"] for one in registration.bound] == ["2"]
    registrar.bind(registration, bound('<sip:a@h3>;+sip.instance="<urn:1>"'))  # without outbound it is one device
    assert contacts(registrar) == ["sip:a@h3"]


def test_an_emergency_registration_stands_beside() -> None:
    registrar = Registrar()
    registration = registrar.open(PROFILE)
    for contact in ('<sip:a@h>;+sip.instance="<urn:1>"', '<sip:b@h;sos>;+sip.instance="<urn:1>"'):
        registrar.bind(registration, bound(contact))
    assert len(registration.bound) == 2


def test_a_200_counts_what_is_left() -> None:
    one = bound('<sip:a@h>;+sip.instance="<urn:1>"', 100.0)
    assert one.header(40.4) == '<sip:a@h>;+sip.instance="<urn:1>";expires=60'
    assert one.header(200.0).endswith(";expires=0")
