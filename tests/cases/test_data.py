"""Data: what is accepted gives identical results, what is not is refused by name, what is hard is an event."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse

import latentem as lem

STRUCTURES = [lem.Full(), lem.Diagonal(), lem.Spherical(), lem.Tied(lem.Full()), lem.Tied(lem.Spherical())]
MODELS = [lem.GaussianMixture(2), lem.KMeans(2), lem.Mixture(lem.Poisson(), 2)]
WHOLE = np.random.default_rng(0).poisson(np.repeat([[2, 9], [20, 3]], 40, axis=0)) + 1


def as_memmap(x, folder):
    path = folder / "rows.dat"
    x.astype(float).tofile(path)
    return np.memmap(path, dtype=float, mode="r", shape=x.shape)


def read_only(x):
    copy = x.astype(float)
    copy.flags.writeable = False
    return copy


ACCEPTED = {
    "float": lambda x, _: x.astype(float),
    "int8": lambda x, _: x.astype(np.int8),
    "uint64": lambda x, _: x.astype(np.uint64),
    "float32": lambda x, _: x.astype(np.float32),
    "float16": lambda x, _: x.astype(np.float16),
    "objects that are numbers": lambda x, _: x.astype(object),
    "long double": lambda x, _: x.astype(np.longdouble),
    "big-endian": lambda x, _: x.astype(">f8"),
    "Fortran": lambda x, _: np.asfortranarray(x.astype(float)),
    "strides": lambda x, _: np.repeat(np.repeat(x.astype(float), 3, axis=0), 2, axis=1)[::3, ::2],
    "reversed": lambda x, _: np.ascontiguousarray(x.astype(float)[::-1, ::-1])[::-1, ::-1],
    "read-only": lambda x, _: read_only(x),
    "memmap": as_memmap,
    "unmasked": lambda x, _: np.ma.masked_array(x.astype(float), mask=np.zeros(x.shape, bool)),
    "list": lambda x, _: x.tolist(),
    "tuple of arrays": lambda x, _: tuple(x),
    "pandas": lambda x, _: pd.DataFrame(x, columns=["a", "b"]),
    "pandas mixed": lambda x, _: pd.DataFrame({"a": x[:, 0].astype(np.float32), "b": x[:, 1].astype(np.int16)}),
    "pandas nullable": lambda x, _: pd.DataFrame(x).astype("Int64"),
    "pandas nullable mixed": lambda x, _: pd.DataFrame(x, columns=["a", "b"]).astype({"a": "Int64", "b": "Float32"}),
    "pandas numbered, shuffled index": lambda x, _: pd.DataFrame(x, index=np.arange(len(x))[::-1]),
    "polars": lambda x, _: pl.DataFrame({"a": x[:, 0], "b": x[:, 1]}),
    "polars mixed": lambda x, _: pl.DataFrame({"a": x[:, 0].astype(float), "b": x[:, 1].astype(np.uint8)}),
}


@pytest.mark.parametrize("kind", ACCEPTED)
@pytest.mark.parametrize("model", MODELS, ids=str)
def test_every_kind_of_table_gives_the_same_fit_and_is_left_alone(model, kind, tmp_path):
    """Any container of the same numbers gives the same steps and parameters, and none is written to."""
    given, witness = ACCEPTED[kind](WHOLE, tmp_path), ACCEPTED[kind](WHOLE, tmp_path)
    flags = (given.flags.writeable, given.flags.c_contiguous) if isinstance(given, np.ndarray) else None
    expected = lem.fit(model, WHOLE.astype(float), n_starts=2)
    fit = lem.fit(model, given, n_starts=2)
    assert len(fit.history) == len(expected.history)
    assert fit.log_likelihood == pytest.approx(expected.log_likelihood, abs=1e-9)
    np.testing.assert_array_equal(fit.predict(given), expected.predict(WHOLE))
    np.testing.assert_allclose(fit.score_samples(given), expected.score_samples(WHOLE), rtol=1e-10)
    np.testing.assert_allclose(fit.params.weights, expected.params.weights, rtol=1e-9)
    np.testing.assert_array_equal(np.asarray(given, float), np.asarray(witness, float))
    if flags:
        assert (given.flags.writeable, given.flags.c_contiguous) == flags
        assert given.dtype == witness.dtype


def test_booleans_are_zeros_and_ones():
    """A table of booleans fits as its zeros and ones do, in numpy, pandas and polars."""
    x = np.random.default_rng(1).random((60, 2)) < 0.4
    expected = lem.fit(lem.GaussianMixture(1), x.astype(float))
    tables = [x, x.tolist(), pd.DataFrame(x), pd.DataFrame(x).astype("boolean"), pl.DataFrame(x.astype(bool))]
    mixed = pd.DataFrame({0: x[:, 0], 1: x[:, 1].astype(float)})
    for table in [*tables, mixed, pl.from_pandas(mixed.rename(columns=str))]:
        np.testing.assert_array_equal(
            lem.fit(lem.GaussianMixture(1), table).params.components.means, expected.params.components.means
        )


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_no_argument_is_written_to(model):
    """Data, weights, labels, responsibilities and allowed are all bitwise what they were, and still writeable."""
    rng = np.random.default_rng(0)
    x, weights = WHOLE.astype(float), rng.uniform(0, 2, 80)
    labels, shares, allowed = np.repeat([0, 1], 40), rng.dirichlet([1, 1], 80), np.repeat([0, -1], 40)
    table = np.ones((80, 2), bool)
    arrays = [x, weights, labels, shares, allowed, table]
    before = [a.copy() for a in arrays]
    lem.fit(model, x, weights=weights, n_starts=2)
    lem.fit(model, x, start=labels, weights=weights, allowed=table)
    lem.fit(model, x, start=shares)
    fit = lem.fit(model, x, allowed=allowed, n_starts=2)
    fit.predict(x), fit.score_samples(x), fit.posterior(x), fit.sample(3)
    for array, copy in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, copy)
        assert array.flags.writeable


REFUSED = {
    "infinity": (np.where(np.arange(160).reshape(80, 2) == 11, np.inf, WHOLE), ValueError, r"row 5, column 1 is inf"),
    "minus infinity": (np.where(np.arange(160).reshape(80, 2) == 4, -np.inf, WHOLE), ValueError, r"row 2, column 0"),
    "complex": (WHOLE + 1j, TypeError, "complex"),
    "strings": (WHOLE.astype(str), TypeError, "<U"),
    "list of strings": ([["1", "2"], ["3", "4"]], TypeError, "<U"),
    "objects": (np.where(WHOLE > 3, WHOLE.astype(object), None), TypeError, "object"),
    "None": (None, TypeError, "data of type NoneType were given: give an array or a data frame"),
    "dates": (WHOLE.astype("datetime64[s]"), TypeError, "datetime"),
    "records": (np.zeros(9, dtype=[("a", float), ("b", float)]), TypeError, "'a'"),
    "strings in pandas": (pd.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "z"]}), TypeError, "'b'"),
    "strings in polars": (pl.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "z"]}), TypeError, "'b'"),
    "sparse": (scipy.sparse.csr_matrix(WHOLE), TypeError, "sparse"),
    "sparse array": (scipy.sparse.coo_array(WHOLE), TypeError, "sparse"),
    "ragged": ([[1.0, 2.0], [3.0]], ValueError, "ragged"),
    "scalar": (3.0, ValueError, r"shape \(\)"),
    "1-D": (WHOLE[:, 0], ValueError, r"shape \(80,\)"),
    "series": (pd.Series(WHOLE[:, 0]), ValueError, r"shape \(80,\)"),
    "polars series": (pl.Series(WHOLE[:, 0]), ValueError, r"shape \(80,\)"),
    "3-D": (WHOLE[None], ValueError, r"shape \(1, 80, 2\)"),
    "zero rows": (WHOLE[:0], ValueError, r"shape \(0, 2\)"),
    "zero columns": (WHOLE[:, :0], ValueError, r"shape \(80, 0\)"),
    "empty list": ([], ValueError, r"shape \(0,\)"),
    "empty frame": (pd.DataFrame(), ValueError, r"shape \(0, 0\)"),
    "frame of no rows": (pd.DataFrame({"a": [], "b": []}, dtype=float), ValueError, r"shape \(0, 2\)"),
    "frame of no columns": (pd.DataFrame(index=range(5)), ValueError, r"shape \(5, 0\)"),
    "one row": (WHOLE[:1], ValueError, "1 rows"),
}


MISSING = {
    "NaN": (np.where(WHOLE[7, 1] == WHOLE, np.nan, WHOLE), ValueError, "nan"),
    "NaN in pandas": (pd.DataFrame({"a": [1.0, 2, 3], "b": [1.0, np.nan, 2]}), ValueError, "row 1, column 'b' is nan"),
    "NA in pandas": (pd.DataFrame({"a": [1, 2, 3], "b": [1, None, 2]}, dtype="Int64"), ValueError, "row 1, column 'b'"),
    "null in polars": (pl.DataFrame({"a": [1, 2, 3], "b": [1, None, 2]}), ValueError, "row 1, column 'b'"),
    "null in polars mixed": (pl.DataFrame({"a": [1.0, 2, 3], "b": [True, None, False]}), ValueError, "column 'b'"),
    "masked": (np.ma.masked_array(WHOLE, mask=WHOLE == 5), ValueError, "masked"),
}


@pytest.mark.parametrize("kind", MISSING)
def test_missing_values_are_taken_by_gaussians_and_refused_by_name_elsewhere(kind):
    """NaN, NA, null and masked entries are missing values to a Gaussian mixture; K-means and Poisson refuse them."""
    data, error, words = MISSING[kind]
    assert np.isfinite(lem.fit(lem.GaussianMixture(1), data).log_likelihood)
    with pytest.raises(error, match=words):
        lem.fit(lem.Mixture(lem.Poisson(), 1), data)
    with pytest.raises(ValueError, match=r"is missing a value in row \d+, and K-means takes no missing"):
        lem.fit(lem.KMeans(1), data)


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("model", MODELS, ids=str)
def test_unusable_data_are_refused_by_name(model, kind):
    """What cannot be fitted is an error, before any step, that names what was given."""
    data, error, words = REFUSED[kind]
    steps = []
    with pytest.raises(error, match=words):
        lem.fit(model, data, callback=steps.append)
    assert steps == []


@pytest.mark.parametrize("kind", [kind for kind in REFUSED if kind != "one row"])
def test_a_fitted_model_refuses_the_same(kind):
    """Predicting checks its data as fitting does."""
    fit = lem.fit(lem.GaussianMixture(2), WHOLE, n_starts=1)
    data, error, words = REFUSED[kind]
    for ask in (fit.predict, fit.predict_proba, fit.score_samples, fit.posterior):
        with pytest.raises(error, match=words):
            ask(data)


def test_columns_must_be_those_of_the_fit():
    """Named columns are taken by name, in any order; one too few, or a wrong number of nameless ones, is an error."""
    frame = pd.DataFrame(WHOLE, columns=["a", "b"])
    fit = lem.fit(lem.GaussianMixture(2), frame, n_starts=1)
    assert fit.columns == ("a", "b")
    for ask in (fit.predict, fit.predict_proba, fit.score_samples, fit.posterior, fit.score):
        with pytest.raises(ValueError, match=r"column 'a' is not there: the model was fitted to \['a', 'b'\]"):
            ask(frame[["b"]])
        with pytest.raises(ValueError, match="columns"):
            ask(np.ones((4, 3)))
    np.testing.assert_array_equal(fit.predict(frame[["b", "a"]]), fit.predict(frame))
    assert "a: mean" in str(fit)


@pytest.mark.parametrize("model", MODELS, ids=str)
@pytest.mark.parametrize("d", [1, 3])
def test_chunks_of_different_widths_are_an_error(model, d):
    """Chunks that disagree on the number of columns are refused with both numbers."""
    with pytest.raises(ValueError, match="columns"):
        lem.fit(model, [lem.Rows(WHOLE), lem.Rows(np.ones((9, d)) * np.arange(9)[:, None])], n_starts=1)


@pytest.mark.parametrize("structure", [s for s in STRUCTURES if "Spherical" not in str(s)], ids=str)
@pytest.mark.parametrize("value", [0.0, 0.1, 1e8])
def test_constant_column_is_refused_by_name(structure, value):
    """A column without variance under a free covariance is an error that names the column, by name if it has one."""
    x = np.column_stack([WHOLE.astype(float), np.full(80, value)])
    model, steps = lem.GaussianMixture(2, structure=structure), []
    with pytest.raises(ValueError, match="column 2"):
        lem.fit(model, x, callback=steps.append)
    with pytest.raises(ValueError, match="flat"):
        lem.fit(model, pd.DataFrame(x, columns=["a", "b", "flat"]), callback=steps.append)
    with pytest.raises(ValueError, match="flat"):
        lem.fit(model, pl.DataFrame(x, schema=["a", "b", "flat"]), callback=steps.append)
    x[0, 2] += 1  # a row that does not count makes no variance
    with pytest.raises(ValueError, match="column 2"):
        lem.fit(model, x, weights=np.arange(80) > 0, callback=steps.append)
    assert steps == []


def test_constant_column_is_fine_where_no_variance_is_needed():
    """Spherical, fixed or inverse-Wishart covariances, K-means and counts take a constant column."""
    x = np.column_stack([WHOLE, np.full(80, 3)])
    fixed = lem.GaussianMixture(2, structure=lem.Diagonal(), covariances=lem.Fixed(np.ones((2, 3))))
    for model in (
        lem.GaussianMixture(2, structure=lem.Spherical()),
        lem.GaussianMixture(2, prior=lem.InverseWishart(1.0, 3)),
        fixed,
        lem.KMeans(2),
        lem.Mixture(lem.Poisson(), 2),
    ):
        fit = lem.fit(model, x, n_starts=2)
        assert np.isfinite(fit.log_likelihood)
        assert fit.events == ()


@pytest.mark.parametrize("model", [lem.GaussianMixture(4), lem.KMeans(4), lem.Mixture(lem.Poisson(), 4)], ids=str)
def test_fewer_rows_than_components_are_refused(model):
    """n < k is an error with both numbers; rows of weight zero are no rows."""
    with pytest.raises(ValueError, match=r"3 rows .* 4"):
        lem.fit(model, WHOLE[:3])
    with pytest.raises(ValueError, match=r"3 rows .* 4"):
        lem.fit(model, WHOLE, weights=(np.arange(80) < 3).astype(int))


@pytest.mark.parametrize(("row", "words"), [([2.5, 1], "2.5"), ([-1, 2], "-1")], ids=["fraction", "negative"])
def test_values_that_are_no_counts_are_refused(row, words):
    """A Poisson mixture refuses fractions and negative numbers, and shows the row."""
    x = WHOLE.astype(float)
    x[3] = row
    with pytest.raises(ValueError, match=words):
        lem.fit(lem.Mixture(lem.Poisson(), 2), x)


def test_a_chunk_of_no_rows_is_refused():
    """Chunks made by hand must hold something; the error says which does not."""
    with pytest.raises(ValueError, match="chunk 1 has no rows: leave it out"):
        lem.fit(lem.GaussianMixture(1), [lem.Rows(np.ones((5, 2))), lem.Rows(np.ones((0, 2)))])
