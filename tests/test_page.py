"""The page of a trace, without a browser: its numbers, its size, its texts, and what it refuses."""

from __future__ import annotations

import base64
import html
import json
import re
from functools import cache

import numpy as np
import pytest
from attrs import frozen
from scipy.stats import chi2, multivariate_normal
from subjects import FAITHFUL, blobs, deaths

import latentem as lem
from latentem.teaching.page import contents

HOSTILE = ["</script><script>alert(1)</script>", "\"'`${alert(2)}<img src=x onerror=alert(3)>" + "long " * 2000]
MODEL = lem.GaussianMixture(2)


@cache
def trace():
    return lem.record(MODEL, FAITHFUL, steps=3, rng=3)


def document(page):
    """The JSON that a page holds."""
    return json.loads(re.search(r'<script type="application/json" id="trace">(.*?)</script>', page, flags=re.S)[1])


def unpacked(packed):
    """Numbers as the script reads them, by the rule of docs/decisions/0041."""
    raw = base64.b64decode(packed["data"])
    if packed["kind"] == "f4":
        return np.frombuffer(raw, "<f4").reshape(packed["shape"])
    if packed["kind"] == "u1":
        return np.frombuffer(raw, "u1").reshape(packed["shape"]) / 255
    level = np.frombuffer(raw, "<u2").astype(float).reshape(packed["shape"])
    return np.where(level == 65535, np.nan, packed["low"] + packed["span"] * level / 65534)


def test_the_books_on_the_page_are_those_of_the_trace():
    """Every figure of every half step is in the page, to the last bit; NaN and what is always 0 is left out."""
    books = document(trace().page(lines=["next"]))["books"]
    names = {"l": "log_evidence", "A": "bound", "KL": "gap", "Q": "expected_log_joint", "H": "entropy", "gain": "gain"}
    assert set(books) == set(names)
    for short, name in names.items():
        column = getattr(trace(), name)
        assert [value is None for value in books[short]] == np.isnan(column).tolist()
        assert [value for value in books[short] if value is not None] == column[~np.isnan(column)].tolist()


def test_points_colours_and_ellipses_are_those_of_the_parameters():
    """Rows, responsibilities, means and covariances come back from the page; an ellipse holds its share of a normal."""
    seen = document(trace().page(lines=[], truth=trace()[-1].params))["space"]
    middle, half = np.array(seen["middle"]), np.array(seen["half"])
    assert np.allclose(middle + half * unpacked(seen["points"]), FAITHFUL, rtol=0, atol=2e-5 * half)
    at_q = [trace()[index].params for index in (1, 3)]
    for setting, params in enumerate(at_q):
        logs = [
            np.log(w) + multivariate_normal(m, c).logpdf(FAITHFUL)
            for w, m, c in zip(params.weights, params.components.means, params.components.covariances, strict=True)
        ]
        q = np.exp(logs[0] - np.logaddexp(*logs))
        assert np.abs(unpacked(seen["q"])[setting][:, 0] - q).max() <= 0.51 / 255
        shapes = seen["shapes"]
        assert np.allclose(middle + half * unpacked(shapes["centres"])[setting], params.components.means, rtol=1e-6)
        triangle = unpacked(shapes["scales"])[setting] * [half[0] ** 2, half[0] * half[1], half[1] ** 2]
        assert np.allclose(triangle, [[c[0, 0], c[1, 0], c[1, 1]] for c in params.components.covariances], rtol=1e-6)
        assert np.allclose(unpacked(shapes["radii"])[setting][2:, 0] ** 2, chi2.ppf([0.5, 0.95], 2), rtol=1e-6)
    assert unpacked(seen["truth"]["centres"]).shape == (1, 2, 2)


def test_tangents_on_the_page_are_those_of_the_trace():
    """Both curves come back within a level of 16 bits, and touch where the line begins."""
    name = "components.means[0, 1]"
    found = document(trace().page(lines=["next", name]))["tangents"]
    assert [line["name"] for line in found["lines"]] == ["next", name]
    here, height, apart, low, high, at, bottom, span, data = found["curves"]["1"][1]
    tangent = trace().tangent(3, name, points=27)
    level = np.frombuffer(base64.b64decode(data), "<u2") / 65534
    both = np.split(height + bottom + span * level, 2)
    assert here == pytest.approx(tangent.here, rel=1e-7)
    assert abs(apart) < 1e-6
    assert np.allclose(both, [tangent.log_likelihood, tangent.bound], rtol=0, atol=span / 65534)
    assert [here + low, here + high] == pytest.approx([tangent.places[0], tangent.places[-1]], rel=1e-7)
    assert tangent.places[at] == tangent.here


