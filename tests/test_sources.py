"""Data from files, functions and clusters: the bits of the same rows in memory, and errors by name."""

from __future__ import annotations

import pickle
import sys
import threading
import time
import warnings
from functools import partial
from pathlib import Path

import dask.array
import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
import zarr

import latentem as lem
from latentem.data.chunks import ahead

N, D, K = 20_000, 3, 110
NAMES = ["a", "b", "c"]
MODEL = lem.GaussianMixture(K, lem.Diagonal())
FACTORS = lem.FactorAnalysis(1)
CHAIN = lem.HiddenMarkov(lem.Gaussian(lem.Diagonal()), 3)


def made():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, D)) + 3 * rng.integers(0, 5, size=(N, 1))
    weight = rng.random(N)
    weight[rng.random(N) < 0.1] = 0
    weight[:3] = 0
    label = np.where(rng.random(N) < 0.2, rng.integers(0, K, N), -1)
    holes = np.where(rng.random((N, D)) < 0.02, np.nan, x)
    return x, weight, label, holes


X, WEIGHT, LABEL, HOLES = made()


def quietly(model, data, start, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lem.ConvergenceWarning)  # a few steps show the bits
        return lem.fit(model, data, start=start, max_steps=3, **options)


def beginning(model, data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lem.ConvergenceWarning)  # a few steps show the bits
        return lem.fit(model, data, n_starts=1, max_steps=1).params


START = beginning(MODEL, X[:2000])
FACTOR_START = beginning(FACTORS, X[:2000])
CHAIN_START = beginning(CHAIN, X[:500])


def same(one, other):
    """Whether two fits took the same way to the same place, to the bit."""
    history = [[step.index, step.expected_log_joint, step.entropy, step.objective] for step in one.history]
    theirs = [[step.index, step.expected_log_joint, step.entropy, step.objective] for step in other.history]
    return one.params == other.params and history == theirs and one.log_evidence == other.log_evidence


def written(folder: Path, x=X, weight=WEIGHT, label=LABEL):
    """The same rows in every kind of file, with weights and labels beside them where they have names."""
    np.save(folder / "x.npy", x)
    np.save(folder / "fortran.npy", np.asfortranarray(x))
    np.save(folder / "big_endian.npy", x.astype(">f8"))
    np.save(folder / "w.npy", weight)
    np.save(folder / "y.npy", label)
    columns = {name: pa.array(x[:, j], from_pandas=True) for j, name in enumerate(NAMES)}
    known = pa.array(label, mask=label < 0)
    table = pa.table({"w": weight, **columns, "y": known, "text": ["word"] * len(x)})
    pa.parquet.write_table(table, folder / "x.parquet", row_group_size=4321)
    pa.csv.write_csv(table, folder / "x.csv")
    with h5py.File(folder / "x.h5", "w") as file:
        file.create_dataset("x", data=x, chunks=(777, 2))
        file["w"], file["y"] = weight, label
    group = zarr.create_group(folder / "x.zarr")
    for name, array in (("x", x), ("w", weight), ("y", label)):
        group.create_array(name, data=array, chunks=(777, *array.shape[1:]))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return written(tmp_path_factory.mktemp("files"))


@pytest.fixture(scope="module")
def holes(tmp_path_factory):
    return written(tmp_path_factory.mktemp("holes"), HOLES[:8000], WEIGHT[:8000], LABEL[:8000])


def _halves(folder):
    files = [folder / "first.npy", folder / "second.npy"]
    for file, rows in zip(files, (slice(0, 7001), slice(7001, N)), strict=True):
        np.save(file, np.load(folder / "x.npy")[rows])
    return files


def _view(folder):
    """A part of a larger memmap: its rows begin and end within the file, and so do its columns."""
    path = folder / "wide.raw"
    wide = np.memmap(path, np.float64, "w+", offset=40, shape=(N + 10, D + 2))
    wide[5 : N + 5, 1 : D + 1] = np.load(folder / "x.npy")
    return np.memmap(path, np.float64, "r", offset=40, shape=(N + 10, D + 2))[5 : N + 5, 1 : D + 1]


