"""What one step of EM asks of Python on a small table: calls, functions, files, and CPU time.

`python -m benchmarks.step` counts between two States of a run of `GaussianMixture(2)` on Old Faithful, with plain steps
and with accelerated ones, and prints the calls by the folder of the library in which they end. PYTHONPATH says which
copy of the library is measured.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import latentem as lem

BEFORE, STEPS, RUNS = 6, 8, 60
"""Steps before the first that is counted, for caches to fill; steps that are counted and timed; runs of them."""
LIBRARY = Path(lem.__file__).parent


def states(accelerate: Any) -> Iterator[Any]:
    """A run from the same start, past its first steps; its rule never ends it."""
    model, data = lem.GaussianMixture(2), lem.datasets.old_faithful()
    start = model.params([0.5, 0.5], [[2.5, 60.0], [4.0, 75.0]], [[[1.0, 0.0], [0.0, 100.0]]] * 2)
    run = lem.EM(lambda state: None, accelerate=accelerate).iterate(model, start, data)
    for _ in range(BEFORE):
        next(run)
    return run


def counted(accelerate: Any) -> tuple[list[Counter[CodeType]], list[Counter[str]]]:
    """The Python calls of each step, by function; and those of the library by folder."""
    run, steps = states(accelerate), []
    for _ in range(STEPS):
        calls: Counter[CodeType] = Counter()

        def note(frame: FrameType, event: str, _: Any, calls: Counter[CodeType] = calls) -> None:
            if event == "call":
                calls[frame.f_code] += 1

        sys.setprofile(note)
        next(run)
        sys.setprofile(None)
        steps.append(calls)
    return steps, [folders(calls) for calls in steps]


def folders(calls: Counter[CodeType]) -> Counter[str]:
    """Calls by the folder of the library, or by the package, that their functions are in."""
    found: Counter[str] = Counter()
    for code, times in calls.items():
        path = Path(code.co_filename)
        if path.is_relative_to(LIBRARY):
            parts = path.relative_to(LIBRARY).parts
            found["/".join(parts[:-1]) or parts[0]] += times
        else:
            found["attrs" if "attrs generated" in str(path) else path.parent.name] += times
    return found


def seconds(accelerate: Any) -> float:
    """CPU time of a step: the least over runs of the mean over the steps of one."""
    least = float("inf")
    for _ in range(RUNS):
        run = states(accelerate)
        begin = time.process_time()
        for _ in range(STEPS):
            next(run)
        least = min(least, (time.process_time() - begin) / STEPS)
    return least


def main() -> None:
    """Print the table."""
    print(f"{'steps':<12}{'calls':>8}{'functions':>11}{'files':>7}{'microseconds':>14}")
    rooms = {}
    for name, accelerate in (("plain", None), ("accelerated", lem.Anderson())):
        steps, by_folder = counted(accelerate)
        middle = sorted(range(STEPS), key=lambda i: steps[i].total())[STEPS // 2]
        calls = steps[middle]
        files = {code.co_filename for code in calls}
        print(f"{name:<12}{calls.total():>8}{len(calls):>11}{len(files):>7}{1e6 * seconds(accelerate):>14.0f}")
        rooms[name] = by_folder[middle]
    print(f"\n{'calls in':<34}" + "".join(f"{name:>12}" for name in rooms))
    for folder in sorted(set().union(*rooms.values())):
        print(f"{folder:<34}" + "".join(f"{of[folder]:>12}" for of in rooms.values()))


if __name__ == "__main__":
    main()
