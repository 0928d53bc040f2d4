"""Columns of text in CSV and Parquet files: words become codes in the file's own reader."""

from __future__ import annotations

import pickle
import sys

import numpy as np
import polars as pl
import pytest

import latentem as lem
from latentem.data.readers import text, words

N = 90
RNG = np.random.default_rng(5)
Z = RNG.random(N) < 0.4
REGION = [None if i == 7 else "south, far" if z else "north" for i, z in enumerate(Z)]
FRAME = pl.DataFrame({"name": [f"r{i}" for i in range(N)], "region": REGION, "age": RNG.normal(30 + 20 * Z, 5)})
MODEL = lem.Mixture(lem.Product(lem.Gaussian().on("age"), lem.Categorical().on("region")), 2)


@pytest.fixture(params=["csv", "csv without pyarrow", "parquet"])
def written(request, tmp_path, monkeypatch):
    """A function that writes a frame to a file, of which several blocks are made."""
    kind = request.param.split()[0]
    monkeypatch.setattr(text, "BLOCK", 300)
    if request.param.endswith("pyarrow"):
        for name in ("pyarrow", "pyarrow.csv"):
            monkeypatch.setitem(sys.modules, name, None)

    def write(frame, name="x"):
        path = tmp_path / f"{name}.{kind}"
        frame.write_csv(path) if kind == "csv" else frame.write_parquet(path)
        return path

    return write


def test_a_file_with_words_fits_as_its_frame(written):
    """Names, codes, missing cells: the bits of the fit to the frame, whose text is coded in memory."""
    expected, path = lem.fit(MODEL, FRAME.select("age", "region"), n_starts=2), written(FRAME)
    fit = lem.fit(MODEL, path, n_starts=2)
    assert (fit.columns, fit.categories) == (("age", "region"), (None, ("north", "south, far")))
    assert fit.params == expected.params
    np.testing.assert_array_equal(fit.predict_proba(path), expected.predict_proba(FRAME))
    assert lem.Fit.of(MODEL, fit.params, path).log_likelihood == expected.log_likelihood


def test_new_files_are_coded_as_the_fit_was(written):
    """A file that lacks the first word keeps the codes of the fit, also as a source; another word is named."""
    fit = lem.fit(MODEL, written(FRAME), n_starts=1)
    some = FRAME.filter(pl.col("region") == "south, far")
    path = written(some, "some")
    expected = fit.score_samples(np.c_[some["age"], np.ones(len(some))])
    np.testing.assert_array_equal(fit.score_samples(path), expected)
    source = lem.data.source(path, columns=["region", "age"], categorical=["region"])
    assert source.categories == (("south, far",), None)
    np.testing.assert_array_equal(fit.score_samples(pickle.loads(pickle.dumps(source))), expected)
    other = written(some.with_columns(region=pl.lit("west")), "other")
    with pytest.raises(ValueError, match=r"column 'region' holds 'west': the categories there are \['north', 'south"):
        fit.predict(other)
    numbers = written(some.with_columns(region=pl.lit(1)), "numbers")
    with pytest.raises(ValueError, match=r"column 'region' (holds '1'|is of type int32): the categories there are"):
        fit.predict(numbers)
    with pytest.raises(ValueError, match=r"column 'region' is not there: the model was fitted to \['age', 'region'\]"):
        fit.predict(written(some.drop("region"), "less"))


def test_whole_numbers_in_a_file_stay_numbers(written):
    """Categorical() finds the largest in a pass, as it does in a frame; no word is made of them."""
    frame = pl.DataFrame({"a": RNG.integers(0, 4, N), "b": RNG.integers(0, 2, N)})
    model = lem.Mixture(lem.Categorical(), 2)
    fit, expected = (lem.fit(model, data, n_starts=1) for data in (written(frame), frame))
    assert fit.categories is None
    assert fit.model == expected.model
    assert fit.params == expected.params


def test_several_files_share_their_words(written):
    """Sequences in files of their own: a word that the first lacks is in the codes of all."""
    parts = FRAME[:8], FRAME[8:50], FRAME[50:]
    model = lem.HiddenMarkov(MODEL.family, 2)
    files = [written(part, str(i)) for i, part in enumerate(parts)]
    fit, expected = (lem.fit(model, data, n_starts=1) for data in (files, [p.select("age", "region") for p in parts]))
    assert fit.categories == expected.categories
    assert fit.params == expected.params
    np.testing.assert_array_equal(fit.predict(files), expected.predict(list(parts)))


def test_words_can_be_given_in_an_order_of_ones_own(written):
    """A dict says the words and their codes, also of cells that are numbers, and nothing is looked for."""
    source = lem.data.source(written(FRAME), columns=["region"], categorical={"region": ["south, far", "north"]})
    x = lem.data.chunk_of(lem.Rows, source, missing=True).x
    codes = {None: np.nan, "south, far": 0.0, "north": 1.0}
    np.testing.assert_array_equal(x[:, 0], [codes[word] for word in REGION])


def test_what_holds_no_categories_is_refused(written, monkeypatch):
    """Text under a Gaussian, a column of names, one without a value, too many words: each by its column."""
    path = written(FRAME)
    with pytest.raises((TypeError, ValueError), match=r"column 'region'.*put a Categorical on the column"):
        lem.fit(lem.Mixture(lem.Product(lem.Gaussian().on("region")), 1), path)
    with pytest.raises(ValueError, match=r"column 'region' holds 2 categories: Categorical\(levels=1\) has room for 1"):
        lem.fit(lem.Mixture(lem.Product(lem.Categorical(1).on("region")), 1), path)
    monkeypatch.setattr(words, "_MANY", 50)
    with pytest.raises(ValueError, match=r"column 'name' holds more than 50 different words, which are hardly"):
        lem.fit(lem.Mixture(lem.Product(lem.Categorical().on("name")), 1), path)
    empty = written(FRAME.with_columns(region=pl.lit(None, pl.String)), "empty")
    with pytest.raises(ValueError, match="column 'region' has no value at all: leave it out"):
        lem.fit(lem.Mixture(lem.Product(lem.Categorical().on("region")), 1), empty)
    with pytest.raises(TypeError, match="categorical was given as 'region': give a list of names"):
        lem.data.source(path, categorical="region")


def test_cells_of_text_are_read_alike_with_and_without_pyarrow(tmp_path, monkeypatch):
    """Spaces around words, quotes behind spaces, doubled quotes, line ends in quotes, and words for missing."""
    path = tmp_path / "x.csv"
    path.write_text('c,x\n a ,1\n"b ""c""", 2\n "a",3\n"d\ne",4\nNA,5\n n/a,6\nNaN,7\n', encoding="utf-8")
    found = []
    for _ in range(2):
        source = lem.data.source(path, categorical=["c"])
        found.append((source.categories, source.table.part(0, 7)[:, 0].tolist()))
        for name in ("pyarrow", "pyarrow.csv"):
            monkeypatch.setitem(sys.modules, name, None)
    assert found[0][0] == found[1][0] == (("a", 'b "c"', "d\ne"), None)
    for _, codes in found:
        np.testing.assert_array_equal(codes, [0, 1, 0, 2, np.nan, np.nan, np.nan])