TABLES = {
    "npy": lambda folder: folder / "x.npy",
    "npy, by its name": lambda folder: str(folder / "x.npy"),
    "npy in Fortran order": lambda folder: folder / "fortran.npy",
    "npy of another byte order": lambda folder: folder / "big_endian.npy",
    "memmap": lambda folder: np.load(folder / "x.npy", mmap_mode="r"),
    "memmap of rows and columns": _view,
    "list of files": _halves,
    "parquet": lambda folder: lem.data.source(folder / "x.parquet", columns=NAMES),
    "csv": lambda folder: lem.data.source(folder / "x.csv", columns=NAMES),
    "hdf5": lambda folder: lem.data.source(folder / "x.h5", dataset="x"),
    "hdf5, open": lambda folder: h5py.File(folder / "x.h5")["x"],
    "zarr": lambda folder: lem.data.source(folder / "x.zarr", dataset="x"),
    "zarr, open": lambda folder: zarr.open(folder / "x.zarr", mode="r")["x"],
    "dask array": lambda folder: dask.array.from_array(np.load(folder / "x.npy"), chunks=(1234, 2)),
}
"""Each kind of data, without weights or labels."""


@pytest.fixture(scope="module")
def expected():
    return quietly(MODEL, X, START)


@pytest.mark.parametrize("kind", TABLES)
def test_a_mixture_fitted_to_any_source_has_the_bits_of_the_rows_in_memory(folder, expected, kind):
    """Parameters, history and log evidence from every kind of file are those of the same rows in memory."""
    data = TABLES[kind](folder)
    assert len(MODEL.chunks(data)) == len(MODEL.chunks(X)) > 2
    assert same(quietly(MODEL, data, START), expected)


@pytest.mark.parametrize("kind", ["npy", "parquet", "csv"])
def test_missing_cells_travel_with_the_rows(holes, kind):
    """NaN in arrays and nulls in columns are the missing cells of the same rows in memory."""
    assert same(quietly(MODEL, TABLES[kind](holes), START), quietly(MODEL, HOLES[:8000], START))


BESIDE = {
    "npy": lambda f: lem.data.source(f / "x.npy", weights=f / "w.npy", allowed=f / "y.npy"),
    "npy and arrays": lambda f: lem.data.source(f / "x.npy", weights=WEIGHT, allowed=LABEL),
    "npy and a mask": lambda f: lem.data.source(
        f / "x.npy", weights=WEIGHT, allowed=(LABEL[:, None] == np.arange(K)) | (LABEL[:, None] < 0)
    ),
    "parquet": lambda f: lem.data.source(f / "x.parquet", columns=NAMES, weights="w", allowed="y"),
    "csv": lambda f: lem.data.source(f / "x.csv", columns=NAMES, weights="w", allowed="y"),
    "hdf5": lambda f: lem.data.source(f / "x.h5", weights="w", allowed="y"),
    "zarr": lambda f: lem.data.source(f / "x.zarr", weights="w", allowed="y"),
    "dask": lambda f: lem.data.source(
        dask.array.from_array(X, chunks=(5000, 3)), weights=dask.array.from_array(WEIGHT, chunks=999), allowed=LABEL
    ),
    "frame": lambda f: lem.data.source(
        pd.DataFrame(X, columns=NAMES).assign(w=WEIGHT, y=LABEL), weights="w", allowed="y"
    ),
}


@pytest.mark.parametrize("kind", BESIDE)
def test_weights_and_labels_travel_with_the_rows(folder, kind):
    """Weights, some of them zero, and partly known labels leave the bits that they leave in memory."""
    expected = quietly(MODEL, X, START, weights=WEIGHT, allowed=LABEL)
    assert same(quietly(MODEL, BESIDE[kind](folder), START), expected)


