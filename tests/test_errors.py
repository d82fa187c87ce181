"""Errors: one root, and what each tells."""

from __future__ import annotations

import inspect

import pytest

from imsphone import errors
from imsphone.errors import CallRejected, ImsPhoneError, NetworkError, ParseError, RegistrationRejected, Rejected

KINDS = [kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, Exception)]


def test_all_but_the_parser_s_have_one_root() -> None:
    assert [kind for kind in KINDS if not issubclass(kind, ImsPhoneError)] == [ParseError]
    assert issubclass(ParseError, ValueError)
    assert all(kind.__doc__ for kind in KINDS)


def test_the_page_names_them_all() -> None:
    assert [kind.__name__ for kind in KINDS if kind.__name__ not in (errors.__doc__ or "")] == []


@pytest.mark.parametrize("kind", [RegistrationRejected, CallRejected])
def test_a_refusal_tells_what_the_network_said(kind: type[Rejected]) -> None:
    error = kind(503, "Service Unavailable", explanation="try later", retry_after_s=30, response=b"SIP/2.0 503")
    assert str(error) == "503 Service Unavailable: try later"
    assert (error.status, error.reason, error.retry_after_s, error.response) == (
        503,
        "Service Unavailable",
        30,
        b"SIP/2.0 503",
    )
    assert str(kind(486, "Busy Here")) == "486 Busy Here"


def test_a_network_error_lists_what_was_asked() -> None:
    error = NetworkError("Nothing answers.", ("127.0.10.10:5060",))
    assert (str(error), error.tried) == ("Nothing answers.", ("127.0.10.10:5060",))
    assert NetworkError("Nothing resolves.").tried == ()


def test_a_parse_error_says_what_and_where() -> None:
    error = ParseError("a port", 7)
    assert (error.expected, error.offset, str(error)) == ("a port", 7, "expected a port at offset 7")
