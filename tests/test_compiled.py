"""Loops compiled by numba: their own exponential and logarithm, E-steps as exact as numpy's, one choice a fit."""

from __future__ import annotations

import math
import sys

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_kernels import agree, exact, gaussians, rows_of

import latentem as lem
from latentem import compiled
from latentem.compiled import Loops, choice
from latentem.engine import Processes, Serial, Threads
from latentem.engine.looped import Looped
from latentem.run.checkpoint import digest

NEEDED = "the extra `fast` is not installed: pip install numba"
STRUCTURES = [lem.Full(), lem.Diagonal(), lem.Spherical()]
TIED = [lem.Tied(each) for each in STRUCTURES]
ALL = ("diagonal", "full", "products")


@pytest.fixture(scope="module")
def loops():
    """All loops, ready in this process; the tests that ask for them are skipped where numba is not installed."""
    numba = pytest.importorskip("numba", reason=NEEDED)
    found = Loops(ALL, numba.__version__)
    found.prepare()
    return found


@pytest.fixture(scope="module")
def functions(loops):
    """The elementary functions over arrays, compiled as they are in the loops."""
    from numba import njit

    from latentem.compiled import loops as module

    def over(function):
        @njit(error_model="numpy", fastmath={"contract"})
        def mapped(x, out):
            for i in range(len(x)):
                out[i] = function(x[i])

        return lambda x: (mapped(np.asarray(x, dtype=float), out := np.empty(len(x))), out)[1]

    return over(module.exp), over(module.log)


def off_in_places(ours, x, true):
    """How far the values of a function are from those of mpmath, in units in the last place, at most."""
    with mpmath.workdps(50):
        return max(
            float(abs(mpmath.mpf(float(y)) - true(mpmath.mpf(float(a)))) / mpmath.mpf(float(np.spacing(abs(y)))))
            for a, y in zip(x, ours, strict=True)
        )


def test_the_exponential_is_within_its_bound_over_its_whole_range(functions):
    """From -700 to 700 it is within 1.2 units in the last place of 50 digits, also where the reduction changes over."""
    rng = np.random.default_rng(0)
    edges = (np.arange(-1009, 1010) + 0.5) * math.log(2)
    x = np.concatenate(
        [rng.uniform(-700, 700, 3000), edges[abs(edges) < 700], -(10.0 ** rng.uniform(-20, 0, 500)), [0]]
    )
    assert off_in_places(functions[0](x), x, mpmath.exp) < 1.2


def test_the_exponential_of_what_is_far_down_is_zero_and_that_of_nan_is_nan(functions):
    """Below -700 it is zero, for minus infinity too; NaN stays NaN; at zero it is one."""
    found = functions[0]([-700.001, -1e300, -np.inf, np.nan, 0.0])
    assert (found[:3] == 0).all()
    assert np.isnan(found[3])
    assert found[4] == 1


def test_the_logarithm_is_within_its_bound_over_its_whole_range(functions):
    """For normal numbers it is within one unit in the last place of 50 digits, near one and at powers of two too."""
    rng = np.random.default_rng(1)
    x = np.concatenate(
        [
            np.exp2(rng.uniform(-1022, 1023.9, 2000)),
            rng.uniform(1, 100, 1000),
            1 + rng.choice([-1, 1], 500) * 10.0 ** rng.uniform(-15, -1, 500),
            np.exp2(np.arange(-1020.0, 1021, 51)) * math.sqrt(0.5),
        ]
    )
    assert off_in_places(functions[1](x), x, mpmath.log) < 1.0
    assert np.isnan(functions[1]([np.nan])[0])
    assert functions[1]([1.0])[0] == 0


@settings(max_examples=60, deadline=None)
@given(
    structure=st.sampled_from(STRUCTURES + TIED),
    k=st.integers(1, 6),
    d=st.integers(1, 17),
    n=st.integers(1, 3000),
    apart=st.sampled_from([0.1, 3.0, 60.0]),
    offset=st.sampled_from([0.0, 1e3, 1e7]),
    weighted=st.booleans(),
    restricted=st.booleans(),
    seed=st.integers(0, 99),
)
def test_the_compiled_step_is_the_composed_one(loops, structure, k, d, n, apart, offset, weighted, restricted, seed):
    """Statistics, entropy and counts agree: any structure, size, distance and offset, with weights and known labels."""
    rng = np.random.default_rng(seed)
    components = gaussians(structure, k, d, rng, apart=apart, offset=offset)
    x = rows_of(components, n, rng)
    model = lem.Mixture(lem.Gaussian(structure), k)
    params = model.params(rng.dirichlet(np.ones(k)), components)
    weight = rng.exponential(size=n) * (rng.random(n) < 0.8) + (np.arange(n) == 0) if weighted else None
    allowed = np.eye(k, dtype=bool)[np.arange(n) % k] | (rng.random((n, k)) < 0.7) if restricted else None
    with loops.used():
        agree(model, params, lem.Rows(x, weight, allowed), 1e-12 if apart < 60 else 1e-10)


