"""Where a run of a chain is recorded, and whether it has converged."""

from __future__ import annotations

import abc
import logging
import math
import sys
from collections import deque
from typing import Any, final

from latentem.run import Ending, State, Status, StopRule

_log = logging.getLogger(__name__)
_WIGGLE = 2.0**-26
"""A fall of the log probability that rounding explains."""


class ConvergenceMonitor(abc.ABC):  # noqa: B024 - it is used as it is, and derived from
    """The log probabilities of a run, in nats, and hmmlearn's rule for its end.

    Assign one of a class of your own to `monitor_` before `fit` for another rule: override `converged`.

    Attributes:
        tol: Converged when a step gains less, a total over the data.
        n_iter: Converged, too, when so many steps have been taken, as hmmlearn has it; `fit_.converged` is honest.
        verbose: Whether each step is printed to `sys.stderr`.
        history: The log probability before each step, without a prior.
        iter: How many steps were taken.
    """

    _template = "{iter:>10d} {log_prob:>16.8f} {delta:>+16.8f}"

    def __init__(self, tol: float, n_iter: int, verbose: bool) -> None:
        self.tol = tol
        self.n_iter = n_iter
        self.verbose = verbose
        self.history: deque[float] = deque()
        self.iter = 0

    def __repr__(self) -> str:
        values = sorted({**vars(self), "history": list(self.history)}.items())
        lines = "".join(f"    {name}={value},\n" for name, value in values)
        return f"{type(self).__name__}(\n{lines})"

    def _reset(self) -> None:
        self.iter = 0
        self.history.clear()

    def report(self, log_prob: float) -> None:
        """Record the log probability at the parameters of a step."""
        delta = log_prob - self.history[-1] if self.history else math.nan
        if self.verbose:
            print(self._template.format(iter=self.iter + 1, log_prob=log_prob, delta=delta), file=sys.stderr)
        if delta < -_WIGGLE:
            _log.warning("The log probability fell by %g, from %g.", -delta, self.history[-1])
        self.history.append(log_prob)
        self.iter += 1

    @property
    def converged(self) -> bool:
        """Whether the last step gained less than `tol`, or there were `n_iter` of them."""
        return self.iter == self.n_iter or _settled(self)


@final
class Own(ConvergenceMonitor):
    """The monitor that an estimator makes for itself."""


def _settled(monitor: Any) -> bool:
    return len(monitor.history) >= 2 and monitor.history[-1] - monitor.history[-2] < monitor.tol


def watched(monitor: Any) -> StopRule:
    """The stop rule of a monitor, also of hmmlearn's own: one more M-step after it has said converged, as there."""
    ended: list[Status | None] = []

    def decide(state: State[Any, Any]) -> Status | None:
        if ended:
            return ended[0]
        monitor.report(float(state.step.bound))
        if monitor.converged:
            if _settled(monitor):
                ended.append(Status(Ending.CONVERGED, f"a step gained less than {monitor.tol:g} nats in all"))
            elif monitor.iter == monitor.n_iter:
                ended.append(Status(Ending.MAX_STEPS, f"{monitor.n_iter} steps were taken, and tol was not met"))
            else:
                ended.append(Status(Ending.CONVERGED, "monitor_ says so"))
        return None

    return StopRule("monitor_", decide)
