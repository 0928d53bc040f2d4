"""Hidden Markov models: brute force over all paths, other libraries, and what follows from relations."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hmmlearn import hmm
from independent import jacobian_rank
from scipy import stats
from scipy.special import softmax

import latentem as lem
from latentem.testing import check_model

K = 3
INITIAL = [0.5, 0.3, 0.2]
TRANSITIONS = [[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.1, 0.3, 0.6]]
MEANS = np.array([[0.0, 0.0], [2.0, 2.0], [4.0, 0.0]])
LEFT_RIGHT = [[0.7, 0.3, 0.0], [0.0, 0.8, 0.2], [0.0, 0.0, 1.0]]


def gaussian(transitions=TRANSITIONS, initial=INITIAL, spread=1.0):
    model = lem.HiddenMarkov(lem.Gaussian(), K)
    covariances = spread * np.array([[[1.0, 0.3], [0.3, 0.7]], np.eye(2), np.diag([0.5, 2.0])])
    return model, model.params(initial, transitions, lem.Gaussian().params(MEANS, covariances))


def drawn(lengths=(3, 6, 1, 5, 4, 2, 6), seed=0, **given):
    model, params = gaussian(**given)
    rng = np.random.default_rng(seed)
    return [model.sample(params, t, rng)[0] for t in lengths]


def log_density(params, x):
    parts = zip(params.emissions.means, params.emissions.dense(), strict=True)
    return np.column_stack([stats.multivariate_normal(m, c).logpdf(x).reshape(-1) for m, c in parts])


def log_weights_of_paths(params, x, density=log_density):
    """Every path with its log joint density."""
    emitted = density(params, x)
    with np.errstate(divide="ignore"):
        initial, transitions = np.log(params.initial), np.log(params.transitions)
    paths = np.array(list(itertools.product(range(K), repeat=len(x))))
    weights = initial[paths[:, 0]] + emitted[0, paths[:, 0]]
    for t in range(1, len(x)):
        weights = weights + transitions[paths[:, t - 1], paths[:, t]] + emitted[t, paths[:, t]]
    return paths, weights


def evidence(params, chunk):
    tables = np.split(chunk.x, chunk.lengths.cumsum()[:-1])
    return np.array([np.logaddexp.reduce(log_weights_of_paths(params, x)[1]) for x in tables])


@pytest.mark.parametrize("transitions", [TRANSITIONS, LEFT_RIGHT], ids=["mixing", "left to right"])
def test_hidden_markov_keeps_the_contract_and_equals_the_sum_over_all_paths(transitions):
    """Each clause holds, bare and transformed, and the log evidence is the sum over all paths."""
    initial = INITIAL if transitions is TRANSITIONS else [1.0, 0.0, 0.0]
    model, params = gaussian(transitions, initial)
    check_model(model, params, drawn(transitions=transitions, initial=initial), evidence=evidence)


def test_weights_labels_and_priors_keep_the_contract():
    """Sequence weights, partly known states and pseudo-counts keep the contract."""
    rng = np.random.default_rng(1)
    x = drawn()
    allowed = [rng.random((len(part), K)) < 0.6 for part in x]
    for table in allowed:
        table[np.arange(len(table)), rng.integers(K, size=len(table))] = True
    model = lem.HiddenMarkov(lem.Gaussian(), K, lem.PseudoCounts(0.7))
    check_model(model, gaussian()[1], model.chunk(x, [1.0, 2.5, 0.0, 1.0, 0.5, 3.0, 1.0], allowed))


def test_the_posterior_is_that_of_all_paths_listed():
    """Marginals, pair marginals, entropy and the best path are those of the list of all paths."""
    model, params = gaussian()
    for x in drawn():
        q = model.posterior(params, model.chunk(x))
        paths, weights = log_weights_of_paths(params, x)
        p = softmax(weights)
        marginals = np.array([[p[paths[:, t] == j].sum() for j in range(K)] for t in range(len(x))])
        np.testing.assert_allclose(q.marginals(), marginals, atol=1e-13)
        pairs = np.zeros((K, K))
        for t in range(1, len(x)):
            np.add.at(pairs, (paths[:, t - 1], paths[:, t]), p)
        np.testing.assert_allclose(q.transitions(), pairs, atol=1e-13)
        np.testing.assert_allclose(q.entropy(), stats.entropy(p), atol=1e-12)
        np.testing.assert_array_equal(q.labels(), paths[weights.argmax()])


def test_powers_and_draws_are_those_of_all_paths_listed():
    """Q to a power weighs the paths by that power, and draws come with the probability of their path."""
    model, params = gaussian()
    x = drawn((3,))[0]
    q = model.posterior(params, model.chunk(x))
    paths, weights = log_weights_of_paths(params, x)
    np.testing.assert_allclose(q.power(0.4).entropy(), stats.entropy(softmax(0.4 * weights)), atol=1e-12)
    found = np.array([q.draw(seed).labels() for seed in range(4000)])
    number = found @ K ** np.arange(2, -1, -1)
    observed = np.bincount(number, minlength=K**3)
    expected = 4000 * softmax(weights)
    often = expected > 5
    np.testing.assert_array_equal(paths[:, 0] * 9 + paths[:, 1] * 3 + paths[:, 2], np.arange(K**3))
    rest = [[observed[~often].sum()], [max(expected[~often].sum(), 1e-9)]]
    statistic = (
        (np.r_[observed[often], rest[0]] - np.r_[expected[often], rest[1]]) ** 2 / np.r_[expected[often], rest[1]]
    ).sum()
    assert stats.chi2(often.sum()).sf(statistic) > 1e-4


def test_a_state_that_underflows_can_come_back():
    """Where states do not mix, a path 2,000 nats behind at one step still wins at the end, as in the list of paths."""
    family = lem.Gaussian(lem.Spherical())
    model = lem.HiddenMarkov(family, 2)
    params = model.params([0.5, 0.5], np.eye(2), family.params([[0.0], [1.0]], [1e-4, 1e-4]))
    x = np.array([[0.0], [0.0], [1.0], [1.0], [1.0]])
    log_p = [stats.norm(m, 0.01).logpdf(x[:, 0]).sum() + np.log(0.5) for m in (0.0, 1.0)]
    np.testing.assert_allclose(model.log_evidence(params, model.chunk(x)), np.logaddexp(*log_p), rtol=1e-13)
    np.testing.assert_allclose(
        model.posterior(params, model.chunk(x)).marginals(), np.tile(softmax(log_p), (5, 1)), atol=1e-12
    )


def fitted_elsewhere(other, params, x, **emissions):
    other.startprob_, other.transmat_ = params.initial, params.transitions
    for name, value in emissions.items():
        setattr(other, name, value)
    return other.score(np.concatenate(x), [len(part) for part in x]), other


@pytest.mark.parametrize("kind", ["full", "diag", "spherical", "tied"])
def test_gaussian_emissions_agree_with_hmmlearn(kind):
    """Log likelihood to 1e-8 a unit, posterior and Viterbi path are hmmlearn's at the same parameters."""
    structure = {"full": lem.Full(), "diag": lem.Diagonal(), "spherical": lem.Spherical(), "tied": lem.Tied()}[kind]
    covariances = {
        "full": gaussian()[1].emissions.covariances,
        "diag": np.array([[1.0, 0.7], [1.0, 1.0], [0.5, 2.0]]),
        "spherical": np.array([1.0, 0.8, 1.2]),
        "tied": np.array([[1.0, 0.3], [0.3, 0.7]]),
    }[kind]
    family = lem.Gaussian(structure)
    model = lem.HiddenMarkov(family, K)
    params = model.params(INITIAL, TRANSITIONS, family.params(MEANS, covariances))
    x = drawn((50, 31, 80))
    other = hmm.GaussianHMM(K, covariance_type=kind)
    other.n_features = 2
    score, other = fitted_elsewhere(other, params, x, means_=MEANS, covars_=covariances)
    chunk = model.chunk(x)
    assert abs(model.log_evidence(params, chunk).sum() - score) < 1e-8 * len(chunk.x)
    q = model.posterior(params, chunk)
    np.testing.assert_allclose(q.marginals(), other.predict_proba(chunk.x, chunk.lengths), atol=1e-10)
    np.testing.assert_array_equal(q.labels(), other.predict(chunk.x, chunk.lengths))


