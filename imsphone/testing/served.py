"""The lab on loopback sockets, in a thread of its own: for any kind of test, and for foreign phones.

with ServedLab() as lab:
    phone = Phone(lab.profile("alice"), isim=lab.isim("alice"))
"""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

from imsphone.errors import NetworkError
from imsphone.lab.network import Network
from imsphone.lab.serve import serve
from imsphone.net.authority import certified
from imsphone.profile import Profile
from imsphone.trace import Trace
from imsphone.usim.isim import Isim

FIRST_NET, LAST_NET = 20, 250  # third octets of 127.0.x to look for a free one in


class ServedLab:
    """A network that runs from `with` to the end of it. `network` is the machines, `trace` what crossed them.

    Without `base` it takes the first of 127.0.20 to 127.0.250 that is free, so that several may run at a time. Its
    P-CSCF takes TLS too; `ca` is the file of whom to trust then.
    """

    def __init__(self, base: str | None = None, seed: bytes = b"served") -> None:
        self._base = base
        self._seed = seed
        self._folder = TemporaryDirectory(prefix="imsphone-lab-")
        self.trace = Trace()
        self.network: Network
        self._loop: asyncio.AbstractEventLoop
        self._over: asyncio.Event
        self._is_up = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="imsphone-lab", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._is_up.wait()
        if self._error is not None:
            self._thread.join()
            self._folder.cleanup()
            raise self._error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()
        self._folder.cleanup()
        if self._error is not None and error is None:
            raise self._error

    @property
    def ca(self) -> Path:
        """The certificate of the authority that vouches for the P-CSCF."""
        return Path(self._folder.name) / "ca.pem"

    def profile(self, name: str) -> Profile:
        """The profile of a subscriber; give the phone `isim` or the account's password beside it.

        It does not subscribe to its registration, so that a ladder shows what the test does and no more.
        """
        return Profile(**self.network.profile(name), reg_event=False)

    def isim(self, name: str) -> Isim:
        """A new SIM of a subscriber."""
        return self.network.accounts[name].isim()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # handed to the thread that uses the lab
            self._error = error
        finally:
            self._is_up.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        bases = [self._base] if self._base else [f"127.0.{net}" for net in range(FIRST_NET, LAST_NET)]
        for base in bases:
            self.network = Network(base=base, seed=self._seed)
            tls = certified(Path(self._folder.name), *self.network.names)
            try:
                async with serve(self.network, trace=self.trace, tls=tls):
                    self._is_up.set()
                    await self._over.wait()
                return
            except NetworkError:
                if self._is_up.is_set() or base == bases[-1]:
                    raise
