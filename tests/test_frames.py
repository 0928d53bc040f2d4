"""Data frames of pandas, polars and pyarrow: the same cases through each, against arrays of numpy."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import latentem as lem

N = 120
RNG = np.random.default_rng(3)
Z = RNG.random(N) < 0.4
REGION = np.where(RNG.random(N) < 0.2 + 0.6 * Z, "north", "south").astype(object)
AGE, INCOME = RNG.normal(30 + 20 * Z, 5), RNG.normal(2 + 3 * Z, 1)
CHILDREN = RNG.integers(0, 4, N)
IDS = np.array([f"r{i}" for i in range(N)], dtype=object)
X = np.column_stack([REGION == "south", AGE, INCOME, CHILDREN]).astype(float)

NAMED = lem.Mixture(
    lem.Product(lem.Gaussian().on("age", "income"), lem.Categorical().on("region"), lem.Categorical().on("children")),
    2,
)
NUMBERED = lem.Mixture(lem.Product(lem.Gaussian().on(1, 2), lem.Categorical(2).on(0), lem.Categorical(4).on(3)), 2)


def as_pandas(columns):
    return pd.DataFrame(columns, index=np.arange(len(next(iter(columns.values()))))[::-1] * 10)


def as_nullable(columns):
    return as_pandas(columns).convert_dtypes()


def as_arrow_backed(columns):
    return as_pandas(columns).convert_dtypes(dtype_backend="pyarrow")


def as_arrow(columns):
    return pa.table({name: pa.array(list(values)) for name, values in columns.items()})


def as_polars(columns):
    return pl.DataFrame({name: list(values) for name, values in columns.items()})


KINDS = [as_pandas, as_nullable, as_arrow_backed, as_polars, as_arrow]
every_kind = pytest.mark.parametrize("kind", KINDS)


def columns(**changed):
    return {"id": IDS, "region": REGION, "age": AGE, "income": INCOME, "children": CHILDREN, **changed}


@every_kind
def test_families_on_names_fit_as_on_numbers(kind):
    """Names, text and more columns than are asked for: the same bits as numbered columns of an array."""
    expected = lem.fit(NUMBERED, X, n_starts=2)
    frame = kind(columns())
    fit = lem.fit(NAMED, frame, n_starts=2)
    assert fit.params == expected.params
    assert fit.columns == ("region", "age", "income", "children")
    assert fit.categories == (("north", "south"), None, None, None)
    np.testing.assert_array_equal(fit.predict(frame), expected.predict(X))
    assert lem.Fit.of(NAMED, fit.params, frame).log_likelihood == expected.log_likelihood
    assert "age: mean" in str(fit)


@every_kind
def test_predictions_take_columns_by_name(kind):
    """Another order of columns, or more of them, and a subset of the rows: the answers of the fit's own table."""
    fit = lem.fit(NAMED, kind(columns()), n_starts=1)
    turned = kind({name: columns()[name][:30] for name in ("income", "children", "age", "region")})
    np.testing.assert_array_equal(fit.predict_proba(turned), fit.predict_proba(X[:30]))
    some = kind(
        {"region": np.array(["south"] * 5, dtype=object)} | {n: columns()[n][:5] for n in ("age", "income", "children")}
    )
    np.testing.assert_array_equal(fit.score_samples(some), fit.score_samples(np.c_[np.ones(5), X[:5, 1:]]))
    with pytest.raises(ValueError, match="column 'income' is not there: the model was fitted to"):
        fit.predict(kind({"age": AGE, "region": REGION, "children": CHILDREN}))


@every_kind
def test_an_unknown_category_is_an_error_that_names_it(kind):
    """The value, the column and the known categories are in the message; numbers for text are refused likewise."""
    fit = lem.fit(NAMED, kind(columns()), n_starts=1)
    strange = REGION.copy()
    strange[7] = "west"
    with pytest.raises(ValueError, match=r"'region' holds 'west': .*\['north', 'south'\]"):
        fit.predict(kind(columns(region=strange)))
    with pytest.raises(ValueError, match=r"column 'region' is of type Int64: .*\['north', 'south'\]"):
        fit.table(kind(columns(region=CHILDREN)))
    with pytest.raises(TypeError, match="column 'age' of type String holds text"):
        fit.predict(kind(columns(age=IDS)))


