"""Covariance structures from outside the package: what follows from a form, a size and an M-step."""

from __future__ import annotations

import attrs
import numpy as np
import pytest

import latentem as lem
from latentem.testing import check_model
from latentem.transform.frozen import Fixed, Frozen

X = lem.datasets.old_faithful()


@attrs.frozen
class Proportional(lem.Structure):
    """Covariances volume_j x one matrix of the given form."""

    each: lem.Full | lem.Diagonal = attrs.field(factory=lem.Full)

    def size(self, k, d):
        return self.each.size(1, d) + k - 1

    def estimate(self, own, count, current, floor):
        axes = tuple(range(1, own.ndim))
        volume, d = np.ones(len(own)), own.shape[1]
        matrix = current[0]
        for _ in range(500):
            inverse = np.linalg.inv(matrix) if own.ndim == 3 else 1 / matrix
            before, volume = volume, (own * inverse).sum(axis=axes) / d
            if floor.any():  # in no direction may volume x matrix be below the floor
                volume = np.maximum(volume, 1 / self.each.weakest(matrix[None], floor)[0])
            scale = volume.reshape(-1, *(1,) * (own.ndim - 1))
            matrix = self.each.raised(np.tensordot(count / count.sum(), own / scale, 1)[None], floor / volume.min())[0]
            if np.allclose(volume, before, rtol=1e-13, atol=0):
                break
        return scale * matrix


def start(structure, family=lem.Gaussian):
    """Parameters of two components on the eruptions, one with three times the covariance of the other."""
    wide = np.array([[0.1, 0.4], [0.4, 40.0]]) if structure.each == lem.Full() else np.array([0.1, 40.0])
    return family(structure).params([[2.0, 55.0], [4.3, 80.0]], np.stack([wide, 3 * wide]), *STUDENT[family])


STUDENT = {lem.Gaussian: (), lem.Student: (5.0,)}
FORMS = [lem.Full(), lem.Diagonal()]


@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("prior", [lem.Floor(0.3), lem.InverseWishart(np.array([0.1, 40.0]), 4.0)])
def test_a_structure_from_outside_passes_the_contract_under_each_prior(form, prior):
    """Monotone in both halves, the right numbers of free parameters, and fixed under its own M-step."""
    model = lem.Mixture(lem.Gaussian(Proportional(form), prior), 2)
    check_model(model, model.params([0.4, 0.6], start(Proportional(form))), X[::16])


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_other_models_take_it_too(form):
    """Student, hidden Markov models and missing cells: no loss, and the covariances are proportional."""
    structure, lacking = Proportional(form), X.copy()
    lacking[::7, 1] = np.nan
    lacking[3::11, 0] = np.nan
    fits = [
        lem.fit(lem.Mixture(lem.Student(structure), 2), X, rng=0),
        lem.fit(lem.HiddenMarkov(lem.Gaussian(structure), 2), [X[:100], X[100:]], rng=0),
        lem.fit(lem.GaussianMixture(2, structure=structure), lacking, rng=0),
    ]
    for fit in fits:
        part = fit.params.emissions if hasattr(fit.params, "emissions") else fit.params.components
        ratio = part.covariances[1] / part.covariances[0]
        assert fit.converged
        np.testing.assert_allclose(ratio, ratio.flat[0], rtol=1e-9)


def test_given_covariances_of_another_structure_are_refused():
    """Covariances that the structure's own estimate moves are not of it, and the message says so."""
    with pytest.raises(ValueError, match="not all of the structure"):
        lem.Gaussian(Proportional(lem.Diagonal())).params([[0.0, 0.0], [1.0, 1.0]], [[1.0, 2.0], [2.0, 1.0]])


def test_a_component_without_rows_keeps_its_volume_and_stays_in_the_structure():
    """Its own covariance is the present one, with a count of zero: nothing is divided by nothing."""
    family = lem.Gaussian(Proportional(lem.Diagonal()))
    model = lem.Mixture(family, 2)
    params = model.params([0.4, 0.6], start(Proportional(lem.Diagonal())))
    weights = np.column_stack([np.ones(len(X)), np.zeros(len(X))])
    statistics = model.statistics(lem.Rows(X), lem.LabelPosterior(weights))
    after = model.m_step(statistics, params).components.covariances
    assert np.isfinite(after).all()
    np.testing.assert_allclose(after[0], X.var(axis=0), rtol=1e-9)
    np.testing.assert_allclose(np.divide(*after), np.divide(*after)[0], rtol=1e-12)


def test_components_that_share_cannot_be_held_alone():
    """Holding one covariance of a structure whose M-step needs all of them is refused with a remedy."""
    model = lem.GaussianMixture(2, structure=Proportional(lem.Diagonal()))
    with pytest.raises(ValueError, match="shared by the components"):
        Frozen(model, {"covariances": Fixed([[0.1, 40.0]], components=[0])})
