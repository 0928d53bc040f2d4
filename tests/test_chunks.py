"""The protocol of a chunk: kept by the library's kinds, asked for in one place, and open to kinds from outside."""

from __future__ import annotations

import ast
import inspect
import itertools
import pickle
import warnings
from pathlib import Path
from typing import final

import numpy as np
import pytest
from attrs import frozen
from scipy.special import logsumexp

import latentem as lem
from latentem.arrays import Array, Labels
from latentem.core import Chunk, observations, place_of, row_count, rows_that_count, unit_weight, unweighted
from latentem.data import Units, chunk_of, chunks_of
from latentem.posterior import LabelPosterior
from latentem.testing import check_model

ROOT = Path(lem.__file__).parent
MEMBERS = [name for name, _ in inspect.getmembers(Chunk) if not name.startswith("_")]


@final
@frozen(eq=False)
class Groups(Units):
    """Rows in groups, one below the other: what is hidden of a row is hidden of its group."""

    x: Array
    lengths: Labels
    weight: Array | None = None
    allowed: Array | None = None
    noun = "group"

    def summed(self, values):
        """Of values of the rows, (n, ...), the sums over each group, (groups, ...)."""
        return np.add.reduceat(values, self.lengths.cumsum() - self.lengths)


@final
@frozen
class GroupMixture(lem.LatentModel):
    """Groups whose rows are all N(mean of the group's label, I), each label equally probable; parameters: (k, d) means.

    Statistics: sums of r, (k, 1), r x, (k, d), and r xx', (k, 1), side by side.
    """

    k: int

    def log_joints(self, params, chunk):
        squares = ((chunk.x[:, None] - params) ** 2).sum(axis=2)
        density = chunk.summed(-0.5 * squares - 0.5 * chunk.x.shape[1] * np.log(2 * np.pi)) - np.log(self.k)
        if chunk.allowed is None:
            return density
        return np.where(chunk.allowed[chunk.lengths.cumsum() - chunk.lengths], density, -np.inf)

    def posterior(self, params, chunk):
        return LabelPosterior.from_log(self.log_joints(params, chunk), chunk.weight)

    def statistics(self, chunk, posterior):
        table = np.column_stack([np.ones(len(chunk.x)), chunk.x, (chunk.x**2).sum(axis=1)])
        each = np.column_stack([np.ones(len(chunk)), chunk.summed(table)])
        return posterior.counts().T @ each

    def log_joint(self, params, statistics):
        groups, count, first, second = np.split(statistics, [1, 2, 2 + params.shape[1]], axis=1)
        squares = second[:, 0] - 2 * (params * first).sum(axis=1) + count[:, 0] * (params**2).sum(axis=1)
        constant = 0.5 * params.shape[1] * np.log(2 * np.pi)
        return float(-0.5 * squares.sum() - constant * count.sum() - np.log(self.k) * groups.sum())

    def blocks(self):
        return [lem.Block((), lambda statistics, params: self.first(statistics), lambda params: params.size)]

    def first(self, statistics):
        return statistics[:, 2:-1] / statistics[:, 1:2]

    def log_evidence(self, params, chunk):
        return logsumexp(self.log_joints(params, chunk), axis=1)

    def chunk(self, data, weights=None, allowed=None):
        return chunk_of(Groups, data, weights, allowed, self.k)

    def chunks(self, data, weights=None, allowed=None):
        return chunks_of(Groups, data, weights, allowed, lambda n, d: 200, self.k)


def made():
    rng = np.random.default_rng(3)
    lengths = rng.integers(1, 9, 250)
    label = rng.integers(0, 3, 250)
    x = np.repeat(2.0 * label, lengths)[:, None] + rng.normal(size=(lengths.sum(), 2))
    weight = rng.integers(0, 3, 250).astype(float)
    known = np.where(rng.random(250) < 0.2, label, -1)
    return x, lengths, weight, np.repeat(known, lengths)


