"""The formulas of docs/mathematics.md, section by section, against arithmetic that does not use them."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import optimize, stats
from scipy.special import logsumexp

import latentem as lem
from latentem.core import put
from latentem.family import Moments
from latentem.run.audit import slope
from latentem.start.starts import starts

STRUCTURES = [
    lem.Full(),
    lem.Diagonal(),
    lem.Spherical(),
    lem.Tied(),
    lem.Tied(lem.Diagonal()),
    lem.Tied(lem.Spherical()),
]
SHAPES = [lem.Full(), lem.Diagonal(), lem.Spherical()]

# Deaths of women over 80 a day, in The Times of 1910 to 1912 (Hasselblad, 1969): a mixture on which EM creeps.
DEATHS = np.arange(10.0)[:, None]
DAYS = np.array([162, 267, 271, 185, 111, 61, 27, 8, 3, 1])


def statistics_of(model, chunk, responsibilities):
    return model.statistics(chunk, lem.LabelPosterior(np.asarray(responsibilities), chunk.weight))


def random_statistics(model, chunk, rng):
    """Under responsibilities drawn at random, each row by itself."""
    return statistics_of(model, chunk, rng.dirichlet(np.full(model.k, 0.3), len(chunk)))


def gaussian_log_joint(params, x):
    """log weight + log density of each row under each component, by scipy."""
    densities = [
        stats.multivariate_normal(mean, covariance).logpdf(x)
        for mean, covariance in zip(params.components.means, params.components.dense(), strict=True)
    ]
    return np.log(params.weights) + np.stack(densities, axis=1)


# The bound.


def test_what_the_e_half_gains_is_the_divergence_of_the_old_posterior_from_the_new():
    """The gain of the E half is KL(q_t || q_t+1), here summed from the responsibilities themselves."""
    x = lem.datasets.old_faithful()
    model = lem.GaussianMixture(2)
    chunk = model.chunk(x)
    start = model.params([0.5, 0.5], [[3.0, 65.0], [4.0, 75.0]], [np.cov(x.T)] * 2)
    states = [state for _, state in zip(range(8), lem.EM().iterate(model, start, x), strict=False)]
    for before, after in pairwise(states):
        old, new = (model.posterior(state.params, chunk).weights for state in (before, after))
        assert after.step.e_gain == pytest.approx((old * np.log(old / new)).sum(), rel=1e-8)


@pytest.mark.parametrize("beta", [0.2, 0.7, 1.0, 3.0])
def test_the_posterior_to_the_power_beta_maximises_q_plus_h_over_beta(beta):
    """Q + T H at the tempered posterior is T sum log sum p(x, z)^beta, and no other q has more."""
    x = lem.datasets.old_faithful()
    plain = lem.GaussianMixture(2)
    model = lem.Tempered(plain, beta)
    params = plain.params(
        [0.4, 0.6], [[2.5, 60.0], [4.0, 75.0]], [[[0.4, 1.0], [1.0, 60.0]], [[0.3, 0.0], [0.0, 40.0]]]
    )
    chunk = model.chunk(x)
    best = lem.core.objective(model, params, model.expectation(params, chunk))
    assert best == pytest.approx(logsumexp(beta * gaussian_log_joint(params, x), axis=1).sum() / beta, rel=1e-12)
    rng = np.random.default_rng(1)
    own = model.posterior(params, chunk).weights
    for share in (1e-3, 0.1, 1.0):
        other = lem.LabelPosterior((1 - share) * own + share * rng.dirichlet([1.0, 1.0], len(x)))
        worse = lem.core.Expectation(model.statistics(chunk, other), other.entropy(), len(x))
        assert lem.core.objective(model, params, worse) < best


# Mixtures.


def test_free_weights_share_what_the_held_ones_leave():
    """With some weights held, no others on the simplex give a higher Q plus log prior."""
    rng = np.random.default_rng(2)
    mixture = lem.Mixture(lem.Poisson(), 4, prior=lem.PseudoCounts(1.5))
    model = lem.Frozen(mixture, {"weights": lem.Fixed(components=[1])})
    chunk = model.chunk(rng.poisson(3, (40, 1)))
    params = mixture.params([0.3, 0.25, 0.25, 0.2], [[1.0], [2.0], [3.0], [4.0]])
    statistics = random_statistics(mixture, chunk, rng)
    best = model.m_step(statistics, params)
    assert best.weights[1] == 0.25
    assert best.weights.sum() == pytest.approx(1, abs=1e-15)

    def value(weights):
        there = put(best, ("weights",), weights)
        return model.log_joint(there, statistics) + model.log_prior(there)

    for scale in (1e-3, 1e-2, 1.0):
        for _ in range(50):
            shares = best.weights * np.exp(scale * rng.standard_normal(4))
            shares[1] = 0
            other = 0.75 * shares / shares.sum()
            other[1] = 0.25
            assert value(other) <= value(best.weights)


def test_pseudo_counts_are_a_dirichlet_density():
    """The log prior of PseudoCounts(c) and the Dirichlet(1 + c) log density differ by a constant."""
    rng = np.random.default_rng(3)
    model = lem.Mixture(lem.Poisson(), 3, prior=lem.PseudoCounts(0.7))
    at = rng.dirichlet([2.0, 2.0, 2.0], 20)
    ours = [model.log_prior(model.params(w / w.sum(), np.ones((3, 1)))) for w in at]
    theirs = [stats.dirichlet.logpdf(w / w.sum(), [1.7] * 3) for w in at]
    assert np.ptp(np.subtract(ours, theirs)) < 1e-12


# The Gaussian family.


def direct_second(y, weight, shape):
    full = (weight[:, None, None] * y[:, :, None] * y[:, None, :]).sum(axis=0)
    return {lem.Full(): full, lem.Diagonal(): np.diag(full), lem.Spherical(): np.trace(full)}[shape]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_moments_about_another_origin_are_the_direct_sums_about_it(shape):
    """Shifted, added and subtracted moments are the sums that they stand for."""
    rng = np.random.default_rng(4)
    x, weights = rng.normal([3, -2, 8], [1, 2, 5], (60, 3)), rng.random((60, 2))
    weights[:25, 1] = 0
    origin = rng.normal(size=(2, 3))
    parts = Moments.of(x[:25], weights[:25], shape), Moments.of(x[25:], weights[25:], shape)
    signs = np.where(np.arange(60) < 25, -0.5, 1.0)[:, None]
    for moments, counted in ((parts[0] + parts[1], weights), (parts[1] - 0.5 * parts[0], signs * weights)):
        moved = moments.about(origin)
        for j in range(2):
            y = x - origin[j]
            assert moved.count[j] == pytest.approx(counted[:, j].sum())
            assert moved.first[j] == pytest.approx(counted[:, j] @ y)
            assert moved.second[j] == pytest.approx(direct_second(y, counted[:, j], shape))


def test_the_pooled_variances_do_not_depend_on_the_responsibilities():
    """Summed over components, the scatter about the overall mean is the data's own."""
    rng = np.random.default_rng(5)
    x = lem.datasets.old_faithful()
    for shape, wanted in ((lem.Full(), x.var(axis=0)), (lem.Spherical(), x.var(axis=0).mean())):
        for _ in range(5):
            weights = rng.dirichlet([0.2, 0.2, 0.2], len(x))
            assert Moments.of(x, weights, shape).variances() == pytest.approx(wanted, rel=1e-12)


