"""Relations: how one run must answer to another."""

import numpy as np
import pytest
from subjects import FREE, STRUCTURES, TIGHT, begin, three_blobs

import latentem as lem


def same_fit(one, other, rtol=1e-8):
    np.testing.assert_allclose(one.params.weights, other.params.weights, rtol=rtol)
    np.testing.assert_allclose(one.params.components.means, other.params.components.means, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(one.params.components.dense(), other.params.components.dense(), rtol=rtol, atol=rtol)
    assert one.log_likelihood == pytest.approx(other.log_likelihood, abs=1e-8)


@pytest.mark.parametrize("structure", STRUCTURES, ids=str)
def test_rows_in_any_order_give_the_same_parameters(structure):
    """A permutation of the rows, with their labels, changes no parameter; each row keeps its responsibilities."""
    x, order = three_blobs(), np.random.default_rng(1).permutation(180)
    model = lem.GaussianMixture(3, structure=structure)
    one = lem.fit(model, x, start=begin(), stop=TIGHT)
    other = lem.fit(model, x[order], start=begin()[order], stop=TIGHT)
    same_fit(one, other)
    np.testing.assert_allclose(one.predict_proba(x)[order], other.predict_proba(x[order]), atol=1e-7)


@pytest.mark.parametrize("model", [*(lem.GaussianMixture(3, structure=s) for s in STRUCTURES), lem.KMeans(3)], ids=str)
def test_components_permuted_at_the_start_are_permuted_at_the_end(model):
    """Components are never reordered: a permuted start gives the permuted result."""
    x, order = three_blobs(), np.array([2, 0, 1])
    one = lem.fit(model, x, start=order[begin()], stop=TIGHT)
    other = lem.fit(model, x, start=begin(), stop=TIGHT)
    np.testing.assert_allclose(one.params.weights[order], other.params.weights, rtol=1e-8)
    np.testing.assert_allclose(one.params.components.means[order], other.params.components.means, rtol=1e-7)
    np.testing.assert_allclose(one.params.components.dense()[order], other.params.components.dense(), rtol=1e-6)
    np.testing.assert_array_equal(one.predict(x), order[other.predict(x)])


def rotation(d):
    return np.linalg.qr(np.random.default_rng(9).normal(size=(d, d)))[0]


MAPS = {
    "any": np.array([[2.0, -1.5], [0.3, 40.0]]),
    "diagonal": np.diag([1e-3, 70.0]),
    "rotation and scale": 12.5 * rotation(2),
}
ALLOWED = {
    "any": [lem.Full(), lem.Tied(lem.Full())],
    "diagonal": [lem.Full(), lem.Tied(lem.Full()), lem.Diagonal(), lem.Tied(lem.Diagonal())],
    "rotation and scale": [lem.Full(), lem.Tied(lem.Full()), lem.Spherical(), lem.Tied(lem.Spherical())],
}


@pytest.mark.parametrize(
    ("kind", "structure"), [(kind, structure) for kind in MAPS for structure in ALLOWED[kind]], ids=str
)
def test_affine_maps_carry_the_fit_along(kind, structure):
    """A map that the structure allows maps means and covariances; the log likelihood shifts by -n log|det|."""
    x, a, b = three_blobs(), MAPS[kind], np.array([300.0, -7.0])
    model = lem.GaussianMixture(3, structure=structure)
    one = lem.fit(model, x, start=begin(), stop=TIGHT)
    other = lem.fit(model, x @ a.T + b, start=begin(), stop=TIGHT)
    np.testing.assert_allclose(other.params.weights, one.params.weights, rtol=1e-7)
    scale = np.abs(a).max()
    np.testing.assert_allclose(
        other.params.components.means, one.params.components.means @ a.T + b, rtol=1e-7, atol=1e-7
    )
    np.testing.assert_allclose(
        other.params.components.dense(), a @ one.params.components.dense() @ a.T, rtol=1e-6, atol=1e-9 * scale**2
    )
    shift = len(x) * np.log(abs(np.linalg.det(a)))
    assert other.log_likelihood == pytest.approx(one.log_likelihood - shift, abs=1e-7)


def test_structures_do_not_ignore_maps_that_they_do_not_allow():
    """A shear changes the diagonal fit by more than its determinant: the relation above can fail."""
    x, a = three_blobs(), MAPS["any"]
    model = lem.GaussianMixture(3, structure=lem.Diagonal())
    one, other = (lem.fit(model, y, start=begin()) for y in (x, x @ a.T))
    assert abs(other.log_likelihood - one.log_likelihood + len(x) * np.log(abs(np.linalg.det(a)))) > 1


def test_k_means_follows_rotation_and_scale():
    """Rotated, scaled and moved rows have the same labels, mapped centres and inertia times the square of the scale."""
    x, a = three_blobs(d=4), 12.5 * rotation(4)
    one = lem.fit(lem.KMeans(3), x, start=begin())
    other = lem.fit(lem.KMeans(3), x @ a.T - 50, start=begin())
    np.testing.assert_array_equal(one.predict(x), other.predict(x @ a.T - 50))
    np.testing.assert_allclose(other.params.components.means, one.params.components.means @ a.T - 50, rtol=1e-9)
    assert other.inertia == pytest.approx(12.5**2 * one.inertia, rel=1e-10)


@pytest.mark.parametrize("tie", [lambda s: s, lem.Tied], ids=["free", "tied"])
@pytest.mark.parametrize("prior", [lem.Floor(), lem.Floor(0.2), None, lem.InverseWishart(0.3, 2)], ids=str)
def test_in_one_dimension_all_structures_are_one(tie, prior):
    """With d = 1 full, diagonal and spherical give the same steps, parameters and number of them, under any prior.

    The steps are plain: leaps enlarge rounding, ten thousand times if the same rows come in another order.
    """
    x = three_blobs()[:, :1]
    models = [lem.GaussianMixture(3, structure=tie(s), prior=prior) for s in FREE]
    stop = lem.remaining_below(1e-6)
    fits = [lem.fit(model, x, n_starts=2, stop=stop, accelerate=None) for model in models]
    for fit in fits[1:]:
        np.testing.assert_allclose(fit.history.objective, fits[0].history.objective, rtol=1e-10)
        np.testing.assert_allclose(
            fit.params.components.dense(), fits[0].params.components.dense(), rtol=1e-8, atol=1e-12
        )
        np.testing.assert_allclose(fit.params.components.means, fits[0].params.components.means, rtol=1e-8)
        assert fit.n_parameters == fits[0].n_parameters
        assert [event.kind for event in fit.events] == [event.kind for event in fits[0].events]


def covariances_as(structure, params):
    """The covariances of some parameters in a wider structure's shape."""
    dense = params.dense()
    if isinstance(structure, lem.Tied):
        dense = dense[:1]
        each = structure.each
    else:
        each = structure
    if each == lem.Diagonal():
        dense = np.diagonal(dense, axis1=1, axis2=2)
    elif each == lem.Spherical():
        dense = dense[:, 0, 0]
    return dense[0] if isinstance(structure, lem.Tied) else dense


NESTED = [
    (lem.Spherical(), lem.Diagonal()),
    (lem.Diagonal(), lem.Full()),
    (lem.Spherical(), lem.Full()),
    (lem.Tied(lem.Full()), lem.Full()),
    (lem.Tied(lem.Diagonal()), lem.Diagonal()),
    (lem.Tied(lem.Spherical()), lem.Spherical()),
    (lem.Tied(lem.Spherical()), lem.Full()),
    (lem.Tied(lem.Diagonal()), lem.Tied(lem.Full())),
    (lem.Tied(lem.Spherical()), lem.Tied(lem.Diagonal())),
]


@pytest.mark.parametrize(("small", "large"), NESTED, ids=str)
def test_larger_family_started_at_the_smaller_optimum_only_gains(small, large):
    """The start has the same likelihood in both families; from there the larger one rises, by something here."""
    x = three_blobs(d=3)
    narrow = lem.fit(lem.GaussianMixture(3, structure=small), x, start=begin())
    model = lem.GaussianMixture(3, structure=large)
    start = model.params(
        narrow.params.weights, narrow.params.components.means, covariances_as(large, narrow.params.components)
    )
    wide = lem.fit(model, x, start=start)
    assert wide.history[0].bound == pytest.approx(narrow.log_likelihood, abs=1e-9)
    assert wide.log_likelihood > narrow.log_likelihood + 1e-3
    assert wide.n_parameters > narrow.n_parameters


def test_one_component_more_of_weight_near_zero_only_gains():
    """k + 1 components started at the optimum of k, the new one of weight 1e-3, end no lower than they began."""
    x = three_blobs()
    two = lem.fit(lem.GaussianMixture(2), x, n_starts=2).params
    model = lem.GaussianMixture(3)
    start = model.params(
        [*(two.weights * 0.999), 0.001],
        [*two.components.means, x[0]],
        [*two.components.covariances, np.cov(x.T)],
    )
    fit = lem.fit(model, x, start=start)
    assert fit.log_likelihood > fit.history[0].bound


CHUNKINGS = [[180], [1, 179], [60, 60, 60], [17] * 10 + [10]]


@pytest.mark.parametrize("model", [*(lem.GaussianMixture(3, structure=s) for s in STRUCTURES), lem.KMeans(3)], ids=str)
def test_chunks_of_any_size_give_the_same_answer(model):
    """However the rows are cut, the parameters are the same to rounding; the same cuts give the same bits."""
    x = three_blobs() + 1e5
    start = lem.fit(model, x, start=begin(), stop=lem.movement_below(1e-2)).params
    fits = []
    for sizes in CHUNKINGS:
        parts = np.split(x, np.cumsum(sizes)[:-1])
        once, again = (
            lem.fit(model, [lem.Rows(part) for part in parts], start=start, max_steps=2000) for _ in range(2)
        )
        assert once.params == again.params
        np.testing.assert_array_equal(once.history.bound, again.history.bound)
        fits.append(once)
    for fit in fits[1:]:
        np.testing.assert_allclose(fit.params.components.means, fits[0].params.components.means, rtol=1e-11)
        np.testing.assert_allclose(
            fit.params.components.dense(), fits[0].params.components.dense(), rtol=1e-5, atol=1e-7
        )
        assert fit.log_likelihood == pytest.approx(fits[0].log_likelihood, abs=1e-7)
