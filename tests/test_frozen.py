"""Fields that are held, by value or in part, and names of blocks."""

from __future__ import annotations

import numpy as np
import pytest
from attrs import evolve
from subjects import FAITHFUL

import latentem as lem
from latentem.core import Block, find


def test_fixed_weights_are_in_every_start_and_stay():
    """Weights fixed at a value are that value in the result, and are not counted as parameters."""
    fit = lem.fit(lem.GaussianMixture(2, weights=lem.Fixed([0.3, 0.7])), FAITHFUL)
    assert fit.params.weights.tolist() == [0.3, 0.7]
    assert fit.n_parameters == 10
    uniform = lem.fit(lem.GaussianMixture(3, structure=lem.Diagonal(), weights=lem.Fixed.uniform()), FAITHFUL)
    np.testing.assert_array_equal(uniform.params.weights, 1 / 3)


def test_a_value_can_be_held_for_some_components():
    """The mean of component 0 is held while that of component 1 moves to where it maximises, and so for covariances."""
    held = np.array([[4.0, 75.0]])
    model = lem.GaussianMixture(2, means=lem.Fixed(held, components=[0]))
    fit = lem.fit(model, FAITHFUL)
    assert fit.params.components.means[0].tolist() == [4.0, 75.0]
    r = fit.predict_proba(FAITHFUL)[:, 1]
    np.testing.assert_allclose(fit.params.components.means[1], r @ FAITHFUL / r.sum(), rtol=1e-6)
    assert fit.n_parameters == 11 - 2
    about = FAITHFUL - held
    wanted = (about.T * (1 - r)) @ about / (1 - r).sum()
    np.testing.assert_allclose(fit.params.components.covariances[0], wanted, rtol=1e-5)

    covariance = np.diag([0.1, 30.0])
    fit = lem.fit(lem.GaussianMixture(2, covariances=lem.Fixed([covariance], components=[1])), FAITHFUL)
    assert np.array_equal(fit.params.components.covariances[1], covariance)
    assert fit.converged


def test_weights_held_in_part_leave_the_rest_to_the_others():
    """With one of three weights held, the others share what is left in proportion to their counts."""
    fit = lem.fit(lem.GaussianMixture(3, weights=lem.Fixed([0.5], components=[0])), FAITHFUL)
    assert fit.params.weights[0] == 0.5
    assert fit.params.weights.sum() == pytest.approx(1, abs=1e-15)
    counts = fit.expectation.statistics.weights
    assert fit.params.weights[1] / fit.params.weights[2] == pytest.approx(counts[1] / counts[2], rel=1e-4)


def test_what_cannot_be_held_is_refused():
    """Components of a tied field, components that are not there, and values that are no Fixed are errors."""
    with pytest.raises(ValueError, match="shared by the components"):
        lem.GaussianMixture(2, structure=lem.Tied(), covariances=lem.Fixed(1.0, components=[0]))
    with pytest.raises(ValueError, match="numbered from 0 to 1"):
        lem.fit(lem.GaussianMixture(2, means=lem.Fixed([[1.0, 2.0]], components=[2])), FAITHFUL)
    with pytest.raises(TypeError, match=r"Fixed\(value\)"):
        lem.GaussianMixture(2, weights=[0.5, 0.5])
    with pytest.raises(ValueError, match="only weights can be uniform"):
        lem.GaussianMixture(2, means=lem.Fixed.uniform())


def test_a_start_that_disagrees_with_a_fixed_value_is_refused():
    """Parameters whose weights are not the fixed ones are an error that shows both."""
    start = lem.fit(lem.GaussianMixture(2), FAITHFUL).params
    model = lem.GaussianMixture(2, weights=lem.Fixed.uniform())
    with pytest.raises(ValueError, match="disagrees with the fixed weights"):
        lem.fit(model, FAITHFUL, start=start)
    agreeing = evolve(start, weights=[0.5, 0.5])
    assert lem.fit(model, FAITHFUL, start=agreeing).params.weights.tolist() == [0.5, 0.5]


def test_names_are_paths_or_their_unique_tails():
    """A block is found by its dotted path or its tail; a name that fits none or several lists the full names."""
    blocks = lem.GaussianMixture(2).blocks()
    assert [block.name for block in blocks] == ["weights", "components.means", "components.covariances"]
    assert find(blocks, "means") is blocks[1]
    assert find(blocks, "components.means") is blocks[1]
    with pytest.raises(ValueError, match=r"components\.means, components\.covariances"):
        find(blocks, "mean")
    twice = [Block((part, "rates"), lambda s, p: p, lambda p: 1) for part in ("left", "right")]
    with pytest.raises(ValueError, match=r"more than one block: give one of left\.rates, right\.rates"):
        find(twice, "rates")
    with pytest.raises(TypeError, match="give a set"):
        lem.Frozen(lem.GaussianMixture(2), "means")


def test_a_part_of_a_block_that_is_maximised_as_one_cannot_be_frozen():
    """Freezing inside a block that is maximised as a whole fails by name."""
    with pytest.raises(ValueError, match="'rates' names no block"):
        lem.Frozen(lem.Mixture(lem.Poisson(), 2), {"rates"})