# The floor, and a conjugate prior.


def random_case(structure, eps, d, rng):
    """A Gaussian mixture whose floor bites, statistics, and what its M-step makes of them."""
    model = lem.Mixture(lem.Gaussian(structure, lem.Floor(eps)), 2)
    chunk = model.chunk(rng.standard_normal((12, d)) @ rng.standard_normal((d, d)))
    statistics = random_statistics(model, chunk, rng)
    floor = model.family.prior.floor(statistics.components.variances())
    params = model.first(statistics)
    return model, statistics, floor, params, model.m_step(statistics, params)


def random_above(floor, structure, near, scale, rng):
    """Covariances of the structure, at least the floor: near given ones, or anywhere."""
    each = structure.spread(near.covariances)
    if structure.each != lem.Full():
        moved = np.maximum(each * np.exp(scale * rng.standard_normal(each.shape)), floor)
    else:
        root = np.sqrt(floor)
        noise = rng.standard_normal(each.shape)
        values, vectors = np.linalg.eigh(each / np.outer(root, root) + scale * (noise + noise.transpose(0, 2, 1)))
        lifted = np.maximum(values, 1) + scale * rng.exponential(size=values.shape) * rng.integers(2)
        moved = np.einsum("mij,mj,mlj->mil", vectors, lifted, vectors) * np.outer(root, root)
        moved = (moved + moved.transpose(0, 2, 1)) / 2
    return moved[0] if structure.tied else moved


