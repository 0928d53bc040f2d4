"""The fast forms of the E-step: they agree with the plain one, and step aside where rounding could be seen."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import latentem as lem
from latentem.core import LatentModel
from latentem.family.gaussian.kernels.centred import centred
from latentem.family.gaussian.kernels.quadratic import QuadraticKernel
from latentem.family.gaussian.kernels.whitened import WhitenedKernel
from latentem.kernel.base import UNIT, Buffers
from latentem.kernel.passes import fused
from latentem.model import mixture

STRUCTURES = [
    lem.Full(),
    lem.Diagonal(),
    lem.Spherical(),
    *map(lem.Tied, (lem.Full(), lem.Diagonal(), lem.Spherical())),
]


def gaussians(structure, k, d, rng, width=1.0, apart=3.0, offset=0.0):
    """Parameters of k Gaussians `width` wide, their means `apart` from each other and `offset` from zero."""
    means = offset + apart * rng.standard_normal((k, d))
    roots = width * (np.eye(d) + 0.3 * rng.standard_normal((k, d, d)) / np.sqrt(d))
    dense = roots @ roots.transpose(0, 2, 1)
    each = {
        lem.Full: dense,
        lem.Diagonal: np.diagonal(dense, axis1=1, axis2=2),
        lem.Spherical: dense[:, 0, 0],
    }[type(structure.each)]
    return lem.Gaussian(structure).params(means, each[0] if structure.tied else each)


def rows_of(params, n, rng):
    """Rows drawn from the components in turn."""
    return lem.Gaussian(params.structure).sample(params, np.arange(n) % len(params.means), rng)


def exact(params, x):
    """Log densities of the rows in 60 digits, shape (k, n)."""
    with mpmath.workdps(60):
        dense = params.dense()
        found = []
        for mean, covariance in zip(params.means, dense, strict=True):
            matrix = mpmath.matrix(covariance.tolist())
            constant = -(len(mean) * mpmath.log(2 * mpmath.pi) + mpmath.log(mpmath.det(matrix))) / 2
            inverse = mpmath.inverse(matrix)
            row = []
            for point in x:
                y = mpmath.matrix(
                    [mpmath.mpf(float(a)) - mpmath.mpf(float(b)) for a, b in zip(point, mean, strict=True)]
                )
                row.append(constant - (y.T * inverse * y)[0] / 2)
            found.append(row)
        return found


def off(kernel, params, x):
    """How far a kernel's log densities of the rows are from the exact ones, in nats, at most.

    What the components of a row share is not compared, since a kernel may leave it out.
    """
    buffers = Buffers()
    ours, true = kernel.log_joint(x, kernel.read(x, buffers), buffers).copy(), exact(params, x)
    worst = 0.0
    for i in range(len(x)):
        errors = [mpmath.mpf(float(ours[j, i])) - true[j][i] for j in range(len(true))]
        worst = max(worst, *(float(abs(error - errors[0])) for error in errors))
    return worst


@pytest.mark.parametrize("structure", STRUCTURES, ids=str)
@pytest.mark.parametrize("d", [1, 2, 5])
@pytest.mark.parametrize("width", [1.0, 1e-2, 1e-4, 1e-6])
def test_the_stated_bound_holds_for_narrow_components_far_from_the_origin(structure, d, width):
    """The feature form's error, against 60 digits, is below its bound at every width; and the bound grows with it."""
    rng = np.random.default_rng(d)
    params = gaussians(structure, 3, d, rng, width)
    x = np.vstack([rows_of(params, 9, rng), params.means])
    kernel = QuadraticKernel.of(params, np.zeros(3))
    reach = np.abs(x - kernel.origin).max(axis=0)
    largest = np.ones((kernel.natural.shape[1], 1))
    kernel.features((kernel.origin + reach)[None], largest[1:])
    bound = UNIT * (kernel.error @ largest).max()
    assert off(kernel, params, x) <= 2 * bound  # the error of one log density, and of another


