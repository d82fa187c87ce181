"""No key, no password and nothing derived from them is ever written down: not in a trace, a log, a repr or an event."""

from __future__ import annotations

import base64
import gc
import logging
import re
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from imsphone.errors import AuthenticationError, CardError
from imsphone.ipsec.sa import SUITES, Suite
from imsphone.lab.network import Network
from imsphone.lab.world import World
from imsphone.machine import Transport
from imsphone.net.authority import Authority, put_key
from imsphone.phone import Phone
from imsphone.profile import Profile, Secret
from imsphone.testing.served import ServedLab
from imsphone.testing.uicc import SoftUicc
from imsphone.testing.virtual import VirtualPhone
from imsphone.usim.aka import AkaSuccess
from imsphone.usim.apdu import Dialogue, converse
from imsphone.usim.milenage import Milenage
from imsphone.usim.pin import Pin
from imsphone.usim.uicc import Uicc

NONCE = re.compile(r'nonce="([A-Za-z0-9+/=]{40,})"')


def shapes(secret: bytes) -> Iterator[bytes]:
    """How octets may show: as they are, in hexadecimal, in base64, as a Python literal."""
    yield secret
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    yield base64.b64encode(secret).rstrip(b"=")
    yield repr(secret)[2:-1].encode()


async def test_nothing_that_is_written_down_holds_a_secret(
    lab: ServedLab, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    written: list[str] = []
    accounts = lab.network.accounts
    password = accounts["softphone1"].password
    assert password is not None
    certificate, private = Authority.new("the phone's own").sign("softphone1")
    (tmp_path / "phone.pem").write_bytes(certificate)
    put_key(tmp_path / "phone.key", private)
    files = {"tls_ca": str(lab.ca), "tls_cert": str(tmp_path / "phone.pem"), "tls_key": str(tmp_path / "phone.key")}
    by_tls = replace(lab.profile("softphone1"), pcscf=str(lab.network.secure), transport="TLS", **files)
    phones = []
    for name, profile, keys in (
        ("alice", lab.profile("alice"), {"isim": lab.isim("alice")}),
        ("softphone1", lab.profile("softphone1"), {"password": password}),
        ("softphone1", by_tls, {"password": password}),
    ):
        async with Phone(profile, trace=lab.trace, name=name, **keys) as phone:  # type: ignore[arg-type]
            phone.on(lambda event: written.append(f"{event!r} {event.as_json()}"))
            await phone.register()
            async with await phone.call("echo") as call:
                await call.answered(timeout=10)
            await phone.text(name, "To myself.")
            phones.append(phone)
    wrong = Secret(b"not-the-password")
    async with Phone(replace(lab.profile("softphone1")), password=wrong, trace=lab.trace) as phone:
        with pytest.raises(AuthenticationError) as failure:
            await phone.register()
        written.append(f"{failure.value!r} {failure.value}")

    secrets = [password.reveal(), wrong.reveal(), b"".join(private.splitlines()[1:2])]
    alice = accounts["alice"]
    assert alice.k is not None
    assert alice.opc is not None
    secrets += [alice.k.reveal(), alice.opc.reveal()]
    assert any(record.flow.transport == "TLS" for record in lab.trace)
    rands = {base64.b64decode(nonce)[:16] for nonce in NONCE.findall(lab.trace.jsonl().replace('\\"', '"'))}
    assert len(rands) >= 2  # the search is worth something only where challenges were seen
    milenage = Milenage(alice.k.reveal(), alice.opc.reveal())
    for rand in rands:
        secrets += milenage.f2345(rand)[:3]  # RES, CK, IK

    written += [record.getMessage() for record in caplog.records]
    written += [repr(thing) for phone in phones for thing in (phone, phone.profile, phone.ue, vars(phone))]
    written += [repr(lab.network), repr(vars(lab.network)), repr(accounts), lab.trace.jsonl()]
    ours = [thing for thing in gc.get_objects() if str(type(thing).__module__).startswith("imsphone.")]
    written += [repr(thing) for thing in ours]
    haystack = "\n".join(written).encode("utf-8", "surrogateescape") + lab.trace.pcapng()
    haystack += b"".join(record.data for record in lab.trace)
    for secret in secrets:
        for shape in shapes(secret):
            assert shape not in haystack, "a secret is written down"


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
@pytest.mark.parametrize("suite", SUITES, ids=str)
def test_security_associations_are_traced_without_their_keys(
    world: World, network: Network, suite: Suite, transport: Transport
) -> None:
    wanted = {"security": "ipsec", "security_suites": (str(suite),), "transport": transport}
    profile = replace(Profile(**network.profile("alice")), **wanted)
    alice = VirtualPhone(world, "alice", "127.0.10.101", profile, network.accounts["alice"].isim())
    alice.register()
    world.run_for(1.0)
    held = alice.ue._agent.security.current
    assert held is not None
    trace = world.trace
    assert trace is not None
    assert any(record.flow.transport == transport and record.is_protected for record in trace)
    told = f"{alice.events!r} {held!r} {world.shield('alice').counted()!r} {trace.associations()!r}"
    written = [told, trace.jsonl(), trace.association_table()]
    haystack = "\n".join(written).encode("utf-8", "surrogateescape") + trace.pcapng()
    keys = {held.keys.integrity, held.keys.integrity[:16], held.keys.encryption, held.keys.salt} - {b""}
    assert keys
    for key in keys:
        for shape in shapes(key):
            assert shape not in haystack, "a key is written down"
    alice.deregister()
    assert all(one.until is not None for one in trace.associations() if one.who == "alice")


def test_a_pin_and_what_a_card_answers_are_in_no_sentence(network: Network, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    account = network.accounts["alice"]
    assert account.k is not None
    assert account.opc is not None
    card = SoftUicc.of(account, home_domain=network.realm, pin="48151623")
    written: list[str] = []

    def asked(dialogue: Dialogue[object]) -> object:
        try:
            said = converse(dialogue, card.answer, card.protocol)
        except CardError as error:
            said = error
            written.append("".join(traceback.format_exception(error)))
        written.append(f"{said!r} {said}")
        return said

    wrong, right = (Uicc(Pin(Secret(digits), may_retry=True)) for digits in (b"90219021", b"48151623"))
    assert "the PIN is wrong, 2 tries are left" in str(asked(wrong.read()))
    assert "the PIN is wrong, 2 tries are left" in str(asked(wrong.read())), "a PIN was given twice"
    assert not isinstance(asked(right.read()), CardError)
    rand = bytes(range(16))
    milenage = Milenage(account.k.reveal(), account.opc.reveal())
    res, ck, ik, ak = milenage.f2345(rand)
    sqn = (1 << 20).to_bytes(6, "big")
    hidden = bytes(one ^ other for one, other in zip(sqn, ak, strict=True))
    autn = hidden + bytes(2) + milenage.f1(rand, sqn, bytes(2))
    assert isinstance(asked(right.authenticate(rand, autn)), AkaSuccess)
    written += [repr(thing) for thing in (wrong, vars(wrong), right, vars(right), card.answer)]
    written += [record.getMessage() for record in caplog.records]
    ours = [thing for thing in gc.get_objects() if str(type(thing).__module__).startswith("imsphone.")]
    written += [repr(thing) for thing in ours]
    haystack = "\n".join(written).encode("utf-8", "surrogateescape")
    for secret in (b"48151623", b"90219021", res, ck, ik):
        for shape in shapes(secret):
            assert shape not in haystack, "a secret is written down"
