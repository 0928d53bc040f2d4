"""Pictures: artists are counted and measured, and no pixels."""

from __future__ import annotations

import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
from scipy import stats

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Ellipse
from subjects import FAITHFUL, deaths

import latentem as lem
from latentem.command.showing import _plot
from latentem.plot import palette

IRIS, CARCINOMA = lem.datasets.iris(), lem.datasets.carcinoma()
NAMES = ("minutes", "wait")


def table(x, names):
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame(x, columns=list(names))


def fitted(model, x, **options):
    return lem.fit(model, x, n_starts=3, **options)


GEYSER = fitted(lem.GaussianMixture(2), table(FAITHFUL, NAMES))
FLOWERS = fitted(lem.GaussianMixture(3), IRIS)
COUNTS = fitted(lem.Mixture(lem.Poisson(), 2), deaths())
CLASSES = fitted(lem.Mixture(lem.Bernoulli(), 2), CARCINOMA)
CHAIN = fitted(lem.HiddenMarkov(lem.Gaussian(), 2), [FAITHFUL[:100], FAITHFUL[100:]])
CLUSTERS = fitted(lem.KMeans(3), FAITHFUL)
FACTORS = fitted(lem.FactorAnalysis(2, noise=lem.Spherical()), IRIS)
TRACE = lem.record(lem.GaussianMixture(2), table(FAITHFUL, NAMES), steps=3)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def outlines(ax):
    """Vertices of the ellipses that are lines, in data units, one array each."""
    rings = [patch for patch in ax.patches if isinstance(patch, Ellipse) and not patch.get_fill()]
    return [ring.get_patch_transform().transform(ring.get_path().vertices[::3]) for ring in rings]