@pytest.mark.parametrize("structure", STRUCTURES, ids=str)
def test_a_sound_kernel_is_within_its_tolerance_and_an_unsound_one_is_left(structure):
    """Where the kernel says that it is sound, no two log densities are off by 2e-10; at widths of 1e-6 it does not."""
    rng = np.random.default_rng(3)
    for width, wanted in ((1.0, True), (1e-6, False)):
        params = gaussians(structure, 3, 2, rng, width)
        x = rows_of(params, 12, rng)
        kernel = QuadraticKernel.of(params, np.zeros(3))
        assert kernel.sound(x.min(axis=0), x.max(axis=0)) is wanted
        if wanted:
            assert off(kernel, params, x) < 2e-10


@pytest.mark.parametrize("width", [1.0, 1e-3, 1e-6])
def test_whitening_keeps_its_digits_at_any_distance(width):
    """The whitened form's log densities are within 1e-9 of 60 digits, for components 1e6 of their widths apart."""
    rng = np.random.default_rng(1)
    params = gaussians(lem.Full(), 3, 5, rng, width)
    x = rows_of(params, 9, rng)
    kernel = WhitenedKernel.of(params, np.zeros(3))
    buffers = Buffers()
    ours, true = kernel.log_joint(x, None, buffers), exact(params, x)
    for i in range(len(x)):
        own = i % 3
        assert abs(float(mpmath.mpf(float(ours[own, i])) - true[own][i])) < 1e-9
        for j in range(3):
            if ours[j, i] > -1e299:
                assert abs(float((mpmath.mpf(float(ours[j, i])) - true[j][i]) / true[j][i])) < 1e-9
            else:
                assert true[j][i] < true[own][i] - 60


@pytest.mark.parametrize("structure", [lem.Full(), lem.Diagonal(), lem.Tied(), lem.Spherical()], ids=str)
@pytest.mark.parametrize(("width", "offset"), [(1e-6, 0.0), (1e-6, 1e6), (1.0, 1e6), (1e3, 1.0)])
def test_an_e_step_of_few_rows_keeps_its_digits_at_any_width_and_offset(structure, width, offset):
    """Counts, means, second moments and entropy are within 1e-12, relative or in widths, of those in 60 digits."""
    rng = np.random.default_rng(2)
    params = gaussians(structure, 2, 2, rng, width, apart=width, offset=offset)
    x = rows_of(params, 10, rng)
    count, moments, entropy = centred(params, np.log([0.3, 0.7]), lem.Rows(x))
    with mpmath.workdps(60):
        joint = np.array(exact(params, x)) + np.array([[mpmath.log(0.3)], [mpmath.log(0.7)]])
        logs = joint - np.frompyfunc(mpmath.log, 1, 1)(np.frompyfunc(mpmath.exp, 1, 1)(joint).sum(axis=0))
        shares = np.frompyfunc(mpmath.exp, 1, 1)(logs)
        away = np.frompyfunc(mpmath.mpf, 1, 1)(x) - np.frompyfunc(mpmath.mpf, 1, 1)(moments.origin)[:, None]
        first, second = (shares[:, :, None] * away).sum(axis=1), (shares[:, :, None] * away).transpose(0, 2, 1) @ away
        assert abs(entropy + (shares * logs).sum()) < 1e-12
        assert abs(count / shares.sum(axis=1) - 1).max() < 1e-12
        assert abs(moments.first - first).max() < 1e-12 * width
    dense = second.astype(float).sum(axis=0, keepdims=True) if structure.tied else second.astype(float)
    columns = dense.diagonal(axis1=1, axis2=2)
    kept = {lem.Full: dense, lem.Diagonal: columns, lem.Spherical: columns.sum(axis=1)}[type(structure.each)]
    np.testing.assert_allclose(moments.second, kept, rtol=1e-12, atol=1e-12 * width**2)


