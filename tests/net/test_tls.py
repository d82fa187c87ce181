"""TLS as octets in and out: who is believed, what is said where nobody is, and what garbage does."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.errors import ProfileError
from imsphone.machine import Address
from imsphone.net.authority import Authority, put_key
from imsphone.net.tls import Session, Tls, client_context, profile_tls, server_context
from imsphone.profile import Profile

NAME = "pcscf.ims.example"
REMOTE = Address("127.0.10.10", 5061)
AUTHORITY = Authority.new("test")


def signed(folder: Path, *names: str, authority: Authority = AUTHORITY, days_ago: int = 0) -> tuple[Path, Path]:
    since = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=days_ago)
    certificate, key = authority.sign(*names, since=since)
    (folder / "one.pem").write_bytes(certificate)
    put_key(folder / "one.key", key)
    return folder / "one.pem", folder / "one.key"


def trusting(folder: Path, authority: Authority = AUTHORITY) -> Path:
    (folder / "ca.pem").write_bytes(authority.certificate)
    return folder / "ca.pem"


def joined(client: Session, server: Session) -> None:
    """Carries octets to and fro until neither has more to say."""
    up = client.start()
    down = server.start()
    while up or down:
        client_heard, server_heard = down, up
        up = client.read(client_heard)[1] if client_heard else b""
        down = server.read(server_heard)[1] if server_heard else b""


def met(tmp_path: Path, *names: str, wanted: str = NAME, days_ago: int = 0, ca: Path | None = None) -> Session:
    """The client's end of a connection to a server with a certificate for `names`."""
    server = Session(server_context(*signed(tmp_path, *names, days_ago=days_ago)), "client", is_server=True)
    client = Session(client_context(ca or trusting(tmp_path)), f"{wanted} ({REMOTE})", name=wanted)
    joined(client, server)
    return client


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        ((NAME,), NAME),
        ((NAME,), "PCSCF.ims.example."),
        (("sip:ims.example",), "ims.example"),
        (("SIP:IMS.example:5061;transport=tcp", NAME), "ims.example"),
        (("sip:alice@ims.example", "sips:ims.example", NAME), NAME),
        (("sip:ims.example", "127.0.10.10"), "127.0.10.10"),
        (("other.example", "127.0.10.10"), "127.0.10.10"),
        (("::1",), "::1"),
    ],
)
def test_whom_a_certificate_speaks_for(tmp_path: Path, names: tuple[str, ...], wanted: str) -> None:
    """RFC 5922 7.1."""
    client = met(tmp_path, *names, wanted=wanted)
    assert client.is_up
    assert not client.trouble


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (("other.example",), "other.example"),
        (("*.ims.example",), "*.ims.example"),  # RFC 5922 7.2: no wildcard matches
        (("sip:alice@pcscf.ims.example",), "nobody"),  # RFC 5922 7.1: who has a user part is no domain
        (("sips:pcscf.ims.example",), "nobody"),
        ((NAME, "sip:ims.example"), "ims.example"),  # RFC 5922 7.1: a DNS name counts where no sip: URI is there
    ],
)
def test_whom_it_does_not(tmp_path: Path, names: tuple[str, ...], shown: str) -> None:
    client = met(tmp_path, *names)
    assert not client.is_up
    assert client.trouble == f"the certificate of {NAME} ({REMOTE}) is for {shown}, and not for {NAME}"


def test_an_expired_one(tmp_path: Path) -> None:
    assert "has expired" in met(tmp_path, NAME, days_ago=60).trouble


def test_one_of_tomorrow(tmp_path: Path) -> None:
    trouble = met(tmp_path, NAME, days_ago=-1).trouble
    assert "is not valid yet" in trouble
    assert "clock" in trouble


