"""Random channels of the kinds that a phone meets, for trials of the playout buffer.

A channel is a list of (send_ms, arrival_ms) of 20 ms frames, None where a packet never comes. Each kind draws its own
parameters, so that no two seeds are alike and nothing can be tuned to one file:

    jitter      independent queueing delay, a gamma distribution (radio links at low load)
    queue       a queue that swells and ebbs: the same with memory, and some loss (high load)
    phases      calm, queue, calm: a cell's edge, there and back
    pairs       two frames a packet, bursty loss, now and then a spike
    wifi        retries of up to 10 ms, and stalls of exponential length while others hold the air
    cellular    scheduling every 10 ms or so, and outages with a heavy tail (handover, fading)
    handover    a sawtooth of slots, and a stall at each change of cell
    drx         sleep in between: frames come in groups, some with a HARQ retransmission of 8 ms
    drift       the sender's clock is up to 500 ppm off
    route       the path's delay steps up or down
    burst       Gilbert-Elliott loss, and packets that overtake each other
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

FRAME_MS = 20.0
FRAMES = 7500
LEAST_MS = 40.0

Row = tuple[float, float | None]


def _in_order(send: list[float], delay: list[float]) -> list[Row]:
    """A link that keeps the order: nobody overtakes."""
    rows: list[Row] = []
    last = 0.0
    for at, wait in zip(send, delay, strict=True):
        last = max(last, at + LEAST_MS + wait)
        rows.append((at, last))
    return rows


def _sends() -> list[float]:
    return [FRAME_MS * k for k in range(FRAMES)]


def _queue(random: Random, mean_ms: float, memory: float, shape: float) -> Iterator[float]:
    """Gamma-distributed delay with memory (an exponentially smoothed sequence)."""
    level = mean_ms
    while True:
        level = memory * level + (1 - memory) * mean_ms * random.gammavariate(shape, 1 / shape)
        yield level


def jitter(random: Random) -> list[Row]:
    shape, mean = random.uniform(1.5, 5), random.uniform(2, 9)
    return _in_order(_sends(), [random.gammavariate(shape, mean / shape) for _ in range(FRAMES)])


def queue(random: Random) -> list[Row]:
    mean, memory, loss = random.uniform(15, 30), random.uniform(0.3, 0.75), random.uniform(0, 0.01)
    wait = _queue(random, mean, memory, random.uniform(0.3, 1))
    rows = _in_order(_sends(), [next(wait) for _ in range(FRAMES)])
    return [(send, None if random.random() < loss else at) for send, at in rows]


def phases(random: Random) -> list[Row]:
    first, last = sorted(random.sample(range(1000, FRAMES - 1000, 100), 2))
    calm, busy = jitter(random), queue(random)
    send = _sends()
    shift = [busy if first <= k < last else calm for k in range(FRAMES)]
    delay = [(rows[k][1] or 0.0) - send[k] - LEAST_MS for k, rows in enumerate(shift)]
    lost = [rows[k][1] is None for k, rows in enumerate(shift)]
    rows = _in_order(send, [max(0.0, wait) for wait in delay])
    return [(at, None if gone else arrival) for (at, arrival), gone in zip(rows, lost, strict=True)]


def pairs(random: Random) -> list[Row]:
    loss, again = random.uniform(0.01, 0.05), random.uniform(0.1, 0.4)
    spike, mean = random.uniform(0.0005, 0.005), random.uniform(4, 12)
    delay: list[float] = []
    lost: list[bool] = []
    is_lost = False
    for _ in range(FRAMES // 2):
        is_lost = random.random() < (again if is_lost else loss)
        wait = random.gammavariate(1.5, mean / 1.5) + (random.uniform(40, 120) if random.random() < spike else 0)
        delay += [wait + FRAME_MS, wait]
        lost += [is_lost] * 2
    rows = _in_order(_sends(), delay)
    return [(send, None if gone else at) for (send, at), gone in zip(rows, lost, strict=True)]


def wifi(random: Random) -> list[Row]:
    retry, rate, length = random.uniform(1, 4), 10 ** random.uniform(-4, -1.4), random.uniform(20, 70)
    delay, stall_until = [], 0.0
    for send in _sends():
        if random.random() < rate:
            stall_until = max(stall_until, send + random.expovariate(1 / length))
        delay.append(max(stall_until - send, random.expovariate(1 / retry)))
    return _in_order(_sends(), delay)


def cellular(random: Random) -> list[Row]:
    slot, often = random.uniform(4, 12), random.uniform(0.02, 0.3)
    rate, shortest, tail = 10 ** random.uniform(-3.6, -2.3), random.uniform(30, 60), random.uniform(1.1, 2)
    delay, stall_until = [], 0.0
    for send in _sends():
        if random.random() < rate:
            stall_until = max(stall_until, send + min(1000.0, shortest * random.paretovariate(tail)))
        wait = slot * random.random() + (random.choice((10, 20, 30, 40)) if random.random() < often else 0)
        delay.append(max(stall_until - send, wait))
    return _in_order(_sends(), delay)


def handover(random: Random) -> list[Row]:
    period, height, every_s = random.uniform(60, 300), random.uniform(5, 25), random.uniform(5, 30)
    delay, stall_until = [], 0.0
    for send in _sends():
        if random.random() < FRAME_MS / 1000 / every_s:
            stall_until = send + random.uniform(50, 110) * (2.5 if random.random() < 0.05 else 1)
        wait = height * (1 - send % period / period) + random.gammavariate(2, 2)
        delay.append(max(stall_until - send, wait))
    return _in_order(_sends(), delay)


def drx(random: Random) -> list[Row]:
    cycle, offset, again = random.choice((20, 40, 80)), random.uniform(0, 80), random.uniform(0.05, 0.2)
    delay = []
    for send in _sends():
        wait = cycle - (send + offset) % cycle + random.random()
        while random.random() < again:
            wait += 8.0
        delay.append(wait)
    return _in_order(_sends(), delay)


def drift(random: Random) -> list[Row]:
    rate, mean = 1 + random.uniform(-500, 500) * 1e-6, random.uniform(1, 6)
    return _in_order([k * FRAME_MS * rate for k in range(FRAMES)], [random.gammavariate(2, mean / 2) for _ in _sends()])


def route(random: Random) -> list[Row]:
    every_s, mean = random.uniform(10, 40), random.uniform(1, 5)
    delay, path = [], 60.0
    for k in range(FRAMES):
        if k and random.random() < FRAME_MS / 1000 / every_s:
            path = random.uniform(0, 120)
        delay.append(path + random.gammavariate(2, mean / 2))
    return _in_order(_sends(), delay)


def burst(random: Random) -> list[Row]:
    loss, length, overtaken = random.uniform(0.01, 0.05), random.uniform(1.2, 4), random.uniform(0, 0.02)
    start = loss / (1 - loss) / length
    rows: list[Row] = []
    is_lost = False
    for send in _sends():
        is_lost = random.random() < (1 - 1 / length if is_lost else start)
        wait = random.gammavariate(2, 2) + (random.uniform(25, 60) if random.random() < overtaken else 0)
        rows.append((send, None if is_lost else send + LEAST_MS + wait))
    return rows


KINDS: tuple[Callable[[Random], list[Row]], ...] = (
    jitter, queue, phases, pairs, wifi, cellular, handover, drx, drift, route, burst,
)  # fmt: skip


def channels(seed: int, of_each: int = 1) -> Iterator[tuple[str, list[Row]]]:
    """`of_each` channels of every kind, named after kind and number; the same for the same seed."""
    for kind in KINDS:
        for number in range(of_each):
            yield f"{kind.__name__}_{number}", kind(Random(f"{seed} {kind.__name__} {number}"))
