r"""
EM
==

Neither labels nor parameters: go round the ring of chapter 4. **E half**: responsibilities from the parameters. **M
half**: counts, means and covariances, weighted by the responsibilities. This chapter does it for round clusters, for
clusters along the axes, for ellipses of any direction, and with hard labels.

The formulas are in :doc:`the mathematics </mathematics>`, under "Mixtures" and "The Gaussian family"; why the
likelihood never falls is chapter 6.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy import special, stats

import latentem as lem

# %%
# The data, and where to start
# ----------------------------
#
# The 500 points of chapter 4. We keep the labels aside, to see how well we do.

rng = np.random.default_rng(6)
n, k, d = 500, 3, 2
weights = np.array([0.5, 0.3, 0.2])
means = np.array([[2.0, 3.5], [5.0, 5.0], [7.5, 4.0]])
covariances = np.array([[[1.0, 0.6], [0.6, 1.0]], [[1.6, -1.0], [-1.0, 1.2]], [[0.6, 0.4], [0.4, 1.4]]])
labels = rng.choice(k, size=n, p=weights)
x = np.array([rng.multivariate_normal(means[z], covariances[z]) for z in labels])

# %%
# EM needs a first guess. K-means is a good one: its centres as means, weights of 1/k, and identity covariances. We sort
# the centres from left to right, to have the order of chapter 4.

kmeans = lem.fit(lem.KMeans(k), x)
centres = kmeans.params.components.means
centres = centres[centres[:, 0].argsort()]
begin = np.full(k, 1 / k), centres, np.tile(np.eye(d), (k, 1, 1))
print(f"J = {kmeans.inertia:.3f}, centres\n{centres.round(4)}")

# %%
# The two halves in numpy
# -----------------------
#
# E half: logs of :math:`w_j p(x \mid j)`, less the log of their sum. That log, summed over the points, is the log
# likelihood.


def e_half(x, weights, means, covariances):
    """Responsibilities, shape (n, k), and the log likelihood."""
    components = zip(weights, means, covariances, strict=True)
    joint = np.stack([np.log(w) + stats.multivariate_normal(m, c).logpdf(x) for w, m, c in components], axis=1)
    total = special.logsumexp(joint, axis=1, keepdims=True)
    return np.exp(joint - total), total.sum()


def m_half(x, r, shape):
    """Weights, means and covariances of the rows, weighted by responsibilities."""
    counts = r.sum(axis=0)
    means = r.T @ x / counts[:, None]
    apart = x[:, None, :] - means
    scatter = np.einsum("nj,nja,njb->jab", r, apart, apart) / counts[:, None, None]
    return counts / len(x), means, shape(scatter)


# %%
# The shape is what is left of the weighted covariance. An ellipse keeps all of it; a cluster along the axes keeps the
# diagonal; a round one the mean of the diagonal.


def ellipse(scatter):
    return scatter


def along_axes(scatter):
    return scatter * np.eye(scatter.shape[-1])


def round_one(scatter):
    width = scatter.shape[-1]
    return np.trace(scatter, axis1=1, axis2=2)[:, None, None] / width * np.eye(width)


# %%
# E, M, E, M
# ----------
#
# Ellipses first.

params, heights = begin, []
for step in range(41):
    r, height = e_half(x, *params)
    heights.append(height)
    if step < 4:
        print(f"E: log likelihood {height:.4f}, expected counts {r.sum(axis=0).round(2)}")
    params = m_half(x, r, ellipse)
    if step < 4:
        print(f"M: weights {params[0].round(3)}, widths across {np.sqrt(params[2][:, 0, 0]).round(3)}")
print(f"after 40 steps {heights[-1]:.4f}; the last gained {heights[-1] - heights[-2]:.1e}")

# %%
# The first step gains most, for K-means knows nothing of weights and widths. Then it goes slowly. At no step does the
# log likelihood fall.
#
# The same in the library
# -----------------------
#
# `record` keeps each half step with its books: Q, H, and their sum A. After an E half A is the log likelihood.

model = lem.GaussianMixture(k)
trace = lem.record(model, x, start=model.params(*begin), steps=40)
print("half    A             Q             H         KL")
for frame in trace[1:9]:
    print(
        f"{frame.index} {frame.kind}    {frame.bound:.5f}   {frame.expected_log_joint:.5f}   {frame.entropy:.5f}   "
        f"{max(frame.gap, 0):.5f}"
    )

# %%
# Read it row by row. E closes the gap: KL is 0. M raises Q and leaves H as it is; the log likelihood goes ahead of A,
# and a gap opens.

strip = lem.plot.filmstrip(trace, [0, 1, 2, 3, 4, 11, 41, 81])

# %%
# Three shapes
# ------------
#
# Now the same start for all three. The round one has 11 free numbers, that along the axes 14, the ellipse 17.

kinds = {
    "spherical": (lem.Spherical(), np.ones(k), round_one),
    "diagonal": (lem.Diagonal(), np.ones((k, d)), along_axes),
    "elliptical": (lem.Full(), begin[2], ellipse),
}
fits = {}
print(f"{'':11} {'steps':>5} {'log likelihood':>15} {'BIC':>10} {'hits':>5}")
for name, (structure, unit, _) in kinds.items():
    shaped = lem.GaussianMixture(k, structure=structure)
    fits[name] = fit = lem.fit(shaped, x, start=shaped.params(begin[0], begin[1], unit), accelerate=None)
    hits = int((fit.predict(x) == labels).sum())
    print(f"{name:11} {fit.history[-1].index:5} {fit.log_likelihood:15.4f} {fit.bic:10.2f} {hits:5}")

# %%
# The more freedom, the higher the log likelihood: each shape contains the one before. Whether the freedom is worth its
# price, the BIC says (lower is better): yes, here. Hits are the points that get their true label. Bayes' rule with the
# true parameters had 456.

fig, axes = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained", sharex=True, sharey=True)
for ax, (name, fit) in zip(axes, fits.items(), strict=True):
    lem.plot.classification(fit, x, ax=ax)
    lem.plot.ellipses(fit, mass=0.95, ax=ax)
    ax.set_title(f"{name}: {fit.log_likelihood:.1f}")
for ax in axes[:2]:
    ax.get_legend().remove()

# %%
# All three true clusters lie askew. A round cluster can only be large or small. So the middle one gives its right end
# away, and takes the upper end of the left one. Clusters along the axes are hardly better: 400 hits, as many.
#
# Hard clusters
# -------------
#
# Between the halves, put each responsibility to 0 or 1: the likeliest label takes all. This is *classification EM*
# (Celeux and Govaert, 1992). With equal weights and held round covariances it would be K-means again; here weights and
# ellipses are learnt.

hard_model = lem.Hard(model)
hard = lem.fit(hard_model, x, start=model.params(*begin))
print(hard)
print(f"hits {int((hard.predict(x) == labels).sum())}")

# %%
# It raises another number: the log of the joint density of points *and* labels, at the best labels. H is zero. Each
# round that changes anything changes a label, so it ends after finitely many steps, 14 here.
#
# Its clusters are too narrow. A hard cluster is cut off where the next one begins, and loses its tails.

print(f"widths across, soft {np.sqrt(fits['elliptical'].params.components.covariances[:, 0, 0]).round(3)}")
print(f"widths across, hard {np.sqrt(hard.params.components.covariances[:, 0, 0]).round(3)}")
print(f"the truth           {np.sqrt(covariances[:, 0, 0]).round(3)}")

# %%
# How fast?
# ---------
#
# The gain of each step, on a logarithmic scale: after a while a straight line. Each step leaves the same share of what
# is still to be gained. The share is large where clusters overlap.

gains = np.diff(heights)
fig, ax = plt.subplots(figsize=(7, 3), layout="constrained")
for name, fit in fits.items():
    ax.semilogy(np.diff(fit.history.bound), ".-", label=name)
ax.set(xlabel="step", ylabel="gain (nats)", title="Each step leaves a share of what is to be gained")
ax.legend()
print(f"gains of steps 30 and 31: {gains[29]:.3e} and {gains[30]:.3e}, ratio {gains[30] / gains[29]:.4f}")

# %%
# Old Faithful
# ------------
#
# The geyser again, started by K-means on one scale, with weights of 1/2 and identity covariances. The log likelihood in
# minutes differs by n times the sum of the logs of the two standard deviations.

faithful = lem.datasets.old_faithful()
scale = faithful.std(axis=0)
geyser = (faithful - faithful.mean(axis=0)) / scale
middle = lem.fit(lem.KMeans(2), geyser).params.components.means
two = {}
for name, (structure, unit, _) in kinds.items():
    pair = lem.GaussianMixture(2, structure=structure)
    two[name] = lem.fit(pair, geyser, start=pair.params([0.5, 0.5], middle, unit[:2]))
    in_minutes = two[name].log_likelihood - 272 * np.log(scale).sum()
    print(f"{name:11} {two[name].log_likelihood:12.6f} on one scale, {in_minutes:13.6f} in minutes")

# %%
# For ellipses, -1130.264 is the maximum in minutes, too: it is what mclust prints for its model VVV (BIC -2322.192,
# which it counts with the other sign). For round clusters the scale matters: in minutes they would be other clusters.
#
# The recording as a page
# -----------------------
#
# The ellipses on the 500 points, half step by half step.

trace

# %%
# Exercises
# ---------
#
# **1.** Let all clusters share *one* ellipse. Write its M half in numpy, and fit two clusters to Old Faithful in
# minutes.
#
# .. raw:: html
#
#    <details><summary>Solution</summary>


def shared(x, r):
    """The M half with one covariance for all: the scatters of all clusters added up."""
    loads, middles, scatter = m_half(x, r, ellipse)
    return loads, middles, np.tile((loads[:, None, None] * scatter).sum(axis=0), (len(loads), 1, 1))


now = np.full(2, 0.5), middle * scale + faithful.mean(axis=0), np.tile(np.cov(faithful.T), (2, 1, 1))
for _ in range(400):
    r, height = e_half(faithful, *now)
    now = shared(faithful, r)
tied = lem.fit(lem.GaussianMixture(2, structure=lem.Tied()), faithful)
print(f"numpy {height:.6f}, fit {tied.log_likelihood:.6f}")
np.testing.assert_allclose(height, tied.log_likelihood, atol=1e-6)

# %%
# :math:`\Sigma = \sum_j C_j / n`, as in the table of the mathematics.
#
# .. raw:: html
#
#    </details>
#
# **2.** Stretch the first column of the 500 points by 10. Which of the three shapes gives the same labels? By how much
# does its log likelihood change?
#
# .. raw:: html
#
#    <details><summary>Solution</summary>

stretch = np.array([10.0, 1.0])
for name, (structure, _, _) in kinds.items():
    again = lem.fit(lem.GaussianMixture(k, structure=structure), x * stretch, start=fits[name].predict_proba(x))
    same = int((again.predict(x * stretch) == fits[name].predict(x)).sum())
    shift = again.log_likelihood - fits[name].log_likelihood
    print(f"{name:11} {same} labels as before, log likelihood {shift:+.4f}")
    if name == "spherical":
        assert same < n
        assert shift < -n * np.log(10) - 100
    else:
        assert same == n
        np.testing.assert_allclose(shift, -n * np.log(10), atol=1e-6)

# %%
# Diagonal and elliptical follow the stretch; the density falls by 10, so the log likelihood by :math:`n \log 10`. Round
# clusters depend on the units, as K-means does.
#
# .. raw:: html
#
#    </details>
#
# **3.** How narrow are hard clusters? Take two Gaussians at -1 and 1 of width 1, with equal weights; hold the weights
# equal and the widths alike. The border is 0 then, and the right cluster holds all that is positive. Find its mean and
# width by formula (`scipy.stats.foldnorm`), and by a hard fit to 20,000 points.
#
# .. raw:: html
#
#    <details><summary>Solution</summary>

line = (rng.choice([-1.0, 1.0], size=20_000) + rng.normal(size=20_000))[:, None]
alike = lem.GaussianMixture(2, structure=lem.Tied(), weights=lem.Fixed.uniform())
cut = lem.fit(lem.Hard(alike), line, start=(line[:, 0] > 0).astype(int)).params.components
folded = stats.foldnorm(1.0)
half = np.ptp(cut.means) / 2
print(f"hard: means {half:.3f} from the border, width {np.sqrt(cut.covariances[0, 0]):.3f}")
print(f"formula: mean {folded.mean():.3f}, width {folded.std():.3f}; the truth has 1 and 1")
np.testing.assert_allclose(half, folded.mean(), atol=0.02)
np.testing.assert_allclose(np.sqrt(cut.covariances[0, 0]), folded.std(), atol=0.02)

# %%
# Means too far apart, and widths a fifth too small; more data do not help.
#
# .. raw:: html
#
#    </details>
#
# Checks
# ------
#
# The library against the loop in numpy, shape by shape; the geyser against print.

for name, (structure, unit, shape) in kinds.items():
    shaped = lem.GaussianMixture(k, structure=structure)
    run = lem.record(shaped, x, start=shaped.params(begin[0], begin[1], unit), steps=10)
    now = begin
    for frame in run[1:]:
        if frame.kind == "E":
            r, height = e_half(x, *now)
            np.testing.assert_allclose(run.responsibilities(frame.index), r, atol=1e-9, err_msg=name)
            np.testing.assert_allclose(frame.bound, height, rtol=1e-11, err_msg=name)
        else:
            now = m_half(x, r, shape)
            np.testing.assert_allclose(frame.params.weights, now[0], rtol=1e-9, err_msg=name)
            np.testing.assert_allclose(frame.params.components.means, now[1], rtol=1e-9, err_msg=name)
            np.testing.assert_allclose(frame.params.components.dense(), now[2], rtol=1e-8, atol=1e-12, err_msg=name)
np.testing.assert_allclose(trace.bound[1::2], heights, rtol=1e-11)
assert (gains > 0).all()
assert (np.diff(trace.bound[1:]) > -1e-9).all()
assert fits["spherical"].log_likelihood < fits["diagonal"].log_likelihood < fits["elliptical"].log_likelihood
assert fits["elliptical"].bic < min(fits["spherical"].bic, fits["diagonal"].bic)

now = begin
for _ in range(30):  # classification EM in numpy
    r, _ = e_half(x, *now)
    chosen = r.argmax(axis=1)
    now = m_half(x, np.eye(k)[chosen], ellipse)
assert (hard.predict(x) == chosen).all()
np.testing.assert_allclose(hard.params.components.means, now[1], rtol=1e-9)
np.testing.assert_allclose(hard.params.components.covariances, now[2], rtol=1e-8)

minutes = two["elliptical"].log_likelihood - 272 * np.log(scale).sum()
assert f"{minutes:.3f}" == "-1130.264"  # mclust, Mclust(faithful, G = 2, modelNames = "VVV")
assert f"{-2 * minutes + 11 * np.log(272):.3f}" == "2322.192"
