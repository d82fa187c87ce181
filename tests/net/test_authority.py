from __future__ import annotations

import datetime
import stat
from pathlib import Path

from cryptography import x509

from imsphone.net.authority import Authority, certified


def test_what_it_signs_is_its_own_and_for_the_names_that_were_asked() -> None:
    authority = Authority.new("mine")
    pem, key = authority.sign("pcscf.ims.example", "sip:ims.example", "127.0.10.10", "::1")
    certificate = x509.load_pem_x509_certificate(pem)
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.certificate))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["pcscf.ims.example"]
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["sip:ims.example"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.10.10", "::1"]
    assert certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC) < datetime.timedelta(days=31)
    assert b"PRIVATE KEY" in key


def test_the_key_is_for_its_owner_alone(tmp_path: Path) -> None:
    certified(tmp_path, "pcscf.ims.example")
    certified(tmp_path, "pcscf.ims.example")  # again over what is there
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ca.pem", "server.key", "server.pem"]
    assert stat.S_IMODE((tmp_path / "server.key").stat().st_mode) == 0o600