@pytest.mark.parametrize("pair", [(0, 1), (3, 1)])
def test_an_ellipse_lies_where_chi_squared_says(pair):
    """The ellipse of a mass is the set of points at the quantile of chi squared from the mean of the exact marginal."""
    ax = lem.plot.ellipses(FLOWERS, pair, mass=(0.5, 0.9))
    rings, (means, covariances) = outlines(ax), (FLOWERS.params.components.means, FLOWERS.params.components.covariances)
    assert len(rings) == 6
    for i, points in enumerate(rings):
        inverse = np.linalg.inv(covariances[i // 2][np.ix_(pair, pair)])
        away = points - means[i // 2][list(pair)]
        wanted = stats.chi2.ppf((0.9, 0.5)[i % 2], 2)
        np.testing.assert_allclose(np.einsum("ni,ij,nj->n", away, inverse, away), wanted, rtol=1e-9)


def test_an_ellipse_of_a_t_distribution_holds_its_mass():
    """The 80 % ellipse of a t distribution holds 80 % of 40,000 of its rows, to 4 standard errors."""
    model, scale = lem.Mixture(lem.Student(), 1), np.array([[[2.0, 1.2], [1.2, 1.0]]])
    params = model.params([1.0], model.family.params([[1.0, -1.0]], scale, 3.0))
    ax = lem.plot.ellipses(lem.Fit.of(model, params, FAITHFUL), mass=0.8)
    rng = np.random.default_rng(1)
    normal = rng.multivariate_normal([0, 0], scale[0], 40_000)
    rows = [1.0, -1.0] + normal / np.sqrt(rng.chisquare(3, 40_000) / 3)[:, None]
    ring = next(patch for patch in ax.patches if not patch.get_fill())
    inside = ring.get_path().contains_points(ring.get_patch_transform().inverted().transform(rows))
    assert abs(inside.mean() - 0.8) < 4 * np.sqrt(0.16 / 40_000)


def test_a_region_of_the_density_holds_its_mass():
    """The contours of two far Gaussians hold the masses that they are for, of rows that numpy draws."""
    model = lem.GaussianMixture(2, structure=lem.Spherical())
    fit = lem.Fit.of(model, model.params([0.3, 0.7], [[0.0, 0.0], [9.0, 3.0]], [1.0, 4.0]), FAITHFUL)
    ax = lem.plot.density(fit, mass=(0.5, 0.9))
    rng = np.random.default_rng(3)
    label = rng.random(40_000) < 0.7
    rows = rng.standard_normal((40_000, 2)) * np.where(label, 2.0, 1.0)[:, None] + np.outer(label, [9.0, 3.0])
    lines = next(c for c in ax.collections if type(c).__name__ == "QuadContourSet" and not c.filled)
    for path, mass in zip(lines.get_paths(), (0.9, 0.5), strict=True):
        inside = sum(part.contains_points(rows) for part in path._iter_connected_components())
        assert abs(inside.mean() - mass) < 0.01


def test_curves_of_components_hold_their_shares():
    """Each curve of a column encloses the weight of its component, the histogram one, and their sum is the last."""
    ax = lem.plot.components(GEYSER, table(FAITHFUL, NAMES), "wait")
    *each, whole = ax.lines
    for j, line in enumerate(each):
        assert np.trapezoid(line.get_ydata(), line.get_xdata()) == pytest.approx(GEYSER.params.weights[j], abs=2e-3)
    np.testing.assert_allclose(whole.get_ydata(), sum(line.get_ydata() for line in each))
    assert sum(bar.get_height() * width(ax) for bar in ax.patches) == pytest.approx(1)


def width(ax):
    """The width of a bin of the histogram: between the middles of neighbours, for bars have gaps."""
    first, second = ax.patches[:2]
    return second.get_x() - first.get_x()


def test_counts_have_probabilities_on_whole_numbers():
    """The points of a Poisson component are its weight times scipy's probabilities, and each number has a bar."""
    ax = lem.plot.components(COUNTS, deaths())
    for j, line in enumerate(ax.lines[:2]):
        rate, weight = COUNTS.params.components[j, 0], COUNTS.params.weights[j]
        np.testing.assert_array_equal(line.get_xdata(), np.arange(10))
        np.testing.assert_allclose(line.get_ydata(), weight * stats.poisson.pmf(np.arange(10), rate))
    assert ax.patches[1].get_height() == pytest.approx(267 / 1096)


def test_weights_count_in_the_histogram():
    """A row of weight 3 is three rows to the histogram."""
    x, weight = np.array([[0.0], [1.0], [2.0], [7.0]]), np.array([1.0, 1.0, 1.0, 3.0])
    fit = lem.Fit.of(COUNTS.model, COUNTS.params, x)
    ax = lem.plot.components(fit, lem.Rows(x, weight))
    assert [bar.get_height() for bar in ax.patches if bar.get_height()] == pytest.approx([1 / 6, 1 / 6, 1 / 6, 1 / 2])


def test_rows_are_drawn_by_label_and_the_uncertain_ones_large():
    """Every row is a point in the collection of its label, and its area grows with its uncertainty."""
    ax = lem.plot.classification(GEYSER, table(FAITHFUL, NAMES))
    labels, doubt = GEYSER.predict(FAITHFUL), 1 - GEYSER.predict_proba(FAITHFUL).max(axis=1)
    for j, points in enumerate(ax.collections):
        mine = np.flatnonzero(labels == j)
        mine = mine[np.argsort(doubt[mine], kind="stable")]
        np.testing.assert_array_equal(points.get_offsets(), FAITHFUL[mine])
        assert (np.diff(points.get_sizes()) >= 0).all()
        assert points.get_sizes()[-1] > points.get_sizes()[0]


def test_large_data_are_thinned():
    """Of 30,000 rows 20,000 are drawn."""
    ax = lem.plot.classification(CLUSTERS, np.random.default_rng(0).normal(70, 9, (30_000, 2)))
    assert sum(len(points.get_offsets()) for points in ax.collections) == 20_000


def test_uncertainty_rises_from_row_to_row():
    """The line is 1 - the largest responsibility, sorted; the points of the components are all rows."""
    ax = lem.plot.uncertainty(FLOWERS, IRIS)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), np.sort(1 - FLOWERS.predict_proba(IRIS).max(axis=1)))
    assert sum(len(points.get_offsets()) for points in ax.collections) == 150


def test_bands_of_responsibilities_are_as_wide_as_expected_counts():
    """The area of the band of a component is the sum of its responsibilities."""
    ax = lem.plot.responsibilities(FLOWERS, IRIS)
    for band, count in zip(ax.collections, FLOWERS.predict_proba(IRIS).sum(axis=0), strict=True):
        x, y = band.get_paths()[0].vertices[:-1].T
        assert abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) / 2 == pytest.approx(count)