def test_poisson_and_categorical_emissions_agree_with_hmmlearn():
    """Log likelihood to 1e-8 a unit is hmmlearn's for counts and for symbols."""
    rng = np.random.default_rng(0)
    rates = np.array([[1.0, 3.0], [5.0, 0.5], [9.0, 9.0]])
    model = lem.HiddenMarkov(lem.Poisson(), K)
    params = model.params(INITIAL, TRANSITIONS, rates)
    x = [model.sample(params, t, rng)[0] for t in (40, 25)]
    score, _ = fitted_elsewhere(hmm.PoissonHMM(K), params, x, lambdas_=rates)
    assert abs(model.log_evidence(params, model.chunk(x)).sum() - score) < 1e-8 * 65
    symbols = lem.Categorical(4)
    model = lem.HiddenMarkov(symbols, K)
    table = rng.dirichlet(np.ones(4), (K, 1))
    params = model.params(INITIAL, TRANSITIONS, symbols.params(table))
    x = [model.sample(params, t, rng)[0] for t in (40, 25)]
    score, _ = fitted_elsewhere(
        hmm.CategoricalHMM(K, n_features=4), params, [p.astype(int) for p in x], emissionprob_=table[:, 0]
    )
    assert abs(model.log_evidence(params, model.chunk(x)).sum() - score) < 1e-8 * 65


