"""Kamailio as a registrar behind TLS: OpenSSL of another program shakes hands with our phone.

It is no IMS core here and needs no root: one file of configuration, one process group, one port.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from imsphone.errors import AuthenticationError, NetworkError
from imsphone.net.authority import Authority, put_key
from imsphone.phone import Phone
from imsphone.profile import Profile, Secret

HOST, PORT, REALM = "127.0.98.10", 5061, "home.example"
MODULES = [str(path) for path in Path("/usr/lib").glob("**/kamailio/modules") if (path / "tls.so").exists()]

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(
        shutil.which("kamailio") is None or not MODULES, reason="needs Kamailio with TLS (Debian: kamailio-tls-modules)"
    ),
]

CONFIG = """\
debug=0
log_stderror=yes
children=1
tcp_children=2
enable_tls=yes
auto_aliases=no
listen=tls:{host}:{port}
mpath="{modules}"
loadmodule "tls.so"
loadmodule "pv.so"
loadmodule "sl.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
modparam("tls", "private_key", "{folder}/server.key")
modparam("tls", "certificate", "{folder}/server.pem")
modparam("tls", "ca_list", "{folder}/ca.pem")
modparam("tls", "verify_certificate", {wants})
modparam("tls", "require_certificate", {wants})
modparam("tls", "tls_method", "TLSv1.2+")
modparam("usrloc", "db_mode", 0)
request_route {{
    if (method != "REGISTER") {{ sl_send_reply("405", "Method Not Allowed"); exit; }}
    if (!pv_www_authenticate("{realm}", "secret", "0")) {{ www_challenge("{realm}", "1"); exit; }}
    save("location");
}}
"""


@contextlib.asynccontextmanager
async def kamailio(folder: Path, *, wants: bool = False) -> AsyncIterator[Path]:
    """A registrar by TLS till the end of the block; gives the folder of ca.pem and of a phone's one.pem and one.key."""
    authority = Authority.new("of the test")
    for name, names in (("server", (HOST, f"sip:{REALM}")), ("one", ("phone.example",))):
        certificate, key = authority.sign(*names)
        (folder / f"{name}.pem").write_bytes(certificate)
        put_key(folder / f"{name}.key", key)
    (folder / "ca.pem").write_bytes(authority.certificate)
    config = folder / "kamailio.cfg"
    words = {"host": HOST, "port": PORT, "folder": folder, "realm": REALM, "wants": int(wants)}
    config.write_text(CONFIG.format(modules=MODULES[0], **words))
    line = ("kamailio", "-f", config, "-DD", "-E", "-Y", folder, "-m", "16", "-M", "4")
    with (folder / "kamailio.out").open("w") as out:
        process = await asyncio.create_subprocess_exec(
            *map(str, line), stdout=out, stderr=out, cwd=folder, start_new_session=True
        )
    try:
        async with asyncio.timeout(20):
            while True:
                with contextlib.suppress(OSError), socket.create_connection((HOST, PORT), 1):
                    break
                assert process.returncode is None, (folder / "kamailio.out").read_text()
                await asyncio.sleep(0.05)
        yield folder
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def phone_of(folder: Path, password: bytes = b"secret", **keys: str) -> Phone:
    trust = {"tls_ca": str(folder / "ca.pem")} | keys
    profile = Profile(
        impu=f"sip:bob@{REALM}",
        impi=f"bob@{REALM}",
        home_domain=REALM,
        auth="digest",
        pcscf=f"{HOST}:{PORT}",
        transport="TLS",
        reg_event=False,
        **trust,  # type: ignore[arg-type]
    )
    return Phone(profile, password=Secret(password))


async def test_it_registers_by_tls(tmp_path: Path) -> None:
    async with kamailio(tmp_path) as folder:
        async with phone_of(folder) as phone:
            registered = await phone.register()
            assert registered.expires_s > 0
            await phone.deregister()
        async with phone_of(folder, b"guessed") as phone:
            with pytest.raises(AuthenticationError):
                await phone.register()


async def test_it_wants_a_certificate_of_the_phone(tmp_path: Path) -> None:
    async with kamailio(tmp_path, wants=True) as folder:
        own = {"tls_cert": str(folder / "one.pem"), "tls_key": str(folder / "one.key")}
        async with phone_of(folder, **own) as phone:
            await phone.register()
        async with phone_of(folder) as phone:
            with pytest.raises(NetworkError, match="tls_cert and tls_key"):
                await phone.register()