def test_fit_takes_the_names_of_columns_beside_a_path(tmp_path):
    """`fit(model, path, weights=name, allowed=name)` takes these columns out of the data."""
    table = pa.table({"w": WEIGHT, **{name: X[:, j] for j, name in enumerate(NAMES)}, "y": LABEL})
    pa.parquet.write_table(table, tmp_path / "x.parquet")
    fit = quietly(MODEL, tmp_path / "x.parquet", START, weights="w", allowed="y")
    assert fit.columns == tuple(NAMES)
    assert same(fit, quietly(MODEL, X, START, weights=WEIGHT, allowed=LABEL))


def test_functions_that_load_chunks_are_a_list_of_chunks(folder):
    """Functions that give `Rows`, or arrays, leave the bits of a list of these `Rows`."""
    parts = [slice(0, 6000), slice(6000, 6500), slice(6500, N)]
    chunks = [lem.Rows(X[part], WEIGHT[part], MODEL.chunk(X, allowed=LABEL).allowed[part]) for part in parts]
    loads = [partial(chunks.__getitem__, i) for i in range(3)]
    assert same(quietly(MODEL, loads, START), quietly(MODEL, chunks, START))
    arrays = [partial(X.__getitem__, part) for part in parts]
    assert same(quietly(MODEL, arrays, START), quietly(MODEL, [lem.Rows(X[part]) for part in parts], START))


def test_factor_analysis_of_a_file_has_the_bits_of_the_rows_in_memory(folder):
    """Factor analysis, with and without weights, is that of the same rows in memory."""
    x = np.concatenate([X + shift for shift in range(5)])  # rows that repeat would be fitted once
    np.save(folder / "tiled.npy", x)
    assert len(FACTORS.chunks(x)) > 5
    assert same(quietly(FACTORS, folder / "tiled.npy", FACTOR_START), quietly(FACTORS, x, FACTOR_START))
    table = lem.data.source(folder / "tiled.npy", weights=np.tile(WEIGHT, 5))
    assert same(quietly(FACTORS, table, FACTOR_START), quietly(FACTORS, x, FACTOR_START, weights=np.tile(WEIGHT, 5)))
    expected = quietly(FACTORS, X, FACTOR_START)
    for kind in ("parquet", "hdf5"):
        assert same(quietly(FACTORS, TABLES[kind](folder), FACTOR_START), expected)


def test_sequences_of_a_file_are_never_cut(tmp_path):
    """A file with the lengths of its sequences gives the chunks, and the bits, of the list of sequences in memory."""
    rng = np.random.default_rng(5)
    inner = np.sort(rng.choice(np.arange(1, N), 300, replace=False))
    x, label = np.tile(X, (1, 22)), np.where(LABEL < 0, -1, LABEL % 3)
    parts, labels = np.split(x, inner), np.split(label, inner)
    lengths = [len(part) for part in parts]
    weight = rng.integers(0, 3, len(parts)).astype(float)
    np.save(tmp_path / "x.npy", x)
    source = lem.data.source(tmp_path / "x.npy", lengths=lengths, weights=weight, allowed=label)
    chunks, memory = CHAIN.chunks(source), CHAIN.chunks(parts, weight, labels)
    assert len(chunks) == len(memory) > 1
    assert list(chunks) == list(memory)
    start = beginning(CHAIN, parts[:20])  # so many sequences begin in every state
    expected = quietly(CHAIN, parts, start, weights=weight, allowed=labels)
    assert same(quietly(CHAIN, source, start), expected)
    bare = lem.data.source(tmp_path / "x.npy", lengths=lengths)
    for path, other in zip(expected.decode(bare), expected.decode(parts), strict=True):
        assert (path == other).all()


def test_each_file_of_a_list_is_a_sequence(tmp_path):
    """A list of files, of memmaps, or of functions is a list of sequences to a model of sequences."""
    parts = [X[:3000], X[3000:3001], X[3001:9000]]
    for i, part in enumerate(parts):
        np.save(tmp_path / f"{i}.npy", part)
    files = [tmp_path / f"{i}.npy" for i in range(3)]
    expected = quietly(CHAIN, parts, CHAIN_START)
    assert same(quietly(CHAIN, files, CHAIN_START), expected)
    assert same(quietly(CHAIN, [np.load(file, mmap_mode="r") for file in files], CHAIN_START), expected)
    loads = [partial(np.load, file) for file in files]
    memory = [CHAIN.chunk(part) for part in parts]
    assert same(quietly(CHAIN, loads, CHAIN_START), quietly(CHAIN, memory, CHAIN_START))