@every_kind
def test_missing_cells_are_missing_values(kind):
    """None in numbers, booleans and text is a missing value in each library, as NaN is in an array."""
    age, region, flag = [list(values) for values in (AGE, REGION, Z.tolist())]
    x = np.column_stack([AGE, REGION == "south", Z]).astype(float)
    for row, (values, column) in {3: (age, 0), 5: (region, 1), 8: (flag, 2)}.items():
        values[row], x[row, column] = None, np.nan
    family = lem.Product(lem.Gaussian().on("age"), lem.Categorical().on("region"), lem.Bernoulli().on("flag"))
    numbered = lem.Product(lem.Gaussian().on(0), lem.Categorical(2).on(1), lem.Bernoulli().on(2))
    frame = kind({"age": age, "region": region, "flag": flag})
    fit, expected = (lem.fit(lem.Mixture(f, 2), data, n_starts=2) for f, data in ((family, frame), (numbered, x)))
    assert fit.params == expected.params
    np.testing.assert_array_equal(np.asarray(fit.table(frame)["label"]), expected.predict(x))
    with pytest.raises(ValueError, match=r"row 3.*age|age.*row 3"):
        lem.fit(lem.Mixture(lem.Product(lem.Exponential().on("age")), 1), frame)


@every_kind
def test_weights_and_labels_are_columns_by_name(kind):
    """They are no values, and count as arrays do; missing labels are unknown."""
    weight, label = np.arange(N) % 3 + 0.5, [None if i % 2 else int(Z[i]) for i in range(N)]
    frame = kind({"a": AGE, "w": weight, "b": INCOME, "y": label})
    fit = lem.fit(lem.GaussianMixture(2), frame, weights="w", allowed="y", n_starts=1)
    known = np.array([-1 if value is None else value for value in label])
    expected = lem.fit(lem.GaussianMixture(2), np.c_[AGE, INCOME], weights=weight, allowed=known, n_starts=1)
    assert fit.columns == ("a", "b")
    assert fit.params == expected.params
    np.testing.assert_array_equal(fit.predict(frame), expected.predict(np.c_[AGE, INCOME]))
    with pytest.raises(ValueError, match="column 'v' is not there"):
        lem.fit(lem.GaussianMixture(2), frame, weights="v")


@every_kind
def test_a_table_comes_back_as_it_was_given(kind):
    """Its kind, index and columns are kept; behind them are label, probability, responsibilities and log density."""
    frame = kind(columns())
    fit = lem.fit(NAMED, frame, n_starts=1)
    table = fit.table(frame)
    assert type(table) is type(frame)
    assert list(table.columns if kind is not as_arrow else table.column_names) == [
        *columns(), "label", "probability", "responsibility_0", "responsibility_1", "log_density",
    ]  # fmt: skip
    if isinstance(frame, pd.DataFrame):
        pd.testing.assert_index_equal(table.index, frame.index)
        pd.testing.assert_frame_equal(table[list(columns())], frame)
    shares, labels = fit.predict_proba(frame), fit.predict(frame)
    np.testing.assert_array_equal(np.asarray(table["label"]), labels)
    np.testing.assert_array_equal(np.asarray(table["probability"]), shares[np.arange(N), labels])
    np.testing.assert_array_equal(np.asarray(table["responsibility_1"]), shares[:, 1])
    np.testing.assert_array_equal(np.asarray(table["log_density"]), fit.score_samples(frame))
    with pytest.raises(ValueError, match="a column 'label' itself: give a prefix"):
        fit.table(table)
    again = fit.table(table, prefix="again_")
    np.testing.assert_array_equal(np.asarray(again["again_label"]), labels)


def test_arrays_give_a_structured_array():
    """The columns are fields, of one row each; of factor analysis, which has no labels, the log density alone."""
    x = X[:, 1:3]
    rows = lem.fit(lem.GaussianMixture(2), x, n_starts=1).table(x)
    assert rows.dtype.names == ("label", "probability", "responsibility_0", "responsibility_1", "log_density")
    assert len(rows) == N
    rng = np.random.default_rng(1)
    columns_of_one = rng.normal(size=(N, 1)) * [1.0, 2.0, -1.0, 1.5] + rng.normal(size=(N, 4))
    factors = lem.fit(lem.FactorAnalysis(1), columns_of_one, n_starts=1).table(columns_of_one)
    assert factors.dtype.names == ("log_density",)
    with pytest.raises(TypeError, match="goes with data in memory"):
        lem.fit(lem.GaussianMixture(2), x, n_starts=1).table(lem.data.source(x))