def test_a_matrix_of_pairs_has_all_of_them():
    """Below the diagonal each pair has its rows and ellipses, on it each column its curves; above it nothing."""
    axes = lem.plot.pairs(FLOWERS, IRIS, (0, 2, 3))
    assert [[ax is not None for ax in row] for row in axes] == np.tri(3, dtype=bool).tolist()
    assert (axes[2, 1].get_xlabel(), axes[2, 0].get_ylabel()) == ("x2", "x3")
    assert len(outlines(axes[2, 1])) == 3
    assert sum(len(points.get_offsets()) for points in axes[1, 0].collections) == 150
    assert len(axes[1, 1].lines) == 4
    figure = plt.figure()
    assert lem.plot.pairs(CLASSES, CARCINOMA, [0, 1], figure=figure)[1, 0].figure is figure
    assert not outlines(figure.axes[1])


def test_profiles_are_the_parameters():
    """Means with their deviations, standardised ones with mean zero and variance one, probabilities of classes."""
    bars = lem.plot.profile(FLOWERS, (3, 0)).containers
    means, covariances = FLOWERS.params.components.means, FLOWERS.params.components.covariances
    for j, bar in enumerate(bars):
        np.testing.assert_allclose(bar.lines[0].get_ydata(), means[j, [3, 0]])
        (low, high), *_ = bar.lines[2][0].get_segments()
        assert high[1] - low[1] == pytest.approx(2 * np.sqrt(covariances[j, 3, 3]))
    middle = np.array([bar.lines[0].get_ydata() for bar in lem.plot.profile(FLOWERS, standardized=True).containers])
    np.testing.assert_allclose(FLOWERS.params.weights @ middle, 0, atol=1e-12)
    np.testing.assert_allclose(middle[0] - middle[1], (means[0] - means[1]) / IRIS.std(axis=0), rtol=1e-9)
    ax = lem.plot.profile(CLASSES)
    np.testing.assert_allclose([line.get_ydata() for line in ax.lines], CLASSES.params.components)


def test_a_profile_of_categories_has_their_names():
    """Of three levels all are shown, of two the last; levels have the words of the data."""
    x = table([["a", "x"], ["b", "y"], ["c", "y"], ["a", "x"]] * 5, ("one", "two"))
    fit = fitted(lem.Mixture(lem.Categorical(), 2), x)
    axes = lem.plot.pairs(fit, x)
    assert [tick.get_text() for tick in axes[1, 0].get_xticklabels()] == ["a", "b", "c"]
    assert [tick.get_text() for tick in axes[1, 0].get_yticklabels()] == ["x", "y"]
    assert [tick.get_text() for tick in lem.plot.components(fit, x, "two").get_xticklabels()] == ["x", "y"]
    ax = lem.plot.profile(fit)
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["one = a", "one = b", "one = c", "two = y"]


def test_the_history_has_each_half_step():
    """A point for each plain half step and each leap, a line at the log likelihood, Q below A, gains above zero."""
    steps = COUNTS.history
    plain, leaps = (
        sum(step.kind != "extrapolated" for step in steps),
        sum(step.kind == "extrapolated" for step in steps),
    )
    assert leaps
    ax = lem.plot.history(COUNTS)
    assert [len(points.get_offsets()) for points in ax.collections] == [plain - 1, plain, leaps]
    assert ax.lines[-1].get_ydata()[0] == COUNTS.log_likelihood
    assert (np.diff(ax.lines[0].get_ydata()) > -1e-9).all()
    bound, q = lem.plot.history(COUNTS, "books").lines
    np.testing.assert_array_equal(bound.get_ydata() - q.get_ydata(), steps.bound - steps.expected_log_joint)
    m_half, _ = lem.plot.history(COUNTS, "gains").lines
    assert len(m_half.get_ydata()) == (steps.m_gain > 0).sum()
    (line,) = lem.plot.history(COUNTS, "remaining").lines
    assert np.isfinite(line.get_ydata()).all()