def test_one_step_of_em_is_hmmlearns():
    """After one iteration, initial probabilities, transitions and means are hmmlearn's."""
    x = drawn((50, 31, 80))
    model, params = gaussian()
    other = hmm.GaussianHMM(
        K, "full", n_iter=1, init_params="", min_covar=0, covars_prior=0, covars_weight=0, means_weight=0
    )
    other.n_features = 2
    _, other = fitted_elsewhere(other, params, x, means_=MEANS, covars_=params.emissions.covariances)
    other.fit(np.concatenate(x), [len(part) for part in x])
    ours = model.m_step(model.expectation(params, model.chunk(x)).statistics, params)
    np.testing.assert_allclose(ours.initial, other.startprob_, atol=1e-10)
    np.testing.assert_allclose(ours.transitions, other.transmat_, atol=1e-10)
    np.testing.assert_allclose(ours.emissions.means, other.means_, atol=1e-10)


def test_fit_recovers_what_was_drawn():
    """A fit of 20 long sequences finds means and transitions again, decodes most states, and prints a table."""
    model, params = gaussian()
    rng = np.random.default_rng(3)
    x, z = zip(*(model.sample(params, 300, rng) for _ in range(20)), strict=True)
    fit = lem.fit(model, list(x))
    assert fit.converged
    order = np.linalg.norm(fit.params.emissions.means[:, None] - MEANS, axis=2).argmin(axis=0)
    np.testing.assert_allclose(fit.params.emissions.means[order], MEANS, atol=0.1)
    np.testing.assert_allclose(fit.params.transitions[np.ix_(order, order)], TRANSITIONS, atol=0.05)
    decoded = fit.decode(list(x))
    assert [len(path) for path in decoded] == [300] * 20
    assert np.mean(order[np.concatenate(z)] == np.concatenate(decoded)) > 0.85
    assert fit.predict_proba(list(x)).shape == (6000, K)
    assert fit.observations == 6000
    assert fit.n_parameters == 2 + 6 + 6 + 9
    assert "to 0" in str(fit)