@pytest.mark.parametrize("structure", STRUCTURES, ids=str)
@pytest.mark.parametrize("width", [1e-6, 1.0, 1e3])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_counts_and_entropy_are_those_of_60_digits(loops, structure, width, offset):
    """At every width and offset the loop itself answers, and its counts and entropy are within 1e-9 of 60 digits."""
    rng = np.random.default_rng(2)
    components = gaussians(structure, 3, 5, rng, width, apart=width, offset=offset)
    x = rows_of(components, 30, rng)
    with mpmath.workdps(60):
        joint = exact(components, x)
        shares = [[mpmath.exp(joint[j][i]) for j in range(3)] for i in range(30)]
        shares = [[share / sum(row) for share in row] for row in shares]
        counts = [float(sum(row[j] for row in shares)) for j in range(3)]
        entropy = float(-sum(share * mpmath.log(share) for row in shares for share in row))
    with loops.used():
        found = lem.Gaussian(structure).kernel(components, np.zeros(3)).whole(lem.Rows(x))
    assert found is not None
    np.testing.assert_allclose(found[0], counts, rtol=1e-9)
    assert found[2] == pytest.approx(entropy, rel=1e-9)


@pytest.mark.parametrize("structure", [lem.Full(), lem.Tied()], ids=str)
@pytest.mark.parametrize("condition", [1.0, 1e3])
def test_many_columns_run_in_two_compiled_products_and_correlated_ones_are_turned_first(loops, structure, condition):
    """In 20 columns, more than are whitened, the loop of products answers, with the sums of the composed step."""
    rng = np.random.default_rng(8)
    root = np.linalg.qr(rng.standard_normal((20, 20)))[0] * np.geomspace(1, condition, 20)
    covariance = root @ root.T
    means = 2 * rng.standard_normal((3, 20)) @ root.T
    components = lem.Gaussian(structure).params(means, covariance if structure.tied else np.array([covariance] * 3))
    chunk = lem.Rows(rows_of(components, 2000, rng), rng.exponential(size=2000))
    model = lem.Mixture(lem.Gaussian(structure), 3)
    params = model.params([0.2, 0.3, 0.5], components)
    with loops.used():
        assert model.family.kernel(components, np.log(params.weights)).whole(chunk) is not None
        agree(model, params, chunk)


def test_a_component_without_weight_has_no_rows_and_one_far_from_all_none_either(loops):
    """A weight of zero, and a component 1e4 widths from every row, give counts of exactly zero and no NaN."""
    x = np.random.default_rng(0).standard_normal((3000, 2))
    model = lem.GaussianMixture(3)
    params = model.params([0.5, 0.0, 0.5], [[0.0, 0.0], [0.1, 0.1], [1e4, 1e4]], np.array([np.eye(2)] * 3))
    with loops.used():
        expectation = model.expectation(params, lem.Rows(x))
    assert expectation.statistics.weights[0] == pytest.approx(3000, rel=1e-14)
    assert (expectation.statistics.weights[1:] == 0).all()
    assert (expectation.statistics.components.first[1:] == 0).all()
    assert 0 <= expectation.entropy < 1e-200


@pytest.mark.parametrize("structure", STRUCTURES, ids=str)
@pytest.mark.parametrize("value", [np.nan, 1e200, 1e300])
def test_a_chunk_that_the_loop_is_not_for_is_left_to_numpy(loops, structure, value):
    """A missing cell, or a row where no density is above zero, leaves the chunk to numpy: the same bits, or error."""
    model = lem.Mixture(lem.Gaussian(structure), 2)
    x = np.random.default_rng(5).standard_normal((600, 2))
    x[300, 1] = value
    each = {lem.Full: np.array([np.eye(2)] * 2), lem.Diagonal: np.ones((2, 2)), lem.Spherical: np.ones(2)}
    params = model.params([0.5, 0.5], lem.Gaussian(structure).params([[0.0, 0.0], [1.0, 1.0]], each[type(structure)]))

    def answer():
        try:
            expectation = model.expectation(params, lem.Rows(x))
        except lem.Degenerate as error:
            return str(error)
        return digest(expectation)

    with np.errstate(all="ignore"):
        plain = answer()
        with loops.used():
            assert answer() == plain


