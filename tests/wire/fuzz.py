"""Whatever comes over the wire, mangled: nothing raises, nothing hangs, and a phone that is registered stays so.

    python tests/wire/fuzz.py --seconds 60 [--target sip …] [--seed 1] [--atheris]

    corpus (torture messages, a recorded journey) ──▶ Mangler ──▶ Target.feed ──▶ nothing, or a Finding with its input

`test_fuzz` runs each target for a moment; for longer runs there is this command. With --atheris (PyPI: atheris)
libFuzzer leads the way by what code it reaches; without, the mangler goes blindly.
"""

from __future__ import annotations

import argparse
import faulthandler
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parents[2]))  # where this is a command

from tests.wire.mangler import MOST_BYTES, Mangler
from tests.wire.targets import TARGETS, Finding, Target

SLOW_S = 5.0  # of the processor, for one input


def inputs(target: Target, seed: int) -> Iterator[bytes]:
    """The corpus as it is, then mangled without end; the same seed gives the same inputs."""
    corpus = target.corpus()
    yield from corpus
    mangler = Mangler(corpus, Random(seed))
    while True:
        yield mangler.next()


def run(name: str, seconds: float, seed: int, folder: Path) -> int:
    """Feeds one target for so long; gives how many inputs it took. Keeps the input that broke it, and raises."""
    target, count, until = TARGETS[name], 0, time.monotonic() + seconds
    for data in inputs(target, seed):
        if time.monotonic() > until:
            break
        began = time.process_time()
        faulthandler.dump_traceback_later(10 * SLOW_S, exit=True)
        try:
            target.feed(data)
            if (spent_s := time.process_time() - began) > SLOW_S:
                raise Finding(f"{spent_s:.1f} s for {len(data)} octets")
        except Exception:
            kept = folder / f"fuzz-{name}-{seed}-{count}.bin"
            kept.write_bytes(data)
            print(f"{name}: input {count} of seed {seed} is in {kept}", file=sys.stderr)
            raise
        finally:
            faulthandler.cancel_dump_traceback_later()
        count += 1
    return count


def run_atheris(name: str, seconds: float, seed: int) -> None:
    """The same, led by coverage. Ends the process."""
    import atheris

    target = TARGETS[name]
    corpus = target.corpus()

    def mutate(data: bytes, most: int, number: int) -> bytes:
        random = Random(number)
        chosen = Mangler(corpus, random).mangled(data or random.choice(corpus))
        return (atheris.Mutate(chosen, most) if random.random() < 0.3 else chosen)[:most]

    atheris.instrument_all()
    options = [f"-max_total_time={seconds:.0f}", f"-seed={seed}", f"-max_len={MOST_BYTES}", "-timeout=60"]
    atheris.Setup([sys.argv[0], *options], target.feed, custom_mutator=mutate)
    atheris.Fuzz()


def main() -> None:
    read = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    read.add_argument("--seconds", type=float, default=60.0, help="for each target")
    read.add_argument("--target", choices=sorted(TARGETS), action="append", help="all of them without this")
    read.add_argument("--seed", type=int, default=1)
    read.add_argument("--folder", type=Path, default=Path.cwd(), help="where an input that breaks something is kept")
    read.add_argument("--atheris", action="store_true", help="led by coverage; one target only")
    said = read.parse_args()
    targets = said.target or sorted(TARGETS)
    if said.atheris:
        run_atheris(targets[0], said.seconds, said.seed)
    for name in targets:
        print(f"{name}: {run(name, said.seconds, said.seed, said.folder):,} inputs, nothing found")


if __name__ == "__main__":
    main()
