"""Keys of a profile: which names belong together, of what length, and what they make."""

from __future__ import annotations

import pickle

import pytest

from imsphone.errors import ProfileError
from imsphone.profile import Profile, Secret
from imsphone.usim.keys import Keys
from imsphone.usim.milenage import Milenage, opc_from_op
from imsphone.usim.tuak import Tuak, topc_from_top

K, OP, TOP = bytes(range(16)), bytes(range(16, 32)), bytes(range(32))
HELD = {"env:K": K, "env:K32": TOP, "env:OP": OP, "env:OPC": opc_from_op(K, OP), "env:TOP": TOP}
HELD |= {"env:TOPC": topc_from_top(K, TOP)}


def keys(**said: str) -> Keys:
    return Keys.of(Profile(imsi="001010000000001", **said), lambda name: Secret(HELD[name].hex().encode()))  # type: ignore[arg-type]


def test_op_and_opc_make_the_same_sim() -> None:
    by_op, by_opc = keys(k="env:K", op="env:OP"), keys(k="env:K", opc="env:OPC")
    assert isinstance(by_op.algorithms(), Milenage)
    assert by_op.algorithms().f2345(K) == by_opc.algorithms().f2345(K)
    assert (by_op.constant_name, by_op.other_name) == ("op", "opc")


def test_top_and_topc_make_the_same_sim() -> None:
    by_top = keys(algorithm="tuak", k="env:K", top="env:TOP")
    by_topc = keys(algorithm="tuak", k="env:K", topc="env:TOPC")
    assert isinstance(by_top.algorithms(), Tuak)
    assert by_top.algorithms().f2345(K) == by_topc.algorithms().f2345(K)
    assert len(keys(algorithm="tuak", k="env:K32", top="env:TOP").k) == 32


def test_res_may_be_longer() -> None:
    made = Keys.of(
        Profile(imsi="001010000000001", algorithm="tuak", k="env:K", topc="env:TOPC", res_bits=128),
        lambda name: Secret(HELD[name].hex().encode()),
    )
    assert len(made.algorithms().f2345(K)[0]) == 16


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ({"k": "env:K"}, "opc is missing"),
        ({"opc": "env:OPC"}, "k or opc"),
        ({"algorithm": "tuak", "k": "env:K", "opc": "env:OPC"}, "topc"),
        ({"algorithm": "tuak", "k": "env:K", "topc": "env:OPC"}, "topc has 32 hex digits; it should have 64"),
        ({"k": "env:K32", "opc": "env:OPC"}, "k has 64 hex digits; it should have 32"),
        ({"k": "env:K", "op": "env:OP", "opc": "env:OPC"}, "not beside it"),
    ],
)
def test_what_makes_no_sim_is_named(said: dict[str, str], word: str) -> None:
    with pytest.raises(ProfileError, match=word):
        keys(**said)


def test_keys_show_and_pickle_nothing() -> None:
    made = keys(k="env:K", opc="env:OPC")
    assert K.hex() not in repr(made)
    assert repr(K) not in repr(made)
    with pytest.raises(TypeError):
        pickle.dumps(made)