def test_bits_are_the_same_wherever_chunks_are_computed(loops):
    """One thread, three and two processes give the same bits, with all allowed too; they are not those of numpy."""
    rng = np.random.default_rng(6)
    model = lem.GaussianMixture(3, structure=lem.Diagonal())
    x = rng.standard_normal((3000, 3)) + 3 * rng.integers(3, size=(3000, 1))
    params = model.params([0.3, 0.3, 0.4], x[:3], np.ones((3, 3)))
    chunks = [lem.Rows(x[i : i + 700]) for i in range(0, 3000, 700)]
    found = []
    for engine in (Serial(), Threads(3), Processes(2)):
        placed = Looped(engine.place(chunks), loops)
        found.append(lem.core.e_step(model, params, placed))
    free = [lem.Rows(chunk.x, None, np.ones((len(chunk), 3), dtype=bool)) for chunk in chunks]
    found.append(lem.core.e_step(model, params, Looped(Serial().place(free), loops)))
    assert found[0] == found[1] == found[2] == found[3]
    assert lem.core.e_step(model, params, Serial().place(chunks)) != found[0]


def fitted(monkeypatch, told, n=400, **options):
    """A small fit with the environment variable as told; None: not set."""
    if told is None:
        monkeypatch.delenv(compiled.VARIABLE, raising=False)
    else:
        monkeypatch.setenv(compiled.VARIABLE, told)
    rng = np.random.default_rng(7)
    x = rng.standard_normal((n, 2)) + 4 * rng.integers(2, size=(n, 1))
    return lem.fit(lem.GaussianMixture(2, structure=lem.Diagonal()), x, n_starts=2, **options)


def test_a_fit_says_what_it_ran_in(loops, monkeypatch):
    """Few rows run in numpy's loops, many in compiled ones; 1 and 0 in the environment say always and never."""
    assert fitted(monkeypatch, None).loops is None
    assert fitted(monkeypatch, None, n=70_000).loops == f"numba {loops.numba}"
    fit = fitted(monkeypatch, "1")
    assert fit.loops == f"numba {loops.numba}"
    assert f"passes in compiled loops (numba {loops.numba})" in str(fit)
    plain = fitted(monkeypatch, "0")
    assert plain.loops is None
    assert "compiled" not in str(plain)
    assert fit.log_likelihood == pytest.approx(plain.log_likelihood, rel=1e-12)


@pytest.mark.filterwarnings("ignore::latentem.ConvergenceWarning")
def test_a_fit_in_a_callback_runs_in_the_loops_that_it_says(loops, monkeypatch):
    """A fit of few rows within one of many runs in numpy, to the bits that it has by itself."""
    inner = []

    def callback(state):
        inner.append(fitted(monkeypatch, None))
        return lem.STOP

    assert fitted(monkeypatch, None, n=70_000, callback=callback).loops is not None
    assert inner[0].loops is None
    assert inner[0].params == fitted(monkeypatch, None).params


def test_a_compiled_fit_is_saved_with_what_it_ran_in(loops, monkeypatch, tmp_path):
    """A fit comes back from a file with the loops that it ran in."""
    fit = fitted(monkeypatch, "1")
    fit.save(tmp_path / "fit.lem")
    assert lem.load(tmp_path / "fit.lem") == fit


def test_a_checkpoint_is_not_taken_up_in_other_loops(loops, monkeypatch, tmp_path):
    """What was begun in compiled loops goes on in them, and is refused in numpy's."""
    path = tmp_path / "checkpoint"
    fit = fitted(monkeypatch, "1", checkpoint=path)
    assert fitted(monkeypatch, "1", checkpoint=path) == fit
    with pytest.raises(ValueError, match="another fit, which differs in loops"):
        fitted(monkeypatch, "0", checkpoint=path)


def test_the_compilation_is_told_in_the_progress(loops, monkeypatch, capsys):
    """Where loops are not ready in this process, a line says that they are loaded or compiled."""
    fitted(monkeypatch, "1", progress=True)
    assert "compiled" not in capsys.readouterr().err
    monkeypatch.setattr(choice, "_ready", {})
    fitted(monkeypatch, "1", progress=True)
    assert "loading compiled loops" in capsys.readouterr().err