def test_hard_assignment_is_viterbi_training():
    """Under Hard, each step counts the transitions of the best paths, as counted by hand."""
    model, params = gaussian()
    x = drawn((50, 31))
    hard = lem.Hard(model)
    statistics = hard.expectation(params, model.chunk(x)).statistics
    counted = np.zeros((K, K))
    for part in x:
        path = model.posterior(params, model.chunk(part)).labels()
        np.add.at(counted, (path[:-1], path[1:]), 1)
    np.testing.assert_array_equal(statistics.transitions, counted)
    result = lem.EM().run(hard, params, x)
    assert result.converged
    assert result.history.entropy.max() == 0


def test_known_states_are_kept_and_help():
    """Rows whose state is known have it for certain; with all known, one step gives the counted parameters."""
    model, params = gaussian()
    x, z = model.sample(params, 400, np.random.default_rng(0))
    known = np.where(np.arange(400) % 3 == 0, z, -1)
    fit = lem.fit(model, x, allowed=known)
    proba = model.posterior(fit.params, model.chunk(x, None, known)).marginals()
    np.testing.assert_array_equal(proba[known >= 0].argmax(axis=1), known[known >= 0])
    counted = np.zeros((K, K))
    np.add.at(counted, (z[:-1], z[1:]), 1)
    complete = lem.fit(model, x, allowed=z)
    np.testing.assert_allclose(complete.params.transitions, counted / counted.sum(axis=1, keepdims=True), atol=1e-12)


def test_weight_two_is_a_sequence_twice_and_weight_zero_is_none():
    """Weights count whole sequences."""
    model, params = gaussian()
    x = drawn((9, 12, 7))
    weighted = lem.EM(max_steps=4).run(model, params, model.chunk(x, [2.0, 1.0, 0.0]))
    twice = lem.EM(max_steps=4).run(model, params, [x[0], x[0], x[1]])
    np.testing.assert_allclose(weighted.params.transitions, twice.params.transitions, atol=1e-12)
    np.testing.assert_allclose(weighted.params.emissions.means, twice.params.emissions.means, atol=1e-10)
    assert abs(weighted.bound - twice.bound) < 1e-9


def test_the_way_sequences_are_cut_does_not_matter():
    """One chunk, one a sequence and any order of sequences: the same run."""
    model, params = gaussian()
    x = drawn((50, 3, 31, 80, 2))
    one = lem.EM(max_steps=5).run(model, params, [model.chunk(x)])
    many = lem.EM(max_steps=5).run(model, params, [model.chunk([part]) for part in x[::-1]])
    np.testing.assert_allclose(one.history.bound, many.history.bound, atol=1e-9)


def test_independent_rows_make_it_a_mixture():
    """With all rows of the transitions alike, it is the mixture of the same weights, row by row."""
    _, params = gaussian()
    model = lem.HiddenMarkov(lem.Gaussian(), K)
    mixture = lem.Mixture(lem.Gaussian(), K)
    alike = model.params(INITIAL, [INITIAL] * K, params.emissions)
    x = np.concatenate(drawn((50,)))
    plain = mixture.log_evidence(mixture.params(INITIAL, params.emissions), mixture.chunk(x))
    np.testing.assert_allclose(model.log_evidence(alike, model.chunk(x)), plain.sum(), rtol=1e-13)


def test_number_of_parameters_is_the_rank_of_the_jacobian():
    """k - 1 + k (k - 1) and those of the emissions are as many as the density depends on."""
    model = lem.HiddenMarkov(lem.Poisson(), K)
    rng = np.random.default_rng(0)
    x = [rng.poisson(4.0, (6, 1)) for _ in range(80)]

    def log_densities(vector):
        initial, transitions, rates = softmax(vector[:3]), softmax(vector[3:12].reshape(3, 3), axis=1), vector[12:]
        params = model.params(initial, transitions, np.exp(rates)[:, None])
        return model.log_evidence(params, model.chunk(x))

    rank = jacobian_rank(log_densities, np.r_[rng.normal(size=12), 0.1, 1.3, 2.0])
    params = model.params(INITIAL, TRANSITIONS, np.ones((3, 1)))
    assert rank == sum(block.size(params) for block in model.blocks()) == 2 + 6 + 3


