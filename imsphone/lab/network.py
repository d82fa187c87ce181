"""A whole IMS in one object: its nodes, their addresses, its subscribers, what they can call.

    base 127.0.10   .10 p-cscf   .20 i-cscf   .30 s-cscf   .40 hss   .50 far-end   .53 dns

    alice  IMSI 001010000000001  AKA          softphone1  SIP Digest          sip:echo@…  sip:recorder@…
    bob    IMSI 001010000000002  AKA                                          sip:busy@…  sip:silent@…

A base of IPv6 ends with its colons: fd93:: has its P-CSCF at fd93::10.

`Network` only builds machines. A `World` runs them in virtual time (`attach`), `lab.serve` on real sockets. Keys follow
from `seed`: a test's network has the same subscribers in every run, a served one new ones each time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from imsphone.ipsec.sa import SUITES, Suite
from imsphone.lab.access import Access
from imsphone.lab.dns import NameServer
from imsphone.lab.hss import Hss
from imsphone.lab.icscf import ICscf
from imsphone.lab.link import Link
from imsphone.lab.pcscf import PCscf, Security
from imsphone.lab.peer import SERVICES, FarEnd
from imsphone.lab.registration import Terms
from imsphone.lab.scscf import SCscf
from imsphone.lab.subscriber import DigestAlgorithm, Subscriber
from imsphone.lab.world import World
from imsphone.machine import Address, Ids, Machine
from imsphone.profile import Secret
from imsphone.usim.hypotheses import explain
from imsphone.usim.isim import Isim
from imsphone.usim.keys import Keys

REALM: Final = "ims.mnc001.mcc001.3gppnetwork.org"
BASE: Final = "127.0.10"
PLMN: Final = "00101"

_HOSTS: Final = {
    "p-cscf": (10, 5060),
    "i-cscf": (20, 5060),
    "s-cscf": (30, 5060),
    "hss": (40, 3868),
    "far-end": (50, 5060),
    "dns": (53, 5053),
}
_SECOND: Final = {"p-cscf-2": (11, 5060)}


@dataclass(frozen=True, slots=True)
class Account:
    """A subscription as its owner knows it. AKA has `k` and `opc` (16 octets each), Digest has `password`.

    An `opc` of 32 octets is a TOPc, and the SIM computes TUAK.
    """

    name: str
    impi: str
    impus: tuple[str, ...]
    barred: frozenset[str] = frozenset()
    imsi: str | None = None
    k: Secret | None = None
    opc: Secret | None = None
    password: Secret | None = None
    algorithm: DigestAlgorithm = "MD5"

    def isim(self) -> Isim:
        """A new SIM of this subscription, which has accepted no SQN yet. Raises ValueError where it has no keys."""
        keys = self.keys()
        if keys is None:
            raise ValueError(f"{self.name} has a password and no SIM")
        return Isim(keys.algorithms(), suspect=partial(explain, keys))

    def keys(self) -> Keys | None:
        """The secrets of the SIM, None where there is a password in its place."""
        if self.k is None or self.opc is None:
            return None
        opc = self.opc.reveal()
        return Keys("milenage" if len(opc) == 16 else "tuak", self.k.reveal(), opc)

    def subscriber(self, realm: str) -> Subscriber:
        """What the HSS keeps of it."""
        if (keys := self.keys()) is not None:
            return Subscriber.with_aka(self.impi, self.impus, keys.algorithms(), self.barred)
        if self.password is None:
            raise ValueError(f"{self.name} has neither K and OPc nor a password")
        password = self.password.reveal().decode()
        return Subscriber.with_password(self.impi, self.impus, password, realm, self.algorithm)


class Network:
    """The network. `seed` decides its keys and all that its nodes draw; `terms` how long registrations last.

    `accounts` are its subscribers; without them alice, bob (AKA) and softphone1 (Digest) are. `media_link` stands
    between every phone and the far end's sound, `access_link` between every phone and the P-CSCF, both ways. `security`
    and `suites` say what the P-CSCF can do of IPsec and whether it insists. A second P-CSCF is there if asked for.
    """

    def __init__(
        self,
        *,
        seed: bytes = b"",
        base: str = BASE,
        realm: str = REALM,
        terms: Terms | None = None,
        accounts: tuple[Account, ...] | None = None,
        is_strict: bool = True,
        keep_s: int | None = None,
        media_link: Link | None = None,
        access_link: Link | None = None,
        security: Security = "offered",
        suites: tuple[Suite, ...] = SUITES,
        has_second_pcscf: bool = False,
    ) -> None:
        self.realm = realm
        stem = base if ":" in base else f"{base}."
        hosts = _HOSTS | _SECOND if has_second_pcscf else _HOSTS
        self.addresses = {name: Address(f"{stem}{last}", port) for name, (last, port) in hosts.items()}
        self._seed = seed
        at = self.addresses
        self.secure = Address(at["p-cscf"].host, 5061)
        core = frozenset(address.host for name, address in at.items() if name not in ("dns", "hss"))
        server = f"sip:{at['s-cscf']}"
        services = {f"sip:{name}@{realm}": f"sip:{at['far-end']}" for name in SERVICES}
        self.hss = Hss(at["hss"], f"hss.{realm}", realm, (), self.ids("hss"), services)
        pcscfs = {
            name: PCscf(
                at[name],
                realm,
                at["i-cscf"],
                core,
                self.ids(name),
                is_strict=is_strict,
                keep_s=keep_s,
                security=security,
                suites=suites,
                psap=at["far-end"],
                secure=self.secure if name == "p-cscf" else None,
            )
            for name in ("p-cscf", *(_SECOND if has_second_pcscf else ()))
        }
        self.pcscf = pcscfs["p-cscf"]
        self.second_pcscf = pcscfs.get("p-cscf-2")
        self._gate: Machine = self.pcscf
        if access_link is not None:
            self._gate = Access(self.pcscf, access_link, core)
        self.icscf = ICscf(at["i-cscf"], realm, at["hss"], (server,), core, self.ids("i-cscf"))
        self.scscf = SCscf(at["s-cscf"], realm, at["hss"], at["i-cscf"], core, self.ids("s-cscf"), terms=terms)
        self.far_end = FarEnd(at["far-end"], realm, at["i-cscf"], self.ids("far-end"), link=media_link)
        labels = {name.replace("-", ""): address for name, address in at.items()}
        self.dns = NameServer(realm, labels, "pcscf", self.secure.port)
        self.accounts: dict[str, Account] = {}
        for account in self._usual_accounts() if accounts is None else accounts:
            self.subscribe(account)

    @property
    def nodes(self) -> dict[str, Machine]:
        """The machines by name, as the world is to run them."""
        second = {} if self.second_pcscf is None else {"p-cscf-2": self.second_pcscf}
        return {
            **second,
            "p-cscf": self._gate,
            "i-cscf": self.icscf,
            "s-cscf": self.scscf,
            "hss": self.hss,
            "dns": self.dns,
            "far-end": self.far_end,
        }

    def held(self, name: str) -> list[Address]:
        """Where the node of this name takes messages."""
        return [self.addresses[name], self.secure] if name == "p-cscf" else [self.addresses[name]]

    def ids(self, name: str) -> Ids:
        """The identifiers of the node of this name."""
        return Ids(self._seed + b"/" + name.encode())

    def subscribe(self, account: Account) -> Account:
        """One more subscriber. Raises ValueError where an identity of his is taken."""
        self.hss.add(account.subscriber(self.realm))
        self.accounts[account.name] = account
        return account

    def sim(self, name: str, number: int, *, is_tuak: bool = False) -> Account:
        """An account with a SIM: the IMSI ends in `number`, a telephone number goes with it."""
        ids = self.ids(f"account/{number}")
        imsi = f"{PLMN}{number:010d}"
        impi = f"{imsi}@{self.realm}"
        impus = (f"sip:{name}@{self.realm}", f"sip:{impi}", f"tel:+00101{number:07d}")
        barred = frozenset([f"sip:{impi}"])  # TS 23.003 13.4B: good for registering and nothing else
        return Account(name, impi, impus, barred, imsi, Secret(ids.data(16)), Secret(ids.data(32 if is_tuak else 16)))

    def softphone(self, name: str, algorithm: DigestAlgorithm = "MD5") -> Account:
        """An account with a password."""
        impi = f"{name}@{self.realm}"
        password = Secret(self.ids(f"account/{name}").data(12).hex().encode())
        return Account(name, impi, (f"sip:{impi}",), password=password, algorithm=algorithm)

    @property
    def names(self) -> tuple[str, ...]:
        """Whom the certificate of the P-CSCF speaks for: domain and host, DNS and sip: (RFC 5922 7.1); its address."""
        hosts = self.realm, f"pcscf.{self.realm}"
        return *hosts, *(f"sip:{host}" for host in hosts), self.secure.host

    def profile(self, name: str) -> dict[str, Any]:
        """What `imsphone.profile.Profile` has to know of this account, its secrets excepted.

        Without keep-alives: in a world nothing goes down but what a test takes down.
        """
        account = self.accounts[name]
        fields: dict[str, Any] = {
            "name": name,
            "impi": account.impi,
            "impu": f"sip:{account.impi}" if account.imsi else account.impus[0],
            "home_domain": self.realm,
            "pcscf": str(self.addresses["p-cscf"]),
            "auth": "aka" if account.password is None else "digest",
            "keep_alive_s": 0,
        }
        if account.imsi is not None:
            fields["imsi"] = account.imsi
        return fields

    def attach(self, world: World) -> None:
        """Put all nodes into a world, under their names."""
        for name, machine in self.nodes.items():
            world.attach(name, machine, self.held(name), media=name)
        world.names[self.realm] = [at for name, at in self.addresses.items() if name.startswith("p-cscf")]

    def _usual_accounts(self) -> tuple[Account, ...]:
        return self.sim("alice", 1), self.sim("bob", 2), self.softphone("softphone1")
