"""What a fit says of itself: every figure holds, and every word can be understood."""

from __future__ import annotations

import re

import attrs
import numpy as np
import pytest
from subjects import FAITHFUL

import latentem as lem
from latentem.transform import SamePosterior


@attrs.frozen
class Optimist(SamePosterior):
    """A model whose log evidence is too high: a nat a row."""

    inner: object

    def log_evidence(self, params, chunk):
        return self.inner.log_evidence(params, chunk) + 1


@pytest.mark.filterwarnings("ignore::latentem.ConvergenceWarning")
@pytest.mark.parametrize(
    ("runner", "data"),
    [(lem.Stochastic(), FAITHFUL), (lem.Incremental(), [lem.Rows(part) for part in np.array_split(FAITHFUL, 8)])],
    ids=["stochastic", "incremental"],
)
def test_the_summary_prints_no_equation_that_does_not_hold(runner, data):
    """A run that was stopped has the books of an older q: its bound is shown as Q + H, the log likelihood beside it."""
    fit = lem.fit(
        lem.GaussianMixture(2), data, runner=runner, callback=lambda s: lem.STOP if s.step.index == 1 else None
    )
    line = next(line for line in str(fit).splitlines() if "= Q" in line)
    left, q, h, *likelihood = map(float, re.findall(r"-?\d+\.\d+", line))
    assert left == pytest.approx(q + h, abs=2e-6)
    assert likelihood == pytest.approx([fit.log_likelihood], abs=1e-6)
    assert not any(event.kind == "gap" for event in fit.events)


def test_a_model_that_contradicts_itself_is_told():
    """Where the exact posterior leaves a gap an event says how large it is, and where to look; no AIC, no BIC."""
    fit = lem.fit(Optimist(lem.GaussianMixture(2)), FAITHFUL, n_starts=2)
    (event,) = (event for event in fit.events if event.kind == "gap")
    assert "272 nats below" in event.message
    assert "check_model" in event.remedy
    text = str(fit)
    assert "check_model" in text
    assert "AIC 2" not in text
    assert not re.search(r"log likelihood \S+ =", text)
