"""A fit as a value that prints, and as HTML, Markdown, LaTeX, a dict and a table."""

from __future__ import annotations

import json
import re
import sys
from html.parser import HTMLParser
from xml.etree import ElementTree

import attrs
import numpy as np
import pandas as pd
import polars as pl
import pytest
from subjects import FAITHFUL, KINDS, MODELS, counts

import latentem as lem
from latentem.report import html

HOSTILE = ["<script>alert('x')</script>", 'a" onmouseover="b|c$d_e\\f\n```']
VOID = {"br", "hr", "img", "meta", "input"}
OLD_FAITHFUL = """\
GaussianMixture(2) on 272 observations
converged: the estimated remaining gain is below 1e-12 nats an observation (10 steps)

component   weight  expected rows  minutes: mean ± sd  wait: mean ± sd
0          0.64413          175.2    4.2897 ± 0.41227  79.968 ± 6.0038
1          0.35587         96.797      2.0364 ± 0.263  54.479 ± 5.8049

log likelihood -1130.263960 = Q -1130.958698 + H 0.694738
11 free parameters, AIC 2282.527920, BIC 2322.191743 (lower is better)
2 starts; of the 2 that were run to the end, 2 ended at this maximum
events: none"""


@attrs.frozen
class Silent(lem.transform.SamePosterior):
    """A model that describes nothing of its components."""

    inner: object

    def describe(self, params, statistics):
        return {}


def fitted(columns=("minutes", "wait"), **options):
    table = pd.DataFrame(FAITHFUL, columns=list(columns))
    return lem.fit(lem.GaussianMixture(2), table, n_starts=2, **options)


class Tags(HTMLParser):
    """Reads a page: its tags, their attributes, its text; an end tag must end the tag that is open."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.text, self.open = [], [], "", []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def pages():
    """Every page that a notebook can be given, of columns with hostile names."""
    fit = fitted(HOSTILE)
    states = list(lem.EM(max_steps=3).iterate(fit.model, fit.params, FAITHFUL))
    few = lem.Mixture(lem.Poisson(), 2)
    many = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 30)))
    wide = lem.fit(lem.GaussianMixture(2, structure=lem.Diagonal()), many, n_starts=2)
    odd = lem.fit(Silent(lem.GaussianMixture(2)), FAITHFUL, n_starts=2)
    return [fit, fit.summary(), fit.history, fit.history[:1], fit.history[:0], *states, few, *MODELS, wide, odd]


PAGES = pages()


def test_a_summary_is_the_text_that_a_fit_prints():
    """`fit.summary()` prints what `print(fit)` does, to the letter; a fit of the same gives an equal one."""
    fit = fitted()
    assert fit.summary().text() == str(fit.summary()) == str(fit) == OLD_FAITHFUL
    assert fit.summary() == fitted().summary()
    assert fit.summary() != fitted(["minutes", "pause"]).summary()


@pytest.mark.filterwarnings("ignore::latentem.ConvergenceWarning")
@pytest.mark.parametrize("model", [*KINDS, *MODELS[6:], lem.FactorAnalysis(1)], ids=repr)
def test_a_summary_of_any_model_is_all_that_it_can_be(model):
    """Of any model JSON takes the dict, its figures are the fit's, and every language has every line of the text."""
    fit = lem.fit(model, counts() if "Poisson" in repr(model) else FAITHFUL, n_starts=2, max_steps=20)
    summary = fit.summary()
    told = json.loads(json.dumps(summary.to_dict(), allow_nan=False))
    assert told["bound"] == fit.bound
    assert told["n_parameters"] == fit.n_parameters
    assert told["status"]["converged"] is fit.converged
    assert len(told["events"]) == len(fit.events)
    page = Tags(summary.html()).text
    for line in [summary.headline, summary.outcome, *summary.lines, *summary.told]:
        assert line in page
        assert line in summary.markdown().replace("\\", "")
    assert len(told["parameters"]) == len(summary.parameters) > 0


def test_the_dict_has_the_parameters_to_the_bit():
    """Under "x: mean" stands the mean of the column x, a value a component, and no digit is lost."""
    fit = fitted()
    told = json.loads(json.dumps(fit.summary().to_dict()))
    assert told["parameters"]["minutes: mean"] == fit.params.components.means[:, 0].tolist()
    assert told["parameters"]["weight"] == fit.params.weights.tolist()
    assert told["log_likelihood"] == fit.log_likelihood
    assert told["aic"] == fit.aic