@pytest.mark.parametrize("there", ["0.1", None])
def test_a_worker_without_these_loops_refuses(monkeypatch, there):
    """Where numba is of another version, or not installed, a task of a compiled fit is refused."""
    monkeypatch.setattr(choice, "found_numba", lambda: there)
    monkeypatch.setattr(choice, "_ready", {})
    placed = Looped(Serial().place([lem.Rows(np.zeros((3, 1)))]), Loops(("diagonal",), "0.2"))
    with pytest.raises(RuntimeError, match=r"compiled by numba 0\.2, but here .* set LATENTEM_COMPILED=0"):
        placed.each(len)


def test_without_numba_a_fit_runs_in_numpy_unless_it_is_told_otherwise(monkeypatch):
    """Where numba cannot be imported many rows run in numpy's loops; to ask for others is an error with the remedy."""
    monkeypatch.setattr(choice, "found_numba", lambda: None)
    assert fitted(monkeypatch, None, n=70_000).loops is None
    with pytest.raises(ImportError, match=r"LATENTEM_COMPILED=1 .*pip install numba"):
        fitted(monkeypatch, "1")


def test_an_environment_that_says_neither_is_refused(monkeypatch):
    """Another value than 0 and 1 is an error that says what is allowed."""
    with pytest.raises(ValueError, match="LATENTEM_COMPILED is 'yes': set it to 0, never, or 1, always"):
        fitted(monkeypatch, "yes")


def test_loops_are_compiled_where_nothing_can_be_kept_on_disk(loops, monkeypatch):
    """Where numba finds no place for its files, which is an error at once, a loop is compiled without."""
    import numba

    from latentem.compiled import loops as module

    def refusing(cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return numba.njit(**options)

    monkeypatch.setattr(module, "njit", refusing)
    assert module._loop()(lambda x: x + 1.0)(1.0) == 2.0


@pytest.mark.parametrize("left", [b"", b"no pickle"])
def test_damaged_files_of_numba_are_removed_and_loops_compiled_anew(loops, monkeypatch, tmp_path, caplog, left):
    """Where what was kept on disk cannot be read, a warning is logged, loops run, and the next process keeps them."""
    import numba

    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    wanted = Loops(("displaced",), numba.__version__)

    def prepared():
        """As a new process does."""
        monkeypatch.setattr(choice, "_ready", {})
        monkeypatch.setattr(choice, "_keeping", True)
        monkeypatch.delitem(sys.modules, choice.__name__.replace("choice", "loops"), raising=False)
        caplog.clear()
        wanted.prepare()
        with wanted.used():
            out = np.empty((1, 1), dtype=np.float32)
            compiled.running("displaced")(np.zeros((1, 1, 2)), np.ones((1, 2)), np.zeros(2), 1.0, 0.0, out)
        assert out[0, 0] == pytest.approx(math.sqrt(2), rel=1e-4)
        return sorted(tmp_path.rglob("*.nb?"))

    files = prepared()
    assert files
    assert not caplog.records
    for path in files:
        path.write_bytes(left)
    assert not prepared()
    assert "cannot be used, and is made anew" in caplog.text
    assert prepared() == files
    assert not caplog.records


def test_numba_that_is_broken_counts_as_none(monkeypatch):
    """An import that ends in any error, as one without LLVM's library, leaves a fit to numpy."""
    choice.found_numba.cache_clear()
    monkeypatch.setattr(choice, "import_module", lambda name: (_ for _ in ()).throw(OSError("no shared object")))
    try:
        assert choice.found_numba() is None
    finally:
        choice.found_numba.cache_clear()


def test_loops_that_numba_cannot_compile_are_an_error_with_a_remedy(monkeypatch):
    """A numba that fails twice, with what it keeps on disk and without, is named with the variable to do without it."""
    monkeypatch.setattr(choice, "found_numba", lambda: "9.0")
    monkeypatch.setattr(choice, "_ready", {})
    monkeypatch.setattr(choice, "_keeping", True)
    monkeypatch.setattr(choice, "_LOOPS", "latentem.compiled.not_there")
    with pytest.raises(RuntimeError, match=r"numba 9\.0 cannot compile the loop 'full' .*set LATENTEM_COMPILED=0"):
        Loops(("full",), "9.0").prepare()