def test_a_large_table_of_another_type_is_converted_chunk_by_chunk(monkeypatch, expected):
    """float32 in memory leaves the bits of its float64 copy, whether it is copied as a whole or not."""
    x = X.astype(np.float32)
    whole = quietly(MODEL, x, START)
    assert same(whole, quietly(MODEL, x.astype(np.float64), START))
    monkeypatch.setattr(sys.modules["latentem.data.source"], "_LARGE", 1)
    assert not isinstance(MODEL.chunks(x), list)
    assert same(quietly(MODEL, x, START), whole)


def answered(fit, data):
    return fit.predict(data), fit.predict_proba(data), fit.score_samples(data), fit.score(data), fit.posterior(data)


@pytest.fixture(scope="module")
def answers(expected):
    return answered(expected, X)


@pytest.mark.parametrize("kind", TABLES)
def test_what_a_fit_answers_about_a_source_it_answers_about_the_rows(folder, expected, answers, kind):
    """predict, predict_proba, score_samples, score and posterior take a source as they take the rows."""
    data = TABLES[kind](folder)
    for one, other in zip(answered(expected, data), answers, strict=True):
        assert np.array_equal(one, other) if isinstance(one, np.ndarray) else one == other


def test_weights_change_nothing_about_a_row_of_a_source(folder, expected):
    """A row of weight zero is predicted by its own values."""
    source = lem.data.source(folder / "x.npy", weights=WEIGHT)
    assert (expected.predict(source) == expected.predict(X)).all()
    loads = [lambda: lem.Rows(X, WEIGHT)]
    assert (expected.predict(loads) == expected.predict(X)).all()