@every_kind
def test_sequences_are_a_list_of_frames(kind):
    """A hidden Markov model takes and gives back a list; the log density of a sequence is at each of its rows."""
    parts = [slice(0, 50), slice(50, N)]
    frames = [kind({"region": REGION[part], "age": AGE[part]}) for part in parts]
    family = lem.Product(lem.Gaussian().on("age"), lem.Categorical().on("region"))
    numbered = lem.Product(lem.Gaussian().on(1), lem.Categorical(2).on(0))
    arrays = [X[part, :2] for part in parts]
    fit = lem.fit(lem.HiddenMarkov(family, 2), frames, n_starts=2)
    expected = lem.fit(lem.HiddenMarkov(numbered, 2), arrays, n_starts=2)
    assert fit.params == expected.params
    tables = fit.table(frames)
    np.testing.assert_array_equal(
        np.concatenate([np.asarray(table["label"]) for table in tables]), expected.predict(arrays)
    )
    np.testing.assert_array_equal(np.unique(np.asarray(tables[1]["log_density"])), expected.score_samples(arrays)[1:])


@every_kind
def test_regressions_and_gates_are_on_names(kind):
    """A regression's covariates and response, and the columns of a gate, are those of the names."""
    named = lem.ConcomitantMixture(lem.LinearRegression().on("age", "income"), 2, ("children",))
    numbered = lem.ConcomitantMixture(lem.LinearRegression().on(1, 2), 2, (3,))
    frame = kind(columns())
    fit = lem.fit(named, frame, n_starts=2, rng=1)
    assert fit.columns == ("age", "income", "children")
    assert fit.params == lem.fit(numbered, X, n_starts=2, rng=1).params
    np.testing.assert_array_equal(fit.model.weights(fit.params, X[:, 1:]).sum(axis=1).round(12), 1)
    with pytest.raises(TypeError, match="column 'region' holds text, and the gate takes numbers"):
        lem.fit(lem.ConcomitantMixture(lem.Gaussian().on("age"), 2, ("region",)), frame)


WIDTHS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64", "bool"]


@pytest.mark.parametrize("width", WIDTHS)
def test_numbers_of_all_widths_are_numbers(width):
    """Each width by itself and beside a float64, in each library, fits as its values as float64 do."""
    a = (np.arange(40) % 7 % 2 if width == "bool" else np.arange(40) % 7).astype(width)
    b = np.sin(np.arange(40.0))
    for data in ({"a": a, "b": a[::-1]}, {"a": a, "b": b}):
        expected = lem.fit(lem.GaussianMixture(1), np.column_stack(list(data.values())).astype(float))
        for frame in (pd.DataFrame(data), pl.DataFrame(data), pa.table(data)):
            assert lem.fit(lem.GaussianMixture(1), frame).params == expected.params


def test_the_order_of_categories_is_their_own_where_they_have_one():
    """Of pandas' categories, polars' enumerations and Arrow's dictionaries; polars' plain categories are sorted."""
    order, values = ["u", "t", "v"], ["t", "u", None, "t"] * 10
    expected = {
        "pandas": (pd.DataFrame({"c": pd.Categorical(values, categories=order)}), order),
        "pandas, ordered": (pd.DataFrame({"c": pd.Categorical(values, categories=order, ordered=True)}), order),
        "polars enum": (pl.DataFrame({"c": pl.Series(values, dtype=pl.Enum(order))}), order),
        "polars": (pl.DataFrame({"c": pl.Series(values, dtype=pl.Categorical)}), ["t", "u"]),
        "arrow": (pa.table({"c": pa.array(values).dictionary_encode()}), ["t", "u"]),
        "strings": (pd.DataFrame({"c": pd.Series(values)}), ["t", "u"]),
    }
    for frame, known in expected.values():
        fit = lem.fit(lem.Mixture(lem.Categorical(), 1), frame)
        assert fit.categories == (tuple(known),)
        probabilities = dict(zip(known, fit.params.components[0, 0], strict=True))
        np.testing.assert_allclose([probabilities["t"], probabilities["u"]], [2 / 3, 1 / 3], rtol=1e-12)


