"""Fits on which plain EM crawls: towards a boundary, along a ridge, or with costly steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import latentem as lem
from benchmarks.measure import Machine
from benchmarks.page import Row, Section

REPEATS = 5
Problem = tuple[Any, Any]


def _counts() -> Problem:
    from statsmodels.datasets import randhie

    return lem.Mixture(lem.NegativeBinomial(), 2), randhie.load_pandas().data[["mdvis"]].to_numpy()


def _heywood() -> Problem:
    return lem.FactorAnalysis(1), np.asarray(lem.datasets.iris())


def _states() -> Problem:
    return lem.HiddenMarkov(lem.Gaussian(), 3), np.asarray(lem.datasets.old_faithful())


def _tails() -> Problem:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((600, 4)) + 3 * rng.integers(2, size=(600, 1))
    return lem.Mixture(lem.Student(), 2), x


def _visits() -> Problem:
    from statsmodels.datasets import randhie

    data = randhie.load_pandas().data
    x = data[["lncoins", "idp", "lpi", "fmde", "physlm", "disea"]].to_numpy()
    return lem.Mixture(lem.PoissonRegression(), 3), np.column_stack([x, data["mdvis"].to_numpy()])


def _penguins() -> Problem:
    from palmerpenguins import load_penguins

    data = load_penguins()
    numbers = data[["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]].to_numpy(float)
    codes = [data[name].astype("category").cat.codes.to_numpy(float) for name in ("island", "sex")]
    x = np.column_stack([numbers, *(np.where(code < 0, np.nan, code) for code in codes)])
    parts = lem.Product(lem.Gaussian().on(0, 1, 2, 3), lem.Categorical().on(4, 5))
    return lem.Mixture(parts, 3), x


PROBLEMS: dict[str, Callable[[], Problem]] = {
    "two negative binomials, 20,190 counts (randhie)": _counts,
    "one factor, iris: a Heywood case": _heywood,
    "hidden Markov, three states, Old Faithful": _states,
    "two Student, 600 x 4 Gaussian rows": _tails,
    "three Poisson regressions, 20,190 x 7 (randhie)": _visits,
    "Gaussian and categorical columns, missing cells, 344 x 6 (penguins)": _penguins,
}


def rows(_: Machine, quick: bool) -> Iterator[Row]:
    """Each problem, fitted as anyone would; data of packages that are not installed are left out."""
    for name, problem in list(PROBLEMS.items())[1 : 3 if quick else None] if quick else PROBLEMS.items():
        try:
            model, data = problem()
        except ImportError as error:
            print(f"left out: {error}")
            continue
        yield _one(name, model, data)


def _one(name: str, model: Any, data: Any) -> Row:
    times = []
    for _ in range(REPEATS):
        begin = time.process_time()
        fit = lem.fit(model, data)
        times.append(time.process_time() - begin)
    spread = f"{np.median(times):.2f} ({min(times):.2f} to {max(times):.2f})"
    total = sum(report.steps for report in fit.starts)
    ending = f"{fit.status}".split(":")[0]
    kinds = ", ".join(dict.fromkeys(event.kind for event in fit.events)) or "none"
    return Row((name, spread, fit.history.passes[-1], total, f"{fit.log_likelihood:.6f}", ending, kinds))


SECTION = Section(
    "Fits on which plain EM crawls",
    "`lem.fit(model, data)` with nothing else said: seconds of CPU, passes of the best run, steps of all starts.",
    ("problem", "seconds", "passes", "steps, all starts", "log likelihood", "ending", "events"),
    rows,
)