def test_columns_of_one_name_are_told_apart():
    """Where two columns have one name, none of their parameters is lost."""
    fit = attrs.evolve(fitted(["a", "b"]), columns=("a", "a"))  # a file may have such a header
    told = fit.summary().to_dict()["parameters"]
    assert told["a: mean (column 1)"] == fit.params.components.means[:, 1].tolist()
    assert len(told) == len(fit.summary().parameters) == fit.to_frame().shape[1] - 1


def test_markdown_is_a_table_whatever_the_names_are():
    """Each row of the Markdown table has as many cells, and the sign between cells is escaped within them."""
    rows = [line for line in fitted(HOSTILE).summary().markdown().splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1
    assert len(rows) == 6  # it is wide, and so a component is a column
    assert not re.search(r"(?<!\\)[<$`]", "".join(rows))


def test_latex_is_balanced_whatever_the_names_are():
    """In the LaTeX every brace is closed, every row has as many cells, and no sign of TeX's is bare."""
    text = fitted(HOSTILE).summary().latex()
    bare = re.sub(r"\\[{}$&#_%]", "", text)
    assert bare.count("{") == bare.count("}")
    rows = [line for line in bare.splitlines() if line.endswith(r"\\")]
    assert len({row.count("&") for row in rows}) == 1
    assert len(rows) == 5
    assert bare.count("$") % 2 == 0
    assert not re.search(r"[#_%<>^~|]", bare)
    assert "log likelihood $-$1130.26" in text


def test_latex_keeps_signs_that_tex_would_join_or_eat():
    """A star or a bracket after a line's end, doubled quotes and hyphens, and control signs stay what they are.

    Compiled once by pdflatex, in an article without packages, with these names: it ended without an error.
    """
    names = [r"a_b & 50% #1 \x", "*y -- ``z'' \x07"]
    text = fitted(names).summary().latex()
    assert r"a\_b \& 50\% \#1 \textbackslash{}x: mean $\pm$ sd" in text
    assert r"{*}y {-}{-} {`}{`}z'{}' ?: mean $\pm$ sd" in text


def test_words_stand_where_their_codes_are_numbers():
    """A probability names the word of its category in text, HTML, Markdown, LaTeX, dict, frame and notebook."""
    words = np.where(FAITHFUL[:, 1] > 70, "a_b", "x1 = 0")
    table = pd.DataFrame({"wait": words, "long": np.where(FAITHFUL[:, 0] > 3, "yes", "no"), "n": FAITHFUL[:, 0]})
    family = lem.Product(lem.Categorical().on("wait"), lem.Bernoulli().on("long"), lem.Gaussian().on("n"))
    fit = lem.fit(lem.Mixture(family, 2), table, n_starts=1, max_steps=5, stop=lem.gain_below(1e9))
    summary = fit.summary()
    for name in ("P(wait = a_b)", "P(wait = x1 = 0)", "P(long = yes)"):
        shown = html.escaped(name)
        assert name in str(fit)
        assert name in summary.to_dict()["parameters"]
        assert name in fit.to_frame().columns
        assert shown in summary.html()
        assert shown in fit._repr_html_()
    assert r"P(wait = a\_b)" in summary.markdown()
    assert r"P(wait = a\_b)" in summary.latex()
    assert summary.to_dict()["categories"] == [["a_b", "x1 = 0"], ["no", "yes"], None]
    at = summary.to_dict()["parameters"]["P(wait = a_b)"]
    assert at == fit.params.components[0][:, 0, 0].tolist()


@pytest.mark.parametrize("shown", PAGES, ids=lambda shown: type(shown).__name__)
def test_a_page_is_sound_escaped_and_of_any_theme(shown):
    """Tags are closed; nothing that was given is a tag; there is no script, link, or colour but the reader's own."""
    page = shown._repr_html_()
    read = Tags(page)
    assert set(read.tags) <= {
        *("div", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "pre", "details", "summary"),
        *("svg", "title", "polyline"),
    }
    names = {name for name, _ in read.attributes}
    assert not [name for name in names if name.startswith("on") or name in ("href", "src", "id")]
    styles = " ".join(value for name, value in read.attributes if name in ("style", "stroke", "fill"))
    assert "background:none" in styles
    assert not re.search(r"#[0-9a-f]{3}|rgb\(|url\(|(?<!-)color:(?!inherit)", styles)
    page.encode("utf-8")


def test_a_page_shows_the_names_that_it_was_given():
    """A hostile name is read as it was written."""
    assert HOSTILE[0] in Tags(PAGES[0]._repr_html_()).text
    assert "<script" not in PAGES[0]._repr_html_()


def test_what_is_no_character_is_shown_as_a_sign():
    """Control characters and halves of surrogate pairs do not reach a page; lines and tabs do."""
    page = html.verbatim("a\x00\x1b[2J\ud800b\n\tc")
    assert page.encode("utf-8")
    assert not set("\x00\x1b\ud800") & set(page)
    assert "b\n\tc" in page


def test_plain_text_is_what_it_was():
    """What has a page in a notebook keeps its repr elsewhere."""
    fit = fitted()
    assert repr(fit) == f"<Fit of GaussianMixture(2): {fit.status}>"
    assert repr(lem.Mixture(lem.Poisson(), 2)).startswith("Mixture(")
    assert repr(fit.history).startswith("History(")


def test_a_model_of_ones_own_has_a_page():
    """A class that derives from LatentModel is shown like the library's models, unless it has a page of its own."""

    @attrs.frozen
    class Own(lem.transform.SamePosterior):
        inner: object

        def _repr_html_(self):
            return "mine"

    assert "Silent" in Silent(lem.KMeans(2))._repr_html_()
    assert Own(lem.KMeans(2))._repr_html_() == "mine"


def test_a_sparkline_goes_from_the_first_value_to_the_last():
    """The line of rising values rises from edge to edge, has as many points as there are values, and no NaN."""
    line = ElementTree.fromstring(html.sparkline([float("nan"), -3.0, -2.0, float("inf"), -1.0], "<bound>"))
    ns = "{http://www.w3.org/2000/svg}"
    points = [tuple(map(float, point.split(","))) for point in line.find(f"{ns}polyline").get("points").split()]
    assert len(points) == 3
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    assert [y for _, y in points] == sorted((y for _, y in points), reverse=True)
    assert line.find(f"{ns}title").text == "<bound>"
    flat = re.search(r'points="(.*)"', html.sparkline([-3.0, -3.0 - 1e-13, -3.0], "rounding", 1e-12))[1].split()
    assert len({point.split(",")[1] for point in flat}) == 1
    assert html.sparkline([1.0, float("nan")], "one value") == ""
    assert "nan" not in html.sparkline([-1.7e308, 1.7e308, 5.0, 5.0], "far apart")
    assert len(html.sparkline(range(100_000), "many")) < 5000


@pytest.mark.parametrize(
    ("library", "kind"), [("pandas", pd.DataFrame), ("polars", pl.DataFrame), (None, pd.DataFrame)]
)
def test_parameters_are_a_table_of_either_library(library, kind):
    """`to_frame` has a row a component, and the parameters to the bit."""
    fit = fitted()
    table = fit.to_frame(library)
    assert isinstance(table, kind)
    assert list(table["component"]) == [0, 1]
    assert list(table["wait: mean"]) == fit.params.components.means[:, 1].tolist()
    assert table.shape == (2, 7)


def test_a_table_without_a_library_says_how_to_get_one(monkeypatch):
    """Where no library of tables is installed the error names the command; another name than theirs is refused."""
    fit = lem.fit(lem.GaussianMixture(2), FAITHFUL, n_starts=1)
    for name in ("pandas", "polars", "pyarrow"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match="pip install pandas"):
        fit.to_frame()
    with pytest.raises(ImportError, match="pip install polars"):
        fit.to_frame("polars")
    with pytest.raises(ValueError, match="'pandas', 'polars', 'pyarrow'"):
        fit.to_frame("excel")


def test_a_model_that_describes_nothing_has_no_table():
    """Where there are no components to show, `to_frame` says so, and the summary shows the parameters themselves."""
    fit = lem.fit(Silent(lem.GaussianMixture(2)), FAITHFUL, n_starts=1)
    with pytest.raises(lem.Unavailable, match=r"fit\.params"):
        fit.to_frame()
    assert repr(fit.params) in str(fit)
    assert "array(" in fit.summary().markdown()
    assert "array(" in Tags(fit.summary().html()).text
