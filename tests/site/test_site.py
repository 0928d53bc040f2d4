"""The page of a trace in a real browser: its numbers, its keys, its questions, and whether everyone can use it."""

from __future__ import annotations

import base64
import math
import re
import runpy
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import latentem as lem
from latentem.teaching import page

ROOT = Path(__file__).parents[2]
FAITHFUL = lem.datasets.old_faithful()
HOSTILE = ["</script><script>alert(1)</script>", "\"'`${alert(2)}<img src=x onerror=alert(3)>" + "long " * 2000]


def linkage():
    """The linkage of Dempster, Laird and Rubin, a user's own model."""
    found = runpy.run_path(str(ROOT / "examples" / "linkage.py"))
    return lem.record(found["model"], found["counts"], start=0.5, steps=3)


SUBJECTS = {
    "full": lambda: lem.record(lem.GaussianMixture(2), FAITHFUL, steps=3, rng=3),
    "diagonal": lambda: lem.record(lem.GaussianMixture(2, structure=lem.Diagonal()), FAITHFUL, steps=3),
    "spherical": lambda: lem.record(lem.GaussianMixture(3, structure=lem.Spherical()), FAITHFUL, steps=3),
    "tied": lambda: lem.record(lem.GaussianMixture(2, structure=lem.Tied(lem.Full())), FAITHFUL, steps=3),
    "four columns": lambda: lem.record(lem.GaussianMixture(3), lem.datasets.iris(), steps=3),
    "one column": lambda: lem.record(lem.Mixture(lem.Gaussian(), 2), FAITHFUL[:, 1:], steps=3),
    "counts": lambda: lem.record(lem.Mixture(lem.Poisson(), 2), np.repeat(np.arange(6), [9, 7, 5, 4, 3, 2])[:, None]),
    "k-means": lambda: lem.record(lem.KMeans(4), FAITHFUL, steps=3, rng=1),
    "hard": lambda: lem.record(lem.Hard(lem.GaussianMixture(2)), FAITHFUL, steps=3),
    "prior": lambda: lem.record(lem.GaussianMixture(2, prior=lem.InverseWishart(0.5, 3)), FAITHFUL, steps=3),
    "tempered": lambda: lem.record(lem.Tempered(lem.GaussianMixture(2), 0.7), FAITHFUL, steps=3),
    "chain": lambda: lem.record(lem.HiddenMarkov(lem.Gaussian(), 2), FAITHFUL[:60, 1:], steps=3),
    "factors": lambda: lem.record(lem.FactorAnalysis(1), lem.datasets.iris(), steps=3),
    "two factors": lambda: lem.record(
        lem.FactorAnalysis(2), np.column_stack([lem.datasets.iris()] * 2) + np.eye(150, 8), steps=3
    ),
    "one's own": linkage,
}
trace_of = cache(lambda name: SUBJECTS[name]())
page_of = cache(lambda name: trace_of(name).page())


def nats(value):
    """A figure as the page prints it."""
    if value is None or math.isnan(value):
        return "\u2013"
    return f"{0.0 if abs(value) < 5e-5 else value:.4f}"