@pytest.mark.parametrize("structure", STRUCTURES, ids=str)
def test_no_covariance_above_the_floor_beats_the_block(structure):
    """Of many random covariances of the structure above the floor, none gives a higher Q."""
    rng = np.random.default_rng(6)
    bit = 0
    for d in (2, 3):
        for eps in (0.2, 0.9, 0.98, 0.999):
            model, statistics, floor, params, best = random_case(structure, eps, d, rng)
            free = lem.Mixture(lem.Gaussian(structure, None), 2).m_step(statistics, params)
            bit += not np.array_equal(free.components.covariances, best.components.covariances)
            most = model.log_joint(best, statistics)
            for scale in (1e-6, 1e-3, 0.1, 1.0, 5.0):
                for _ in range(40):
                    other = random_above(floor, structure, best.components, scale, rng)
                    there = put(best, ("components", "covariances"), other)
                    assert model.log_joint(there, statistics) <= most + 1e-11 * abs(most)
    assert bit >= 3, "the floor hardly bit: the test is idle"


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("inactive", [0, 1, 2])
def test_a_numerical_optimum_above_the_floor_is_the_closed_form(d, inactive):
    """Maximised over all F + L L' by a general optimiser, the covariance is U max(e, 1) U' between roots of F."""
    rng = np.random.default_rng([7, d, inactive])
    floor = np.exp(rng.standard_normal(d))
    root = np.sqrt(floor)
    basis = np.linalg.qr(rng.standard_normal((d, d)))[0]
    values = np.array([*(2.0 + rng.random(inactive)), *rng.random(d)])[:d]
    estimate = np.outer(root, root) * (basis * values @ basis.T)
    estimate = (estimate + estimate.T) / 2
    lower = np.tril_indices(d)

    def sigma(entries):
        factor = np.zeros((d, d))
        factor[lower] = entries
        return np.diag(floor) + factor @ factor.T

    def loss(covariance):
        return np.linalg.slogdet(covariance)[1] + np.trace(np.linalg.solve(covariance, estimate))

    ends = [
        optimize.minimize(lambda a: loss(sigma(a)), rng.standard_normal(len(lower[0])), options={"gtol": 1e-9})
        for _ in range(6)
    ]
    found = min(ends, key=lambda end: end.fun)
    closed = lem.Full().raised(estimate[None], floor)[0]
    assert loss(closed) == pytest.approx(found.fun, abs=1e-9)
    assert loss(closed) <= found.fun + 1e-12
    assert np.abs(closed - sigma(found.x)).max() < 1e-3 * floor.max()


def test_an_inverse_wishart_is_a_pseudo_count_and_a_pseudo_scatter():
    """The log prior is scipy's inverse Wishart density up to a constant, and the block maximises Q plus it."""
    rng = np.random.default_rng(8)
    scale, dof = np.array([[2.0, 0.5], [0.5, 1.0]]), 4.0
    model = lem.Mixture(lem.Gaussian(prior=lem.InverseWishart(scale, dof)), 2)
    chunk = model.chunk(rng.standard_normal((9, 2)))
    statistics = random_statistics(model, chunk, rng)
    best = model.m_step(statistics, model.first(statistics))
    most = model.log_joint(best, statistics) + model.log_prior(best)
    offsets = []
    for size in (1e-3, 0.1, 1.0):
        for _ in range(20):
            noise = size * rng.standard_normal((2, 2, 2))
            stretch = np.eye(2) + noise
            other = stretch @ best.components.covariances @ stretch.transpose(0, 2, 1)
            other = (other + other.transpose(0, 2, 1)) / 2
            there = put(best, ("components", "covariances"), other)
            assert model.log_joint(there, statistics) + model.log_prior(there) <= most
            theirs = sum(stats.invwishart.logpdf(covariance, dof, scale) for covariance in other)
            offsets.append(model.log_prior(there) - theirs)
    assert np.ptp(offsets) < 1e-7 * np.abs(offsets).max()


