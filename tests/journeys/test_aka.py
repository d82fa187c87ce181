"""AKA through the whole network, by the ids of the catalogue of checks (AKA-01 to AKA-14)."""

from __future__ import annotations

import base64
from dataclasses import replace
from functools import partial

import pytest

from imsphone.events import CallAnswered, CallEnded, Challenged, Event, Registered, RegistrationFailed
from imsphone.lab.authentication import Manner
from imsphone.lab.faults import old_sqn, refuse, wrong_mac
from imsphone.lab.network import Account, Network
from imsphone.lab.registration import Terms
from imsphone.lab.world import World
from imsphone.profile import Profile, Secret
from imsphone.sip.fields import Challenge
from imsphone.sip.message import Request, Response, parse
from imsphone.testing.virtual import VirtualPhone
from imsphone.usim.hypotheses import explain
from imsphone.usim.isim import Isim, SqnMemory
from imsphone.usim.keys import Keys
from imsphone.usim.milenage import Milenage, opc_from_op

HOST = "127.0.10.101"


class Try:
    """A network, and alice's phone in it with the SIM that the test wants."""

    def __init__(self, manner: Manner | None = None, network: Network | None = None, isim: Isim | None = None) -> None:
        self.world = World()
        self.network = network or Network(seed=b"aka", terms=Terms(manner=manner or Manner()))
        self.network.attach(self.world)
        self.account = self.network.accounts["alice"]
        self.isim = isim or self.account.isim()
        self.alice = VirtualPhone(self.world, "alice", HOST, Profile(**self.network.profile("alice")), self.isim)

    def register(self) -> Registered | RegistrationFailed:
        return self.alice.register()

    @property
    def proofs(self) -> list[Challenge]:
        """The Authorization of each REGISTER that alice sent."""
        found = [one for one in self.messages("sent") if isinstance(one, Request) and one.method == "REGISTER"]
        return [Challenge.parse(request.headers.get("Authorization") or "") for request in found]

    @property
    def challenges(self) -> list[Response]:
        return [one for one in self.messages("received") if isinstance(one, Response) and one.status == 401]

    def messages(self, direction: str) -> list[Request | Response]:
        assert self.world.trace is not None
        return [
            parse(record.data)
            for record in self.world.trace.records()
            if (record.who, record.direction, record.protocol) == ("alice", direction, "SIP")
        ]


def keys_of(account: Account) -> Keys:
    keys = account.keys()
    assert keys is not None
    return keys


@pytest.mark.parametrize("is_tuak", [False, True], ids=["milenage", "tuak"])
def test_aka_01_both_sets_of_algorithms_register(is_tuak: bool) -> None:
    """AKA-01; the known answers themselves are in tests/usim."""
    network = Network(seed=b"aka", accounts=())
    network.subscribe(network.sim("alice", 1, is_tuak=is_tuak))
    assert isinstance(Try(network=network).register(), Registered)


def test_aka_02_a_wrong_mac_twice_then_a_valid_one() -> None:
    """AKA-02, TS 24.229 5.1.1.5.3, TS 34.229-1 9.1."""
    one = Try()
    wrong_mac(one.network, "alice", times=2)
    assert isinstance(one.register(), Registered)
    first, *refusals, last = one.proofs
    assert [proof.params.get("response") for proof in refusals] == ["", ""]
    assert not any("auts" in proof.params for proof in (first, *refusals, last))
    assert len(last.get("response")) == 32
    sent = one.messages("sent")
    registers = [request for request in sent if isinstance(request, Request) and request.method == "REGISTER"]
    assert [request.cseq.number for request in registers] == [1, 2, 3, 4]
    assert len({request.call_id for request in registers}) == 1


def test_aka_02_after_a_third_wrong_mac_the_phone_stops() -> None:
    one = Try()
    wrong_mac(one.network, "alice", times=9)
    event = one.register()
    assert isinstance(event, RegistrationFailed)
    assert event.cause == "authentication"
    assert len(one.proofs) == 3
    wrong_mac(one.network, "alice", times=0)
    one.network.hss.subscriber(one.account.impi).algorithms = keys_of(one.account).algorithms()
    assert isinstance(one.register(), Registered)  # when the user asks again, it is all forgotten


def test_aka_03_an_old_sqn_gets_auts_over_the_empty_password() -> None:
    """AKA-03 and AKA-04 from the phone's side, TS 24.229 5.1.1.5.3, RFC 3310 3.4."""
    one = Try()
    assert isinstance(one.register(), Registered)
    one.alice.deregister()
    old_sqn(one.network, "alice")
    before = len(one.proofs)
    assert isinstance(one.register(), Registered)
    _, resync, last = one.proofs[before:]
    assert len(base64.b64decode(resync.get("auts"), validate=True)) == 14
    assert "auts" not in last.params