@pytest.mark.parametrize("name", SUBJECTS)
def test_every_half_step_shows_the_numbers_of_the_trace(visit, name):
    """Through all frames by key: ledger, caption, slider and tables have its figures, to the last digit."""
    trace = trace_of(name)
    hard = trace[-1].distortion is not None
    opened = visit(page_of(name))
    for i, frame in enumerate(trace):
        assert opened.frame() == frame.index
        ledger = {row[0]: row[1] for row in opened.rows(".ledger")[1:]}
        expected = {"Q": frame.expected_log_joint, "H": frame.entropy, "A = Q + H": frame.bound}
        if frame.log_evidence is not None:
            expected |= {"KL": frame.gap, "log likelihood": frame.log_evidence}
        assert ledger == {key: nats(value) for key, value in expected.items()}
        said = opened.page.locator("input[type=range]").get_attribute("aria-valuetext").replace("\u2212", "-")
        assert said.startswith(f"half step {frame.index}, ")
        if not hard:
            assert said.endswith(f"A {nats(frame.bound)}")
            if frame.kind != "start":
                assert nats(frame.objective) in opened.text(".told")
        elif frame.kind != "start":
            assert f"{frame.distortion:.6g}" in opened.text(".told")
        assert opened.page.locator(".bound .mark.now").count() == (frame.kind != "start") * (1 if hard else 3)
        if i + 1 < len(trace):
            opened.page.keyboard.press("ArrowRight")
    opened.page.locator(".numbers summary").click()
    head, *rows = opened.rows(".numbers table")
    assert len(rows) == len(trace)
    names = {"log likelihood": "log_evidence", "A": "bound", "KL": "gap", "Q": "expected_log_joint", "H": "entropy"}
    for column, attribute in names.items():
        if column in head:
            assert [row[head.index(column)] for row in rows] == list(map(nats, getattr(trace, attribute)))
    params = opened.rows(".parameters table")
    assert len(params) > 1
    if name in ("full", "diagonal", "spherical", "tied", "prior", "four columns"):
        weights = dict(zip(params[0], zip(*params[1:], strict=True), strict=True)).get("weight")
        weights = weights or next(row[1:] for row in params if row[0] == "weight")
        assert list(map(float, weights)) == pytest.approx(trace[-1].params.weights, rel=1e-4)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["full", "four columns", "one column", "k-means", "chain", "two factors", "one's own"])
def test_everyone_can_use_it(visit, axe, name, scheme):
    """axe-core finds no violation, in light and dark, with tables open and a question asked."""
    page = trace_of(name).page(lines=["next"], questions={2: "Where will it go?"})
    opened = visit(page, "#1", color_scheme=scheme)
    opened.page.locator(".numbers summary").click()
    opened.page.evaluate(axe)
    found = opened.page.evaluate("async () => (await axe.run()).violations")
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []


@pytest.mark.parametrize("name", ["full", "four columns", "one column", "k-means", "chain", "two factors", "one's own"])
@pytest.mark.parametrize(("width", "after"), [(360, ""), (1920, "?big")])
def test_it_fits_a_phone_and_a_lecture_hall(visit, name, width, after):
    """At 360 pixels and on a projector nothing is wider than the screen; in the hall letters are larger."""
    opened = visit(page_of(name), f"{after}#3", viewport={"width": width, "height": 1080})
    assert opened.frame() == 3
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    sizes = opened.page.evaluate("parseFloat(getComputedStyle(document.querySelector('main')).fontSize)")
    assert sizes == (24 if after else 16)


def test_keys_buttons_slider_and_address_go_to_the_same_half_steps(visit):
    """Home, End, arrows, buttons, the slider and `#5` go where they say, and the address follows."""
    opened = visit(page_of("full"), "#5")
    assert opened.frame() == 5
    for key, there in [("ArrowLeft", 4), ("Home", 0), ("ArrowLeft", 0), ("End", 7), ("ArrowRight", 7)]:
        opened.page.keyboard.press(key)
        assert opened.frame() == there
        assert opened.page.evaluate("location.hash") == f"#{there}"
    for label, there in [("First half step", 0), ("Next", 1), ("Last half step", 7), ("Back", 6)]:
        opened.page.get_by_role("button", name=label).click()
        assert opened.frame() == there
    opened.page.get_by_role("slider").fill("2")
    assert opened.frame() == 2
    assert opened.text(".caption h2") == "M half of step 1"
    opened.page.evaluate("location.hash = '#3'")
    opened.page.wait_for_function("document.querySelector('.where').textContent.startsWith('3')")
    opened.page.wait_for_timeout(1000)  # nothing goes on by itself
    assert opened.frame() == 3


