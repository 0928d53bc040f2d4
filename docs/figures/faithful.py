"""Draws faithful.png, the figure at the top of the README: a fit of Old Faithful, and its books.

Left: the eruptions, coloured by responsibility, with the 1- and 2-sigma ellipses of the two components.
Right: the auxiliary lower bound over half steps, from a start with both components near the middle.

Run it with `python docs/figures/faithful.py`; it needs the `docs` extra.
"""

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Ellipse

import latentem as lem

SHORT, LONG = "#0072b2", "#e2711d"
BETWEEN = "#a08aa8"
HALVES = {"E": "#1b9e8f", "M": "#a2378f"}
INK, FAINT = "#2b2d33", "#c9ccd3"
HALF_STEPS = 27

STYLE = {
    "font.size": 11,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlepad": 12,
    "axes.titlesize": 13,
    "axes.titleweight": "bold",
    "text.color": INK,
    "xtick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.color": FAINT,
    "ytick.labelcolor": INK,
}


def draw_fit(axes: Axes, x: np.ndarray) -> float:
    """The rows and the two components; returns the log likelihood."""
    fit = lem.fit(lem.GaussianMixture(2), x)
    long = int(fit.params.components.means[:, 0].argmax())
    blend = LinearSegmentedColormap.from_list("responsibility", [SHORT, BETWEEN, LONG])
    axes.scatter(*x.T, c=fit.predict_proba(x)[:, long], cmap=blend, s=26, alpha=0.75, linewidths=0, zorder=3)
    for j, (mean, covariance) in enumerate(
        zip(fit.params.components.means, fit.params.components.covariances, strict=True)
    ):
        colour = LONG if j == long else SHORT
        values, vectors = np.linalg.eigh(covariance)
        angle = np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1]))
        for sigmas, opacity in ((2, 0.10), (1, 0.16)):
            width, height = 2 * sigmas * np.sqrt(values[::-1])
            axes.add_patch(Ellipse(mean, width, height, angle=angle, facecolor=colour, alpha=opacity, zorder=1))
            axes.add_patch(
                Ellipse(mean, width, height, angle=angle, fill=False, edgecolor=colour, linewidth=1.4, zorder=2)
            )
        axes.plot(*mean, marker="+", color=INK, markersize=9, markeredgewidth=1.6, zorder=4)
    axes.annotate(
        "colour: responsibility\nellipses: 1$\\sigma$ and 2$\\sigma$",
        (0.98, 0.04),
        xycoords="axes fraction",
        horizontalalignment="right",
        linespacing=1.5,
    )
    axes.set(
        title="Old Faithful, two Gaussians",
        xlabel="duration of the eruption (min)",
        ylabel="waiting time to the next (min)",
        xlim=(1.2, 5.6),
        ylim=(38, 101),
    )
    return fit.log_likelihood


def books(x: np.ndarray) -> tuple[list[float], list[str]]:
    """The bound after each half step, and which half it was; the first value is that of a q that knows nothing."""
    model = lem.GaussianMixture(2)
    covariance = np.cov(x.T, bias=True)
    apart = np.array([[-0.5, -5.0], [0.5, 5.0]])
    start = model.params([0.5, 0.5], x.mean(axis=0) + apart, [covariance, covariance])
    bounds = [lem.lower_bound(model, start, x, np.full((len(x), 2), 0.5)).bound]
    halves = []
    for state in lem.EM().iterate(model, start, x):
        step = state.step
        if step.index:
            bounds.append(bounds[-1] + step.m_gain)
            halves.append("M")
        bounds.append(step.bound)
        halves.append("E")
    return bounds, halves


def draw_books(axes: Axes, x: np.ndarray, log_likelihood: float) -> None:
    """The staircase of the bound, one riser a half step."""
    bounds, halves = books(x)
    bounds, halves = bounds[: HALF_STEPS + 1], halves[:HALF_STEPS]
    axes.axhline(log_likelihood, color=INK, linewidth=1.2, linestyle=(0, (5, 4)), zorder=1)
    axes.annotate(
        f"log likelihood  {log_likelihood:.2f}".replace("-", "\N{MINUS SIGN}"),
        (0, log_likelihood),
        xytext=(0, 6),
        textcoords="offset points",
    )
    at = np.arange(len(bounds))
    axes.hlines(bounds, at, at + 1, color=FAINT, linewidth=1.8, zorder=2)
    for half, label in (
        ("E", "E half:  $q$ moves to the posterior"),
        ("M", "M half:  the parameters move to their maximum"),
    ):
        risers = [i for i in at[1:] if halves[i - 1] == half]
        axes.vlines(
            risers,
            [bounds[i - 1] for i in risers],
            [bounds[i] for i in risers],
            color=HALVES[half],
            linewidth=5,
            label=label,
            zorder=3,
        )
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 0.03), frameon=False, handlelength=1.0, borderaxespad=0)
    axes.set(
        title="Its books: the bound never falls",
        xlabel="half step",
        ylabel="lower bound $A = Q + H$ (nats)",
        xlim=(-0.4, HALF_STEPS + 1.4),
        ylim=(-1335, -1112),
    )


def main() -> None:
    """Writes faithful.png beside this file."""
    x = lem.datasets.old_faithful()
    with mpl.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.8), layout="constrained", facecolor="white")
        figure.get_layout_engine().set(w_pad=0.15, h_pad=0.12, wspace=0.04)
        draw_books(right, x, draw_fit(left, x))
        figure.savefig(Path(__file__).with_suffix(".png"), dpi=100)


if __name__ == "__main__":
    main()