def test_a_q_of_the_readers_own_splits_the_evidence_as_lower_bound_does():
    """Uniform, half and half, hard and stale q have the Q and H of `lower_bound`, at the parameters of every frame."""
    model = lem.GaussianMixture(3)
    run = lem.record(model, FAITHFUL, steps=2)
    page = document(run.page(lines=[]))
    found = {one["name"]: one["books"] for one in page["splits"]}
    assert list(found) == ["1/3 each", "1/2, 1/2, 0", "hard", "stale"]
    for setting, index in enumerate((1, 3, 5)):
        params, q = run[index].params, run.responsibilities(index)
        given = {
            "1/3 each": np.full((272, 3), 1 / 3),
            "1/2, 1/2, 0": np.tile([0.5, 0.5, 0], (272, 1)),
            "hard": np.eye(3)[q.argmax(axis=1)],
            "stale": run.responsibilities(index - 2) if index > 1 else None,
        }
        for name, posterior in given.items():
            if posterior is None:
                assert found[name][setting] is None
                continue
            books = lem.lower_bound(model, params, FAITHFUL, posterior)
            assert found[name][setting] == pytest.approx([books.expected_log_joint, books.entropy], rel=1e-10)
            assert books.gap >= -1e-9


def test_an_impossible_q_has_a_bound_of_minus_infinity():
    """A uniform q over paths through a transition of probability 0 has Q = -inf, which the page holds as a word."""
    model = lem.HiddenMarkov(lem.Gaussian(), 2)
    emissions = lem.Gaussian().params([[0.0], [4.0]], [[[1.0]], [[1.0]]])
    start = model.params([0.5, 0.5], [[1.0, 0.0], [0.5, 0.5]], emissions)
    run = lem.record(model, blobs(15, 1)[::-1], start=start, steps=1)
    uniform = document(run.page(lines=[]))["splits"][0]
    assert uniform["name"] == "1/2 each"
    assert uniform["books"][0][0] == "-Infinity"
    assert uniform["books"][0][1] == pytest.approx(30 * np.log(2))


def test_a_page_is_small_and_asks_for_nothing():
    """Of 272 rows and 40 half steps it is under 120 KB, has no address of anything, and lets nothing be fetched."""
    never = lem.remaining_below(1e-300)
    run = lem.record(lem.GaussianMixture(3), FAITHFUL, steps=20, runner=lem.EM(never, 20, None))
    assert len(run) == 42
    page = run.page()
    assert len(page.encode()) < 120_000
    assert set(re.findall(r"[a-z]+://[^\"'\s]*", page)) == {"http://www.w3.org/2000/svg"}  # a name, not an address
    assert "@import" not in page
    assert not re.search(r"url\(|<link(?! rel=\"icon\" href=\"data:,\")|<img|src=", page)
    assert "default-src 'none'" in page
    kept = [len(document(page)["tangents"]["curves"][str(i)]) for i in range(21)]
    assert min(kept) == max(kept) == 4


def test_more_rows_than_can_be_told_apart_are_thinned_and_the_page_says_so():
    """Of 5,000 rows 2,000 are drawn, from the first to the last; the books are those of all."""
    x = np.random.default_rng(0).normal(size=(5000, 2))
    run = lem.record(MODEL, x, steps=1)
    page = contents(run, lines=[])
    assert page["space"]["points"]["shape"] == [2000, 2]
    assert "Of 5000 rows 2000 are drawn, evenly spaced ones; all numbers are those of all rows." in page["notes"]
    assert page["books"]["A"][1] == run[1].bound


def test_names_are_data():
    """Names of columns end no script, whatever they hold, and come back as they were."""
    run = lem.record(MODEL, FAITHFUL, steps=1)
    hostile = lem.teaching.Trace(run.model, run.frames, run.chunks, run.status, tuple(HOSTILE))
    page = hostile.page(lines=[], questions={1: HOSTILE[0]})
    assert page.count("<script") == page.count("</script>") == 2
    assert "<img" not in page
    assert document(page)["space"]["names"] == HOSTILE
    assert document(page)["questions"] == {"1": HOSTILE[0]}


def test_a_notebook_shows_the_page_in_a_frame():
    """`_repr_html_` is one iframe, shut off from the notebook, which holds the very page."""
    shown = trace()._repr_html_()
    found = re.fullmatch(
        r'<iframe title="[^"]*" sandbox="allow-scripts" style="[^"]*" srcdoc="([^"]*)"></iframe>', shown
    )
    assert html.unescape(found[1]) == trace().page()


@frozen
class Coin(lem.LatentModel):
    """Two experiments seen as one, of a user's own: the latents are no labels, and nothing is described."""

    def posterior(self, params, chunk):
        return Half(params / (1 + params))

    def statistics(self, chunk, posterior):
        return np.array([chunk.sum() * posterior.share, chunk.sum()])

    def log_joint(self, params, statistics):
        return float(statistics[0] * np.log(params) + (statistics[1] - statistics[0]) * np.log1p(-params))

    def blocks(self):
        return [lem.Block((), lambda statistics, params: float(statistics[0] / statistics[1]), lambda params: 1)]

    def first(self, statistics):
        return float(statistics[0] / statistics[1])


@frozen
class Half:
    share: float

    def entropy(self):
        return 0.0