def test_each_start_has_its_end():
    """A point for each start, at its objective, the best on top."""
    ax = lem.plot.starts(FLOWERS)
    ends = np.array([points.get_offsets()[0] for points in ax.collections if type(points).__name__ == "PathCollection"])
    np.testing.assert_allclose(np.sort(ends[:, 0])[::-1], ends[np.argsort(ends[:, 1]), 0])
    assert sorted(ends[:, 0]) == sorted(report.objective for report in FLOWERS.starts)
    assert FLOWERS.log_likelihood == pytest.approx(ends[ends[:, 1] == 0][0, 0])


def test_the_strip_is_the_most_probable_path():
    """The stretches of all states cover the second sequence, each its own steps; the points are its observations."""
    data = [FAITHFUL[:100], FAITHFUL[100:]]
    ax = lem.plot.states(CHAIN, data, 1, sequence=1)
    path = CHAIN.decode(data)[1]
    points, strips = ax.collections[::2], ax.collections[1::2]
    for j in range(2):
        inside = np.zeros(172, dtype=bool)
        for part in strips[j].get_paths():
            low, high = part.vertices[:, 0].min(), part.vertices[:, 0].max()
            inside |= (np.arange(172) > low) & (np.arange(172) < high)
        np.testing.assert_array_equal(inside, path == j)
        np.testing.assert_array_equal(points[j].get_offsets()[:, 1], FAITHFUL[100:][path == j, 1])


def test_loadings_are_correlations():
    """The map and the plane show loadings over standard deviations: correlations of columns and factors."""
    params = FACTORS.params.canonical()
    wanted = params.loadings / np.sqrt(np.diagonal(params.covariance()))[:, None]
    np.testing.assert_allclose(lem.plot.loadings(FACTORS).images[0].get_array(), wanted)
    ax = lem.plot.loadings(FACTORS, [0, 3], plane=(1, 0))
    arrows = [text.xy for text in ax.texts if text.get_text() == ""]
    np.testing.assert_allclose(arrows, wanted[[0, 3]][:, [1, 0]])


def test_j_falls_after_each_half():
    """Assignments and refits alternate, and J is that of the recording."""
    trace = lem.record(lem.KMeans(3), FAITHFUL, rng=1)
    assigned, moved = lem.plot.inertia(trace).collections
    np.testing.assert_array_equal(assigned.get_offsets()[:, 1], [f.distortion for f in trace if f.kind == "E"])
    np.testing.assert_array_equal(moved.get_offsets()[:, 1], [f.distortion for f in trace if f.kind == "M"])


def test_the_bound_touches_the_log_likelihood_from_below():
    """Along the line the bound is nowhere above the log likelihood, and equal to it where q is exact."""
    likelihood, bound = lem.plot.tangent(TRACE, 1, "components.means[0, 0]").lines[:2]
    gap = likelihood.get_ydata() - bound.get_ydata()
    assert (gap > -1e-9).all()
    at = bound.get_xdata() == TRACE[1].params.components.means[0, 0]
    assert gap[at] == pytest.approx(0, abs=1e-9)


def test_a_strip_has_a_picture_for_each_frame():
    """Rows are grey at the start, and then in the colours of their responsibilities; ellipses are the frame's."""
    axes = lem.plot.filmstrip(TRACE, [0, 1, 2])
    assert [ax.get_title(loc="left").split(":")[0] for ax in axes] == ["start", "1 E", "2 M"]
    assert [len(outlines(ax)) for ax in axes] == [2, 2, 2]
    colours = np.concatenate([points.get_facecolors()[:, :3] for points in axes[1].collections])
    responsibilities = TRACE.responsibilities(1)
    order = np.argsort(responsibilities.argmax(axis=1), kind="stable")
    ends = np.array([mpl.colors.to_rgb(palette.colour(j)) for j in (0, 1)])
    np.testing.assert_allclose(colours, (responsibilities @ ends)[order], atol=1e-9)
    hard = lem.plot.filmstrip(lem.record(lem.KMeans(2), FAITHFUL, steps=1))
    assert [len(outlines(ax)) for ax in hard] == [0, 0, 0, 0]
    one = lem.plot.filmstrip(TRACE, [1, -1], "wait")
    assert [len(ax.lines) for ax in one] == [3, 3]


