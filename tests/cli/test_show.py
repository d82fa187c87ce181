"""A trace goes into the kind of file that its name says."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from imsphone.cli.show import look, save_trace
from imsphone.errors import ImsPhoneError
from imsphone.machine import Address, Flow
from imsphone.trace import Trace

FLOW = Flow("UDP", Address("127.0.0.1", 5060), Address("127.0.0.2", 5060))


def test_the_name_decides(tmp_path: Path) -> None:
    trace = Trace()
    trace.add(1.0, "alice", "sent", FLOW, b"OPTIONS sip:x SIP/2.0\r\n\r\n")
    save_trace(trace, tmp_path / "t.jsonl")
    save_trace(trace, tmp_path / "t.pcapng")
    assert len(Trace.from_jsonl((tmp_path / "t.jsonl").read_text())) == 1
    assert (tmp_path / "t.pcapng").read_bytes()[:4] == b"\x0a\x0d\x0d\x0a"
    with pytest.raises(ImsPhoneError, match="no such"):
        save_trace(trace, tmp_path / "no such" / "t.jsonl")


def test_only_a_terminal_gets_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    assert look() == {"width": 120, "colour": False}
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    assert look() == {"width": 200, "colour": True}
    monkeypatch.setenv("NO_COLOR", "1")
    assert look()["colour"] is False