# How far is the end.

MOVING = {
    "full": lem.Mixture(lem.Gaussian(), 3),
    "tied": lem.Mixture(lem.Gaussian(lem.Tied()), 3),
    "floor": lem.Mixture(lem.Gaussian(prior=lem.Floor(0.5)), 3),
    "inverse Wishart": lem.Mixture(lem.Gaussian(prior=lem.InverseWishart(2.0, 3.0)), 3, prior=lem.PseudoCounts(2.0)),
    "Poisson": lem.Mixture(lem.Poisson(), 3),
}


@pytest.mark.parametrize("hold", [(), ("weights",), ("components",)], ids=["free", "weights held", "components held"])
@pytest.mark.parametrize("name", MOVING)
def test_movement_is_never_negative(name, hold):
    """Between the M-steps of any two statistics of the same data the movement is at least 0, priors or none."""
    rng = np.random.default_rng(9)
    model = MOVING[name]
    if hold == ("components",) and name != "Poisson":
        hold = ("means",)
    held = lem.Frozen(model, set(hold))
    chunk = model.chunk(rng.poisson(5, (50, 2)).astype(float))
    params = model.first(random_statistics(model, chunk, rng))
    for _ in range(30):
        before, after = random_statistics(model, chunk, rng), random_statistics(model, chunk, rng)
        one, other = held.m_step(before, params), held.m_step(after, params)
        assert slope(held, one, other, after - before) > 0
        near = before + 1e-9 * (after - before)
        assert slope(held, one, held.m_step(near, params), near - before) > 0


def test_movement_is_the_symmetric_divergence_of_the_complete_data():
    """n (KL(p || p') + KL(p' || p)) of p(x, z), in closed form for a mixture of Poissons, is the movement."""
    rng = np.random.default_rng(10)
    model = lem.Mixture(lem.Poisson(), 2)
    chunk = model.chunk(rng.poisson(4, (80, 1)))
    before, after = random_statistics(model, chunk, rng), random_statistics(model, chunk, rng)
    one, other = (model.m_step(s, model.first(s)) for s in (before, after))

    def divergence(p, q):
        a, b = p.components[:, 0], q.components[:, 0]
        return p.weights @ (np.log(p.weights / q.weights) + a * np.log(a / b) - a + b)

    wanted = 80 * (divergence(one, other) + divergence(other, one))
    assert slope(model, one, other, after - before) == pytest.approx(wanted, rel=1e-10)


def test_the_estimate_of_the_remaining_gain_has_two_digits():
    """On Hasselblad's counts, where EM needs two thousand passes, remaining and the true gap agree within 1%."""
    model = lem.Mixture(lem.Poisson(), 2)
    start = model.params([0.5, 0.5], [[1.0], [3.0]])
    chunks = model.chunks(DEATHS, weights=DAYS)
    result = lem.EM(lem.remaining_below(1e-17)).run(model, start, chunks)
    best = result.bound
    assert best == pytest.approx(-1989.945859883, abs=1e-9)
    gap, remaining = best - result.history.bound, result.history.remaining
    late = (gap < 1e-3) & (gap > 1e-8)
    assert late.sum() > 300
    assert np.abs(remaining[late] / gap[late] - 1).max() < 0.01
    assert (result.history.movement[1:] >= 0).all()


# K-means.


