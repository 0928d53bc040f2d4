"""Benchmarks: rivals first agree on the answer, and are then timed in turn in one process. `python -m benchmarks`."""