def test_one_of_an_authority_that_is_not_trusted(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    trouble = met(tmp_path, NAME, ca=trusting(tmp_path / "other", Authority.new("another"))).trouble
    assert "authority that this machine does not know" in trouble
    assert "tls_ca" in trouble


def test_without_a_file_the_system_says_whom_to_trust(tmp_path: Path) -> None:
    server = Session(server_context(*signed(tmp_path, NAME)), "client", is_server=True)
    client = Session(client_context(), NAME, name=NAME)
    joined(client, server)
    assert "does not know" in client.trouble


def test_what_is_said_before_the_handshake_is_over_comes_through_after_it(tmp_path: Path) -> None:
    server = Session(server_context(*signed(tmp_path, NAME)), "client", is_server=True)
    client = Session(client_context(trusting(tmp_path)), NAME, name=NAME)
    assert client.write(b"REGISTER") == b""
    assert client.n_waiting == 8
    hello = client.start()
    assert b"REGISTER" not in hello
    _, answer = server.read(hello)
    _, finished = client.read(answer)
    assert client.n_waiting == 0
    heard, tickets = server.read(finished)
    assert heard == b"REGISTER"
    assert client.read(tickets + server.write(100_000 * b"x"))[0] == 100_000 * b"x"
    server.read(client.goodbye())
    assert (server.is_over, server.trouble) == (True, "")


def test_a_server_that_wants_a_certificate(tmp_path: Path) -> None:
    ca = trusting(tmp_path)
    certificate, key = signed(tmp_path, NAME)
    context = server_context(certificate, key, ca)
    for client, is_taken, word in (
        (Session(client_context(ca, certificate, key), NAME, name=NAME), True, ""),
        (Session(client_context(ca), NAME, name=NAME), False, "tls_cert and tls_key"),
    ):
        server = Session(context, "client", is_server=True)
        joined(client, server)
        assert (server.is_up, client.is_over) == (is_taken, not is_taken)
        assert word in client.trouble
        assert bool(word) == bool(client.trouble)


def test_a_certificate_of_ours_that_the_server_does_not_trust(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    ca = trusting(tmp_path)
    own = signed(tmp_path / "own", "phone", authority=Authority.new("nobody knows it"))
    server = Session(server_context(*signed(tmp_path, NAME), ca), "client", is_server=True)
    client = Session(client_context(ca, *own), NAME, name=NAME)
    joined(client, server)
    assert "authority that signed the certificate of this phone" in client.trouble


def test_a_server_of_another_age(tmp_path: Path) -> None:
    context = server_context(*signed(tmp_path, NAME))
    client = client_context(trusting(tmp_path))
    context.maximum_version, client.minimum_version = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
    session = Session(client, NAME, name=NAME)
    joined(session, Session(context, "client", is_server=True))
    assert "no version of TLS" in session.trouble


@pytest.mark.parametrize("answer", [b"SIP/2.0 400 Bad Request\r\n\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b""])
def test_a_server_without_tls(tmp_path: Path, answer: bytes) -> None:
    client = Session(client_context(trusting(tmp_path)), NAME, name=NAME)
    client.start()
    client.read(answer)
    assert client.is_over
    assert "does not speak TLS there" in client.trouble


@given(st.lists(st.binary(max_size=200), max_size=6), st.booleans(), st.integers(0, 400))
def test_garbage_ends_it_or_waits_for_more_and_raises_nothing(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], is_server: bool, cut: int
) -> None:
    """Broken handshakes: pure noise, and noise behind the beginning of a good one."""
    folder = tmp_path_factory.getbasetemp() / "garbage"
    folder.mkdir(exist_ok=True)
    if not (folder / "ca.pem").exists():
        signed(folder, NAME)
        trusting(folder)
    server = Session(server_context(folder / "one.pem", folder / "one.key"), "client", is_server=True)
    client = Session(client_context(folder / "ca.pem"), NAME, name=NAME)
    hello = client.start()
    victim, beginning = (server, hello) if is_server else (client, server.read(hello)[1])
    victim.write(b"secret words")
    for piece in (beginning[:cut], *pieces):
        if piece and not victim.is_over:
            assert victim.read(piece)[0] == b""
    assert not victim.is_up or cut >= len(beginning)
    victim.goodbye()
    if not victim.is_over:
        victim.read(b"")
        assert victim.is_over


def test_garbage_after_the_handshake_ends_it(tmp_path: Path) -> None:
    client = met(tmp_path, NAME)
    assert client.read(b"\x17\x03\x03\x00\x20" + bytes(32))[0] == b""
    assert client.is_over
    assert client.write(b"more") == b""


def test_files_that_are_not_what_they_should_be(tmp_path: Path) -> None:
    certificate, key = signed(tmp_path, NAME)
    (tmp_path / "text.pem").write_text("no certificate")
    with pytest.raises(ProfileError, match=r"tls_ca: .*text\.pem holds no certificate"):
        client_context(tmp_path / "text.pem")
    with pytest.raises(ProfileError, match=r"tls_ca: .*none\.pem cannot be read: No such file"):
        client_context(tmp_path / "none.pem")
    with pytest.raises(ProfileError, match="go together"):
        client_context(None, certificate)
    with pytest.raises(ProfileError, match=r"tls_key: .*none\.key cannot be read"):
        client_context(None, certificate, tmp_path / "none.key")
    with pytest.raises(ProfileError, match="should be a certificate and its key"):
        client_context(None, trusting(tmp_path), key)
    key.chmod(0o644)
    with pytest.raises(ProfileError, match="chmod 600"):
        client_context(None, certificate, key)


def test_a_key_under_a_password_asks_nobody(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    certificate, key = signed(tmp_path, NAME)
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    locked = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
    )
    put_key(key, locked)
    with pytest.raises(ProfileError, match="without a password"):
        client_context(None, certificate, key)


def test_what_a_profile_says(tmp_path: Path) -> None:
    assert profile_tls(Profile(imsi="001010000000001")) is None
    tls = profile_tls(Profile(imsi="001010000000001", transport="tls", tls_ca=str(trusting(tmp_path))))  # type: ignore[arg-type]
    assert tls is not None
    assert tls.of(REMOTE) is None  # a phone takes no connections
    assert tls.to(REMOTE) is not None
    assert Tls().to(REMOTE) is None