def test_frozen_without_a_value_holds_what_the_start_has():
    """`Frozen(model, names)` keeps the start's own values, to the bit."""
    model = lem.GaussianMixture(2)
    start = model.params([0.5, 0.5], [[3.0, 60.0], [4.0, 75.0]], [np.diag([1.0, 100.0])] * 2)
    result = lem.EM().run(lem.Frozen(model, {"means", "weights"}), start, FAITHFUL)
    assert np.array_equal(result.params.components.means, start.components.means)
    assert np.array_equal(result.params.weights, start.weights)
    assert not np.array_equal(result.params.components.covariances, start.components.covariances)


def test_a_fit_takes_its_own_result_as_a_start():
    """Weights held in part: every start, and the result as a start, agree with the fixed value."""
    for value in (0.1, 0.2, 0.37):
        for seed in range(4):
            model = lem.GaussianMixture(3, weights=lem.Fixed([value], components=[0]))
            fit = lem.fit(model, FAITHFUL, rng=seed, n_starts=3, stop=lem.gain_below(1e-3))
            assert lem.fit(model, FAITHFUL, start=fit.params, stop=lem.gain_below(1e-3)).params.weights[0] == value


@pytest.mark.parametrize(
    ("held", "words"),
    [
        (lambda: lem.Fixed(components=[5]), "numbered from 0 to 1"),
        (lambda: lem.Fixed(components=[-1]), "different whole numbers"),
        (lambda: lem.Fixed(components=[0, 0]), "different whole numbers"),
        (lambda: lem.Fixed([1.0, 2.0, 3.0], components=[0]), "must be"),
        (lambda: lem.Fixed.uniform(), "only weights can be uniform"),
        (lambda: [[1.0, 2.0]], "give Fixed"),
    ],
)
def test_bad_holds_are_refused_by_name(held, words):
    """Components that are not there, twice the same, values of another shape: an error each."""
    with pytest.raises((ValueError, TypeError), match=words):
        lem.fit(lem.Frozen(lem.GaussianMixture(2), {"means": held()}), FAITHFUL)


@pytest.mark.parametrize("value", [[[2.0, 54.0]], [2.0, 54.0], [[2.0, 54.0], [0.0, 0.0]]])
def test_a_held_value_may_be_the_part_one_component_or_the_whole_field(value):
    """A value for component 0 may be given as a table of one, as its row, or as the whole field."""
    fit = lem.fit(lem.GaussianMixture(2, means=lem.Fixed(value, components=0)), FAITHFUL, n_starts=3)
    assert fit.params.components.means[0].tolist() == [2.0, 54.0]


def test_what_is_held_already_is_said_so():
    """Holding what a recipe holds is an error that says that it is held."""
    with pytest.raises(ValueError, match="held already"):
        lem.Frozen(lem.KMeans(2), {"weights": lem.Fixed([0.3, 0.7])})


def test_a_held_zero_weight_contradicts_pseudo_counts():
    """A weight fixed at zero has probability zero under pseudo-counts: an error before any step."""
    with pytest.raises(ValueError, match="rules out"):
        lem.fit(lem.GaussianMixture(2, weights=lem.Fixed([1.0, 0.0]), prior=lem.PseudoCounts(1.0)), FAITHFUL)


def test_what_is_held_in_part_is_the_same_in_every_start():
    """Held at whatever the start has, a component is held where the first start has it, so that ends compare."""
    seen = set()
    model = lem.Frozen(lem.GaussianMixture(2), {"means": lem.Fixed(components=[0])})
    lem.fit(model, FAITHFUL, callback=lambda state: seen.add(state.params.components.means[0].tobytes()))
    assert len(seen) == 1


def test_parts_can_be_held_one_after_the_other():
    """Holding one component and then another holds both, and counts both."""
    plain = lem.GaussianMixture(3)
    for name, one, other in (("means", [2.0, 54.0], [4.0, 75.0]), ("weights", 0.2, 0.3)):
        once = lem.Frozen(plain, {name: lem.Fixed([one], components=[0])})
        twice = lem.Frozen(once, {name: lem.Fixed([other], components=[1])})
        fit = lem.fit(twice, FAITHFUL, n_starts=3, stop=lem.gain_below(1e-6))
        held = fit.params.components.means[:2] if name == "means" else fit.params.weights[:2]
        np.testing.assert_allclose(held, [one, other], rtol=1e-12)
        assert fit.n_parameters == 17 - np.size(one) - np.size(other)
        assert lem.fit(twice, FAITHFUL, start=fit.params, stop=lem.gain_below(1e-6)).converged


def test_the_inertia_shines_through():
    """K-means with a centre held still reports its inertia, and prints it."""
    fit = lem.fit(lem.Frozen(lem.KMeans(3), {"means": lem.Fixed([4.0, 75.0], components=[0])}), FAITHFUL)
    assert fit.inertia == pytest.approx(((FAITHFUL - fit.params.components.means[fit.predict(FAITHFUL)]) ** 2).sum())
    assert "inertia" in str(fit)
