"""Copies: values pickle and copy to equals, and nobody can change them from outside."""

import copy
import pickle

import attrs
import numpy as np
import pytest
from subjects import MODELS, counts, overlapping

import latentem as lem


def arrays_in(value, path=""):
    """Every array in a nested value, with where it is."""
    if isinstance(value, np.ndarray):
        yield path, value
    elif attrs.has(type(value)):
        for field in attrs.fields(type(value)):
            yield from arrays_in(getattr(value, field.name), f"{path}.{field.name}")
    elif isinstance(value, list | tuple):
        for i, part in enumerate(value):
            yield from arrays_in(part, f"{path}[{i}]")
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from arrays_in(part, f"{path}[{key!r}]")


COPIES = {
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
    "oldest pickle": lambda value: pickle.loads(pickle.dumps(value, protocol=2)),
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
}


def quick(model):
    fixed = lem.movement_below(1e-4)
    return lem.fit(model, counts(), start=(counts()[:, 0] > 7).astype(int) if not held(model) else None, stop=fixed)


def held(model):
    return "Fixed" in str(model)


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("model", MODELS, ids=str)
def test_models_and_fits_are_equal_to_their_copies(model, way):
    """A copied model, parameters and fit equal the first, answer alike, and hold arrays that are still read-only."""
    fit = quick(model)
    other = COPIES[way](fit)
    assert COPIES[way](model) == model
    assert COPIES[way](fit.params) == fit.params
    assert other == fit
    assert (str(other), repr(other)) == (str(fit), repr(fit))
    x = counts()
    np.testing.assert_array_equal(other.predict_proba(x), fit.predict_proba(x))
    np.testing.assert_array_equal(other.score_samples(x), fit.score_samples(x))
    np.testing.assert_array_equal(other.sample(5, rng=1)[0], fit.sample(5, rng=1)[0])
    writeable = [path for path, array in arrays_in(other.params, "params") if array.flags.writeable]
    writeable += [path for path, array in arrays_in(other.expectation, "expectation") if array.flags.writeable]
    assert writeable == []


@pytest.mark.parametrize("way", COPIES)
def test_results_states_posteriors_and_errors_are_equal_to_their_copies(way):
    """The runner's values, a posterior, rows and the library's own error survive a copy."""
    model, x = lem.GaussianMixture(2), overlapping()
    start = quick(model).params
    result = lem.EM(max_steps=3).run(model, start, x)
    state = list(lem.EM(max_steps=3).iterate(model, start, x))[1]
    rows = lem.Rows(x, np.ones(len(x)), np.ones((len(x), 2), bool))
    for value in (
        result,
        state,
        model.posterior(start, rows),
        rows,
        lem.lower_bound(model, start, x, np.full((300, 2), 0.5)),
    ):
        other = COPIES[way](value)
        assert other == value
        assert [path for path, array in arrays_in(other) if array.flags.writeable] == []
    error = lem.Degenerate(1, "covariances", "collapsed")
    assert str(COPIES[way](error)) == str(error)
    assert attrs.astuple(COPIES[way](error)) == attrs.astuple(error)


def test_equality_sees_a_difference():
    """Fits of other data, and parameters one bit apart, are not equal."""
    model = lem.GaussianMixture(2)
    one = quick(model)
    means = one.params.components.means.copy()
    means[0, 0] = np.nextafter(means[0, 0], 99)
    assert model.params(one.params.weights, means, one.params.components.covariances) != one.params
    assert lem.fit(model, counts()[:-1], n_starts=1) != one
    assert lem.GaussianMixture(2) == model != lem.GaussianMixture(3)
    fixed = lem.GaussianMixture(2, weights=lem.Fixed(np.array([0.4, 0.6])))
    assert fixed != lem.GaussianMixture(2, weights=lem.Fixed(np.array([0.6, 0.4])))


def test_no_value_can_be_changed_from_outside():
    """Parameters, held values and chunks are not those of an array that its owner goes on writing to."""
    model, means = lem.GaussianMixture(2), np.array([[0.0, 1.0], [2.0, 3.0]])
    view = means.view()
    view.flags.writeable = False
    held_at = np.array([0.4, 0.6])
    fixed = lem.GaussianMixture(2, weights=lem.Fixed(held_at))
    params = [model.params([0.5, 0.5], given, [np.eye(2)] * 2) for given in (means, view)]
    chunk = lem.Rows(means)
    means[0, 0], held_at[0] = 99.0, 99.0
    assert [value.components.means[0, 0] for value in params] == [0, 0]
    assert chunk.x[0, 0] == 0
    assert fixed.weights.value[0] == 0.4
    with pytest.raises(ValueError, match="read-only"):
        params[0].components.means[0, 0] = 1
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        params[0].weights = means