@pytest.mark.parametrize(("seq", "is_network_behind"), [(1 << 20, True), (0, False)])
def test_aka_04_the_network_takes_auts_whichever_side_is_ahead(seq: int, is_network_behind: bool) -> None:
    """AKA-04, TS 33.102 6.3.5."""
    network = Network(seed=b"aka")
    if not is_network_behind:
        network.hss.subscriber(network.accounts["alice"].impi).sqn = 1 << 47  # farther than Δ
    isim = Isim(keys_of(network.accounts["alice"]).algorithms(), SqnMemory((seq,) * 32))
    one = Try(network=network, isim=isim)
    assert isinstance(one.register(), Registered)
    assert len(one.proofs) == 3


def test_aka_05_a_forged_auts_changes_nothing() -> None:
    """AKA-05, TS 33.102 6.3.5."""
    stranger = Isim(Milenage(bytes(16), bytes(16)))
    one = Try()
    honest, one.alice.isim = one.isim, _Forger(stranger)  # type: ignore[assignment]
    assert isinstance(one.register(), RegistrationFailed)
    one.alice.isim = honest
    before = len(one.proofs)
    assert isinstance(one.register(), Registered)
    assert len(one.proofs) == before + 2  # no resynchronisation was needed


class _Forger(Isim):
    """Asks for resynchronisation with an AUTS that the network cannot believe."""

    def __init__(self, isim: Isim) -> None:
        super().__init__(Milenage(bytes(16), bytes(16)), isim.memory)

    def authenticate(self, rand: bytes, autn: bytes) -> object:  # type: ignore[override]
        from imsphone.usim.aka import SyncFailure

        return SyncFailure(bytes(14))


def test_aka_06_a_wrong_res_is_refused_and_explained() -> None:
    """AKA-06, TS 24.229 5.4.1.2.3: the MAC fits, RES does not; the key is then not to blame."""
    one = Try()
    good = one.isim.authenticate

    def bad(rand: bytes, autn: bytes) -> object:
        success = good(rand, autn)
        return replace(success, res=bytes([success.res[0] ^ 1]) + success.res[1:])  # type: ignore[union-attr, type-var]

    one.isim.authenticate = bad  # type: ignore[method-assign, assignment]
    event = one.register()
    assert isinstance(event, RegistrationFailed)
    assert "k and opc are right" in event.sentence


def test_aka_07_a_res_with_a_zero_octet_counts_in_full() -> None:
    """AKA-07, RFC 3310 3.3: seeds are tried until the RES of the first challenge holds 0x00."""
    for number in range(400):
        network = Network(seed=b"zero%d" % number)
        algorithms = keys_of(network.accounts["alice"]).algorithms()
        rand = network.ids("hss").data(16)  # what the HSS will draw first
        if 0 in algorithms.f2345(rand)[0][:-1]:
            break
    one = Try(network=network)
    assert isinstance(one.register(), Registered)
    nonce = base64.b64decode(one.proofs[1].get("nonce"))
    assert 0 in algorithms.f2345(nonce[:16])[0]


@pytest.mark.parametrize("is_padded", [True, False])
@pytest.mark.parametrize("server_data", [b"", b"s", b"the server's own data"])
def test_aka_08_server_data_and_padding(server_data: bytes, is_padded: bool) -> None:
    """AKA-08, RFC 3310 3.2: the extra octets are no part of AKA, but the whole nonce is hashed."""
    one = Try(Manner(server_data=server_data, is_padded=is_padded))
    assert isinstance(one.register(), Registered)
    nonce = one.proofs[1].get("nonce")
    assert len(base64.b64decode(nonce + "=" * (-len(nonce) % 4))) == 32 + len(server_data)
    assert is_padded or "=" not in nonce


@pytest.mark.parametrize("qop", ["auth", "auth-int", "auth,auth-int", ""])
def test_aka_09_every_quality_of_protection(qop: str) -> None:
    """AKA-09, RFC 7616 3.4; the opaque comes back as it was."""
    one = Try(Manner(qop=qop))
    assert isinstance(one.register(), Registered)
    proof, challenge = one.proofs[1], one.challenges[0].challenges()[0]
    assert proof.get("qop") == (qop.partition(",")[0])
    assert ("nc" in proof.params) == ("cnonce" in proof.params) == bool(qop)
    assert proof.get("opaque") == challenge.get("opaque") != ""


def test_aka_09_the_first_challenge_that_is_understood_is_answered() -> None:
    others = ('Digest realm="r", nonce="bm8=", algorithm=SHA-512-256', 'Digest realm="r", nonce="x", algorithm=MD5')
    one = Try(Manner(before=("Bearer x", *others)))
    assert isinstance(one.register(), Registered)
    assert one.proofs[1].get("algorithm") == "AKAv1-MD5"


@pytest.mark.parametrize("algorithm", ["AKAv2-MD5", "AKAv1-SHA-256", "AKAv2-SHA-256"])
def test_aka_10_later_algorithms(algorithm: str) -> None:
    """AKA-10, RFC 4169, RFC 7616."""
    one = Try(Manner(algorithm=algorithm))
    assert isinstance(one.register(), Registered)
    told = one.alice.last(Challenged)
    assert told is not None
    assert told.algorithm == algorithm