def agree(model, params, chunk, digits=1e-12):
    """The model's own E-step has the statistics, the entropy and the count of the composed one."""
    ours, plain = model.expectation(params, chunk), LatentModel.expectation(model, params, chunk)
    scale = plain.observations + abs(model.log_joint(params, plain.statistics))
    assert ours.observations == pytest.approx(plain.observations, rel=1e-14)
    assert abs(ours.entropy - plain.entropy) <= digits * scale
    np.testing.assert_allclose(ours.statistics.weights, plain.statistics.weights, rtol=1e-9, atol=1e-12 * scale)
    following = model.m_step(plain.statistics, params)
    for at in (params, following):  # where a covariance is nearly singular the model says what its figures are good for
        allowed = (digits + model.rounding(at)) * scale
        assert abs(model.log_joint(at, ours.statistics) - model.log_joint(at, plain.statistics)) <= allowed


@settings(max_examples=60, deadline=None)
@given(
    structure=st.sampled_from(STRUCTURES),
    k=st.integers(1, 6),
    d=st.integers(1, 7),
    n=st.integers(1, 400),
    apart=st.sampled_from([0.1, 3.0, 60.0]),
    offset=st.sampled_from([0.0, 1e3, 1e7]),
    weighted=st.booleans(),
    restricted=st.booleans(),
    seed=st.integers(0, 99),
)
def test_the_fused_step_is_the_composed_one(structure, k, d, n, apart, offset, weighted, restricted, seed):
    """Statistics, entropy and counts agree: any structure, size, distance and offset, with weights and known labels."""
    rng = np.random.default_rng(seed)
    components = gaussians(structure, k, d, rng, apart=apart, offset=offset)
    x = rows_of(components, n, rng)
    model = lem.Mixture(lem.Gaussian(structure), k)
    params = model.params(rng.dirichlet(np.ones(k)), components)
    weight = rng.exponential(size=n) * (rng.random(n) < 0.8) + (np.arange(n) == 0) if weighted else None
    allowed = rng.random((n, k)) < 0.7 if restricted else None
    if allowed is not None:
        allowed[np.arange(n), np.arange(n) % k] = True
    agree(model, params, lem.Rows(x, weight, allowed), 1e-12 if apart < 60 else 1e-10)  # the tolerance of a kernel


@pytest.mark.parametrize("seed", [3, 22, 34, 42])
@pytest.mark.parametrize(
    ("structure", "k", "d", "n"), [(lem.Full(), 3, 3, 8), (lem.Full(), 2, 2, 5), (lem.Tied(), 2, 3, 4)]
)
def test_components_of_hardly_more_rows_than_columns_keep_their_digits(structure, k, d, n, seed):
    """Where the next covariances are nearly singular, though in no column's direction, the composed step is taken."""
    rng = np.random.default_rng(seed)
    components = gaussians(structure, k, d, rng, apart=3.0, offset=0.0)
    model = lem.Mixture(lem.Gaussian(structure), k)
    agree(model, model.params(rng.dirichlet(np.ones(k)), components), lem.Rows(rows_of(components, n, rng)))


def test_a_column_that_does_not_vary_is_about_its_own_value():
    """Sums over such rows are about a point among them, so a kernel serves them too."""
    x = np.column_stack([np.full(300, 1012.3), np.random.default_rng(0).standard_normal(300)])
    assert lem.Rows(x).centre[0] == pytest.approx(1012.3, rel=1e-14)


@pytest.mark.parametrize("apart", [0.3, 3.0, 30.0])
def test_many_columns_are_whitened_with_the_same_answer(apart):
    """In 48 columns and more, overlapping or apart, the kernel that is chosen agrees with the composed E-step."""
    rng = np.random.default_rng(2)
    chosen = set()
    for k, d, n in ((4, 48, 2000), (6, 96, 6000), (3, 130, 4000)):
        components = gaussians(lem.Full(), k, d, rng, apart=apart)
        model = lem.Mixture(lem.Gaussian(), k)
        params = model.params(np.full(k, 1 / k), components)
        chosen.add(type(lem.Gaussian().kernel(components, np.zeros(k))))
        agree(model, params, lem.Rows(rows_of(components, n, rng), rng.exponential(size=n)))
    assert WhitenedKernel in chosen