@pytest.mark.parametrize("kind", TABLES)
def test_a_source_can_be_pickled(folder, kind):
    """The chunks of a pickled source, and of pickled chunks, are the same ones."""
    source = lem.data.source(TABLES[kind](folder))
    chunks = MODEL.chunks(source)
    there = pickle.loads(pickle.dumps(source))
    assert list(MODEL.chunks(there)) == list(chunks) == list(pickle.loads(pickle.dumps(chunks)))
    assert repr(there) == repr(source)


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.timeout(60)
def test_many_threads_may_load_at_once(folder, kind):
    """Chunks that eight threads load, each in another order, are those that one loads in order."""
    data = TABLES[kind](folder)
    chunks, wrong = MODEL.chunks(data), []
    serial = list(chunks)

    def load(seed):
        for i in np.random.default_rng(seed).permutation(len(serial)).tolist():
            if chunks[i] != serial[i]:
                wrong.append(i)

    threads = [threading.Thread(target=load, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_chunks_are_a_sequence(folder):
    """Chunks have a length, negative numbers and slices, and end where a list ends."""
    chunks = MODEL.chunks(folder / "x.npy")
    assert chunks[-1] == chunks[len(chunks) - 1]
    assert chunks[1:] == list(chunks)[1:]
    with pytest.raises(IndexError):
        chunks[len(chunks)]


@pytest.mark.timeout(60)
def test_the_next_chunk_is_loaded_while_one_is_worked_on():
    """When the consumer has chunk i, chunk i + 1 has begun to load in another thread, and i + 2 has not."""
    begun = [threading.Event() for _ in range(4)]
    seen = []

    def load(i):
        begun[i].set()
        seen.append(threading.current_thread())
        return i

    for i in ahead(load, 4):
        if i + 1 < 4:
            assert begun[i + 1].wait(20)
        time.sleep(0.01)
        assert not any(event.is_set() for event in begun[i + 2 :])
    assert threading.current_thread() not in seen


def test_serial_and_threads_read_the_same_bits(folder):
    """One thread that loads ahead and several that load what they compute on leave the same bits."""
    serial = quietly(MODEL, folder / "x.npy", START, engine=lem.Serial())
    assert same(serial, quietly(MODEL, folder / "x.npy", START, engine=lem.Threads(3)))


# What is refused.


@pytest.mark.parametrize("kind", ["npy", "parquet", "csv", "hdf5", "zarr"])
@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_an_unsound_value_is_refused_with_its_row_before_any_work(tmp_path, kind, value):
    """Infinity, and NaN where nothing may be missing, is refused with the number of its row in the whole data."""
    x = X.copy()
    x[17_123, 1] = value
    data = TABLES[kind](written(tmp_path, x))
    model = MODEL if value == np.inf else FACTORS
    with pytest.raises(ValueError, match=r"row 17123 of x\.\w+(, x)?, column ('b'|1) is (inf|nan)"):
        lem.fit(model, data, start=START)


@pytest.mark.parametrize("kind", ["npy", "csv", "parquet", "hdf5"])
def test_a_file_that_changes_under_a_fit_is_an_error(tmp_path, kind):
    """A file that was written to between two chunks is refused by its name."""
    source = lem.data.source(TABLES[kind](written(tmp_path)))
    chunks = MODEL.chunks(source)
    path = next(tmp_path.glob({"npy": "x.npy", "csv": "x.csv", "parquet": "x.parquet", "hdf5": "x.h5"}[kind]))
    with open(path, "ab") as file:
        file.write(b"1,2,3\n")
    with pytest.raises(ValueError, match=f"{path.name} has changed since it was opened"):
        chunks[len(chunks) - 1]


def test_a_function_that_loads_something_else_is_an_error():
    """A chunk of another shape the second time is refused by its number."""
    calls = []

    def load():
        calls.append(1)
        return X[: 5000 if len(calls) < 3 else 4999]

    with pytest.raises(ValueError, match=r"chunk 1 has shape \(4999, 3\), and had \(5000, 3\) when it was loaded"):
        lem.fit(MODEL, [lambda: X, load], start=START, max_steps=5)


def test_a_function_that_loads_an_unsound_value_is_an_error():
    """An infinity is refused with the number of its chunk."""
    x = X.copy()
    x[5, 2] = np.inf
    with pytest.raises(ValueError, match="chunk 1: row 5, column 2 is inf"):
        lem.fit(MODEL, [lambda: X, lambda: x], start=START)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": WEIGHT[:-1]}, r"weights have shape \(19999,\): give one a row, shape \(20000,\)"),
        ({"weights": np.where(np.arange(N) == 18_000, -1, WEIGHT)}, r"the weight of row 18000 is -1.0:"),
        ({"weights": 0 * WEIGHT}, "all weights are zero"),
        ({"allowed": LABEL[:-1]}, r"allowed has shape \(19999,\)"),
        ({"allowed": np.full(N, K)}, f"allowed holds the label {K}: labels run from 0 to {K - 1}"),
        ({"allowed": np.ones((N, 2), bool)}, f"allowed has 2 columns: the model has {K} components"),
        ({"allowed": np.arange(N) < 19_000}, "give whole-number labels"),
        ({"columns": [0, 7]}, r"columns were given as \[0, 7\]: x.npy has 3, numbered from 0"),
        ({"dataset": "x"}, r"dataset was given, which does not belong to a \.npy file"),
    ],
)
def test_what_does_not_fit_beside_the_rows_is_refused(folder, options, message):
    """Weights, labels and options that do not belong to the data are refused, in words."""
    with pytest.raises(ValueError, match=message):
        lem.fit(MODEL, lem.data.source(folder / "x.npy", **options), start=START)


def test_a_mask_that_forbids_all_is_refused_with_its_row(folder):
    """A row that may belong nowhere is named by its number in the whole data."""
    mask = np.ones((N, K), bool)
    mask[18_321] = False
    with pytest.raises(ValueError, match="row 18321 is allowed in no component"):
        lem.fit(MODEL, folder / "x.npy", allowed=mask, start=START)