def test_held_rows_of_the_transitions_stay():
    """A row of the transitions held at a value stays, and the others move."""
    model, params = gaussian()
    held = lem.Frozen(model, {"transitions": lem.Fixed([[0.8, 0.1, 0.1]], components=[0])})
    result = lem.EM(max_steps=3).run(held, params, drawn((50, 40)))
    np.testing.assert_array_equal(result.params.transitions[0], TRANSITIONS[0])
    assert (result.params.transitions[1:] != np.array(TRANSITIONS)[1:]).any()
    fit = lem.fit(lem.Frozen(model, {"transitions": lem.Fixed.uniform()}), drawn((50, 40)), n_starts=2)
    np.testing.assert_array_equal(fit.params.transitions, np.full((K, K), 1 / K))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([np.zeros((3, 2)), np.zeros((3, 3))], "same columns"),
        ([np.zeros(5)], r"sequence 0: .*x\[:, None\]"),
        ([np.zeros((3, 2)), np.array([[0.0, 1.0], [np.inf, 0.0]])], "row 1 of sequence 1, column 0 is inf"),
        ([], "no sequences"),
        ([np.zeros((0, 2))], "sequence 0: .*at least one row"),
        ([np.array([["a"]])], "sequence 0: .*real numbers"),
    ],
)
def test_what_are_no_sequences_is_refused_by_name(data, message):
    """Ragged columns, vectors, infinities, nothing and text are refused, with the sequence's number."""
    with pytest.raises((ValueError, TypeError), match=message):
        lem.HiddenMarkov(lem.Gaussian(), 2).chunk(data)


def test_other_wrong_input_is_refused_by_name():
    """Weights and labels of the wrong number, parameters off the simplex and paths that cannot be are refused."""
    model, params = gaussian()
    x = drawn((5, 4))
    with pytest.raises(ValueError, match="one a sequence"):
        model.chunk(x, [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="allowed has 1 parts"):
        model.chunk(x, None, [[0] * 5])
    with pytest.raises(ValueError, match="transitions"):
        model.params(INITIAL, [[1.0, 0.1, 0.0]] * 3, params.emissions)
    with pytest.raises(ValueError, match="need"):
        model.params(INITIAL, [[1.0]], params.emissions)
    with pytest.raises(lem.Unavailable, match="no sequences"):
        lem.fit(lem.GaussianMixture(1), x[0]).decode(x[0])
    stuck = model.params([1.0, 0.0, 0.0], np.eye(3), params.emissions)
    with pytest.raises(lem.Degenerate, match=r"row 2 of sequence 0"):
        model.posterior(stuck, model.chunk([x[0]], None, [[0, 0, 1, 1, 1]]))
    with pytest.raises(lem.Degenerate, match=r"row 2 of sequence 0"):
        model.labels(stuck, model.chunk([x[0]], None, [[0, 0, 1, 1, 1]]))


def test_coincident_states_that_follow_each_other_are_no_event():
    """Two states with one emission but other transitions are a model of durations; alike in all they are an event."""
    model, params = gaussian()
    twins = lem.Gaussian().params(MEANS[[0, 0, 2]], params.emissions.covariances[[0, 0, 2]])
    statistics = model.expectation(params, model.chunk(drawn((50,)))).statistics
    different = model.params(INITIAL, TRANSITIONS, twins)
    assert not any(event.kind == "coincident" for event in model.diagnose(different, statistics))
    alike = model.params([0.4, 0.4, 0.2], [[0.4, 0.4, 0.2], [0.4, 0.4, 0.2], [0.1, 0.1, 0.8]], twins)
    assert [event.component for event in model.diagnose(alike, statistics) if event.kind == "coincident"] == [1]


def test_samples_have_the_stationary_share_of_each_state():
    """States of a long draw occur as the stationary distribution says."""
    model, params = gaussian()
    _, states = model.sample(params, 40_000, np.random.default_rng(0))
    values, vectors = np.linalg.eig(np.array(TRANSITIONS).T)
    stationary = np.real(vectors[:, np.real(values).argmax()])
    np.testing.assert_allclose(np.bincount(states) / 40_000, stationary / stationary.sum(), atol=0.02)