def test_whitened_moments_do_not_cancel_when_the_means_start_far_away():
    """Means 1e7 widths from the rows: the covariances of the next step are those of numpy.cov, in nine digits."""
    rng = np.random.default_rng(4)
    x = rng.standard_normal((500, 60))
    start = lem.Gaussian().params(np.full((1, 60), 1e7), np.eye(60)[None])
    kernel = WhitenedKernel.of(start, np.zeros(1))
    sums = kernel.sums()
    kernel.add(x, None, np.ones((1, 500)), None, sums, Buffers())
    moments = kernel.statistics(sums)
    second = moments.about(moments.means()).second[0] / 500
    np.testing.assert_allclose(second, np.cov(x.T, bias=True), rtol=1e-9, atol=1e-12)


def test_a_component_without_weight_or_within_reach_of_no_row_has_no_rows():
    """A weight of zero, and a component 1e4 widths from every row, give counts of exactly zero and no NaN."""
    x = np.random.default_rng(0).standard_normal((3000, 2))
    model = lem.GaussianMixture(3)
    params = model.params([0.5, 0.0, 0.5], [[0.0, 0.0], [0.1, 0.1], [1e4, 1e4]], np.array([np.eye(2)] * 3))
    expectation = model.expectation(params, lem.Rows(x))
    assert expectation.statistics.weights[0] == pytest.approx(3000, rel=1e-14)
    assert (expectation.statistics.weights[1:] == 0).all()
    assert (expectation.statistics.components.first[1:] == 0).all()
    assert 0 <= expectation.entropy < 1e-200


def test_blocks_with_missing_cells_or_outliers_go_another_way_and_the_others_do_not():
    """Rows with NaN, or 1e9 widths away, do not spoil the others: the sums are those of the composed step."""
    rng = np.random.default_rng(5)
    x = rng.standard_normal((40_000, 2))
    x[:20_000] += 4
    x[7, 1] = np.nan
    x[39_999] = 1e9
    model = lem.GaussianMixture(2)
    params = model.params([0.5, 0.5], [[4.0, 4.0], [0.0, 0.0]], np.array([np.eye(2)] * 2))
    plain = LatentModel.expectation(model, params, lem.Rows(x))
    ours = model.expectation(params, lem.Rows(x))
    assert ours.entropy == pytest.approx(plain.entropy, rel=1e-12)
    assert model.log_joint(params, ours.statistics) == pytest.approx(
        model.log_joint(params, plain.statistics), rel=1e-12
    )


@pytest.mark.parametrize(
    ("family", "components"),
    [
        (lem.Poisson(), np.array([[1.0, 2.0], [3.0, 0.5], [8.0, 8.0]])),
        (lem.Exponential(), np.array([[1.0, 2.0], [3.0, 0.5], [8.0, 8.0]])),
        (lem.Geometric(), np.array([[0.1, 0.2], [0.5, 0.5], [0.9, 0.3]])),
    ],
)
def test_exponential_families_have_the_kernel_without_saying_so(family, components):
    """Mixtures of any family written by T, natural and log partition run by two products, with the composed answer."""
    rng = np.random.default_rng(6)
    x = rng.poisson(2.0, (5000, 2)) + 1.0
    model = lem.Mixture(family, 3)
    params = model.params([0.2, 0.3, 0.5], components)
    assert family.kernel(params.components, np.zeros(3)) is not None
    agree(model, params, lem.Rows(x, rng.exponential(size=5000)))


def test_natural_parameters_of_minus_infinity_keep_the_plain_form():
    """A Poisson rate of zero has no finite natural parameter: no kernel, and the same answer as by scipy."""
    model = lem.Mixture(lem.Poisson(), 2)
    params = model.params([0.5, 0.5], np.array([[0.0], [2.0]]))
    assert lem.Poisson().kernel(params.components, np.zeros(2)) is None
    expectation = model.expectation(params, lem.Rows(np.array([[0.0], [3.0]])))
    share = 1 / (1 + np.exp(-2))
    np.testing.assert_allclose(expectation.statistics.weights, [share, 2 - share], rtol=1e-14)