def test_a_question_hides_the_next_half_step_until_it_is_asked_for(visit):
    """Neither key, slider, address nor table goes beyond an open question; its button does."""
    page = trace_of("full").page(lines=["next"], questions={2: "Where will the red mean go?", 5: "And now?"})
    opened = visit(page, "#7")
    assert opened.frame() == 1
    assert opened.text(".question p") == "Where will the red mean go?"
    for key in ("ArrowRight", "End"):
        opened.page.keyboard.press(key)
        assert opened.frame() == 1
    opened.page.get_by_role("slider").fill("6")
    assert opened.frame() == 1
    opened.page.locator(".numbers summary").click()
    assert len(opened.rows(".numbers table")) == 1 + 2
    assert nats(trace_of("full")[2].bound) not in opened.page.locator("main").inner_text().replace("\u2212", "-")
    opened.page.get_by_role("button", name="Show what happens").click()
    assert opened.frame() == 2
    opened.page.keyboard.press("End")
    assert opened.frame() == 4
    assert opened.text(".question p") == "And now?"
    opened.page.get_by_role("button", name="Show what happens").press("Enter")
    opened.page.keyboard.press("End")
    assert opened.frame() == 7
    assert not opened.page.locator(".question").is_visible()


def test_hostile_names_are_text(visit):
    """Names of columns with tags, quotes and 10,000 characters are shown, and nothing of them is run."""
    run = trace_of("full")
    trace = lem.teaching.Trace(run.model, run.frames, run.chunks, run.status, tuple(HOSTILE))
    opened = visit(trace.page(lines=["next"], questions={3: HOSTILE[0]}), "#2")
    assert opened.text(".question p") == HOSTILE[0]
    assert opened.page.locator("script").count() == 2
    assert opened.page.locator("img").count() == 0
    assert HOSTILE[0] in opened.text(".parameters table")
    assert HOSTILE[0] in opened.page.locator(".data svg").first.inner_html().replace("&lt;", "<").replace("&gt;", ">")
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 1280


@pytest.mark.parametrize("name", ["spherical", "chain", "factors"])
def test_another_q_splits_the_same_log_likelihood(visit, name):
    """For each q of the reader's own Q + H + KL is the log likelihood, and the figures are those of `lower_bound`."""
    trace = trace_of(name)
    opened = visit(page_of(name), "#3")
    choices = opened.page.locator(".split option").all_inner_texts()
    assert choices[-1] == "stale"
    for i, choice in list(enumerate(choices))[1:]:
        opened.page.locator(".split select").select_option(str(i))
        rows = {row[0]: row[2] for row in opened.rows(".ledger")[1:]}
        assert float(rows["A = Q + H"]) + float(rows["KL"]) == pytest.approx(trace[3].log_evidence, abs=2e-4)
        if choice == "stale":
            (q,) = trace.posteriors(1)
        elif name == "spherical":
            q = {"1/3 each": np.full((272, 3), 1 / 3), "1/2, 1/2, 0": np.tile([0.5, 0.5, 0], (272, 1))}.get(choice)
            q = np.eye(3)[trace.responsibilities(3).argmax(axis=1)] if q is None else q
        else:
            continue
        books = lem.lower_bound(trace.model, trace[3].params, trace.chunks[0], q)
        assert [rows["Q"], rows["H"], rows["KL"]] == list(
            map(nats, (books.expected_log_joint, books.entropy, books.gap))
        )


def test_the_curves_are_drawn_one_under_the_other(visit):
    """Along every line that the page offers A is drawn below the log likelihood, and the two touch where q was made."""
    opened = visit(page_of("full"), "#3")
    lines = opened.page.locator(".tangent option").count()
    assert lines == 4
    for i in range(lines):
        opened.page.locator(".tangent select").select_option(str(i))
        curves = [opened.page.locator(f".tangent svg .{kind}").get_attribute("d") for kind in ("evidence", "under")]
        above, under = (np.array(re.findall(r"C[^C]* (\S+)(?=C|$)", curve)) for curve in curves)
        assert len(above) == 26
        gap = under.astype(float) - above.astype(float)  # down the page is lower
        assert gap.min() > -0.1
        assert gap.min() < 0.1
        assert "touch" in opened.text(".tangent .words")