def test_a_column_without_values_is_refused_by_its_name(tmp_path):
    """A column of nulls throughout is refused before any work."""
    table = pa.table({"a": X[:, 0], "b": pa.nulls(N, pa.float64())})
    pa.parquet.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(ValueError, match="column 'b' has no value at all"):
        lem.fit(MODEL, tmp_path / "x.parquet", start=START)


def test_files_that_hold_no_table_are_refused_by_name(tmp_path, folder):
    """Text, words, three axes, an empty file, an unknown suffix, a column or array that is not there: all are named."""
    (tmp_path / "x.txt").write_text("1,2\n3,four\n")
    (tmp_path / "header.csv").write_text("a,b\n")
    (tmp_path / "empty.csv").write_text("\n\n")
    (tmp_path / "mixed.csv").write_text("a,2\n3,4\n")
    (tmp_path / "fake.npy").write_bytes(b"nothing")
    (tmp_path / "fake.parquet").write_bytes(b"nothing")
    np.save(tmp_path / "three.npy", np.zeros((2, 2, 2)))
    np.save(tmp_path / "complex.npy", np.zeros((2, 2), complex))
    cases = [
        ("x.txt", {}, "four"),
        ("header.csv", {}, "has no rows"),
        ("empty.csv", {}, "is empty"),
        ("mixed.csv", {}, "may be a header or not"),
        ("fake.npy", {}, "fake.npy"),
        ("fake.parquet", {}, "no Parquet file"),
        ("three.npy", {}, "shape"),
        ("complex.npy", {}, "complex128"),
        ("x.sas7bdat", {}, "of no known kind"),
        (folder / "x.npy", {"weights": "w"}, "has no names"),
        (folder / "x.parquet", {}, "'text' is of type string"),
        (folder / "x.parquet", {"columns": ["z"]}, "'z' is not there"),
        (folder / "x.csv", {"columns": ["a", "a"]}, "'a' was chosen twice"),
        (folder / "x.h5", {}, "say which one"),
        (folder / "x.zarr", {"dataset": "z"}, "has no array 'z'"),
    ]
    for name, options, message in cases:
        with pytest.raises((ValueError, TypeError), match=message):
            list(FACTORS.chunks(lem.data.source(tmp_path / name, **options)))
    for name in ("x.npy", "x.csv", "x.parquet", "x.h5", "x.zarr"):
        with pytest.raises(FileNotFoundError):
            lem.data.source(tmp_path / "not" / name)


def test_a_text_file_may_have_no_header_other_delimiters_and_blank_lines_at_its_ends(tmp_path):
    """Semicolons, tabs, a mark of UTF-8, Windows line ends and blank lines around the rows read as the numbers do."""
    x = X[:50]
    for name, delimiter, end, mark in (
        ("a.csv", ";", "\r\n", "\ufeff"),
        ("b.tsv", "\t", "\n", ""),
        ("c.txt", ",", "\n", ""),
    ):
        lines = [delimiter.join(map(repr, row)) for row in x.tolist()]
        (tmp_path / name).write_bytes((mark + end + end.join(lines) + 3 * end).encode())
        source = lem.data.source(tmp_path / name, delimiter=delimiter if name == "a.csv" else None)
        assert source.columns == ("column 1", "column 2", "column 3")
        assert (FACTORS.chunks(source)[0].x == x).all()


@pytest.mark.parametrize("size", [64, 200, 1000])
def test_a_text_file_is_cut_between_lines(tmp_path, monkeypatch, size):
    """Whatever a block's size, the rows are those of the file, and a line between them may not be blank."""
    monkeypatch.setattr("latentem.data.readers.text.BLOCK", size)
    x = X[:300]
    text = "\n".join(",".join(map(repr, row)) for row in x.tolist())
    (tmp_path / "x.csv").write_text("a,b,c\n" + text)
    chunks = FACTORS.chunks(tmp_path / "x.csv")
    assert (np.concatenate([chunk.x for chunk in chunks]) == x).all()
    (tmp_path / "y.csv").write_text("a,b,c\n" + text + "\n\n1,2,3\n")
    with pytest.raises(ValueError, match=r"y\.csv"):
        list(FACTORS.chunks(tmp_path / "y.csv"))