def test_a_hidden_markov_model_uses_the_kernel_with_the_same_answer():
    """Its fused E-step has the statistics and the entropy of posterior and statistics one after the other."""
    rng = np.random.default_rng(7)
    sequences = [rng.standard_normal((t, 2)) + 3 * rng.integers(3, size=(t, 1)) for t in (50, 200, 1)]
    for structure in STRUCTURES:
        model = lem.HiddenMarkov(lem.Gaussian(structure), 3)
        emissions = gaussians(structure, 3, 2, rng)
        params = model.params([0.2, 0.3, 0.5], np.full((3, 3), 0.1) + 0.7 * np.eye(3), emissions)
        chunk = model.chunk(sequences, weights=[1.0, 0.5, 2.0])
        ours, plain = model.expectation(params, chunk), LatentModel.expectation(model, params, chunk)
        assert ours.entropy == pytest.approx(plain.entropy, rel=1e-12)
        assert ours.observations == plain.observations
        assert model.log_joint(params, ours.statistics) == pytest.approx(
            model.log_joint(params, plain.statistics), rel=1e-13
        )
        np.testing.assert_allclose(ours.statistics.transitions, plain.statistics.transitions, rtol=1e-10)


@pytest.mark.parametrize("stay", [0.5, 1 - 2e-40])
def test_a_state_that_no_row_suggests_is_found_where_the_transitions_demand_it(stay):
    """In many columns a state 90 nats below the most probable one of a row may be the only one that a path allows."""
    rng, d = np.random.default_rng(0), 48
    means = np.zeros((3, d))
    means[1, 0] = means[2, 1] = 14
    model = lem.HiddenMarkov(lem.Gaussian(), 3)
    components = lem.Gaussian().params(means, np.array([np.eye(d)] * 3))
    assert isinstance(lem.Gaussian().kernel(components, np.zeros(3)), WhitenedKernel)
    onward = np.array([[0.5, 0.5, 0], [0, 0.5, 0.5], [0, 0, 1.0]])
    sticky = np.full((3, 3), (1 - stay) / 2) + np.eye(3) * (stay - (1 - stay) / 2)
    params = model.params([1, 0, 0.0], onward if stay == 0.5 else sticky, components)
    x = means[[0, 0, 1, 1, 0, 2, 2]] + 0.1 * rng.standard_normal((7, d))
    x[4, :2] = (0.3, 0)
    chunk = model.chunk([x])
    ours, plain = model.expectation(params, chunk), LatentModel.expectation(model, params, chunk)
    np.testing.assert_allclose(model.units(ours.statistics), model.units(plain.statistics), rtol=1e-10)
    bound = model.log_joint(params, ours.statistics) + ours.entropy
    assert bound == pytest.approx(float(model.log_evidence(params, chunk)[0]), rel=1e-12)


