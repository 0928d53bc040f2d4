"""Hard data end in a finite result and a loud event."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import logsumexp
from subjects import FREE, KINDS, STRUCTURES, blobs

import latentem as lem


def with_k(k, structure, **options):
    return lem.GaussianMixture(k, structure=structure, **options)


def assert_sound(fit, x):
    """Every number is finite, positive where it must be, and what is reported is true."""
    assert np.isfinite([fit.log_likelihood, fit.bound, fit.objective]).all()
    assert np.isfinite(fit.params.components.means).all()
    assert fit.params.weights.sum() == pytest.approx(1)
    dense = fit.params.components.dense()
    assert (np.linalg.eigvalsh(dense / np.sqrt(np.einsum("ki,kj->kij", *2 * (np.diagonal(dense, 0, 1, 2),)))) > 0).all()
    shares = fit.predict_proba(x)
    assert np.isfinite(shares).all()
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert np.isfinite(fit.history.bound).all()
    assert "nan" not in str(fit)


def assert_loud(fit, columns=None):
    """An event, in the printed fit too, names a component, a column and the four remedies."""
    events = [event for event in fit.events if event.kind == "floor"]
    assert events
    for event in events:
        assert event.component is None or f"component {event.component}" in event.message
        for remedy in ("fewer components", "tied structure", "outlying", "floor"):
            assert remedy in event.remedy.lower()
        assert event.describe(columns) in str(fit)
    return events


HARD = {
    "k = n": (5, np.random.default_rng(0).normal(size=(5, 2))),
    "n < d": (2, np.random.default_rng(0).normal(size=(6, 9))),
    "n = d + 1": (2, np.random.default_rng(1).normal(size=(6, 5))),
    "duplicated column": (2, blobs()[:, [0, 1, 0]]),
    "collinear": (2, blobs() @ [[1.0, 0, 2.0], [0, 1, -3.0]]),
    "stacks of duplicates": (3, np.repeat([[0.0, 1], [5, 2], [9, 9]], [50, 1, 20], axis=0)),
    "stack in a cloud": (2, np.concatenate([blobs(), np.full((30, 2), 7.5)])),
    "fewer stacks than components": (4, np.repeat([[0.0, 1], [5, 2]], 30, axis=0)),
    "one unit apart": (3, np.concatenate([blobs(), [[90.0, -90.0]]])),
    "a line and a cloud": (2, np.concatenate([blobs()[:40], np.column_stack([np.linspace(20, 30, 40)] * 2)])),
}


@pytest.mark.parametrize("case", HARD)
@pytest.mark.parametrize("structure", STRUCTURES, ids=str)
def test_hard_data_end_sound(structure, case):
    """Under every structure the hard cases of few rows, ties and lines end finite, with true figures."""
    k, x = HARD[case]
    fit = lem.fit(with_k(k, structure), x, n_starts=2)
    assert fit.converged
    assert_sound(fit, x)
    assert len(fit.params.weights) == k


@pytest.mark.parametrize("case", [case for case in HARD if case != "stack in a cloud"])
def test_hard_data_are_a_loud_event_under_full_covariances(case):
    """With full covariances each of them ends at a floor; an event says which, where and what to do."""
    k, x = HARD[case]
    names = [f"column {i}" for i in range(x.shape[1])]
    fit = lem.fit(with_k(k, lem.Full()), pd.DataFrame(x, columns=names), n_starts=2)
    events = assert_loud(fit, names)
    assert all(event.column is not None for event in events)
    assert any(f"'{names[event.column]}'" in str(fit) for event in events)


@pytest.mark.parametrize("case", [*HARD, "all alike"])
def test_hard_data_end_sound_for_k_means(case):
    """K-means of the same rows ends, with the inertia that numpy computes; an empty cluster is an event."""
    k, x = HARD.get(case, (3, np.full((10, 2), 1.5)))
    fit = lem.fit(lem.KMeans(k), x, n_starts=2)
    centres = fit.params.components.means
    assert fit.converged
    assert fit.inertia == pytest.approx(((x[:, None] - centres) ** 2).sum(axis=2).min(axis=1).sum(), abs=1e-12)
    counts = np.bincount(fit.predict(x), minlength=k)
    distinct = len(np.unique(x, axis=0))
    assert np.count_nonzero(counts) == min(k, distinct) or distinct > k
    assert {e.component for e in fit.events if e.kind == "empty"} == set(np.flatnonzero(counts == 0))


@pytest.mark.parametrize("structure", [lem.Full(), lem.Diagonal(), lem.Spherical()], ids=str)
@pytest.mark.parametrize("factor", [1e6, 1e9, 1e15])
def test_one_row_far_larger_is_a_loud_event(structure, factor):
    """One row a million times larger than the rest: finite, and a loud event names its component and its column."""
    x = np.concatenate([blobs(), [[5.0, 5 * factor]]])
    fit = lem.fit(with_k(2, structure), pd.DataFrame(x, columns=["width", "height"]), n_starts=4)
    assert_sound(fit, x)
    events = assert_loud(fit, ["width", "height"])
    alone = fit.predict(x)[-1]
    assert (fit.predict(x)[:-1] != alone).all()
    assert any(event.component == alone for event in events)
    if structure != lem.Spherical():
        assert all(event.column is not None for event in events)


@pytest.mark.parametrize("structure", FREE, ids=str)
def test_hard_data_without_a_prior_name_the_component(structure):
    """Without a prior a collapse ends the run at its last sound parameters, in a sentence that names the component."""
    x = np.concatenate([blobs(20), [[90.0, -90.0]]])
    with pytest.warns(lem.ConvergenceWarning, match="component 1"):
        fit = lem.fit(with_k(2, structure, prior=None), x, start=(np.arange(41) == 40).astype(int))
    assert fit.status.ending is lem.run.Ending.DEGENERATE
    assert "tied" in fit.status.sentence
    assert_sound(fit, x)


@pytest.mark.parametrize("model", KINDS, ids=str)
def test_empty_component_is_an_event_and_k_stays(model):
    """A component so far that no row belongs to it is empty, an event with a remedy; K-means moves it and says so."""
    x = np.round(blobs())
    if isinstance(model, lem.KMeans):
        start = model.params([[8.0, 8.0], [1e5, 1e5]])
    elif isinstance(model, lem.Mixture):
        start = model.params([0.5, 0.5], [[8.0, 8.0], [1e9, 1e9]])
    else:
        wide = np.ones(model.structure.shape(2, 2)) if "Full" not in str(model.structure) else 4 * np.eye(2)
        wide = np.broadcast_to(wide, model.structure.shape(2, 2))
        start = model.params([0.5, 0.5], [[8.0, 8.0], [1e5, 1e5]], wide)
    fit = lem.fit(model, x, start=start)
    assert len(fit.params.weights) == 2
    event = next(event for event in fit.events if event.kind in ("empty", "reseeded"))
    assert event.component == 1
    assert event.kind == ("reseeded" if isinstance(model, lem.KMeans) else "empty")
    assert "fewer components" in event.remedy
    assert np.isfinite(fit.log_likelihood)


def test_a_given_start_below_the_floor_is_lifted_and_says_so():
    """A start narrower than the floor is raised to it, as an event; what is reported is true of what is returned."""
    x, model = blobs(), lem.GaussianMixture(2)
    start = model.params([0.5, 0.5], [[4, 4], [12, 12]], [1e-30 * np.eye(2), np.eye(2)])
    fit = lem.fit(model, x, start=start)
    assert any(event.kind == "lifted" and event.component == 0 for event in fit.events)
    assert np.linalg.eigvalsh(fit.params.components.covariances).min() > 1e-9
    with np.errstate(divide="ignore"):
        log_weights = np.log(fit.params.weights)
    parts = zip(log_weights, fit.params.components.means, fit.params.components.covariances, strict=True)
    joint = [w + stats.multivariate_normal.logpdf(x, m, c, allow_singular=True) for w, m, c in parts]
    assert fit.log_likelihood == pytest.approx(logsumexp(joint, axis=0).sum(), abs=1e-7)


@pytest.mark.filterwarnings("ignore:not converged. max steps")  # some creep, and none is asked to arrive
@pytest.mark.parametrize("structure", [lem.Full(), lem.Tied(lem.Full())], ids=str)
@pytest.mark.parametrize("seed", range(20))
def test_rounding_in_a_hyperplane_is_no_fall_of_the_objective(structure, seed):
    """Rows of rank d - 1, in any units, some of them repeated, end at the floor or creep; no half step is blamed."""
    rng = np.random.default_rng(seed)
    d, n, k = rng.integers(2, 7), rng.integers(20, 100), rng.integers(2, 5)
    z = rng.normal(size=(n, d - 1)) * 10.0 ** rng.uniform(-3, 3, d - 1) + 10.0 ** rng.uniform(-3, 5)
    x = z @ rng.normal(size=(d - 1, d))
    if seed % 2:
        x[: n // 2] = x[0]
    fit = lem.fit(with_k(int(k), structure), x, n_starts=2, stop=lem.remaining_below(1e-7), max_steps=300)
    assert np.isfinite(fit.log_likelihood)
    assert [r.status.sentence for r in fit.starts if r.status.ending is lem.run.Ending.OBJECTIVE_FELL] == []
    assert any(event.kind == "floor" for event in fit.events)


def test_starts_that_cannot_win_are_not_run_to_the_last_step():
    """On stacks of duplicates a start with two equal components creeps: once others have ended, it is left."""
    steps = []
    x = np.repeat([[0.0, 1], [5, 2], [9, 9]], [50, 1, 20], axis=0)
    fit = lem.fit(with_k(3, lem.Tied()), x, n_starts=4, callback=lambda state: steps.append(1) and None)
    assert fit.log_likelihood > 900
    assert len(steps) < 2000