def test_categories_must_have_room():
    """Too few levels for a column are an error that names it, and a column of large numbers holds no categories."""
    frame = pl.DataFrame({"c": ["x", "y", "z"] * 5, "n": [10**9] * 15})
    with pytest.raises(ValueError, match=r"column 'c' holds 3 categories: Categorical\(levels=2\) has room for 2"):
        lem.fit(lem.Mixture(lem.Product(lem.Categorical(2).on("c")), 1), frame)
    with pytest.raises(ValueError, match=r"column 'n' goes up to 1e\+09"):
        lem.fit(lem.Mixture(lem.Product(lem.Categorical().on("n")), 1), frame)
    with pytest.raises(ValueError, match=r"column 'c' holds 3 categories: Bernoulli\(\) has room for 2"):
        lem.fit(lem.Mixture(lem.Product(lem.Bernoulli().on("c")), 1), frame)
    with pytest.raises(ValueError, match="column 'c' has no value at all"):
        lem.fit(lem.Mixture(lem.Categorical(), 1), pl.DataFrame({"c": pl.Series([None] * 9, dtype=pl.String)}))
    with pytest.raises(ValueError, match="finds its levels in fit"):
        lem.Categorical().log_density(np.ones((1, 1, 2)) / 2, np.zeros((1, 1)))
    levels = lem.fit(lem.Mixture(lem.Categorical(), 1), X[:, [0, 3]]).model.family.levels
    assert levels == (2, 4)


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table])
def test_dates_text_and_lists_are_refused_with_the_way_out(make):
    """Each is refused by the column's name, and is no matter where the model does not see the column."""
    days = np.arange(N).astype("datetime64[D]").astype("datetime64[ns]")
    frame = make({"age": AGE, "when": days, "since": days - days[0]})
    for model in (lem.GaussianMixture(1), lem.Mixture(lem.Gaussian(), 1)):
        with pytest.raises(TypeError, match=r"'when' of type Datetime.*days since the first"):
            lem.fit(model, frame)
        with pytest.raises(
            TypeError, match=r"'id' of type String holds text.*Categorical|'id' holds text.*Categorical"
        ):
            lem.fit(model, make({"age": AGE, "id": IDS.tolist()}))
    mixed = pd.DataFrame({"c": pd.Series([1, "x"] * 5, dtype=object)})
    with pytest.raises(TypeError, match=r"column 'c' holds 'x', a str: .*astype\(str\)"):
        lem.fit(lem.Mixture(lem.Categorical(), 1), mixed)
    named = lem.Mixture(lem.Product(lem.Gaussian().on("age")), 1)
    assert lem.fit(named, frame).columns == ("age",)
    with pytest.raises(ValueError, match="column 'weight' is not there"):
        lem.fit(lem.Mixture(lem.Product(lem.Gaussian().on("weight")), 1), frame)


def test_what_is_no_table_of_named_columns_is_refused():
    """Names without a table, a name twice, names beside numbers, a lazy frame, and two columns of one name."""
    with pytest.raises(ValueError, match=r"columns \['age', 'income'\] were asked for by name, and the data have no"):
        lem.fit(NAMED, X)
    with pytest.raises(ValueError, match="given by name"):
        NUMBERED.family.parts[0].family.on("age").statistics(X, np.ones((N, 1)))
    for wrong in (("a", "a"), ("a", 1)):
        with pytest.raises(ValueError, match="different names"):
            lem.Gaussian().on(*wrong)
    with pytest.raises(TypeError, match=r"lazy table .*collect"):
        lem.fit(lem.GaussianMixture(1), pl.LazyFrame({"a": [1.0, 2.0, 4.0]}))
    with pytest.raises(ValueError, match="'a' is there twice"):
        lem.fit(lem.GaussianMixture(1), pd.DataFrame(X[:, 1:3], columns=["a", "a"]))


def test_a_file_is_taken_by_name(tmp_path):
    """Names put families on columns of a Parquet file, which may have columns of text beside; predictions as well."""
    path = tmp_path / "people.parquet"
    as_polars(columns()).write_parquet(path)
    named = lem.Mixture(lem.Product(lem.Gaussian().on("age", "income")), 2)
    fit = lem.fit(named, str(path), n_starts=2)
    expected = lem.fit(lem.Mixture(lem.Product(lem.Gaussian().on(0, 1)), 2), X[:, 1:3], n_starts=2)
    assert fit.log_likelihood == pytest.approx(expected.log_likelihood, abs=1e-9)
    more = lem.data.source(path, columns=["children", "income", "age"])
    np.testing.assert_array_equal(fit.score_samples(path), fit.score_samples(more))
    np.testing.assert_allclose(fit.score_samples(more), expected.score_samples(X[:, 1:3]), rtol=1e-12)


def test_a_missing_extra_is_named(monkeypatch):
    """Without narwhals an array fits as ever, and a frame is an error with the command that installs it."""
    for name in [name for name in sys.modules if name.split(".")[0] == "narwhals"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "narwhals", None)
    assert lem.fit(lem.GaussianMixture(1), X[:, 1:3]).converged
    with pytest.raises(ImportError, match=r"pip install narwhals .*\[tables\]"):
        lem.fit(lem.GaussianMixture(1), pd.DataFrame(X[:, 1:3]))


def test_a_frame_of_one_float_type_is_not_copied():
    """The chunk of a float64 frame of pandas is a view of its memory."""
    frame = pd.DataFrame(np.asfortranarray(np.random.default_rng(0).normal(size=(50, 2))))
    read = lem.data.frames.frame_of(frame).table()
    assert np.shares_memory(read, frame.to_numpy())
    assert not read.flags.writeable