def test_a_component_that_is_ruled_out_rules_out_no_other():
    """In many columns the nearest component does not decide what is negligible where a row may not be in it."""
    rng, d, n = np.random.default_rng(0), 48, 600
    means = np.zeros((3, d))
    means[1, 0] = means[2, 1] = 14
    model = lem.Mixture(lem.Gaussian(), 3)
    params = model.params([1 / 3] * 3, lem.Gaussian().params(means, np.array([np.eye(d)] * 3)))
    x = means[1 + np.arange(n) % 2] + rng.standard_normal((n, d))
    x[n // 2 :, :2] = (2.0, 1.8)
    allowed = np.ones((n, 3), bool)
    allowed[:, 0] = False
    chunk = lem.Rows(x, None, allowed)
    ours = model.expectation(params, chunk)
    agree(model, params, chunk)
    bound = model.log_joint(params, ours.statistics) + ours.entropy
    assert bound == pytest.approx(float(model.log_evidence(params, chunk).sum()), rel=1e-13)


def test_a_state_that_collapses_keeps_its_digits():
    """A hidden Markov model whose state narrows from 1 to 1e-8 within a step has the moments of the composed one."""
    rng = np.random.default_rng(3)
    x = np.concatenate([20 + 1e-8 * rng.standard_normal((400, 2)), rng.standard_normal((400, 2))])
    model = lem.HiddenMarkov(lem.Gaussian(), 2)
    components = lem.Gaussian().params([[20.0, 20.0], [0.0, 0.0]], np.array([np.eye(2)] * 2))
    params = model.params([0.5, 0.5], np.full((2, 2), 0.5), components)
    chunk = model.chunk([x])
    found = [
        each.statistics.emissions
        for each in (model.expectation(params, chunk), LatentModel.expectation(model, params, chunk))
    ]
    ours, plain = ((m.about(m.means()).second / m.count[:, None, None])[0] for m in found)
    np.testing.assert_allclose(ours, np.cov(x[:400].T, bias=True), rtol=1e-6)
    np.testing.assert_allclose(ours, plain, rtol=1e-9)


def test_a_missing_cell_sends_one_block_another_way():
    """Of 300,000 rows with one NaN all but its block go through the two products."""
    rng = np.random.default_rng(5)
    x = rng.standard_normal((300_000, 2))
    x[7, 1] = np.nan
    kernel = lem.Gaussian().kernel(gaussians(lem.Full(), 2, 2, rng), np.zeros(2))
    _, _, _, left = fused(kernel, lem.Rows(x))
    assert [len(part) for part in left] == [100_000]
    assert np.isnan(left[0].x[7, 1])


@pytest.mark.parametrize("d", [200_000, 2**19])
def test_more_columns_than_a_block_has_numbers_are_no_obstacle(d):
    """Rows so wide that a block would have none: the E-step is still the composed one, in blocks of 64."""
    x = np.random.default_rng(0).standard_normal((4, d))
    model = lem.Mixture(lem.Gaussian(lem.Diagonal()), 2)
    components = lem.Gaussian(lem.Diagonal()).params(np.stack([x[0], x[1]]), np.ones((2, d)))
    agree(model, model.params([0.5, 0.5], components), lem.Rows(x), 1e-10)


def test_kernels_about_drifting_chunks_do_not_pile_up():
    """A hundred chunks, each about another place, leave at most 32 kernels beside the parameters."""
    rng = np.random.default_rng(5)
    kernel = lem.Gaussian().kernel(gaussians(lem.Full(), 3, 2, rng), np.zeros(3))
    for centre in rng.standard_normal((100, 2)):
        first = kernel.about(centre)
        assert np.array_equal(first.natural, kernel.about(centre).natural)
    assert len(kernel.others) <= 32


def test_the_share_of_the_only_component_that_a_row_may_have_is_one_to_the_bit():
    """With all labels known, counts are those of the labels, exactly, wherever the rows are."""
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=5000)
    x = rng.standard_normal((5000, 2)) + 1.7 * labels[:, None]
    model = lem.GaussianMixture(3)
    params = model.params([0.2, 0.3, 0.5], rng.standard_normal((3, 2)), np.array([np.eye(2)] * 3) * 0.7)
    expectation = model.expectation(params, lem.Rows(x, allowed=labels[:, None] == np.arange(3)))
    assert expectation.statistics.weights.tolist() == np.bincount(labels).tolist()
    assert expectation.entropy == 0.0


@pytest.mark.parametrize(("k", "d", "n"), [(60, 20, 20_000), (40, 60, 8000)])
def test_components_with_few_rows_in_a_chunk_do_not_send_it_the_slow_way(k, d, n, monkeypatch):
    """Many components that overlap: each has hardly more rows in a chunk than columns, and kernels do it all."""
    rng = np.random.default_rng(0)
    means = rng.standard_normal((k, d))
    x = rng.standard_normal((n, d)) + means[rng.integers(k, size=n)]
    model = lem.GaussianMixture(k)
    params = model.params(np.full(k, 1 / k), means, np.array([np.eye(d)] * k))
    left = []
    whole = mixture.fused
    monkeypatch.setattr(mixture, "fused", lambda kernel, chunk: left.append(found := whole(kernel, chunk)) or found)
    for chunk in model.chunks(x):
        model.expectation(params, chunk)
    assert left
    assert not any(stretches for *_, stretches in left)