DRAWN = {
    "ellipses": lambda ax: lem.plot.ellipses(GEYSER, ax=ax),
    "density": lambda ax: lem.plot.density(CHAIN, FAITHFUL, ax=ax),
    "classification": lambda ax: lem.plot.classification(CLUSTERS, FAITHFUL, ax=ax),
    "components": lambda ax: lem.plot.components(FACTORS, column=2, ax=ax),
    "uncertainty": lambda ax: lem.plot.uncertainty(COUNTS, deaths(), ax=ax),
    "responsibilities": lambda ax: lem.plot.responsibilities(CLASSES, CARCINOMA, ax=ax),
    "profile": lambda ax: lem.plot.profile(CLUSTERS, ax=ax),
    "states": lambda ax: lem.plot.states(CHAIN, FAITHFUL, 0, ax=ax),
    "loadings": lambda ax: lem.plot.loadings(FACTORS, ax=ax),
    "history": lambda ax: lem.plot.history(CLUSTERS, ax=ax),
    "starts": lambda ax: lem.plot.starts(COUNTS, ax=ax),
    "tangent": lambda ax: lem.plot.tangent(TRACE, ax=ax),
}


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_a_picture_is_drawn_where_it_is_asked_for(draw):
    """It returns the Axes that it is given, or one in a new figure, changes no setting, and something is in it."""
    before = dict(mpl.rcParams)
    figure, given = plt.subplots()
    assert draw(given) is given
    assert plt.get_fignums() == [figure.number]
    made = draw(None)
    assert isinstance(made, Axes)
    assert made.figure is not figure
    assert len(made.get_children()) > len(plt.figure().add_subplot().get_children())
    assert dict(mpl.rcParams) == before


LAZY = """
import sys, latentem as lem
assert not [name for name in sys.modules if name.startswith(("matplotlib", "latentem.plot"))]
from latentem.plot import palette
assert palette.colour(7) == palette.BLUE and "matplotlib" not in sys.modules
from matplotlib.figure import Figure
lem.plot.starts(lem.fit(lem.KMeans(2), lem.datasets.old_faithful(), n_starts=2), ax=Figure().add_subplot())
assert "matplotlib.pyplot" not in sys.modules
"""


