"""The lab on addresses of its own, its P-CSCF's ESP made by itself or by the kernel.

python lab.py own|kernel BASE ...
"""

import asyncio
import sys
from contextlib import AsyncExitStack

from imsphone.lab.network import Network
from imsphone.lab.serve import serve
from imsphone.net.kernel import KernelEsp
from imsphone.net.sealing import Sealing


async def main(way: str, *bases: str) -> None:
    async with AsyncExitStack() as stack:
        for base in bases:
            network = Network(seed=b"interop", base=base)
            await stack.enter_async_context(serve(network, protection=KernelEsp if way == "kernel" else Sealing))
        print("the lab is up", flush=True)
        await asyncio.Event().wait()


asyncio.run(main(*sys.argv[1:]))