def composed(rng, n):
    """Families of parts of a row, each with parameters of two components and rows drawn from them."""
    labels = np.arange(n) % 2
    pairs = {d: {s: gaussians(s, 2, d, rng) for s in STRUCTURES} for d in (2, 3)}
    counts = rng.poisson(np.array([2.0, 9.0])[labels])[:, None].astype(float)
    for structure in STRUCTURES:
        gaussian, params = lem.Gaussian(structure), pairs[3][structure]
        x, narrow = rows_of(params, n, rng), lem.LogNormal(structure)
        yield gaussian.on(2, 0, 1), params, x[:, [1, 2, 0]]
        yield narrow, pairs[2][structure], np.exp(rows_of(pairs[2][structure], n, rng))
        product = lem.Product(gaussian.on(1, 2, 3), lem.Poisson().on(0), narrow.on(5, 4))
        logs = np.exp(rows_of(pairs[2][structure], n, rng))[:, ::-1]
        rates = np.array([[2.0], [9.0]])
        yield product, product.params(params, rates, pairs[2][structure]), np.hstack([counts, x, logs])
        nested = lem.Product(product.on(*range(6)), lem.Exponential().on(7))
        rows = np.hstack([counts, x, logs, np.full((n, 1), np.nan), rng.exponential(size=(n, 1))])
        yield nested, nested.params(product.params(params, rates, pairs[2][structure]), np.array([[1.0], [2.0]])), rows


@pytest.mark.parametrize("weighted", [False, True])
def test_parts_of_a_row_side_by_side_are_one_kernel(weighted):
    """Columns, logarithms and products of families, nested too, go through two matrix products with the same answer."""
    rng, n = np.random.default_rng(8), 600
    for family, components, x in composed(rng, n):
        model = lem.Mixture(family, 2)
        params = model.params([0.4, 0.6], components)
        allowed = rng.random((n, 2)) < 0.7
        allowed[np.arange(n), np.arange(n) % 2] = True
        chunk = lem.Rows(x, rng.exponential(size=n), allowed) if weighted else lem.Rows(x)
        kernel = family.kernel(components, np.log([0.4, 0.6]))
        *_, left = fused(kernel, chunk)
        assert not left, family
        agree(model, params, chunk)


def test_a_part_that_lacks_a_value_sends_its_block_another_way():
    """A missing cell of one part, or a value outside the support of another, is left to the composed step."""
    rng = np.random.default_rng(9)
    x = np.column_stack([rng.standard_normal((200_000, 1)), rng.exponential(size=200_000)])
    x[5, 0] = np.nan
    family = lem.Product(lem.Gaussian().on(0), lem.LogNormal().on(1))
    one = lem.Gaussian().params([[0.0], [1.0]], [[[1.0]], [[2.0]]])
    model = lem.Mixture(family, 2)
    params = model.params([0.5, 0.5], family.params(one, one))
    *_, left = fused(family.kernel(params.components, np.zeros(2)), lem.Rows(x))
    assert sum(map(len, left)) < len(x)
    agree(model, params, lem.Rows(x))


def test_a_part_without_features_leaves_the_whole_without_a_kernel():
    """Student has no kernel, so a product with it has none, and the composed step is taken."""
    family = lem.Product(lem.Gaussian().on(0), lem.Student().on(1))
    one = lem.Gaussian().params([[0.0], [1.0]], [[[1.0]], [[2.0]]])
    other = lem.Student().params([[0.0], [1.0]], [[[1.0]], [[2.0]]], 5.0)
    assert family.kernel(family.params(one, other), np.zeros(2)) is None
