"""Discriminant analysis keeps the contract of scikit-learn's classifiers."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks

import latentem as lem
from latentem.sklearn import Discriminant

X, Y = lem.datasets.iris(), np.repeat(["setosa", "versicolor", "virginica"], 50)


@parametrize_with_checks([Discriminant(lem.Tied())])
def test_checks_of_scikit_learn(estimator, check):
    """Every check of scikit-learn passes."""
    check(estimator)


def test_a_search_chooses_a_structure():
    """In a search over structures each is fitted, and the best one labels by names."""
    search = GridSearchCV(Discriminant(), {"structure": [lem.Full(), lem.Tied(), lem.structure("VEV")]}, cv=3)
    assert search.fit(X, Y).best_score_ > 0.95
    assert set(search.predict(X)) == set(Y)


def test_priors_are_those_given():
    """Priors of one's own multiply the probabilities of scikit-learn's linear analysis, whose classes are even."""
    shares = np.array([0.2, 0.3, 0.5])
    mine = Discriminant(lem.Tied(), priors=shares).fit(X, Y)
    even = LinearDiscriminantAnalysis(solver="lsqr").fit(X, Y).predict_proba(X) * shares
    assert mine.predict_proba(X) == pytest.approx(even / even.sum(axis=1, keepdims=True), abs=1e-9)
    assert Discriminant(members=(1, 2, 1)).fit(X, Y).score(X, Y) > 0.97
