"""What is said to those who gave something that cannot be fitted, and in the summary of what was."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import attrs
import numpy as np
import pandas as pd
import pytest

import latentem as lem
from latentem.transform import SamePosterior

EXAMPLES = Path(__file__).parents[2] / "examples"


def message(call):
    with pytest.raises((TypeError, ValueError, lem.Degenerate)) as caught:
        call()
    return str(caught.value)


def rng():
    return np.random.default_rng(0)


LEVELS = rng().integers(1, 4, (30, 2))
SUPPORTS = {
    "levels from 1": (lem.Categorical(3), LEVELS, "column.*0 to 2"),
    "1 and 2 for no and yes": (lem.Bernoulli(), LEVELS.clip(1, 2), "column.*0 (or|and) 1"),
    "a zero for Weibull": (lem.Weibull(), np.r_[rng().weibull(2, (30, 1)), [[0.0]]], "above 0|positive"),
    "a zero for Gamma": (lem.Gamma(), np.r_[rng().weibull(2, (30, 1)), [[0.0]]], "above 0|positive"),
    "a zero for LogNormal": (lem.LogNormal(), np.r_[rng().weibull(2, (30, 1)), [[0.0]]], "above 0|positive"),
    "a negative for Exponential": (
        lem.Exponential(),
        np.r_[rng().weibull(2, (30, 1)), [[-1.0]]],
        "at least 0|not negative",
    ),
    "a half for Poisson": (lem.Poisson(), LEVELS + 0.5, "column.*(whole|count|integer)"),
    "minus one and one for a logistic": (
        lem.LogisticRegression(),
        np.column_stack([rng().normal(size=30), rng().choice([-1, 1], 30)]),
        "0 (to|or|and) 1",
    ),
}


@pytest.mark.parametrize("name", SUPPORTS)
def test_data_outside_the_support_are_told_what_is_allowed(name):
    """The column, what is in it, and what the family allows."""
    family, x, words = SUPPORTS[name]
    assert re.search(words, message(lambda: lem.fit(lem.Mixture(family, 2), x)))


def test_the_sequence_is_named():
    """Of several sequences, the one that is at fault, also within a product; no advice to leave rows out of a chain."""
    product = lem.Product(lem.Gaussian().on(0), lem.Poisson().on(1))
    for value in (-1.0, np.nan):
        counts = [rng().poisson(3, (8, 1)).astype(float) for _ in range(5)]
        counts[3][2] = value
        pairs = [np.column_stack([rng().normal(size=8), part]) for part in counts]
        for family, data in ((lem.Poisson(), counts), (product, pairs)):
            said = message(lambda family=family, data=data: lem.fit(lem.HiddenMarkov(family, 2), data))
            assert "sequence 3" in said
            assert "leave out rows" not in said
            assert "chunk" not in said


def test_sequences_of_other_shapes_are_told_how_they_are_given():
    """Ragged lists and arrays of three axes."""
    assert "[:, None]" in message(lambda: lem.fit(lem.HiddenMarkov(lem.Categorical(2), 2), [[0, 0, 1, 1], [1, 1, 0]]))
    assert "list" in message(lambda: lem.fit(lem.HiddenMarkov(lem.Gaussian(), 2), rng().normal(size=(5, 20, 1))))


def test_the_row_of_new_data_is_named():
    """predict says which of a thousand rows has a level that the fit never saw."""
    fit = lem.fit(lem.Mixture(lem.Categorical(3), 2), rng().integers(0, 2, (60, 2)), n_starts=2)
    new = rng().integers(0, 2, (1000, 2))
    new[777, 1] = 2
    assert "777" in message(lambda: fit.predict(new))


def test_a_column_of_symbols_is_no_multinomial():
    """Counts of one level fit to nothing: two columns or more are asked for."""
    said = message(lambda: lem.fit(lem.HiddenMarkov(lem.Multinomial(), 2), rng().integers(0, 3, (30, 1))))
    assert "column" in said


@attrs.frozen
class Skewed(SamePosterior):
    """A mixture whose one method gives another shape."""

    inner: object
    method: str
    change: object

    def __getattribute__(self, name):
        get = object.__getattribute__
        if name == get(self, "method"):
            inner, change = getattr(get(self, "inner"), name), get(self, "change")
            return lambda *args: change(inner(*args))
        return get(self, name)


@pytest.mark.parametrize("method", ["log_joint", "log_evidence"])
def test_a_method_of_another_shape_is_named(method):
    """The method, what came and what is wanted: no word of parameters that have another number of rows."""
    model = Skewed(lem.GaussianMixture(2), method, lambda value: np.array([1.0, 2.0]))
    assert method in message(lambda: lem.fit(model, lem.datasets.old_faithful(), n_starts=1))


def test_a_log_partition_of_another_shape_is_named():
    """(k, 1) for (k,): the method is named, and both shapes."""

    class Column(type(lem.Poisson())):
        def log_partition(self, natural):
            return super().log_partition(natural)[:, None]

    said = message(lambda: lem.fit(lem.Mixture(Column(), 2), rng().poisson(3, (40, 1)), n_starts=1))
    assert "log_partition" in said


def test_tables_say_what_they_are_told():
    """A column of text, weights by name beside a frame, one row to predict, a file that is not there."""
    frame = pd.DataFrame({"a": rng().normal(size=40), "sex": ["f", "m"] * 20})
    said = message(lambda: lem.fit(lem.GaussianMixture(2), frame))
    assert "'sex'" in said
    assert "give real numbers" in said
    assert "were given" not in said  # one column was
    assert "column" in message(lambda: lem.fit(lem.GaussianMixture(2), frame, weights="mass"))
    fit = lem.fit(lem.GaussianMixture(2), lem.datasets.old_faithful(), n_starts=1)
    said = message(lambda: fit.predict([3.0, 70.0]))
    assert "row" in said
    assert "[None]" in said or "[[" in said
    for name in ("nowhere.csv", "nowhere.parquet", "nowhere.npy", "nowhere.h5"):
        with pytest.raises(FileNotFoundError, match="nowhere"):
            lem.fit(lem.GaussianMixture(2), name)


def test_the_extra_that_is_named_can_be_installed():
    """The project is in no index: what a message says to install works without one."""
    source = "\n".join(path.read_text() for path in Path(lem.__file__).parent.rglob("*.py"))
    assert not re.search(r"pip install ['\"]?latentem\[", source)


def test_a_summary_speaks_of_rows_and_in_the_models_own_nouns():
    """Rows and components, states, clusters and factors; no unit that nobody explained; short reprs."""
    x = lem.datasets.old_faithful()
    chain = lem.fit(lem.HiddenMarkov(lem.Gaussian(), 2), x, n_starts=1)
    factors = lem.fit(lem.FactorAnalysis(1), x)
    clusters = lem.fit(lem.KMeans(2), x)
    for fit, noun in ((chain, "state"), (factors, "factor"), (clusters, "cluster")):
        text = str(fit)
        assert noun in text
        assert "component" not in text
        assert "units" not in text
    held = lem.fit(lem.Frozen(lem.GaussianMixture(2), {"weights"}), x, start=np.repeat([0, 1], 136))
    assert all(len(line) < 120 for line in str(held).splitlines())


def test_a_degenerate_fit_does_not_say_events_none():
    """Nothing reassures below an ending that is none."""
    model = lem.GaussianMixture(2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lem.ConvergenceWarning)
        fit = lem.fit(model, lem.datasets.old_faithful(), max_steps=1, n_starts=1)
    assert "events: none" not in str(fit)


def test_the_demo_shows_rounding_as_zero():
    """No half of a step is printed as a loss of 1e-13."""
    done = subprocess.run(
        [sys.executable, "-m", "latentem", "demo"], capture_output=True, text=True, timeout=120, check=True
    )
    assert not re.search(r"-\d\.\d+e-1\d", done.stdout)


SCRIPT = """
import numpy as np
import latentem as lem
from latentem.sklearn import FactorAnalysis, GaussianMixture, HiddenMarkov, KMeans, LatentEstimator, MiniBatchKMeans
from latentem.sklearn.hmm import GaussianHMM