@pytest.mark.parametrize("amf", ["8000", "0000", "b9b9"])
def test_aka_11_the_amf_is_the_one_in_autn(amf: str) -> None:
    """AKA-11, TS 33.102 annex H."""
    one = Try()
    one.network.hss.subscriber(one.account.impi).amf = bytes.fromhex(amf)
    assert isinstance(one.register(), Registered)


@pytest.mark.parametrize(
    ("slip", "words"),
    [
        (lambda k, op: Keys("milenage", k, op), "write op = in place of opc ="),
        (lambda k, op: Keys("milenage", k, opc_from_op(k, op), is_bound=False), "write opc = in place of op ="),
        (lambda k, op: Keys("milenage", k[::-1], opc_from_op(k, op)), "reverse the octets of k"),
        (lambda k, op: Keys("milenage", bytes(16), opc_from_op(k, op)), "k or opc differs"),
    ],
)
def test_aka_12_a_swapped_key_is_named(slip: object, words: str) -> None:
    """AKA-12: the sentence names the slip and its remedy, and shows no secret."""
    network = Network(seed=b"aka", accounts=())
    alice = network.sim("alice", 1)
    k, op = alice.k.reveal(), bytes(range(16))  # type: ignore[union-attr]
    network.subscribe(replace(alice, opc=Secret(opc_from_op(k, op))))
    keys: Keys = slip(k, op)  # type: ignore[operator]
    one = Try(network=network, isim=Isim(keys.algorithms(), suspect=partial(explain, keys)))
    event = one.register()
    assert isinstance(event, RegistrationFailed)
    assert words in event.sentence
    assert not any(secret.hex() in event.sentence for secret in (k, op, opc_from_op(k, op)))


def test_aka_13_the_memory_of_sequence_numbers_survives_a_restart() -> None:
    """AKA-13, TS 33.102 annex C: no resynchronisation after a restart."""
    kept: dict[str, SqnMemory] = {}
    one = Try()
    save = partial(kept.__setitem__, "alice")
    algorithms = keys_of(one.account).algorithms()
    one.alice.isim = Isim(algorithms, save=save)
    assert isinstance(one.register(), Registered)
    one.alice.deregister()
    one.alice.isim = Isim(algorithms, kept["alice"], save)
    before = len(one.proofs)
    assert isinstance(one.register(), Registered)
    assert not any("auts" in proof.params for proof in one.proofs[before:])


@pytest.mark.parametrize(("stale_times", "is_taken"), [(0, True), (1, True), (2, False)])
def test_aka_14_a_stale_nonce_is_replaced_once(stale_times: int, is_taken: bool) -> None:
    """AKA-14, RFC 7616 3.3: the INVITE again with the new nonce, and a second stale one is an error."""
    world, network = World(), Network(seed=b"aka")
    network.attach(world)
    account = network.accounts["softphone1"]
    phone = VirtualPhone(world, "softphone1", HOST, Profile(**network.profile("softphone1")), password=account.password)
    phone.register()
    proofs: list[Challenge] = []

    def objection(request: Request, _flow: object, _now: float) -> tuple[int, dict[str, str]] | None:
        if request.method != "INVITE":
            return None
        proofs.extend(Challenge.parse(value) for value in request.headers.lines("Proxy-Authorization"))
        if len(proofs) > stale_times:
            return None
        stale = ", stale=true" if proofs else ""
        return 407, {"Proxy_Authenticate": f'Digest realm="r", nonce="n{len(proofs)}", qop="auth"{stale}'}

    network.pcscf.objection = objection
    phone.call("echo")
    event = phone.next(CallAnswered, CallEnded)
    assert [proof.get("nonce") for proof in proofs] == [f"n{number}" for number in range(min(stale_times, 1) + 1)]
    if is_taken:
        assert isinstance(event, CallAnswered)
    else:
        assert isinstance(event, CallEnded)
        assert event.status == 407


def test_aka_14_a_sim_answers_no_407() -> None:
    """Between phone and network AKA proves registrations only (TS 33.203 6.1): any other challenge ends the call."""
    one = Try()
    one.register()
    refuse(one.network.pcscf, 407, method="INVITE", Proxy_Authenticate='Digest realm="r", nonce="n", stale=true')
    one.alice.call("echo")
    ended = one.alice.next(CallEnded)
    assert isinstance(ended, CallEnded)
    assert ended.status == 407
    assert one.alice.ue.is_registered


def test_keys_that_a_401_brings_along_are_not_for_the_phone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A P-CSCF that forgets to take CK and IK away (TS 24.229 5.2.2.2): the phone uses its SIM's, and repeats none."""
    monkeypatch.setattr("imsphone.lab.border.strip_keys", lambda _response: None)
    one = Try()
    assert isinstance(one.register(), Registered)
    assert one.challenges[0].challenges()[0].get("ck")
    assert not {"ck", "ik"} & set(one.proofs[1].params)


def test_an_event_says_what_was_tried_and_no_key() -> None:
    one = Try()
    wrong_mac(one.network, "alice", times=9)
    one.register()
    keys = keys_of(one.account)
    told: list[Event] = one.alice.events
    assert not any(secret.hex() in str(event) for event in told for secret in (keys.k, keys.constant))
