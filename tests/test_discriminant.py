"""Discriminant analysis: classes with names that are known at the fit, and of new rows are predicted."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis

import latentem as lem

X = lem.datasets.iris()
NAMES = ("setosa", "versicolor", "virginica")
Y = np.repeat(NAMES, 50)
ONE = {"n_starts": 1}


@pytest.mark.parametrize(
    ("structure", "theirs"),
    [
        (lem.Tied(), LinearDiscriminantAnalysis(solver="lsqr")),
        (lem.Full(), QuadraticDiscriminantAnalysis()),
    ],
    ids=["linear", "quadratic"],
)
def test_linear_and_quadratic_analysis_are_those_of_scikit_learn(structure, theirs):
    """Tied() labels as linear, Full() as quadratic discriminant analysis of scikit-learn."""
    fit = lem.fit(lem.Discriminant(NAMES, structure), X, allowed=Y, **ONE)
    theirs.fit(X, Y)
    assert (fit.predict(X) == theirs.predict(X)).all()
    assert fit.params.components.means == pytest.approx(theirs.means_)
    if structure == lem.Tied():  # of the other its versions divide by n, or by n - 1
        assert fit.predict_proba(X) == pytest.approx(theirs.predict_proba(X), abs=1e-9)


def test_the_log_likelihood_is_of_rows_and_classes():
    """The log likelihood is the sum of log weight and log density of each row in its own class, and BIC is from it."""
    fit = lem.fit(lem.Discriminant(NAMES), X, allowed=Y, **ONE)
    each = [X[50 * j : 50 * j + 50] for j in range(3)]
    own = [stats.multivariate_normal(x.mean(axis=0), np.cov(x.T, bias=True)).logpdf(x).sum() for x in each]
    assert fit.log_likelihood == pytest.approx(sum(own) + 150 * np.log(1 / 3))
    assert fit.n_parameters == 3 * (4 + 10) + 2
    assert fit.bic == pytest.approx(44 * np.log(150) - 2 * fit.log_likelihood)


def test_a_class_is_a_mixture():
    """With members the classes of two crossed pairs of clumps are told apart, which no single Gaussian each can do."""
    rng = np.random.default_rng(1996)
    z = rng.integers(0, 4, 400)
    x = rng.normal(np.array([[0, 0], [6, 6], [0, 6], [6, 0]])[z], 1.0)
    y = np.where(z < 2, "even", "odd")
    single = lem.fit(lem.Discriminant(("even", "odd"), lem.Tied()), x, allowed=y, **ONE)
    mixed = lem.fit(lem.Discriminant(("even", "odd"), lem.Tied(), members=2), x, allowed=y, **ONE)
    assert (single.predict(x) == y).mean() < 0.7
    assert (mixed.predict(x) == y).mean() > 0.98
    alone = lem.fit(lem.GaussianMixture(2), x[y == "even"], n_starts=3)
    uneven = lem.fit(lem.Discriminant(("even", "odd"), members=(2, 1)), x, allowed=y, **ONE)
    own = lem.fit(lem.GaussianMixture(1), x[y == "odd"])
    shares = np.log([(y == "even").mean(), (y == "odd").mean()]) @ [(y == "even").sum(), (y == "odd").sum()]
    assert uneven.log_likelihood == pytest.approx(alone.log_likelihood + own.log_likelihood + shares, abs=1e-6)


def test_rows_without_a_class_are_taken_in():
    """Of rows that lack a class, by any sign of it, the class is latent: better than a fit without these rows."""
    rng = np.random.default_rng(3)
    known = rng.permutation(150) < 12
    known[[0, 50, 100]] = True
    names = np.where(known, Y, "").astype(object)
    model = lem.Discriminant(NAMES, lem.Tied())
    fit = lem.fit(model, X, allowed=names, **ONE)
    for nothing in (None, np.nan, -1):
        again = np.where(known, names, nothing)
        assert lem.fit(model, X, allowed=list(again), **ONE).objective == fit.objective
    codes = np.where(known, np.repeat([0, 1, 2], 50), -1)
    plain = lem.fit(lem.GaussianMixture(3, lem.Tied()), X, allowed=codes, **ONE)
    assert fit.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-9)
    few = lem.fit(model, X[known], allowed=Y[known], **ONE)
    assert (fit.predict(X) == Y).mean() > (few.predict(X) == Y).mean()


def test_names_come_out_as_they_went_in(tmp_path):
    """Names of a column, of a file or of whole numbers are labels, headings and columns, and come back from a file."""
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=list("abcd")).assign(species=pd.Series(Y).where(np.arange(150) % 3 > 0))
    fit = lem.fit(lem.Discriminant(NAMES), frame, allowed="species", **ONE)
    assert fit.columns == ("a", "b", "c", "d")
    assert "setosa" in str(fit)
    table = fit.table(frame.drop(columns="species"))
    assert set(table["label"]) == set(NAMES)
    assert table["probability"].to_numpy() == pytest.approx(fit.predict_proba(X).max(axis=1))
    assert "responsibility_virginica" in table.columns
    fit.save(tmp_path / "irises.lem")
    assert (lem.load(tmp_path / "irises.lem").predict(X) == fit.predict(X)).all()
    frame.to_csv(tmp_path / "irises.csv", index=False)
    assert (
        lem.fit(lem.Discriminant(NAMES), tmp_path / "irises.csv", allowed="species", **ONE).objective == fit.objective
    )
    numbers = lem.fit(lem.Discriminant((7, 5, 9)), X, allowed=np.repeat([7, 5, 9], 50), **ONE)
    assert numbers.predict(X[[0, 60, 149]]).tolist() == [7, 5, 9]
    assert numbers.labels(X[[0, 60, 149]]).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("allowed", "says"),
    [
        (np.where(Y == "setosa", "rose", Y), r"row 0 is of class 'rose': the classes are 'setosa'"),
        (None, "no class of any row was given"),
        (np.where(Y == "setosa", "", Y), "no row is known to be of class 'setosa'"),
        (Y[:3], "shape"),
        ([1.5] * 150, r"row 0 is of class 1\.5"),
    ],
)
def test_classes_that_do_not_fit_are_refused(allowed, says):
    """A strange class, a class of no row, or no classes at all are refused before any work."""
    with pytest.raises(ValueError, match=says):
        lem.fit(lem.Discriminant(NAMES), X, allowed=allowed)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"classes": "setosa"}, "give their names"),
        ({"classes": ["a"]}, "two or more different names"),
        ({"classes": ["a", "a"]}, "two or more different names"),
        ({"classes": ["a", 1]}, "all words or all whole numbers"),
        ({"classes": NAMES, "structure": "VEV"}, "structure was given as 'VEV'"),
        ({"classes": NAMES, "members": (1, 2)}, "one for each of the 3 classes"),
        ({"classes": NAMES, "structure": lem.Tied(), "members": (1, 2, 3)}, "which classes share"),
        ({"classes": NAMES, "weights": [1, 0, 0]}, "give Fixed"),
    ],
)
def test_recipes_that_make_no_sense_are_refused(given, says):
    """What is no set of classes, no structure or no number of members is refused when the model is made."""
    with pytest.raises((ValueError, TypeError), match=says):
        lem.Discriminant(**given)


def test_labels_of_a_file_that_count_otherwise_are_refused(tmp_path):
    """Whole numbers in a file that are not counted from 0 would be taken for others: they are refused."""
    rows = np.column_stack([X, np.repeat([1, 2, 3], 50)])
    np.savetxt(tmp_path / "irises.csv", rows, delimiter=",", header="a,b,c,d,kind", comments="")
    with pytest.raises(ValueError, match="count from 0"):
        lem.fit(lem.Discriminant((1, 2, 3)), tmp_path / "irises.csv", allowed="kind")