x = lem.datasets.old_faithful()
model = lem.GaussianMixture(2, weights=lem.Fixed(np.array([0.5, 0.5])))
held = lem.GaussianMixture(2, structure=lem.Spherical())
fit = lem.fit(held, x)
means: np.ndarray = fit.params.components.means
tempered = lem.fit(lem.Tempered(held, 0.5), x)
weights: np.ndarray = tempered.params.weights
one = lem.Fixed(1.0)
lem.show_versions()
fit.save("fit.zip")
criterion: float = lem.load("fit.zip").bic
told: str = fit.summary().markdown()
labels: np.ndarray = fit.table(x)["label"]
names = list(fit.to_frame("pandas").columns)
mixture: np.ndarray = GaussianMixture(2, random_state=0).fit(x, sample_weight=np.ones(272)).predict_proba(x)
nearest: np.ndarray = KMeans(2).fit(x).predict(x)
followed: MiniBatchKMeans = MiniBatchKMeans(2).partial_fit(x)
scores: np.ndarray = FactorAnalysis(1).fit_transform(x)
density: float = LatentEstimator(lem.GaussianMixture(2)).fit(x).score(x)
states: np.ndarray = HiddenMarkov(2, family=lem.Student()).fit(x, lengths=[100, 172]).predict(x, [100, 172])
chain: GaussianHMM = GaussianHMM(2).fit(x, sequence_weight=[1.0])
wrong: int = fit.params  # error
"""


def test_a_users_script_and_the_examples_type_check(tmp_path):
    """Under mypy --strict, outside the repository; a wrong type is an error, for `fit.params` is not Any.

    But for what numpy's own stubs leave open (a sum gives Any), and calls of distributed, which has no types.
    """
    for example in EXAMPLES.glob("*.py"):
        shutil.copy(example, tmp_path)
    (tmp_path / "script.py").write_text(SCRIPT)
    open_elsewhere = ["--no-warn-return-any", "--untyped-calls-exclude=distributed"]
    files = map(str, sorted(tmp_path.glob("*.py")))
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", *open_elsewhere, *files]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, cwd=tmp_path, env=dict(os.environ))
    errors = [line for line in done.stdout.splitlines() if "error:" in line]
    assert len(errors) == 1, done.stdout
    assert "script.py" in errors[0]
    assert "int" in errors[0]