@pytest.mark.parametrize("variance", [1e-3, 1.0, 30.0])
def test_the_bound_of_k_means_is_a_constant_less_half_the_inertia_over_the_variance(variance):
    """Bound = -n log k - (n d / 2) log(2 pi variance) - inertia / (2 variance), at every step, on Old Faithful."""
    x = lem.datasets.old_faithful()
    (n, d), k = x.shape, 3
    model = lem.KMeans(k)
    start = model.params(x[[0, 1, 2]], variance)
    constant = -n * np.log(k) - n * d / 2 * np.log(2 * np.pi * variance)
    steps = 0
    for state in lem.EM().iterate(model, start, x):
        squares = ((x[:, None] - state.params.components.means) ** 2).sum(axis=2)
        inertia = squares.min(axis=1).sum()
        assert state.step.bound == pytest.approx(constant - inertia / (2 * variance), rel=1e-12)
        assert model.inertia(state.params, state.expectation.statistics) == pytest.approx(inertia, rel=1e-12)
        steps += 1
    assert steps > 3


@pytest.mark.parametrize("beta", [1e-3, 0.02, 1.0])
def test_soft_k_means_of_stiffness_beta_is_a_mixture_of_variance_one_over_two_beta(beta):
    """Responsibilities proportional to exp(-beta squared distance), and centres at the means weighted by them."""
    x = lem.datasets.old_faithful()
    model = lem.GaussianMixture(
        2, structure=lem.Tied(lem.Spherical()), weights=lem.Fixed.uniform(), covariances=lem.Fixed(1 / (2 * beta))
    )
    params = model.params([0.5, 0.5], [[2.0, 55.0], [4.0, 75.0]], 1 / (2 * beta))
    chunk = model.chunk(x)
    soft = np.exp(-beta * ((x[:, None] - params.components.means) ** 2).sum(axis=2))
    soft /= soft.sum(axis=1, keepdims=True)
    assert model.posterior(params, chunk).weights == pytest.approx(soft, abs=1e-13)
    moved = model.m_step(model.expectation(params, chunk).statistics, params)
    assert moved.components.means == pytest.approx(soft.T @ x / soft.sum(axis=0)[:, None])
    assert moved.components.covariances == 1 / (2 * beta)


def test_a_held_tied_covariance_makes_k_means_under_its_mahalanobis_distance():
    """Hard assignment goes to the centre that is nearest in the distance of the held covariance."""
    x = lem.datasets.old_faithful()
    covariance = np.cov(x.T)
    held = lem.GaussianMixture(3, structure=lem.Tied(), weights=lem.Fixed.uniform(), covariances=lem.Fixed(covariance))
    fit = lem.fit(lem.Hard(held), x)
    away = x[:, None] - fit.params.components.means
    distance = np.einsum("nki,ij,nkj->nk", away, np.linalg.inv(covariance), away)
    assert (fit.predict(x) == distance.argmin(axis=1)).all()
    (n, d), (_, log_det) = x.shape, np.linalg.slogdet(2 * np.pi * covariance)
    assert d == 2
    assert fit.bound == pytest.approx(-n * np.log(3) - n / 2 * log_det - distance.min(axis=1).sum() / 2, rel=1e-12)


# Starts.


def test_a_start_has_one_unit_of_the_pooled_data_in_every_component():
    """In a k-means++ start of whole numbers, taking out one unit at the mean leaves whole counts and sums."""
    rng = np.random.default_rng(11)
    x = rng.integers(0, 50, (70, 2)).astype(float)
    model = lem.GaussianMixture(3)
    for start in starts(model, model.chunks(x), None, 2, 0):
        params = start.make()
        counts = params.weights * (70 + 3) - 1
        sums = (counts + 1)[:, None] * params.components.means - x.mean(axis=0)
        assert counts == pytest.approx(np.round(counts), abs=1e-9)
        assert sums == pytest.approx(np.round(sums), abs=1e-8)
        assert counts.sum() == pytest.approx(70)


# Criteria.


def directions(params, free):
    """Small changes of each number in the free fields, along which the parameters stay parameters."""
    for name in free:
        path = ("weights",) if name == "weights" else ("components", name)
        value = params.weights if name == "weights" else getattr(params.components, name)
        for index in np.ndindex(value.shape):
            unit = np.zeros(value.shape)
            unit[index] = 1.0
            if name == "weights":
                unit -= 1 / len(value)
            elif name == "covariances" and params.components.structure.each == lem.Full():
                unit = (unit + np.swapaxes(unit, -1, -2)) / 2
            yield path, value, unit


