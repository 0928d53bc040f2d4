"""Components that are mixtures: the family, its starts, its findings, and covariances that groups share."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import latentem as lem
from latentem.family.composite.members import apart
from latentem.testing import check_model

POISSONS = lem.MixtureOf(lem.Poisson(), 2)
SHARES = np.array([[0.3, 0.7], [0.6, 0.4]])
RATES = np.array([[1.0], [6.0], [11.0], [20.0]])


def counts(n=60, seed=0):
    rng = np.random.default_rng(seed)
    return rng.poisson(RATES[rng.integers(0, 4, n)]).astype(float)


def states(n=300, seed=0):
    """A chain of two states that stay, each with two clumps of rows that no order tells apart."""
    rng = np.random.default_rng(seed)
    z = (np.arange(n) // 15) % 2
    middle = np.array([[[0.0, 0.0], [6.0, 0.0]], [[0.0, 6.0], [6.0, 6.0]]])[z, rng.integers(0, 2, n)]
    return rng.normal(middle, 0.8), z


def of_members(structure, m=2):
    """Members of two components around the clumps of `states`."""
    family = lem.Gaussian(structure)
    means = np.array([[0.5, 0.2], [5.0, 0.4], [0.1, 5.0], [6.4, 6.2]])
    wide = np.stack(
        [structure.each.of_columns(np.array(row)) for row in ([1.2, 0.9], [0.8, 1.5], [1.0, 1.1], [2, 0.7])]
    )
    if isinstance(structure, lem.TiedWithin):
        wide = np.repeat(wide[::m], m, axis=0)
    return lem.MixtureOf(family, m), lem.MixtureOf(family, m).params(SHARES, family.params(means, wide))


def test_mixtures_of_mixtures_keep_the_contract():
    """A mixture of two mixtures of two Poissons keeps the contract, with the pmf that scipy's written out has."""
    model = lem.Mixture(POISSONS, 2)
    params = model.params([0.4, 0.6], POISSONS.params(SHARES, RATES))

    def evidence(params, chunk):
        inner = params.components
        pmf = stats.poisson(inner.members[:, 0]).pmf(chunk.x)
        return np.log(pmf @ (params.weights[:, None] * inner.shares).ravel())

    # The order in which members belong together is not identified in a mixture: its shares are held.
    check_model(lem.Frozen(model, {"weights"}), params, counts(), evidence=evidence)


@pytest.mark.parametrize("structure", [lem.Full(), lem.TiedWithin(2), lem.TiedWithin(2, lem.Diagonal())], ids=repr)
def test_chains_over_mixtures_keep_the_contract(structure):
    """A hidden Markov model whose states emit from mixtures of Gaussians keeps the contract."""
    family, emissions = of_members(structure)
    model = lem.HiddenMarkov(family, 2)
    params = model.params([0.5, 0.5], [[0.8, 0.2], [0.3, 0.7]], emissions)
    check_model(model, params, lem.Sequences(states(24)[0], [10, 14]))


def test_missing_cells_are_latent_within_a_member():
    """With missing cells, which the members' family completes, the contract holds too."""
    family, emissions = of_members(lem.Full())
    x = states(30)[0]
    x[::4, 0] = np.nan
    model = lem.HiddenMarkov(family, 2)
    params = model.params([0.5, 0.5], [[0.8, 0.2], [0.3, 0.7]], emissions)
    check_model(model, params, lem.Sequences(x, [30]))


def test_one_member_is_the_family_itself():
    """With one member a component, densities, statistics and fits are those of the family."""
    x = states()[0]
    plain, of_one = (lem.HiddenMarkov(family, 2) for family in (lem.Gaussian(), lem.MixtureOf(lem.Gaussian(), 1)))
    one, other = lem.fit(plain, x, n_starts=2), lem.fit(of_one, x, n_starts=2)
    assert abs(one.log_likelihood - other.log_likelihood) < 1e-8
    assert one.n_parameters == other.n_parameters


def test_a_start_parts_the_members():
    """A fit from labels of the states alone finds the clumps of each state, and the states."""
    x, z = states()
    fit = lem.fit(lem.HiddenMarkov(lem.MixtureOf(lem.Gaussian(), 2), 2), x, start=z)
    assert fit.converged
    assert not fit.events
    found = fit.params.emissions.members.means.reshape(2, 2, 2)
    assert (np.abs(found[0][:, 1]) < 0.5).all()
    assert (np.abs(found[1][:, 1] - 6) < 0.5).all()
    np.testing.assert_allclose(np.sort(found[:, :, 0], axis=1), [[0, 6], [0, 6]], atol=0.5)
    assert (fit.predict(x) == z).mean() > 0.99