def test_matplotlib_is_loaded_when_something_is_drawn():
    """Neither the library nor the palette loads it; a picture on a given Axes does without pyplot."""
    done = subprocess.run([sys.executable, "-c", LAZY], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_without_matplotlib_the_message_says_how_to_get_it(monkeypatch):
    """An ImportError names the command."""
    monkeypatch.setitem(sys.modules, "matplotlib.axes", None)
    with pytest.raises(ImportError, match=r"pip install matplotlib"):
        lem.plot.history(GEYSER)


REFUSED = [
    (lambda: lem.plot.ellipses(FLOWERS), ValueError, "4 columns.*give columns=.*or use pairs"),
    (lambda: lem.plot.ellipses(GEYSER, ("wait", "depth")), ValueError, "'depth' is not there.*'minutes', 'wait'"),
    (lambda: lem.plot.ellipses(FLOWERS, (0, 4)), ValueError, "columns 0 to 3"),
    (lambda: lem.plot.ellipses(FLOWERS, (0, 1.5)), TypeError, "its number counted from 0"),
    (lambda: lem.plot.ellipses(FLOWERS, (1, 1)), ValueError, "give each once"),
    (lambda: lem.plot.ellipses(FLOWERS, (0, 1, 2)), ValueError, "3 columns were given: this picture shows 2"),
    (lambda: lem.plot.ellipses(GEYSER, mass=2), ValueError, "above 0 and below 1"),
    (lambda: lem.plot.ellipses(COUNTS), ValueError, "use components for one column"),
    (lambda: lem.plot.ellipses(CLASSES, (0, 1)), lem.Unavailable, "Bernoulli are not constant.*classification, pairs"),
    (lambda: lem.plot.density(CLASSES, columns=(0, 1)), lem.Unavailable, "probabilities and not densities"),
    (lambda: lem.plot.classification(FACTORS, IRIS, (0, 1)), lem.Unavailable, "Pictures of it: ellipses, density"),
    (lambda: lem.plot.pairs(lem.Fit.of(*WIDE), WIDE[2]), ValueError, "columns to show: 9; choose from 2 to 8"),
    (lambda: lem.plot.profile(CLASSES, standardized=True), lem.Unavailable, "leave out standardized"),
    (lambda: lem.plot.loadings(GEYSER), lem.Unavailable, "no loadings"),
    (lambda: lem.plot.loadings(FACTORS, plane=(0, 2)), ValueError, "factors 0 to 1"),
    (lambda: lem.plot.states(GEYSER, FAITHFUL, 0), lem.Unavailable, "no sequences"),
    (lambda: lem.plot.states(CHAIN, FAITHFUL, 0, sequence=1), ValueError, "have 1, counted from 0"),
    (lambda: lem.plot.history(GEYSER, "likelihood"), ValueError, "'bound', 'books', 'gains', 'remaining'"),
    (lambda: lem.plot.starts(lem.Fit.of(*WIDE)), ValueError, "parameters were given"),
    (lambda: lem.plot.history(GEYSER.params), TypeError, "give a Fit"),
    (lambda: lem.plot.history(GEYSER, ax="left"), TypeError, "give an Axes"),
    (lambda: lem.plot.inertia(TRACE), lem.Unavailable, "not hard"),
    (lambda: lem.plot.filmstrip(GEYSER), TypeError, "lem.record"),
    (lambda: lem.plot.filmstrip(TRACE, [99]), ValueError, "frames 0 to 7"),
]
WIDE = (lem.KMeans(2), lem.KMeans(2).params(np.eye(2, 9)), np.eye(9))


@pytest.mark.parametrize(("draw", "error", "words"), REFUSED)
def test_what_cannot_be_drawn_is_refused_by_name(draw, error, words):
    """The error says what was given, what there is and what to do, and no figure is left behind."""
    with pytest.raises(error, match=f"(?s){words}"):
        draw()
    assert plt.get_fignums() == []


def test_pictures_of_a_model_of_ones_own():
    """A family of one's own is drawn in its columns by its density alone; noise has no ellipse."""

    class Plain(lem.SampleFamily):
        def log_density(self, params, x):
            return stats.norm.logpdf(x, params[:, 0], 1.0)

        def estimate(self, x, weights):
            return (weights.T @ x) / weights.sum(axis=0)[:, None]

        def sample(self, params, labels, rng):
            return np.random.default_rng(rng).normal(params[labels], 1.0)

    model = lem.Mixture(Plain(), 2)
    fit = lem.Fit.of(model, model.params([0.5, 0.5], np.array([[0.0], [4.0]])), np.array([[0.0], [4.1]]))
    assert "components" in lem.plot.available(fit)
    line = lem.plot.components(fit).lines[1]
    np.testing.assert_allclose(line.get_ydata(), 0.5 * stats.norm.pdf(line.get_xdata(), 4.0))
    noisy = lem.Mixture(lem.Assorted(lem.Uniform([0, 0], [9, 99]), lem.Gaussian()), 2)
    assert len(outlines(lem.plot.ellipses(fitted(noisy, FAITHFUL), mass=0.9))) == 1


@pytest.mark.parametrize("fit", [COUNTS, CLASSES, FACTORS], ids=lambda fit: type(fit.model).__name__)
def test_the_command_line_draws_these(fit, tmp_path):
    """`--plot` draws the picture of the components that says most, beside the history."""
    _plot(fit, tmp_path / "x.svg")
    assert "bound A = Q + H" in (tmp_path / "x.svg").read_text(encoding="utf-8")


def test_no_two_of_56_components_look_alike():
    """Colour and marker together tell 56 components apart."""
    assert len({(palette.colour(j), palette.marker(j)) for j in range(56)}) == 56
