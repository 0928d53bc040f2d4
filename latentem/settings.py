"""How a fit is made: the options of `fit`, checked."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypedDict, final

from attrs import field, frozen

from latentem.core import Engine
from latentem.engine import Threads
from latentem.report import Display
from latentem.run import EM, Acceleration, Anderson, Runner, State, StopRule, remaining_below
from latentem.run.runner import TRIAL_STEPS
from latentem.start.starts import check_count

MAX_STEPS = 10_000
ACCELERATE = Anderson()


@final
class Running(TypedDict, total=False):
    """What of `fit` is passed on by what fits many times: the arguments of these names."""

    n_starts: int
    stop: StopRule | None
    max_steps: int
    runner: Runner | None
    accelerate: Acceleration | None
    engine: Engine | None


@final
@frozen
class Settings:
    """How a fit is made, checked: the arguments of `fit` but for model and data.

    Attributes:
        runner: The way of running, made of `stop`, `max_steps` and `accelerate` where none was given.
        engine: Who computes on the chunks.
        start: As for `fit`; and so are the others.
        shown: Where progress is shown, if it is not where it would be by itself.
        title: What stands above it; None: the model.
    """

    runner: Runner
    engine: Engine
    start: Any = field(default=None)
    n_starts: int = field(default=10)
    callback: Callable[[State[Any, Any]], Any] | None = field(default=None)
    checkpoint: str | os.PathLike[str] | None = field(default=None)
    progress: bool = field(default=False)
    rng: Any = field(default=0)
    shown: Display | None = field(default=None)
    title: str | None = field(default=None)

    @classmethod
    def of(
        cls,
        *,
        start: Any = None,
        n_starts: int = 10,
        stop: StopRule | None = None,
        max_steps: int = MAX_STEPS,
        runner: Runner | None = None,
        accelerate: Acceleration | None = ACCELERATE,
        engine: Engine | None = None,
        callback: Callable[[State[Any, Any]], Any] | None = None,
        progress: bool = False,
        **more: Any,
    ) -> Settings:
        """The settings that these arguments of `fit` make.

        Raises:
            TypeError, ValueError: an option cannot be used.
        """
        if callback is not None and not callable(callback):
            raise TypeError(f"callback was given as {callback!r}: give a function of a State, or None")
        if not isinstance(progress, bool):
            raise TypeError(f"progress was given as {progress!r}: give True or False")
        if start is None:
            check_count(n_starts)
        if runner is None:
            plain = TRIAL_STEPS if start is None and n_starts != 1 else 0
            runner = EM(stop if stop is not None else remaining_below(), max_steps, accelerate, plain)
        elif not isinstance(runner, Runner):
            raise TypeError(f"runner was given as {runner!r}: give a way of running, such as Incremental(), or None")
        elif stop is not None or max_steps != MAX_STEPS or accelerate is not ACCELERATE:
            given = "stop, max_steps or accelerate was given"
            raise ValueError(f"{given} beside {runner!r}: give them to the runner itself")
        if engine is None:
            engine = Threads()
        elif not isinstance(engine, Engine):
            raise TypeError(f"engine was given as {engine!r}: give an engine, such as Threads(2), or None")
        return cls(runner, engine, start, n_starts, callback, progress=progress, **more)