def test_parting_follows_the_widest_direction():
    """Members part where the rows differ most, equal rows alike, in any units and order; a row's shares sum to one."""
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.normal(-5, 1, (20, 1)), rng.normal(5, 1, (20, 1))]) * [[1.0, -1.0]]
    weights = np.ones((40, 1))
    shares = apart(x, weights, 2)
    np.testing.assert_allclose(shares.sum(axis=2), 1)
    assert len({*shares[:20, 0].argmax(axis=1)}) == len({*shares[20:, 0].argmax(axis=1)}) == 1
    assert (shares == apart(x * [1e-200, 1e200] + [1e-200, 0], weights, 2)).all()
    order = rng.permutation(40)
    assert (shares[order] == apart(x[order], weights, 2)).all()
    assert (apart(np.ones((3, 2)), np.ones((3, 2)), 3) == apart(np.ones((3, 2)), np.ones((3, 2)), 3)[0]).all()


def test_draws_follow_the_shares():
    """Of 20,000 draws of a component each member has its share, and its own distribution."""
    family, emissions = of_members(lem.Full())
    x = family.sample(emissions, np.ones(20_000, dtype=int), 0)
    assert abs((x[:, 0] < 3).mean() - 0.6) < 0.02
    np.testing.assert_allclose(x[x[:, 0] > 3].mean(axis=0), [6.4, 6.2], atol=0.1)


def test_findings_name_member_and_component():
    """Members that are alike, and one at its floor, are events with the component's number and the member's."""
    x = states()[0]
    x[20:23] = 3.0
    family = lem.MixtureOf(lem.Gaussian(), 2)
    means = np.array([[0.0, 0.0], [6.0, 0.0], [3.0, 6.0], [3.0, 6.0]])
    emissions = family.params(np.full((2, 2), 0.5), lem.Gaussian().params(means, np.tile(np.eye(2) * 4, (4, 1, 1))))
    model = lem.HiddenMarkov(family, 2)
    fit = lem.Fit.of(model, model.params([0.5, 0.5], np.full((2, 2), 0.5), emissions), x)
    assert ["members 0 and 1 of component 1 are the same distribution" in str(event) for event in fit.events] == [True]
    assert fit.events[0].component == 1
    means = np.array([[3.0, 3.0], [6.0, 0.0], [0.0, 6.0], [6.0, 6.0]])
    narrow = np.tile(np.eye(2), (4, 1, 1))
    narrow[0] *= 1e-9
    start = model.params([0.5, 0.5], np.full((2, 2), 0.5), family.params(SHARES, lem.Gaussian().params(means, narrow)))
    with pytest.warns(lem.ConvergenceWarning):
        held = [event for event in lem.fit(model, x, start=start, max_steps=3).events if event.kind == "floor"]
    assert held[0].component == 0
    assert "member 0 of component 0" in str(held[0])


def test_a_covariance_of_a_group_is_that_of_its_rows():
    """With known labels, the shared covariance of a group is the pooled one, written out; its size counts groups."""
    x, z = states()
    member = (x[:, 0] > 3).astype(int)
    model = lem.Mixture(lem.Gaussian(lem.TiedWithin(2)), 4)
    fit = lem.fit(model, x, allowed=2 * z + member, start=2 * z + member)
    for j in range(2):
        rows = [x[(z == j) & (member == r)] for r in range(2)]
        pooled = sum((part - part.mean(axis=0)).T @ (part - part.mean(axis=0)) for part in rows) / (z == j).sum()
        for r in range(2):
            np.testing.assert_allclose(fit.params.components.covariances[2 * j + r], pooled, rtol=1e-9)
    assert fit.n_parameters == 3 + 8 + 2 * 3


def test_what_cannot_be_used_is_an_error_in_words():
    """No family, no number, shares off the simplex, members too many or too few: refused, saying what to give."""
    with pytest.raises(TypeError, match="MixtureOf was given 3: give a Family"):
        lem.MixtureOf(3, 2)
    with pytest.raises(ValueError, match="m was given as 0: give a whole number of members"):
        lem.MixtureOf(lem.Poisson(), 0)
    with pytest.raises(ValueError, match=r"give probabilities, shape \(k, m\)"):
        POISSONS.params([[0.5, 0.6]], RATES[:2])
    with pytest.raises(ValueError, match="were given for 4 components"):
        POISSONS.params(SHARES, RATES[:3])
    with pytest.raises(ValueError, match="shares of 3 members were given"):
        POISSONS.params(np.full((2, 3), 1 / 3), np.ones((6, 1)))
    with pytest.raises(ValueError, match="m was given as 0: give the number of components in a group"):
        lem.TiedWithin(0)
    with pytest.raises(TypeError, match="TiedWithin was given 1"):
        lem.TiedWithin(2, 1)
    with pytest.raises(ValueError, match="they must be groups of 2"):
        lem.fit(lem.Mixture(lem.Gaussian(lem.TiedWithin(2)), 3), states()[0])