NOISE = lem.Uniform(FAITHFUL.min(axis=0), FAITHFUL.max(axis=0))
KINDS = {
    "rug": (lem.Mixture(lem.Gaussian(), 2), FAITHFUL[:, 1:], {}),
    "counts": (lem.Mixture(lem.Poisson(), 2), deaths(), {}),
    "plane": (lem.KMeans(3), FAITHFUL, {}),
    "noise": (lem.Mixture(lem.Assorted(lem.Gaussian(), NOISE), 2), FAITHFUL, {}),
    "strip": (lem.HiddenMarkov(lem.Poisson(), 2), [deaths()[:40], deaths()[900:950]], {}),
    "loadings": (lem.FactorAnalysis(2), np.column_stack([lem.datasets.iris()] * 2) + np.eye(150, 8), {}),
    "none": (Coin(), np.array([[3.0], [5.0]]), {"start": 0.3}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_model_has_a_page(kind):
    """Each kind of model has its data space; a user's own, which describes nothing, has books, words and a table."""
    model, data, options = KINDS[kind]
    page = contents(lem.record(model, data, steps=2, **options), lines=[])
    assert page["space"]["kind"] == {"counts": "rug", "noise": "plane"}.get(kind, kind)
    assert len(page["frames"]) == len(page["books"]["A"]) >= 4
    assert all(frame["told"] and page["reasons"][frame["why"]] for frame in page["frames"][1:])
    assert all(len(table) > 1 for table in page["parameters"])
    if kind == "counts":
        params = lem.record(model, data, steps=2)[-1].params
        heights = unpacked(page["space"]["heights"])[-1].sum(axis=0)
        assert np.allclose(heights, params.weights, rtol=0, atol=0.02)  # nearly all of their probability is on the page
    if kind == "none":
        assert page["parameters"][0] == [["parameter", "value"], ["params", "0.3"]]
        assert "l" not in page["books"]
        assert page["tangents"]["lines"] == []


def test_captions_say_what_a_half_step_gained_and_why_it_could_not_lose():
    """An M half names what moved and its gain; an E half raises A to the log likelihood; hard halves lower J."""
    page = contents(trace(), lines=[])
    told = [frame["told"] for frame in page["frames"]]
    assert told[2].startswith(
        "Weights, means and covariances move to where Q is largest; q stays. The mean of component"
    )
    assert f"rises by {trace()[2].gain:#.3g} to {trace()[2].bound:.4f}" in told[2]
    assert f"to {trace()[3].log_evidence:.4f}; the log likelihood stays" in told[3]
    assert "KL is never below 0" in page["reasons"][page["frames"][3]["why"]]
    run = lem.record(lem.KMeans(3), FAITHFUL, steps=2)
    told = contents(run, lines=[])["frames"][2]["told"]
    assert f"J falls by {run[1].distortion - run[2].distortion:.4g} to {run[2].distortion:.6g}." in told


OTHER = MODEL.params([0.5, 0.5], [[0.0, 0, 0], [1, 1, 1]], [np.eye(3)] * 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"questions": {0: "?"}}, "half step 0: give the half step that answers it, 1 to 7"),
        ({"questions": {8: "?"}}, "half step 8: give the half step that answers it, 1 to 7"),
        ({"questions": {"2": "?"}}, "half step '2'"),
        ({"questions": {2: ""}}, "give some words"),
        ({"questions": ["?"]}, "give a dict"),
        ({"columns": [0, 2]}, "column 2 is not there: give names or numbers of the 2, 'x0', 'x1'"),
        ({"columns": [1, 1]}, "each once"),
        ({"lines": ["components.sd[0]"]}, "is no number in these parameters"),
        ({"lines": "next"}, "give a list of names"),
        ({"truth": 3}, "3 was given: parameters of"),
        ({"truth": OTHER}, "truth was given as parameters that these data cannot have come from"),
    ],
)
def test_what_no_page_can_show_is_refused(options, message):
    """What was given, what is allowed and what to do, before any work."""
    with pytest.raises((ValueError, TypeError), match=re.escape(message)):
        trace().page(**options)


def test_more_columns_than_fit_are_refused_or_said_to_be_left_out():
    """Nine columns that are asked for are an error; of ten that are there, the first eight are shown."""
    x = np.random.default_rng(1).normal(size=(60, 10))
    run = lem.record(lem.Mixture(lem.Gaussian(lem.Diagonal()), 2), x, steps=1)
    with pytest.raises(ValueError, match="9 columns were given: a page shows at most 8"):
        run.page(columns=range(9))
    assert "Of 10 columns the first 8 are shown" in " ".join(contents(run, lines=[])["notes"])
    assert contents(run, lines=[], columns=[9, 2])["space"]["names"] == ["x9", "x2"]


def test_a_path_that_cannot_be_written_is_refused_before_any_work(tmp_path):
    """A folder, a folder that is not there, and what is no path are named; a file gets the very page."""
    with pytest.raises(IsADirectoryError, match="which is a folder"):
        trace().page(tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        trace().page(tmp_path / "nowhere" / "page.html")
    with pytest.raises(TypeError, match="give the name of a file"):
        trace().page(3)
    assert trace().page(tmp_path / "page.html", lines=[]) is None
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == trace().page(lines=[])
