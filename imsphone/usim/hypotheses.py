"""Why the network's MAC does not fit: the usual slips, tried offline on the RAND and AUTN that came.

A MAC of 64 bits fits nobody else's key by chance. So whatever slip makes it fit is what happened, and can be named:

    op written as opc, or opc as op        octets of k or of the constant in reverse, digits of each octet swapped
    an AMF in the MAC that AUTN does not show        an SQN that the HSS forgot to conceal

Nothing leaves the machine, and no secret stands in the sentence. 50 pairs of keys cost about 5 ms, once a failure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from hmac import compare_digest

from imsphone.usim.aka import Algorithms, open_challenge
from imsphone.usim.keys import Keys

_AMFS = (b"\x00\x00", b"\x80\x00", b"\x00\x80", b"\xb9\xb9", b"\x00\x01", b"\x90\x01", b"\xff\xff")


def _swap_digits(data: bytes) -> bytes:
    return bytes(octet >> 4 | (octet & 15) << 4 for octet in data)


def _swap_words(data: bytes) -> bytes:
    return b"".join(data[at : at + 4][::-1] for at in range(0, len(data), 4))


# How octets come out of a file that was written in another order.
_ORDERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "reverse the octets of {}": lambda data: data[::-1],
    "swap the two hex digits of each octet of {}": _swap_digits,
    "reverse the octets within each group of four of {}": _swap_words,
    "write the hex digits of {} backwards": lambda data: _swap_digits(data)[::-1],
}


def explain(keys: Keys, rand: bytes, autn: bytes) -> str:
    """What is wrong with `keys` or with the network, and the remedy; the empty string where no slip fits.

    RAND and AUTN (16 octets each) are those whose MAC did not fit.
    """
    if len(rand) != 16 or len(autn) != 16:
        return "RAND and AUTN have not 16 octets each: the network's challenge is no AKA challenge"
    for remedy, candidate in _candidates(keys):
        if open_challenge(candidate.algorithms(), rand, autn) is not None:
            return remedy
    return _of_the_network(keys.algorithms(), rand, autn)


def _candidates(keys: Keys) -> Iterator[tuple[str, Keys]]:
    """Other keys, the least change first, each with what to do if it fits."""
    given, other = keys.constant_name, keys.other_name
    found = []
    for of_k, order_k in _ORDERS.items():
        for of_constant, order_constant in _ORDERS.items():
            for is_bound in (keys.is_bound, not keys.is_bound):
                steps = [of_k.format("k")] if of_k else []
                steps += [of_constant.format(given)] if of_constant else []
                if is_bound != keys.is_bound:
                    steps.append(f"what the profile calls {given} is {other}: write {other} = in place of {given} =")
                changed = replace(keys, k=order_k(keys.k), constant=order_constant(keys.constant), is_bound=is_bound)
                found.append((len(steps), ", and ".join(steps), changed))
    found.sort(key=lambda one: one[0])
    return ((remedy, changed) for count, remedy, changed in found if count)


def _of_the_network(algorithms: Algorithms, rand: bytes, autn: bytes) -> str:
    """Mistakes that an HSS makes with the right keys."""
    ak = algorithms.f2345(rand)[3]
    concealed, amf, mac = autn[:6], autn[6:8], autn[8:]
    sqn = bytes(a ^ b for a, b in zip(concealed, ak, strict=True))
    if compare_digest(algorithms.f1(rand, concealed, amf), mac):
        return "the keys are right, but the HSS sends SQN without concealing it by AK: look for f5 in its settings"
    for other in _AMFS:
        if other != amf and compare_digest(algorithms.f1(rand, sqn, other), mac):
            return (
                f"the keys are right, but the HSS made the MAC with AMF {other.hex()} and wrote {amf.hex()} into AUTN: "
                "set the subscriber's AMF (8000 for IMS)"
            )
    return ""
