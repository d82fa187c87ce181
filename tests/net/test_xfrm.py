"""What is said to the kernel, octet for octet as iproute2 says it."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess

import pytest

from imsphone.errors import NetworkError
from imsphone.ipsec.sa import SUITES, Association, Keys, Suite
from imsphone.machine import Address
from imsphone.net import xfrm
from imsphone.net.xfrm import Way, Xfrm, policy, policy_id, refusal, state, state_id

CK, IK = bytes(range(16)), bytes(range(16, 32))
PAIRS = [("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2")]
SELECTOR_BYTES = 56

needs_strace = pytest.mark.skipif(
    not (shutil.which("strace") and shutil.which("ip")), reason="compares with iproute2 under strace: neither is here"
)


def said_by_ip(*words: str) -> bytes:
    """The message without its header that `ip xfrm` sends; the kernel's answer does not matter."""
    command = ["strace", "-qq", "-xx", "-s", "4096", "-e", "trace=sendmsg,sendto", "ip", "xfrm", *words]
    told = subprocess.run(command, capture_output=True, text=True).stderr
    found = re.search(r'nlmsg_type=(?:XFRM_MSG_\w+|\w+).*?\}, "((?:\\x[0-9a-f]{2})*)"', told)
    if found is None:
        pytest.skip(f"strace shows nothing here: {told[:200]}")
    return bytes.fromhex(found[1].replace("\\x", ""))


def algorithms(suite: Suite) -> list[str]:
    keys = Keys.of(suite, CK, IK)
    if suite.ealg == "aes-gcm":
        return ["aead", "rfc4106(gcm(aes))", f"0x{(keys.encryption + keys.salt).hex()}", "128"]
    if suite.alg == "aes-gmac":
        return ["aead", "rfc4543(gcm(aes))", f"0x{(keys.integrity + keys.salt).hex()}", "128"]
    name = "sha1" if suite.alg == "hmac-sha-1-96" else "md5"
    cipher = ["cbc(aes)", f"0x{keys.encryption.hex()}"] if suite.ealg == "aes-cbc" else ["ecb(cipher_null)", ""]
    return ["auth-trunc", f"hmac({name})", f"0x{keys.integrity.hex()}", "96", "enc", *cipher]


@needs_strace
@pytest.mark.parametrize(("source", "target"), PAIRS)
@pytest.mark.parametrize("suite", SUITES, ids=str)
def test_an_association(suite: Suite, source: str, target: str) -> None:
    """But for its selector: iproute2 writes no ports without a protocol."""
    ours = state(Association(4711, Address(source, 40001), Address(target, 6100)), suite, Keys.of(suite, CK, IK), 240)
    ends = ["src", source, "dst", target]
    rest = ["proto", "esp", "spi", "4711", "reqid", "33203", "mode", "transport", "replay-window", "32"]
    theirs = said_by_ip("state", "add", *ends, *rest, "limit", "time-hard", "240", *algorithms(suite))
    assert ours[SELECTOR_BYTES:] == theirs[SELECTOR_BYTES:]


@needs_strace
@pytest.mark.parametrize(("source", "target"), PAIRS)
@pytest.mark.parametrize("direction", ["in", "out"])
@pytest.mark.parametrize("protocol", xfrm.PROTOCOLS)
def test_a_policy(source: str, target: str, direction: xfrm.Direction, protocol: int) -> None:
    way = Way(Address(source, 40001), Address(target, 6100), direction, protocol)
    ends = ["src", source, "dst", target]
    which = [*ends, "proto", str(protocol), "sport", "40001", "dport", "6100", "dir", direction]
    template = ["tmpl", *ends, "proto", "esp", "reqid", "33203", "mode", "transport"]
    assert policy(way, 300) == said_by_ip("policy", "add", *which, "limit", "time-hard", "300", *template)
    assert policy_id(way) == said_by_ip("policy", "delete", *which)


@needs_strace
@pytest.mark.parametrize(("own", "peer"), PAIRS)
@pytest.mark.parametrize("protocol", xfrm.PROTOCOLS)
def test_a_policy_that_lets_nothing_pass(own: str, peer: str, protocol: int) -> None:
    words = ["proto", str(protocol), "dport", "40001", "dir", "in"]
    way = Way(Address(peer, 0), Address(own, 40001), "in", protocol)
    last = ["action", "block", "priority", "1", "limit", "time-hard", "300"]
    assert policy(way, 300) == said_by_ip("policy", "add", "src", peer, "dst", own, *words, *last)
    assert policy_id(way) == said_by_ip("policy", "delete", "src", peer, "dst", own, *words)


@needs_strace
@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_which_association(source: str, target: str) -> None:
    """But for XFRMA_SRCADDR, which narrows what one SPI at one address says already."""
    ours = state_id(Association(4711, Address(source, 1), Address(target, 2)))
    assert ours == said_by_ip("state", "delete", "src", source, "dst", target, "proto", "esp", "spi", "4711")[:24]


def test_the_selector_of_an_association_names_both_ports_and_no_protocol() -> None:
    said = state(Association(1, Address("192.0.2.1", 40001), Address("192.0.2.2", 6100)), SUITES[0], Keys(b"", b""), 1)
    assert said[:SELECTOR_BYTES] == bytes.fromhex(
        "c0000202000000000000000000000000 c0000201000000000000000000000000"
        "17d4ffff 9c41ffff 0200 20 20 00 000000 00000000 00000000"
    )


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.EPROTONOSUPPORT, r'knows no ESP: load its modules .* ipsec_by = "own"'),
        (errno.ENOSYS, "not with these algorithms: .* security_suites"),
        (errno.EEXIST, "`ip xfrm state` and `ip xfrm policy`"),
        (errno.EPERM, "no CAP_NET_ADMIN"),
        (errno.EINVAL, "refuses the security association: Invalid argument"),
    ],
)
def test_a_refusal_is_one_sentence_with_its_remedy(number: int, sentence: str) -> None:
    assert re.search(sentence, refusal(number))


def test_without_esp_in_the_kernel_the_trial_says_so_and_with_it_leaves_nothing() -> None:
    kernel = Xfrm()
    try:
        kernel.expect_permission()
    except PermissionError:
        pytest.skip("asks the kernel, which wants CAP_NET_ADMIN: run this as root")
    finally:
        kernel.close()
    kernel = Xfrm()
    for is_v6 in (False, True):
        why = ""
        try:
            kernel.expect_esp(is_v6)
        except NetworkError as error:
            why = str(error)
        assert not why or re.search(r"knows no ESP: load its modules \(esp4, esp6, xfrm_user\)", why)
    kernel.close()


def test_an_ordinary_user_is_told_apart() -> None:
    if os.geteuid() == 0:
        pytest.skip("root may: run this as an ordinary user")
    kernel = Xfrm()
    with pytest.raises(PermissionError):
        kernel.expect_permission()
    kernel.close()