def test_a_pair_of_columns_is_the_readers_choice(visit):
    """Of four columns any two are shown; the ellipse is that of the exact marginal, by its width on the page."""
    opened = visit(page_of("four columns"), "#7")
    selects = opened.page.locator(".data select")
    selects.nth(0).select_option("2")
    selects.nth(1).select_option("3")
    labels = opened.page.locator(".data svg text.axis").all_text_contents()
    assert labels == ["x2", "x3"]
    path = opened.page.locator(".data .ellipse[data-mass='0.95']").first.get_attribute("d")
    points = np.array([[float(v) for v in pair.split()] for pair in re.split("[ML]", path)[1:]])
    plot = opened.page.locator(".data svg svg").bounding_box()
    x = lem.datasets.iris()[:, 2]
    axis = 1.2 / 2 * 2 * (x.max() - x.min()) / 2 * 2 / 1.2  # the range of the data, and a margin on either side
    wide = axis * (1 + 0.2)
    covariance = trace_of("four columns")[7].params.components.covariances[0][2, 2]
    width = points[:, 0].max() - points[:, 0].min()
    area = float(opened.page.locator(".data svg svg").get_attribute("width"))
    assert plot["width"] <= area + 1
    assert width / area * wide == pytest.approx(2 * np.sqrt(5.991464547107979 * covariance), rel=2e-3)


def test_it_prints_as_a_filmstrip(visit):
    """On paper each half step that may be seen is a card, and nothing of the controls is left."""
    opened = visit(trace_of("full").page(lines=["next"], questions={6: "?"}), "#2")
    opened.page.emulate_media(media="print")
    opened.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert opened.page.locator("article:visible").count() == 6
    assert not opened.page.locator(".controls").is_visible()
    assert opened.page.locator("article").nth(2).inner_text().startswith("2. M half of step 1")
    opened.page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert opened.page.locator("article").count() == 0
    assert len(opened.page.pdf(format="A4")) > 10_000


def test_it_works_in_the_frame_of_a_notebook(visit):
    """Inside the sandboxed iframe that a notebook shows, the page is there and its buttons work."""
    shown = trace_of("full")._repr_html_()
    opened = visit(f"<!doctype html><title>a notebook</title>{shown}", ready="iframe")
    inside = opened.page.frame_locator("iframe")
    inside.get_by_role("button", name="Next").click()
    assert inside.locator(".where").inner_text().startswith("1 of")
    inside.get_by_role("slider").press("End")
    assert inside.locator(".caption h2").inner_text() == "E half of step 3"


def test_the_script_is_a_widget(visit):
    """Its default export draws what a model has under "trace", and draws anew when that is set anew."""
    folder = Path(page.__file__).parent
    script = (folder / "page.js").read_text(encoding="utf-8")
    one, other = (page.contents(trace_of(name), lines=["next"]) for name in ("full", "k-means"))
    opened = visit("<!doctype html><title>a notebook</title><h1>cell</h1>", ready="h1")
    drawn = opened.page.evaluate(
        """async ([script, one, other]) => {
            const widget = (await import("data:text/javascript;base64," + script)).default;
            let changed = null;
            let trace = one;
            const model = { get: (name) => (name === "trace" ? trace : undefined), on: (_, act) => { changed = act; } };
            const el = document.createElement("div");
            document.body.append(el);
            const stop = widget.render({ model, el });
            const before = el.querySelector(".model").textContent;
            trace = other;
            changed();
            const after = el.querySelector(".model").textContent;
            stop();
            return [before, after];
        }""",
        [base64.b64encode(script.encode()).decode(), one, other],
    )
    assert drawn == ["GaussianMixture(2)", "KMeans(4)"]


def test_what_does_not_move_is_drawn(visit):
    """Rows that are all alike, whose log likelihood stays but for rounding, have pictures without an error."""
    run = lem.record(lem.Mixture(lem.Poisson(), 2), np.full((9, 1), 3), steps=1)
    opened = visit(run.page(), "#2")
    assert opened.page.locator(".bound svg svg").count() == 3
