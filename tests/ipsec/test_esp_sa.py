"""Wireshark looks inside our ESP packets with the keys that we write for it."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from imsphone.ipsec.esp_sa import knows, lines
from imsphone.ipsec.sa import SUITES, Associations, Ends, Keys, Suite
from imsphone.lab.network import Network
from imsphone.lab.world import World
from imsphone.profile import Profile
from imsphone.testing.virtual import VirtualPhone

CK, IK = bytes(range(16)), bytes(range(16, 32))


def a_set(suite: Suite, here: str = "10.9.1.2", there: str = "10.9.1.1") -> Associations:
    return Associations(suite, here, there, Ends(256, 257, 1, 2), Ends(300, 301, 3, 4), Keys.of(suite, CK, IK))


def test_a_line_for_each_association() -> None:
    first, *others = lines(a_set(SUITES[0]))
    assert first == (
        f'"IPv4","10.9.1.2","10.9.1.1","0x0000012d","AES-CBC [RFC3602]","0x{CK.hex()}",'
        f'"HMAC-SHA-1-96 [RFC2404]","0x{IK.hex()}00000000"\n'
    )
    assert [line.split(",")[3] for line in others] == ['"0x0000012c"', '"0x00000100"', '"0x00000101"']
    assert next(iter(lines(a_set(Suite("hmac-md5-96", "null"), "2001:db8::2", "2001:db8::1")))) == (
        f'"IPv6","2001:db8::2","2001:db8::1","0x0000012d","NULL","","HMAC-MD5-96 [RFC2403]","0x{IK.hex()}"\n'
    )


def test_of_gmac_wireshark_knows_nothing() -> None:
    assert list(lines(a_set(Suite("aes-gmac", "null")))) == []


@pytest.mark.skipif(shutil.which("tshark") is None, reason="needs tshark, Wireshark without a window")
@pytest.mark.parametrize("suite", [suite for suite in SUITES if knows(suite)], ids=str)
def test_tshark_reads_what_was_inside(tmp_path: Path, suite: Suite) -> None:
    world, network = World(), Network(seed=b"wireshark")
    network.attach(world)
    profile = replace(Profile(**network.profile("alice")), security="ipsec", security_suites=(str(suite),))
    alice = VirtualPhone(world, "alice", "127.0.10.101", profile, network.accounts["alice"].isim())
    for name in ("alice", "p-cscf"):
        world.shield(name).transports = ("UDP",)  # a World has no whole TCP to look into
    keys: list[str] = []
    world.listen("alice", lambda _event: keys.extend(_keys_of(alice)))
    alice.register()
    world.run_for(1.0)
    assert world.trace is not None
    (tmp_path / "a.pcapng").write_bytes(world.trace.pcapng())

    def tshark(*options: str) -> list[list[str]]:
        """The fields of each packet."""
        order = ["tshark", "-r", str(tmp_path / "a.pcapng"), *options]
        done = subprocess.run(order, capture_output=True, text=True, check=True, timeout=60)
        return [line.split("\t") for line in done.stdout.splitlines()]

    inside = ["REGISTER", "200", "SUBSCRIBE", "200", "NOTIFY", "200"]
    fields = ("-Y", "esp", "-T", "fields", "-e", "sip.Method", "-e", "sip.Status-Code")
    assert ["".join(found) for found in tshark(*fields)] == [""] * len(inside)
    uat = [option for line in dict.fromkeys(keys) for option in ("-o", f"uat:esp_sa:{line.strip()}")]
    assert ["".join(found) for found in tshark("-o", "esp.enable_encryption_decode:TRUE", *uat, *fields)] == inside
    # the same messages stand beside their packets, and say what they were
    beside = tshark("-Y", "sip && ip.addr == 127.0.10.101", "-T", "fields", "-e", "frame.comment")
    assert [comment.endswith("(ESP)") for (comment,) in beside] == [False, False] + [True] * len(inside)


def _keys_of(phone: VirtualPhone) -> list[str]:
    held = phone.ue._agent.security.current
    return list(lines(held)) if held else []