@pytest.mark.parametrize("held", [(), ("weights",), ("means",), ("covariances",)], ids=str)
@pytest.mark.parametrize("structure", STRUCTURES, ids=str)
def test_the_number_of_parameters_is_the_rank_of_the_density(structure, held):
    """As many as there are independent ways in which the log density of a mixture can change."""
    rng = np.random.default_rng(12)
    k, d, step = 2, 3, 1e-5
    model = lem.Frozen(lem.Mixture(lem.Gaussian(structure), k), set(held))
    x = 2 * rng.standard_normal((150, d))
    chunk = model.chunk(x)
    params = model.first(spread(model, x))
    free = [name for name in ("weights", "means", "covariances") if name not in held]
    columns = []
    for path, value, unit in directions(params, free):
        up, down = (model.log_evidence(put(params, path, value + sign * step * unit), chunk) for sign in (1, -1))
        columns.append((up - down) / (2 * step))
    sizes = np.linalg.svd(np.stack(columns, axis=1), compute_uv=False)
    assert (sizes > 1e-6 * sizes[0]).sum() == sum(block.size(params) for block in model.blocks())


def spread(model, x):
    """Statistics of rows parted by their first column, so that the components differ."""
    return statistics_of(model, model.chunk(x), np.eye(2)[(x[:, 0] > 0.5).astype(int)])


@pytest.mark.parametrize("structure", [lem.Full(), lem.Diagonal(), lem.Spherical()], ids=str)
@pytest.mark.parametrize("d", [1, 3, 40])
def test_bounds_by_precisions_are_on_the_safe_side_of_eigenvalues(structure, d):
    """The weakest variance and the condition of correlations: bounds hold, and are at most a factor of sqrt(d) off."""
    rng = np.random.default_rng(d)
    for spread in (1.0, 1e3, 1e6):
        axes = np.linalg.qr(rng.standard_normal((d, d)))[0]
        dense = (axes * np.geomspace(1.0, spread, d)) @ axes.T
        floor = rng.uniform(0.1, 10.0, d)
        covariances = {"Full()": dense, "Diagonal()": np.diag(dense), "Spherical()": dense[0, 0]}[str(structure)][None]
        reference = floor[0] if structure == lem.Spherical() else floor
        params = lem.Gaussian(structure).params(np.zeros((1, d)), covariances)
        matrix, each = params.dense()[0], np.broadcast_to(reference, d)
        weakest = np.linalg.eigvalsh(matrix / np.sqrt(np.outer(each, each)))[0]
        deviations = np.sqrt(np.diag(matrix))
        least = np.linalg.eigvalsh(matrix / np.outer(deviations, deviations))[0]
        bound = structure.weakest_at_least(params.precisions, np.asarray(reference))
        assert (1 - 1e-9) * weakest / np.sqrt(d) <= bound <= (1 + 1e-9) * weakest
        assert (1 - 1e-9) / least <= params.condition_at_most <= (1 + 1e-9) * np.sqrt(d) / least


@pytest.mark.parametrize("d", [1, 2, 5, 40])
def test_eigenvalues_are_called_above_a_level_only_where_they_are(d):
    """Spectra that are known: never where the least is below the level, however near, and always with room to spare."""
    rng = np.random.default_rng(d)
    structure, said = lem.Full(), []
    for near in (-1e-3, -1e-9, -1e-14, 1e-14, 1e-9, 1e-3):
        for condition in (1.0, 1e4, 1e8):
            axes = np.linalg.qr(rng.standard_normal((d, d)))[0]
            values = np.geomspace(1.0, condition, d) * (1 + near)
            covariance = (axes * values) @ axes.T
            floor = rng.uniform(0.1, 1e6, d)
            scaled = np.sqrt(floor)[:, None] * ((covariance + covariance.T) / 2) * np.sqrt(floor)
            above = structure.surely_above(scaled[None], floor, 1.0)
            assert not (above and near < 0)
            assert above or near < 1e-3 or condition > 1e4
            said.append(above)
    assert set(said) == {True, False}
