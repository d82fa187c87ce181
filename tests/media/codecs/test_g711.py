"""G.711 against the tables of the Recommendation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.media.codecs.g711 import G711, PCMA, PCMU

ALL = bytes(range(256))
LAWS = pytest.mark.parametrize("law", [PCMA, PCMU], ids=lambda law: law.name)

# ITU-T G.711 table 1a: (decision value, character signal after inversion of even bits, output), 13-bit values.
A_LAW = [
    (0, 0xD5, 1), (2, 0xD4, 3), (62, 0xCA, 63), (64, 0xF5, 66), (124, 0xFA, 126), (128, 0xE5, 132), (256, 0x95, 264),
    (512, 0x85, 528), (1024, 0xB5, 1056), (2048, 0xA5, 2112), (3968, 0xAA, 4032),
]  # fmt: skip
# ITU-T G.711 table 2a: (decision value, character signal, output), 14-bit values.
MU_LAW = [
    (0, 0xFF, 0), (1, 0xFE, 2), (3, 0xFD, 4), (31, 0xEF, 33), (95, 0xDF, 99), (223, 0xCF, 231), (479, 0xBF, 495),
    (991, 0xAF, 1023), (2015, 0x9F, 2079), (4063, 0x8F, 4191), (7903, 0x80, 8031),
]  # fmt: skip


@pytest.mark.parametrize(("law", "shift", "table"), [(PCMA, 3, A_LAW), (PCMU, 2, MU_LAW)], ids=["table 1a", "table 2a"])
def test_the_tables_of_the_recommendation(law: G711, shift: int, table: list[tuple[int, int, int]]) -> None:
    for decision, octet, output in table:
        assert law.decode(bytes([octet])).tolist() == [output << shift]
        assert law.encode(np.array([decision << shift], np.int16)) == bytes([octet])
        if decision:
            below = np.array([(decision << shift) - 1], np.int16)
            assert law.encode(below) != bytes([octet]), "the sample under a decision value belongs to the step below"


@LAWS
def test_every_octet_comes_back(law: G711) -> None:
    back = law.encode(law.decode(ALL))
    # µ-law has two octets for zero; the negative one comes back as the positive.
    assert [octet for octet in range(256) if back[octet] != octet] == ([0x7F] if law is PCMU else [])


@LAWS
def test_the_sign_turns_with_the_first_bit(law: G711) -> None:
    pcm = law.decode(ALL)
    assert (pcm[:128] == -pcm[128:]).all()


@LAWS
@given(sample=st.integers(-32768, 32767))
def test_no_octet_is_nearer_than_half_a_step(law: G711, sample: int) -> None:
    pcm = law.decode(law.encode(np.array([sample], np.int16)))
    step = 16 if law is PCMA else 8
    error = abs(int(pcm[0]) - sample)
    assert error <= max(step, abs(sample) / 32 + 5) or abs(sample) > 32124


@LAWS
def test_a_tone_survives_with_38_db(law: G711) -> None:
    tone = (8000 * np.sin(2 * np.pi * 1000 * np.arange(8000) / 8000 + 0.1)).astype(np.int16)
    noise = law.decode(law.encode(tone)).astype(float) - tone
    assert 10 * np.log10((tone.astype(float) ** 2).sum() / (noise**2).sum()) > 37


@LAWS
def test_silence_and_lengths(law: G711) -> None:
    frame = np.zeros(160, np.int16)
    assert law.encode(frame) == bytes([law.silence]) * 160
    assert law.samples_in(bytes(160)) == 160
    assert law.decode(b"").size == 0