@pytest.mark.parametrize(
    ("package", "suffix", "extra"), [("pyarrow", "parquet", "arrow"), ("h5py", "h5", "hdf5"), ("zarr", "zarr", "zarr")]
)
def test_a_package_that_is_missing_is_named_with_its_extra(folder, monkeypatch, package, suffix, extra):
    """Without the package that reads a file the error says what to install."""
    for name in (package, f"{package}.csv", f"{package}.parquet"):
        monkeypatch.setitem(__import__("sys").modules, name, None)
    with pytest.raises(ImportError, match=rf"pip install {package}.*\.\[{extra}\]"):
        lem.data.source(folder / f"x.{suffix}", dataset=None if suffix == "parquet" else "x")


@pytest.mark.parametrize("kind", ["plain", "in quotes", "of several lines", "ends of old", "with gaps"])
def test_text_is_read_to_the_same_bits_without_pyarrow(tmp_path, monkeypatch, kind):
    """With pyarrow and without it a CSV file is the same numbers."""
    monkeypatch.setattr("latentem.data.readers.text.BLOCK", 200)
    cells = [[repr(value) for value in row] for row in X[:300].tolist()]
    end = "\r" if kind == "ends of old" else "\n"
    if kind == "in quotes":
        cells = [[f'"{cell}"' for cell in row] for row in cells]
    if kind == "of several lines":
        cells = [[*row[:2], f'"\n{row[2]} "'] for row in cells]
    if kind == "with gaps":
        cells = [[*row[:2], "Na" if i % 7 == 3 else row[2]] for i, row in enumerate(cells)]
    (tmp_path / "x.csv").write_text(end.join(map(",".join, cells)) + end, newline="")
    source = lem.data.source(tmp_path / "x.csv")
    x = np.concatenate([chunk.x for chunk in MODEL.chunks(source)])
    for name in ("pyarrow", "pyarrow.csv"):
        monkeypatch.setitem(sys.modules, name, None)
    bare = np.concatenate([chunk.x for chunk in MODEL.chunks(lem.data.source(tmp_path / "x.csv"))])
    assert np.array_equal(bare, x, equal_nan=True)
    gaps = np.isnan(x)
    assert (x[~gaps] == X[:300][~gaps]).all()
    assert gaps.sum() == (43 if kind == "with gaps" else 0)


def test_a_blank_line_is_no_missing_value(tmp_path):
    """In a file of one column, too, a blank line between rows is refused with its number, and ends nothing."""
    for text in ("a\n1\n\n3\n", "a\n1\n  \n3\n", "a\n1\r\n\r\n3\n"):
        (tmp_path / "x.csv").write_text(text, newline="")
        with pytest.raises(ValueError, match=r"x\.csv: line 3 is blank, and rows follow it"):
            MODEL.chunks(tmp_path / "x.csv")[:]


@pytest.mark.parametrize("size", [20, 2**23])
def test_a_cell_that_is_no_number_is_named_with_its_line(tmp_path, monkeypatch, size):
    """The library says what the command line says: file, line, column and cell."""
    monkeypatch.setattr("latentem.data.readers.text.BLOCK", size)
    for quote in ("", '"'):
        lines = [f"{quote}{i}{quote},1" for i in range(40)]
        lines[30] = "30,four"
        (tmp_path / "x.csv").write_text("\n".join(["a,b", *lines]))
        with pytest.raises(ValueError, match=r"x\.csv: line 32, column 'b': 'four' is no finite number such as"):
            MODEL.chunks(tmp_path / "x.csv")[:]


def test_options_beside_a_source_are_refused(folder):
    """Weights beside a source, and options beside functions, say where they belong."""
    with pytest.raises(ValueError, match=r"give them to lem\.data\.source"):
        lem.fit(MODEL, lem.data.source(folder / "x.npy"), weights=WEIGHT)
    with pytest.raises(ValueError, match="let each return Rows"):
        lem.data.source([lambda: X], weights=WEIGHT)
