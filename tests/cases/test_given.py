"""What is given beside data: weights count rows, parameters by hand are checked."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import stats
from subjects import KINDS, STRUCTURES, blobs

import latentem as lem


def start_of(model, x):
    return lem.fit(model, x, start=(x[:, 0] > 8).astype(int), stop=lem.remaining_below(1e-2)).params


@pytest.mark.parametrize("model", KINDS, ids=str)
def test_weights_two_and_zero_are_two_rows_and_none(model):
    """From the same start, weight 2 equals two rows and weight 0 absence, even of an outlying row, to 1e-10."""
    x = np.round(blobs())
    counts = np.random.default_rng(2).integers(0, 3, len(x))
    x[np.flatnonzero(counts == 0)[0]] = [1e9, 1e7]
    kept = np.repeat(x, counts, axis=0)
    start = start_of(model, kept)
    weighted = lem.fit(model, x, weights=counts, start=start)
    repeated = lem.fit(model, kept, start=start)
    np.testing.assert_allclose(weighted.params.weights, repeated.params.weights, rtol=1e-10)
    means = (lambda p: p) if isinstance(model, lem.Mixture) else (lambda p: p.means)
    np.testing.assert_allclose(means(weighted.params.components), means(repeated.params.components), rtol=1e-10)
    assert weighted.log_likelihood == pytest.approx(repeated.log_likelihood, rel=1e-10)
    assert weighted.bound == pytest.approx(repeated.bound, rel=1e-10)
    assert weighted.observations == counts.sum()
    assert len(weighted.history) == len(repeated.history)


@pytest.mark.parametrize("model", KINDS, ids=str)
def test_random_starts_never_rest_on_rows_of_weight_zero(model):
    """Random starts find the clusters of the rows that count; a crowd of others weighing nothing changes no mode."""
    x, lure = np.round(blobs()), np.full((200, 2), 400.0)
    alone = lem.fit(model, x, n_starts=6)
    beside = lem.fit(model, np.concatenate([lure, x]), weights=np.r_[np.zeros(200), np.ones(80)], n_starts=6)
    assert beside.log_likelihood == pytest.approx(alone.log_likelihood, abs=1e-6)


@pytest.mark.parametrize("model", KINDS, ids=str)
@pytest.mark.parametrize("scale", [1 / 80, 2.0**-60, 2.0**60], ids="{:g}".format)
def test_a_common_factor_of_the_weights_changes_nothing(model, scale):
    """The unit of the weights is free: parameters from random starts are the same, figures scale."""
    x = np.round(blobs())
    one, other = (lem.fit(model, x, weights=np.full(80, w), n_starts=2) for w in (1.0, scale))
    if isinstance(model, lem.KMeans):  # its bound has the start's variance for a unit; its inertia has none
        assert other.inertia / scale == pytest.approx(one.inertia, rel=1e-9)
    else:
        assert other.log_likelihood / scale == pytest.approx(one.log_likelihood, rel=1e-9)
    assert other.events == one.events == ()


@pytest.mark.parametrize("model", [KINDS[0], KINDS[1], KINDS[-2], KINDS[-1]], ids=str)
def test_a_whole_chunk_may_weigh_nothing(model):
    """Where the first 20,000 of 20,080 rows have weight zero the fit is that of the others."""
    x = np.round(blobs())
    start = start_of(model, x)
    padded = lem.fit(model, np.concatenate([np.ones((20_000, 2)), x]), weights=np.arange(20_080) >= 20_000, start=start)
    assert padded.log_likelihood == pytest.approx(lem.fit(model, x, start=start).log_likelihood, rel=1e-10)


@pytest.mark.parametrize("structure", STRUCTURES, ids=str)
def test_a_row_of_weight_zero_may_hold_any_finite_number(structure):
    """Absence of a row whose square overflows is absence: no warning, no NaN."""
    x, model = blobs(), lem.GaussianMixture(2, structure=structure)
    start = start_of(model, x)
    beside = lem.fit(model, np.concatenate([x, [[1e200, -1e300]]]), weights=np.arange(81) < 80, start=start)
    assert beside.log_likelihood == pytest.approx(lem.fit(model, x, start=start).log_likelihood, rel=1e-10)


@pytest.mark.parametrize(
    ("weights", "error", "words"),
    [
        (np.where(np.arange(80) == 3, -1.0, 1), ValueError, "row 3 is -1"),
        (np.where(np.arange(80) == 3, np.nan, 1), ValueError, "row 3 is nan"),
        (np.where(np.arange(80) == 3, np.inf, 1), ValueError, "row 3 is inf"),
        (np.zeros(80), ValueError, "zero"),
        (np.ones(79), ValueError, r"\(79,\)"),
        (np.ones((80, 1)), ValueError, r"\(80, 1\)"),
        (np.ones(80) + 0j, TypeError, "complex"),
        (["1"] * 80, TypeError, "weights"),
        (2.0, ValueError, r"shape \(\)"),
    ],
)
@pytest.mark.parametrize("model", [KINDS[0], KINDS[-2], KINDS[-1]], ids=str)
def test_weights_that_are_none_are_refused(model, weights, error, words):
    """Negative, NaN, infinite, all-zero, mis-shaped and non-numeric sample weights are errors that say which."""
    with pytest.raises(error, match=words):
        lem.fit(model, np.round(blobs()), weights=weights)


EYE = np.eye(2)
BY_HAND = {
    "sum above one": (([0.6, 0.6], [[0, 0], [1, 1]], [EYE, EYE]), "weights"),
    "negative": (([-0.2, 1.2], [[0, 0], [1, 1]], [EYE, EYE]), "weights"),
    "NaN weight": (([np.nan, 1.0], [[0, 0], [1, 1]], [EYE, EYE]), "weights"),
    "three weights": (([0.2, 0.3, 0.5], [[0, 0], [1, 1]], [EYE, EYE]), "2 components"),
    "three means": (([0.5, 0.5], np.zeros((3, 2)), [EYE] * 3), "2 components"),
    "flat means": (([0.5, 0.5], [0, 1], [EYE, EYE]), "means"),
    "NaN mean": (([0.5, 0.5], [[0, np.nan], [1, 1]], [EYE, EYE]), "means"),
    "infinite covariance": (([0.5, 0.5], [[0, 0], [1, 1]], [EYE, np.inf * np.ones((2, 2))]), "covariances"),
    "indefinite": (([0.5, 0.5], [[0, 0], [1, 1]], [EYE, [[1, 2], [2, 1]]]), "component 1.*positive definite"),
    "singular": (([0.5, 0.5], [[0, 0], [1, 1]], [EYE, [[1, 1], [1, 1]]]), "component 1.*positive definite"),
    "zero": (([0.5, 0.5], [[0, 0], [1, 1]], [0 * EYE, EYE]), "component 0.*positive definite"),
    "negative diagonal": (([0.5, 0.5], [[0, 0], [1, 1]], [-EYE, EYE]), "component 0.*positive definite"),
    "asymmetric": (([0.5, 0.5], [[0, 0], [1, 1]], [EYE, [[1, 0.5], [0.4, 1]]]), "component 1.*symmetric"),
    "asymmetric in small units": (
        ([0.5, 0.5], [[0, 0], [1, 1]], [EYE, [[1e-12, 5e-1], [4e-1, 1e12]]]),
        "component 1.*symmetric",
    ),
    "diagonal for full": (([0.5, 0.5], [[0, 0], [1, 1]], np.ones((2, 2))), "covariances have shape"),
}


@pytest.mark.parametrize("case", BY_HAND)
def test_parameters_by_hand_are_checked_at_construction(case):
    """Weights off the simplex, covariances that are none and shapes that disagree are errors before any fit."""
    arguments, words = BY_HAND[case]
    with pytest.raises(ValueError, match=words):
        lem.GaussianMixture(2).params(*arguments)


@pytest.mark.parametrize("structure", [s for s in STRUCTURES if "Full" not in str(s)], ids=str)
@pytest.mark.parametrize("variance", [0.0, -1.0, np.nan, np.inf])
def test_variances_by_hand_are_checked_at_construction(structure, variance):
    """A variance of zero, below it, NaN or infinite is an error under every structure."""
    covariances = np.ones(structure.shape(2, 2))
    covariances[(-1,) * covariances.ndim] = variance
    with pytest.raises(ValueError, match="covariance"):
        lem.GaussianMixture(2, structure=structure).params([0.5, 0.5], [[0, 0], [1, 1]], covariances)


def test_covariances_of_any_units_are_positive_definite():
    """A correlation of .9 between columns in units of 1e-30 and 1e30 is no reason to call a covariance indefinite."""
    root = np.array([1e-30, 1.0, 1e30])
    correlation = np.full((3, 3), 0.9) + 0.1 * np.eye(3)
    covariance = root[:, None] * correlation * root
    params = lem.GaussianMixture(1).params([1.0], np.zeros((1, 3)), covariance[None])
    bad = np.array([[1.0, 0.9, 0.9], [0.9, 1, -0.9], [0.9, -0.9, 1]]) * np.multiply.outer(root, root)
    with pytest.raises(ValueError, match="positive definite"):
        lem.GaussianMixture(1).params([1.0], np.zeros((1, 3)), bad[None])
    row = lem.GaussianMixture(1).log_evidence(params, lem.Rows(root[None]))
    expected = stats.multivariate_normal.logpdf(np.ones(3), np.zeros(3), correlation)
    np.testing.assert_allclose(row, expected - np.log(root).sum(), rtol=1e-10)


@pytest.mark.parametrize("model", [KINDS[0], KINDS[-2], KINDS[-1]], ids=str)
def test_labels_of_every_kind_are_the_same_start(model):
    """Labels as a list, a tuple, small integers, or a column of a frame start the run that an array starts."""
    x, labels = np.round(blobs()), np.repeat([0, 1], 40)
    expected = lem.fit(model, x, start=labels)
    kinds = [labels.tolist(), tuple(labels), labels.astype(np.uint8), np.eye(2)[labels], np.eye(2)[labels].tolist()]
    for start in [*kinds, pd.Series(labels), pl.Series(labels), pd.Series(labels, dtype="Int64")]:
        assert lem.fit(model, x, start=start).params == expected.params


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (np.full(80, 2), "label 2"),
        (np.full(80, -1), "label -1"),
        (np.zeros(80, int), "component 1"),
        (np.zeros(79, int), r"\(79,\)"),
        (np.full((80, 2), 0.7), "sum to 1"),
        (np.full((80, 2), np.nan), "nan"),
        (np.full((80, 3), 1 / 3), r"\(80, 3\)"),
        (np.tile([-0.5, 1.5], (80, 1)), "at least 0"),
        (np.repeat([0.0, 1.0], 40), "float64"),
        ("k-means", "k-means"),
    ],
    ids=str,
)
def test_starts_that_are_none_are_refused(start, words):
    """Labels out of range, responsibilities off the simplex, wrong shapes and words are errors that say so."""
    with pytest.raises((ValueError, TypeError), match=words):
        lem.fit(lem.GaussianMixture(2), blobs(), start=start)


@pytest.mark.parametrize("structure", STRUCTURES, ids=str)
@pytest.mark.parametrize("variance", [1e-30, 1e-200, 1e-305])
def test_a_start_however_narrow_is_lifted_to_the_floor(structure, variance):
    """A start whose densities underflow everywhere is raised to the floor before anything is asked of it."""
    x, model = blobs(), lem.GaussianMixture(2, structure=structure)
    shape = structure.shape(2, 2)
    narrow = variance * (np.broadcast_to(np.eye(2), shape) if "Full" in str(structure) else np.ones(shape))
    fit = lem.fit(model, x, start=model.params([0.5, 0.5], [[4, 4], [12, 12]], narrow))
    assert np.isfinite(fit.log_likelihood)
    assert any(event.kind == "lifted" for event in fit.events)
