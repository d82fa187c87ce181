"""A command from its start to its end: Ctrl-C and SIGTERM cancel it, so that what is registered deregisters.

    signal ──▶ cancel ──▶ `async with Phone` is left: BYE or CANCEL, REGISTER with expires=0 ──▶ exit code 130 or 143

The first signal is a request, the second an order: it no longer waits for the network.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run(main: Coroutine[Any, Any, None]) -> None:
    """Runs `main` to its end. Raises SystemExit, 128 and the signal's number, where a signal ended it."""
    caught: list[signal.Signals] = []

    async def guarded() -> None:
        task = asyncio.current_task()
        assert task is not None

        def stop(number: signal.Signals) -> None:
            caught.append(number)
            task.cancel()

        with _heeding(stop):
            await main

    try:
        asyncio.run(guarded())
    except asyncio.CancelledError:
        sys.exit(128 + caught[0] if caught else 130)


async def signalled() -> None:
    """Waits for Ctrl-C or SIGTERM, where that is the way to end and no interruption."""
    over = asyncio.Event()
    with _heeding(lambda _: over.set()):
        await over.wait()


@contextmanager
def _heeding(stop: Callable[[signal.Signals], object]) -> Iterator[None]:
    """The first of the signals calls `stop`; from then on, and afterwards, they do what they do by themselves."""
    loop = asyncio.get_running_loop()

    def quiet() -> None:
        for number in SIGNALS:
            loop.remove_signal_handler(number)

    def first(number: signal.Signals) -> None:
        quiet()
        stop(number)

    for number in SIGNALS:
        loop.add_signal_handler(number, first, number)
    try:
        yield
    finally:
        quiet()