X, LENGTHS, WEIGHT, KNOWN = made()
MODEL, START = GroupMixture(3), np.array([[-1.0, -1.0], [1.0, 2.0], [5.0, 4.0]])
MASK = (KNOWN[:, None] == np.arange(3)) | (KNOWN[:, None] < 0)
KINDS = {
    "rows": lem.Rows(X, np.repeat(WEIGHT, LENGTHS), MASK),
    "sequences": lem.Sequences(X, LENGTHS, WEIGHT, MASK),
    "groups": Groups(X, LENGTHS, WEIGHT, MASK),
    "rows without weights": lem.Rows(X),
    "sequences without weights": lem.Sequences(X, LENGTHS),
    "groups without weights": Groups(X, LENGTHS),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_keeps_the_protocol(kind):
    """A chunk has all that `Chunk` lists, of the shapes and with the sums that it says."""
    chunk = KINDS[kind]
    for name in MEMBERS:
        assert hasattr(chunk, name), name
    n, units = len(X), len(X) if chunk.lengths is None else len(LENGTHS)
    assert len(chunk) == units
    assert chunk.x.shape == X.shape
    assert chunk.lengths is None or chunk.lengths.sum() == n
    assert chunk.row_weight.shape == (n,)
    assert chunk.observations == pytest.approx(chunk.row_weight.sum())
    each = np.ones(units) if chunk.weight is None else chunk.weight
    assert (chunk.row_weight == np.repeat(each, 1 if chunk.lengths is None else chunk.lengths)).all()
    assert (np.array(chunk.bounds) == [X.min(axis=0), X.max(axis=0)]).all()
    assert len({chunk.place(row) for row in range(n)}) == n


@pytest.mark.parametrize("kind", KINDS)
def test_slices_of_a_chunk_are_chunks_that_make_it_up(kind):
    """Slices have the rows, weights and labels of their units, and say where a row is in the whole."""
    chunk = KINDS[kind]
    edges = [0, 1, 7, 100, len(chunk)]
    parts = [chunk[begin:end] for begin, end in itertools.pairwise(edges)]
    assert [len(part) for part in parts] == np.diff(edges).tolist()
    for name in ("x", "lengths", "weight", "allowed", "row_weight"):
        if getattr(chunk, name) is not None:
            assert (np.concatenate([getattr(part, name) for part in parts]) == getattr(chunk, name)).all()
    for row in (0, 3, 40, len(X) - 1):
        assert place_of(row, parts) == chunk.place(row)
    there = pickle.loads(pickle.dumps(chunk))
    assert type(there) is type(chunk)
    assert (there.x == chunk.x).all()


def test_a_bare_object_has_the_defaults():
    """An object with a length is a chunk whose units, each counting once, are its rows."""
    bare = np.ones((4, 2))
    assert unit_weight(bare) is None
    assert observations(bare) == rows_that_count(bare) == row_count(bare) == 4
    assert unweighted(bare) is bare
    assert place_of(5, [bare, bare]) == "row 5"


def test_nothing_asks_whether_a_chunk_has_an_attribute():
    """Only core/chunk.py looks for what a chunk may lack: no other module asks hasattr or getattr of one."""
    for path in ROOT.rglob("*.py"):
        if path == ROOT / "core" / "chunk.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                continue
            if node.func.id in ("hasattr", "getattr"):
                of, name = node.args[:2]
                asked = f"{path.relative_to(ROOT)}, line {node.lineno}"
                assert "chunk" not in ast.unparse(of), asked
                assert not isinstance(name, ast.Constant) or name.value not in {*MEMBERS, "__getitem__"}, asked


def test_a_model_of_another_kind_keeps_its_contract():
    """The mixture of groups, bare and under each transformer, is a sound model."""
    check_model(MODEL, START, Groups(X, LENGTHS, WEIGHT, MASK))


def fit(data, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lem.ConvergenceWarning)  # a few steps show the bits
        found = lem.fit(MODEL, data, start=START, max_steps=4, **options)
    return found.params.tolist(), found.history.bound.tolist(), found.log_evidence


@pytest.fixture(scope="module")
def expected():
    return fit(np.split(X, LENGTHS.cumsum()[:-1]), weights=WEIGHT, allowed=np.split(KNOWN, LENGTHS.cumsum()[:-1]))


def test_another_kind_of_chunk_is_made_from_memory(expected):
    """A list of groups, a chunk of them and a list of such chunks leave the same fit; the list is kept as it is cut."""
    chunk = MODEL.chunk(np.split(X, LENGTHS.cumsum()[:-1]), WEIGHT, np.split(KNOWN, LENGTHS.cumsum()[:-1]))
    assert type(chunk) is Groups
    assert fit(chunk) == expected
    assert len(MODEL.chunks(chunk)) > 3
    assert fit(MODEL.chunks(chunk)) == expected
    assert len(MODEL.chunks([chunk, chunk])) == 2


@pytest.mark.parametrize("kind", ["npy", "csv"])
def test_another_kind_of_chunk_is_made_from_files(tmp_path, expected, kind):
    """A .npy and a CSV file with the lengths of the groups leave the bits of the same groups in memory."""
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", KNOWN)
    rows = [
        f"{a!r},{b!r},{label if label >= 0 else 'NA'}" for (a, b), label in zip(X.tolist(), KNOWN.tolist(), strict=True)
    ]
    (tmp_path / "x.csv").write_text("\n".join(["a,b,y", *rows]))
    known = "y" if kind == "csv" else tmp_path / "y.npy"
    source = lem.data.source(tmp_path / f"x.{kind}", lengths=LENGTHS, weights=WEIGHT, allowed=known)
    chunks = MODEL.chunks(source)
    assert {type(chunk) for chunk in chunks} == {Groups}
    assert fit(source) == expected


def test_errors_about_another_kind_use_its_word(tmp_path):
    """A value that is not finite is said to be in a row of a group, and weights to be those of groups."""
    x = X.copy()
    x[LENGTHS[:5].sum() + 1, 1] = np.inf
    np.save(tmp_path / "x.npy", x)
    group = 5 if LENGTHS[5] > 1 else 6
    with pytest.raises(ValueError, match=rf"row \d of group {group} of x.npy, column 1 is inf"):
        list(MODEL.chunks(lem.data.source(tmp_path / "x.npy", lengths=LENGTHS)))
    with pytest.raises(ValueError, match=rf"row \d of group {group}, column 1 is inf"):
        MODEL.chunks(np.split(x, LENGTHS.cumsum()[:-1]))
    with pytest.raises(ValueError, match="give one a group"):
        MODEL.chunks(np.split(X, LENGTHS.cumsum()[:-1]), weights=WEIGHT[1:])
