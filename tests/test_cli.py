"""The command line does what it says, says what is wrong in one line, and leaves nothing half done."""

import csv
import json
import os
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import latentem as lem
from latentem.command import files, main
from latentem.command.models import STRUCTURES
from latentem.run import em


@pytest.fixture
def geyser(tmp_path):
    path = tmp_path / "geyser.csv"
    rows = lem.datasets.old_faithful().tolist()
    path.write_text("eruption,waiting\n" + "".join(f"{a!r},{b!r}\n" for a, b in rows))
    return str(path)


@pytest.fixture
def refused(capsys):
    def message(*argv):
        assert main(argv) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.count("\n") == 1
        assert captured.err.startswith("latentem: error: ")
        return captured.err

    return message


def run(*argv, **options):
    command = [sys.executable, "-m", "latentem", *argv]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120, **options)


def read(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_fit_prints_the_summary_of_the_fit(geyser, capsys):
    """What is printed is print(fit), with the names of the columns."""
    assert main(["fit", geyser, "--components", "2"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.startswith("GaussianMixture(2) on 272 observations\nconverged: ")
    assert "log likelihood -1130.263960" in captured.out
    assert "eruption: mean ± sd  waiting: mean ± sd" in captured.out


@pytest.mark.parametrize(
    ("structure", "log_likelihood"),
    [
        ("full", "-1130.263960"),
        ("tied", "-1140.186759"),
        ("diagonal", "-1147.806353"),
        ("spherical", "-1709.529282"),
        ("tied-diagonal", None),
        ("tied-spherical", None),
    ],
)
def test_structures_are_the_library_s(geyser, capsys, structure, log_likelihood):
    """Each name of a structure fits that structure, to the published log likelihood where there is one."""
    if log_likelihood is None:
        model = lem.GaussianMixture(2, structure=STRUCTURES[structure])
        log_likelihood = f"{lem.fit(model, lem.datasets.old_faithful()).log_likelihood:.6f}"
    assert main(["fit", geyser, "--components", "2", "--structure", structure]) == 0
    assert f"log likelihood {log_likelihood}" in capsys.readouterr().out


def test_kmeans_and_poisson_are_fitted(geyser, tmp_path, capsys):
    """--model fits K-means, and Poisson mixtures to the published log likelihood of the death notices."""
    assert main(["fit", geyser, "--components", "2", "--model", "kmeans"]) == 0
    assert "KMeans(2)" in (shown := capsys.readouterr().out)
    assert "inertia" in shown
    counts = np.repeat(np.arange(10), [162, 267, 271, 185, 111, 61, 27, 8, 3, 1])
    path = tmp_path / "notices.csv"
    path.write_text("\n".join(map(str, counts)))
    assert main(["fit", str(path), "--components", "2", "--model", "poisson", "--out", str(tmp_path / "out")]) == 0
    shown = capsys.readouterr().out
    assert "log likelihood -1989.945860" in shown
    assert "column 1: rate" in shown
    assert np.shape(json.loads((tmp_path / "out" / "params.json").read_text())["params"]["components"]) == (2, 1)


def test_options_reach_the_fit(tmp_path, capsys):
    """Columns, delimiter, header, seed and starts are used."""
    path = tmp_path / "data.tsv"
    x = lem.datasets.old_faithful()
    path.write_text("".join(f"{a!r}\tx\t{b!r}\n" for a, b in x.tolist()))
    argv = ["--delimiter", "\\t", "--no-header", "--columns", "3, 1", "--starts", "4", "--seed", "7"]
    assert main(["fit", str(path), "--components", "2", *argv]) == 0
    shown = capsys.readouterr().out
    assert "column 3: mean ± sd  column 1: mean ± sd" in shown
    assert "4 starts; " in shown


def test_out_holds_the_fit_to_the_last_bit(geyser, tmp_path, capsys):
    """The four files hold labels, responsibilities, parameters and steps, and read back as the fit has them."""
    out = tmp_path / "out"
    assert main(["fit", geyser, "--components", "2", "--seed", "3", "--out", str(out)]) == 0
    assert capsys.readouterr().out.endswith(f"written to {out}: {', '.join(files.FILES)}\n")
    x = lem.datasets.old_faithful()
    fit = lem.fit(lem.GaussianMixture(2), x, rng=3)

    assert sorted(os.listdir(out)) == sorted(files.FILES)
    labels = read(out / "labels.csv")
    assert labels[0] == ["label"]
    assert [int(row[0]) for row in labels[1:]] == fit.predict(x).tolist()
    responsibilities = read(out / "responsibilities.csv")
    assert responsibilities[0] == ["component_0", "component_1"]
    assert [list(map(float, row)) for row in responsibilities[1:]] == fit.predict_proba(x).tolist()
    described = json.loads((out / "params.json").read_text(encoding="utf-8"))
    params = described.pop("params")
    assert described == {
        "format": "latentem parameters",
        "version": 1,
        "model": "GaussianMixture(2)",
        "columns": ["eruption", "waiting"],
        "categories": None,
        "observations": 272.0,
        "status": str(fit.status),
        "converged": True,
        "log_likelihood": fit.log_likelihood,
        "bound": fit.bound,
        "n_parameters": 11,
        "aic": fit.aic,
        "bic": fit.bic,
        "events": [],
    }
    components = params["components"]
    assert params["weights"] == fit.params.weights.tolist()
    assert components["means"] == fit.params.components.means.tolist()
    assert components["covariances"] == fit.params.components.covariances.tolist()
    assert components["structure"] == "Full()"
    history = read(out / "history.csv")
    assert history[0][:3] == ["index", "kind", "bound"]
    assert [float(row[2]) for row in history[1:]] == fit.history.bound.tolist()


@pytest.mark.parametrize("moved", range(5))
def test_a_disk_that_fails_leaves_what_was_there(geyser, tmp_path, monkeypatch, refused, capsys, moved):
    """However many files are in place when moving fails for good, those of the earlier fit are all back."""
    out = tmp_path / "out"
    assert main(["fit", geyser, "--components", "2", "--out", str(out)]) == 0
    (out / "notes.txt").write_text("mine")
    (out / "history.csv").unlink()
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    capsys.readouterr()
    replace, calls = os.replace, []

    def failing(source, target):
        calls.append(target)
        if len(calls) > moved:
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", failing)
    code = main(["fit", geyser, "--components", "3", "--out", str(out)])
    after = {path.name: path.read_bytes() for path in out.iterdir()}
    captured = capsys.readouterr()
    assert captured.out.startswith("GaussianMixture(3)")
    if moved == len(files.FILES):
        assert code == 0
        assert b"GaussianMixture(3)" in after["params.json"]
        return
    assert code == 2
    assert captured.err == f"latentem: error: nothing was written to {out}: No space left on device\n"
    assert after == before


@pytest.mark.parametrize("call", ["os.replace", "os.fsync", "json.dumps"])
@pytest.mark.parametrize("error", [OSError("the disk is gone"), KeyboardInterrupt()])
def test_a_failure_at_any_stage_leaves_no_new_directory(geyser, tmp_path, monkeypatch, call, error):
    """A directory that was to be made is not there after a failure, and the fit is shown all the same."""

    def failing(*arguments, **options):
        raise error

    monkeypatch.setattr(f"latentem.command.files.{call}", failing)
    code = main(["fit", geyser, "--components", "2", "--out", str(tmp_path / "out")])
    assert code == (130 if isinstance(error, KeyboardInterrupt) else 2)
    assert os.listdir(tmp_path) == ["geyser.csv"]


def test_a_place_that_cannot_be_written_is_refused_before_fitting(geyser, tmp_path, monkeypatch, refused):
    """A file, a missing parent, a directory in a file's place and the input itself are named, and nothing is fitted."""
    monkeypatch.setattr(lem, "fit", lambda *arguments, **options: pytest.fail("it was fitted"))
    fit = ("fit", geyser, "--components", "2", "--out")
    assert f"{geyser} cannot be written into" in refused(*fit, geyser)
    assert f"{tmp_path / 'no'} cannot be written into" in refused(*fit, str(tmp_path / "no" / "out"))
    (tmp_path / "out" / "labels.csv").mkdir(parents=True)
    assert "labels.csv cannot be written over" in refused(*fit, str(tmp_path / "out"))
    (tmp_path / "labels.csv").write_text("1\n2\n")
    source = str(tmp_path / "labels.csv")
    assert "labels.csv cannot be written over" in refused("fit", source, "--components", "1", "--out", str(tmp_path))


def test_a_directory_without_permission_is_refused_before_fitting(geyser, tmp_path, monkeypatch, refused):
    """Permission is tried, not asked for."""

    def denied(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkdtemp", denied)
    message = refused("fit", geyser, "--components", "2", "--out", str(tmp_path))
    assert f"{tmp_path} cannot be written into (Permission denied)" in message


@pytest.mark.parametrize(
    ("content", "argv", "message"),
    [
        ("a,b\n1,2\n3,four\n", [], "line 3, column 'b': 'four' is no finite number"),
        ("1,x\n3,y\n", [], "say which, with --header or --no-header"),
        ("a,b\n1,2\n", ["--columns", "c"], "column 'c' is not there: choose with --columns from ['a', 'b']"),
        ("a,b\n1,2\n", ["--columns", "a,a"], "column 'a' was chosen twice"),
        ("a,b\n1,2\n", ["--columns", ""], "column '' has no name"),
        ("a;b\n1;2\n", [], "give --delimiter ';'"),
        ("a,b\n1,2\n", ["--delimiter", "::"], "delimiter was given as '::'"),
        ("a,b\n1,2\n", [], "1 rows were given for 2 components"),
        ("a,b\n1,2\n1,3\n1,4\n", [], "is constant"),
        ("a,b\n-1,2\n1,3\n1,4\n", ["--model", "poisson"], "outside the support of Poisson"),
        ("a,b\n1,2\n", ["--model", "kmeans", "--structure", "full"], "--structure was given with --model kmeans"),
        ("a,b\n1,2\n", ["--structure", "round"], "argument --structure: invalid choice: 'round'"),
        ("a,b\n1,2\n", ["--components", "0"], "argument --components: '0' was given: give a whole number, at least 1"),
        ("a,b\n1,2\n", ["--starts", "many"], "argument --starts: 'many' was given"),
        ("a,b\n1,2\n", ["--max-steps", "-1"], "argument --max-steps: '-1' was given"),
        ("a,b\n1,2\n", ["--start", "3"], "unrecognized arguments: --start 3 (see latentem"),
    ],
)
def test_what_cannot_be_fitted_is_refused_in_one_line(tmp_path, refused, content, argv, message):
    """Errors of the file, of the options and of the model are one line on the standard error, and the code is 2."""
    path = tmp_path / "data.csv"
    path.write_text(content)
    assert message in refused("fit", str(path), "--components", "2", *argv)


def test_files_that_are_none_are_refused(tmp_path, refused):
    """A missing file and a directory are named."""
    assert "nowhere.csv: there is no such file" in refused("fit", str(tmp_path / "nowhere.csv"), "--components", "2")
    assert str(tmp_path) in refused("fit", str(tmp_path), "--components", "2")


def test_a_command_and_a_number_of_components_are_needed(geyser, refused):
    """What is missing is named, with where to look."""
    assert "required: COMMAND (see latentem --help)" in refused()
    assert "required: --components (see latentem fit --help)" in refused("fit", geyser)


def test_a_run_that_did_not_converge_is_a_warning(geyser, capsys):
    """The sentence of the warning is one line on the standard error; the fit is shown and the code is 0."""
    assert main(["fit", geyser, "--components", "2", "--max-steps", "3"]) == 0
    captured = capsys.readouterr()
    assert captured.err.startswith("latentem: warning: not converged: max steps reached: 3 steps")
    assert captured.err.count("\n") == 1
    assert "max steps reached" in captured.out


def test_an_interrupted_fit_shows_and_writes_the_best_so_far(geyser, tmp_path, monkeypatch, capsys):
    """Ctrl-C in the fifth pass shows the fit after the passes before it; the code is 130."""
    e_half, calls = em.e_half, []

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return e_half(*arguments)

    monkeypatch.setattr(em, "e_half", interrupted)
    assert main(["fit", geyser, "--components", "2", "--out", str(tmp_path / "out")]) == 130
    captured = capsys.readouterr()
    assert "interrupted: by Ctrl-C after step 3" in captured.out
    assert captured.err.startswith("latentem: warning: not converged: interrupted")
    assert "interrupted" in json.loads((tmp_path / "out" / "params.json").read_text())["status"]


def test_an_interrupt_before_the_first_step_is_one_line(geyser, monkeypatch, capsys):
    """Ctrl-C before there is anything to show has the code 130 and no traceback."""

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(em, "e_half", interrupted)
    assert main(["fit", geyser, "--components", "2"]) == 130
    assert capsys.readouterr().err == "latentem: error: interrupted\n"


def test_demo_shows_the_books_of_each_step():
    """Run as a command, the demo shows gains that add up to A, the names, and the known log likelihood."""
    done = run("demo")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 100
    assert "eruption: mean ± sd  waiting: mean ± sd" in done.stdout
    assert "log likelihood -1130.263960 = Q" in done.stdout
    head = next(i for i, line in enumerate(lines) if line.startswith("step"))
    assert " ".join(lines[head].split()) == "step M gain E gain Q H A = Q + H"
    steps = [list(map(float, line.split())) for line in lines[head + 1 : lines.index("", head)]]
    assert len(steps[0]) == 4
    bound = steps[0][3]
    for index, m_gain, e_gain, q, h, a in steps[1:]:
        assert a == pytest.approx(q + h, abs=2e-6)
        assert a == pytest.approx(bound + m_gain + e_gain, abs=0.02)
        assert index > 0
        bound = a
    assert bound == pytest.approx(-1130.263960, abs=1e-6)


def test_version_and_help(capsys):
    """--version is the package's, and --help names commands, options and examples."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"latentem {lem.__version__}\n"
    assert main(["--help"]) == 0
    assert "latentem fit geyser.csv --components 2" in capsys.readouterr().out
    assert main(["fit", "--help"]) == 0
    assert "--header, --no-header" in capsys.readouterr().out


def test_errors_of_a_real_process_have_no_traceback(tmp_path):
    """Run as a command, an error is one line and the code 2."""
    done = run("fit", "nowhere.csv", "--components", "2", cwd=tmp_path)
    expected = "latentem: error: nowhere.csv: there is no such file\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", expected)


@pytest.mark.skipif(os.name != "posix", reason="pipes break so on POSIX only")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("argv", [["demo"], ["--help"]])
def test_a_reader_that_leaves_is_no_error(argv, unbuffered):
    """Where nobody reads the output, there is no traceback, whether it is buffered or not."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "latentem", *argv]
    env = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, timeout=120, env=env)
    os.close(writing)
    assert done.stderr == b""
    assert done.returncode == 141 or argv == ["--help"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the device that is always full is Linux's")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_cannot_be_written_is_an_error(unbuffered):
    """A summary that is lost is not a success."""
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "latentem", "demo"]
        env = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120, env=env)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.endswith("No space left on device\n")


def test_a_terminal_without_the_sign_still_gets_the_table():
    """Characters that the terminal lacks are replaced, not fatal."""
    done = run("demo", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "waiting: mean ? sd" in done.stdout


WORDS = 'id;länge;breite;gewicht\n"a;1";1,5;2;1\nb;;3,5;2\nc;2,5;NA;0,5\nd;7,5;9;1\ne;8;8,5;1\nf;9;9,5;1\n'


def test_a_file_of_another_country_is_read(tmp_path, capsys):
    """Semicolons, decimal commas, cp1252, an id with a semicolon in quotes, missing cells and weights, as in Python."""
    path = tmp_path / "länder.dat"
    path.write_bytes(WORDS.encode("cp1252"))
    how = ["--kind", "csv", "--decimal", ",", "--encoding", "cp1252", "--id", "id", "--weights", "gewicht"]
    argv = ["fit", str(path), "--components", "2", "--structure", "spherical", *how, "--out", str(tmp_path / "out")]
    assert main(argv) == 0
    assert "länge: mean" in capsys.readouterr().out
    x = np.array([[1.5, 2], [np.nan, 3.5], [2.5, np.nan], [7.5, 9], [8, 8.5], [9, 9.5]])
    fit = lem.fit(lem.GaussianMixture(2, lem.Spherical()), x, weights=[1, 2, 0.5, 1, 1, 1])
    labels = read(tmp_path / "out" / "labels.csv")
    assert labels[0] == ["id", "label"]
    assert [row[0] for row in labels[1:]] == ["a;1", "b", "c", "d", "e", "f"]
    assert [int(row[1]) for row in labels[1:]] == fit.predict(x).tolist()
    described = json.loads((tmp_path / "out" / "params.json").read_text(encoding="utf-8"))
    assert described["log_likelihood"] == fit.log_likelihood
    assert described["columns"] == ["länge", "breite"]


def test_every_kind_of_file_gives_the_same_fit(geyser, tmp_path, capsys):
    """CSV, Parquet, .npy and a pipe: the same document, to the last bit, but for the names that .npy lacks."""
    x = lem.datasets.old_faithful()
    frame = pd.DataFrame(x, columns=["eruption", "waiting"]).assign(name="x")
    frame.to_parquet(tmp_path / "x.parquet")
    np.save(tmp_path / "x.npy", np.column_stack([x, np.ones(272)]))
    tail = ["--components", "2", "--json"]
    found = []
    for path, more in (
        (geyser, []),
        (tmp_path / "x.parquet", ["--id", "name"]),
        (tmp_path / "x.npy", ["--columns", "1,2"]),
    ):
        assert main(["fit", str(path), *tail, *more]) == 0
        found.append(json.loads(capsys.readouterr().out))
    with open(geyser, "rb") as file:
        found.append(json.loads(run("fit", "-", *tail, stdin=file).stdout))
    assert found[0]["columns"] == ["eruption", "waiting"]
    assert found[2].pop("columns") is None
    assert found[1] == found[0] == found[3]
    assert found[2]["params"] == found[0]["params"]


def test_a_file_that_is_too_large_is_streamed_to_the_same_bits(geyser, tmp_path, monkeypatch, capsys):
    """What does not fit into memory is read in every pass, labelled in stretches, and gives the same files."""
    argv = ["fit", geyser, "--components", "2", "--starts", "1", "--out"]
    assert main([*argv, str(tmp_path / "one")]) == 0
    monkeypatch.setattr("latentem.command.table.SMALL", 1000)
    monkeypatch.setattr("latentem.command.table.ROWS", 100)
    monkeypatch.setattr("latentem.data.readers.text.BLOCK", 500)
    assert main([*argv, str(tmp_path / "two")]) == 0
    for name in files.FILES[:3]:  # the last one has times in it
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    capsys.readouterr()


def test_what_comes_through_a_pipe_is_refused_by_its_name(tmp_path):
    """An error of the standard input calls it so, with its line; an empty one is empty; the code is 2."""
    done = run("fit", "-", "--components", "2", input="a,b\n1,2\n1,x\n")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("latentem: error: the standard input: line 3, column 'b': 'x' is no finite number")
    assert "the standard input: the file is empty" in run("fit", "-", "--components", "2", input="").stderr
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(["tee", str(tmp_path / "pipe")], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as tee:
        fit = ["fit", str(tmp_path / "pipe"), "--components", "1", "--structure", "diagonal"]
        tee.stdin.write(b"1,2\n3,5\n4,4\n5,1\n")
        tee.stdin.close()
        assert "on 4 observations" in run(*fit).stdout


def test_strict_makes_an_exit_code_of_what_has_not_converged(geyser, capsys):
    """With --strict the code is 3 where a fit has not converged, and 0 where it has."""
    assert main(["fit", geyser, "--components", "2", "--strict", "--max-steps", "3"]) == 3
    assert main(["fit", geyser, "--components", "2", "--strict"]) == 0
    capsys.readouterr()


def test_select_ranks_by_bic(geyser, capsys):
    """The candidates of sizes and structures come from the lowest BIC to the highest, each with lem.fit's figures."""
    argv = ["select", geyser, "--components", "1-2", "--structures", "full,tied"]
    assert main([*argv, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    bics = {one["model"]: one["bic"] for one in found}
    assert list(bics.values()) == pytest.approx(sorted(bics.values()), abs=1e-6)  # one component is one model
    assert len(bics) == 4
    for k in (1, 2):
        fit = lem.fit(lem.GaussianMixture(k), lem.datasets.old_faithful())
        assert bics[repr(fit.model)] == fit.bic
    assert main(argv) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["model", "BIC", "AIC"]
    assert lines[1].startswith(found[0]["model"])
    assert f"{found[0]['model']} on 272 observations" in lines


def test_select_goes_on_without_what_cannot_be_fitted(tmp_path, refused, capsys):
    """More components than rows are a line that says so; if nothing can be fitted, that is an error."""
    path = tmp_path / "x.csv"
    path.write_text("1\n2\n4\n")
    assert main(["select", str(path), "--components", "1-4", "--model", "poisson", "--json"]) == 0
    last = json.loads(capsys.readouterr().out)[-1]
    assert "3 rows were given for 4 components" in last["error"]
    assert "none of the 1 candidates could be fitted" in refused(
        "select", str(path), "--components", "9", "--model", "poisson"
    )
    assert "--structures holds 'round': choose from full" in refused(
        "select", str(path), "--components", "1", "--structures", "round"
    )
    assert "'3-1' was given: give two whole numbers" in refused("select", str(path), "--components", "3-1")


def test_columns_that_say_nothing_are_refused(geyser, tmp_path, refused):
    """An id that is not there, a name where columns have numbers, and a number beyond them."""
    fit = ("fit", geyser, "--components", "2")
    assert "column 'serial' is not there" in refused(*fit, "--id", "serial")
    np.save(tmp_path / "x.npy", np.eye(3))
    fit = ("fit", str(tmp_path / "x.npy"), "--components", "2")
    assert "the columns of this file have numbers, from 1" in refused(*fit, "--columns", "a")
    assert "x.npy has 3, numbered from" in refused(*fit, "--columns", "4")
    assert "whose columns have no names: leave it out" in refused(*fit, "--id", "1")


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_shell_completes_the_words(shell, monkeypatch, refused, capsys):
    """--completion prints a script with the commands and their options; without shtab it names what to install."""
    assert main(["--completion", shell]) == 0
    script = capsys.readouterr().out
    assert "select" in script
    assert "--structures" in script
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert "pip install shtab" in refused("--completion", shell)


def test_a_fit_is_a_page_and_a_picture(geyser, tmp_path, capsys):
    """--html writes a page that needs nothing beside it, --plot a picture of one column, of two, and of clusters."""
    html, plot = tmp_path / "x.html", tmp_path / "x.png"
    for more in ([], ["--columns", "waiting"], ["--model", "kmeans"]):
        plot.unlink(missing_ok=True)
        assert main(["fit", geyser, "--components", "2", "--html", str(html), "--plot", str(plot), *more]) == 0
        assert plot.read_bytes()[:4] == b"\x89PNG"
    page = html.read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "KMeans(2) on 272 observations" in page
    assert not re.search(r"(src|href)=", page)
    assert sorted(os.listdir(tmp_path)) == ["geyser.csv", "x.html", "x.png"]
    capsys.readouterr()


def test_a_page_or_a_picture_that_cannot_be_written_is_refused_before_fitting(geyser, tmp_path, monkeypatch, refused):
    """A folder that is not there, an ending that is no picture, the input itself, and a package that is missing."""
    monkeypatch.setattr(lem, "fit", lambda *arguments, **options: pytest.fail("it was fitted"))
    fit = ("fit", geyser, "--components", "2")
    assert "give another file to --html" in refused(*fit, "--html", str(tmp_path / "no" / "x.html"))
    assert "give a file that ends in" in refused(*fit, "--plot", str(tmp_path / "x.doc"))
    assert "cannot be written over" in refused(*fit, "--html", geyser)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert "pip install matplotlib" in refused(*fit, "--plot", str(tmp_path / "x.png"))


def test_progress_is_told_on_the_standard_error(geyser):
    """--progress says how far the fit is, and leaves the standard output to the result."""
    done = run("fit", geyser, "--components", "2", "--json", "--progress")
    assert json.loads(done.stdout)["converged"]
    assert done.stderr


def mixed(n=120):
    rng = np.random.default_rng(3)
    z = rng.integers(0, 2, n)
    return pd.DataFrame(
        {
            "serial": [f"s{i}" for i in range(n)],
            "size": np.round(rng.normal(size=n) + 4 * z, 3),
            "region": np.where(rng.random(n) < 0.9, np.array(["north", "south, far"])[z], np.array(["east"] * n)),
            "count": rng.integers(1, 3, n),
        }
    )


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_categories_are_fitted_beside_numbers(tmp_path, capsys, kind):
    """--categorical codes text, in CSV and Parquet alike, and the fit is that of the frame in Python."""
    frame, path = mixed(), tmp_path / f"x.{kind}"
    frame.to_csv(path, index=False) if kind == "csv" else frame.to_parquet(path)
    how = ["--categorical", "region", "--id", "serial", "--weights", "count", "--structure", "diagonal"]
    assert main(["fit", str(path), "--components", "2", *how, "--json", "--out", str(tmp_path / "out")]) == 0
    described = json.loads(capsys.readouterr().out)
    product = lem.Product(lem.Gaussian(lem.Diagonal()).on("size"), lem.Categorical().on("region"))
    fit = lem.fit(lem.Mixture(product, 2), frame[["size", "region"]], weights=frame["count"].to_numpy(float))
    assert described["log_likelihood"] == fit.log_likelihood
    labels = read(tmp_path / "out" / "labels.csv")
    assert labels[1:4] == [[f"s{i}", str(label)] for i, label in enumerate(fit.predict(frame[["size", "region"]])[:3])]


def test_categories_alone_are_latent_classes(tmp_path, capsys, refused):
    """Columns of words only; a missing cell is missing; what does not go together is refused."""
    path = tmp_path / "x.csv"
    path.write_text("a,b\n" + "yes,no\nno,yes\nNA,yes\nyes,\n" * 5)
    argv = ["fit", str(path), "--components", "2", "--categorical", "a,b"]
    assert main(argv) == 0
    assert "on 20 observations" in capsys.readouterr().out
    assert "to which categories have no distance" in refused(*argv, "--model", "kmeans")
    assert "nothing is Gaussian" in refused(*argv, "--structure", "tied")
    assert "column 'c' is not there" in refused(*argv[:-1], "a,c")
    np.save(tmp_path / "x.npy", np.eye(3))
    assert "whose columns have no names" in refused("fit", str(tmp_path / "x.npy"), *argv[2:])


def test_select_takes_categories(tmp_path, capsys):
    """Sizes of a mixture of numbers and categories are ranked."""
    mixed().to_csv(tmp_path / "x.csv", index=False)
    how = ["--categorical", "region", "--id", "serial,count", "--json"]
    assert main(["select", str(tmp_path / "x.csv"), "--components", "1-3", *how]) == 0
    assert "k=2" in json.loads(capsys.readouterr().out)[0]["model"]


@pytest.fixture
def saved(geyser, tmp_path, capsys):
    """A fit that the command line has saved."""
    path = tmp_path / "geyser.lem"
    assert main(["fit", geyser, "--components", "2", "--save", str(path)]) == 0
    capsys.readouterr()
    return str(path)


@pytest.fixture
def other(tmp_path):
    """Other rows: an id, the columns in another order, a column of words, and a missing cell."""
    path = tmp_path / "new.csv"
    path.write_text("waiting;serial;eruption;note\n54;007;1,8;short\n79;b;3,6;\nNA;c;2;x\n", encoding="utf-8")
    return str(path)


HOW = ["--delimiter", ";", "--decimal", ",", "--id", "serial"]
NEW = np.array([[1.8, 54], [3.6, 79], [2, np.nan]])


def test_a_saved_fit_is_that_of_the_library(saved):
    """What --save has written loads as the fit that lem.fit gives."""
    fit = lem.fit(lem.GaussianMixture(2), lem.datasets.old_faithful())
    found = lem.load(saved)
    assert found.params == fit.params
    assert found.columns == ("eruption", "waiting")


def test_predict_labels_other_rows(saved, other, tmp_path, capsys, monkeypatch):
    """Ids, labels, probabilities and log densities of rows whose columns stand in another order, to the last bit."""
    fit = lem.load(saved)
    assert main(["predict", saved, other, *HOW]) == 0
    rows = list(csv.reader(capsys.readouterr().out.splitlines()))
    assert rows[0] == ["serial", "label", "probability_0", "probability_1", "log_density"]
    assert [row[0] for row in rows[1:]] == ["007", "b", "c"]
    assert [int(row[1]) for row in rows[1:]] == fit.predict(NEW).tolist()
    assert [list(map(float, row[2:4])) for row in rows[1:]] == fit.predict_proba(NEW).tolist()
    assert [float(row[4]) for row in rows[1:]] == fit.score_samples(NEW).tolist()
    monkeypatch.setattr("latentem.command.table.ROWS", 2)
    out = tmp_path / "out.csv"
    assert main(["predict", saved, other, *HOW, "--out", str(out)]) == 0
    assert capsys.readouterr().out == ""
    assert [row[:2] for row in read(out)] == [row[:2] for row in rows]


def test_predict_is_a_pipe(saved, other):
    """From the standard input to the standard output, an object a row."""
    with open(other, "rb") as file:
        done = run("predict", saved, "-", *HOW, "--json", stdin=file)
    assert done.stderr == ""
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["serial"] for one in found] == ["007", "b", "c"]
    assert set(found[0]) == {"serial", "label", "probabilities", "log_density"}


def test_predict_refuses_what_it_cannot_label(saved, geyser, tmp_path, refused):
    """Columns that are not there, files that are no fit, and a fit of sequences are named; nothing is written."""
    (tmp_path / "x.csv").write_text("eruption,other\n1,2\n")
    out = ["--out", str(tmp_path / "out.csv")]
    assert "column 'waiting' is not there" in refused("predict", saved, str(tmp_path / "x.csv"), *out)
    assert "geyser.csv" in refused("predict", geyser, geyser, *out)
    assert "nowhere.lem" in refused("predict", str(tmp_path / "nowhere.lem"), geyser)
    lem.fit(lem.HiddenMarkov(lem.Gaussian(), 2), lem.datasets.old_faithful(), n_starts=1).save(tmp_path / "chain.lem")
    assert "is of sequences: label them in Python" in refused("predict", str(tmp_path / "chain.lem"), geyser, *out)
    assert not (tmp_path / "out.csv").exists()


def test_show_says_what_was_saved(saved, tmp_path, capsys):
    """The summary is print(fit); --json, --html and --plot are the same fit as a document, a page and a picture."""
    assert main(["show", saved]) == 0
    assert capsys.readouterr().out == f"{lem.load(saved)}\n"
    html, plot = tmp_path / "x.html", tmp_path / "x.svg"
    assert main(["show", saved, "--json", "--html", str(html), "--plot", str(plot)]) == 0
    assert json.loads(capsys.readouterr().out)["bic"] == lem.load(saved).bic
    assert "GaussianMixture(2) on 272 observations" in html.read_text(encoding="utf-8")
    assert "<svg" in plot.read_text(encoding="utf-8")


def test_a_place_for_a_fit_is_looked_at_before_the_work(geyser, tmp_path, monkeypatch, refused):
    """--save into a folder that is not there, or over the data, is refused, by fit and by select."""
    monkeypatch.setattr(lem, "fit", lambda *arguments, **options: pytest.fail("it was fitted"))
    for command in ("fit", "select"):
        argv = (command, geyser, "--components", "2", "--save")
        assert "give another file to --save" in refused(*argv, str(tmp_path / "no" / "x.lem"))
        assert "cannot be written over" in refused(*argv, geyser)


def test_select_saves_the_best(geyser, tmp_path, capsys):
    """The fit in the file is that of the first line."""
    path = str(tmp_path / "best.lem")
    assert main(["select", geyser, "--components", "1-2", "--structures", "full,tied", "--json", "--save", path]) == 0
    assert repr(lem.load(path).model) == json.loads(capsys.readouterr().out)[0]["model"]


def test_a_saved_fit_knows_its_categories(tmp_path, capsys, refused):
    """New rows are labelled by the codes of the fit, through a file; a word that was not there is refused by name."""
    frame, path = mixed(), tmp_path / "x.csv"
    frame.to_csv(path, index=False)
    saved = str(tmp_path / "x.lem")
    how = ["--categorical", "region", "--id", "serial,count", "--save", saved]
    assert main(["fit", str(path), "--components", "2", *how]) == 0
    capsys.readouterr()
    frame[::-1].to_csv(tmp_path / "y.csv", index=False)
    assert main(["predict", saved, str(tmp_path / "y.csv"), "--id", "serial"]) == 0
    rows = list(csv.reader(capsys.readouterr().out.splitlines()))[1:]
    expected = lem.load(saved).predict(frame[["size", "region"]])[::-1]
    assert [int(row[1]) for row in rows] == expected.tolist()
    (tmp_path / "z.csv").write_text("size,region\n1,west\n")
    assert "west" in refused("predict", saved, str(tmp_path / "z.csv"))
