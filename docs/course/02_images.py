r"""
Images
======

A pixel is a point: three numbers, its red, green and blue. So a photograph is a data set, and its clusters are groups
of like colours. This chapter draws a photograph with 16 colours and counts the bytes; cuts it into pieces that hang
together; and asks what "like" means.

The formulas are in :doc:`the mathematics </mathematics>`, under "K-means". The photograph is "china.jpg" by Daniel
Buechele (flickr.com/photos/danielbuechele), licensed CC BY 2.0; scikit-learn ships it. We shrink it to a
third of its width.
"""

import zlib

import matplotlib.pyplot as plt
import numpy as np
from scipy import ndimage
from sklearn.datasets import load_sample_image

import latentem as lem

# %%
# A photograph as a table
# -----------------------
#
# Blocks of 3 x 3 pixels become one, their mean. What is left has 142 rows and 213 columns of pixels.

full = load_sample_image("china.jpg")
photo = full[:426, :639].reshape(142, 3, 213, 3, 3).mean(axis=(1, 3)).round().astype(np.uint8)
height, width = photo.shape[:2]
colours = photo.reshape(-1, 3).astype(float)
n = len(colours)
print(f"{n} pixels of 3 bytes: {photo.nbytes} bytes; the first is {colours[0]}")

# %%
# A palette
# ---------
#
# K-means on the colours. The centres are the **palette**, and each pixel is drawn in the colour of its centre. That is
# *vector quantisation*: many values are replaced by few.

fits = {k: lem.fit(lem.KMeans(k), colours, n_starts=2) for k in (2, 3, 8, 16)}
labels = {k: fit.predict(colours) for k, fit in fits.items()}
palettes = {k: fit.params.components.means.round().astype(np.uint8) for k, fit in fits.items()}

fig, axes = plt.subplots(1, 5, figsize=(14, 2.4), layout="constrained")
for ax, k in zip(axes, fits, strict=False):
    ax.imshow(palettes[k][labels[k]].reshape(photo.shape))
    ax.set_title(f"{k} colours")
axes[-1].imshow(photo)
axes[-1].set_title("the photograph")
for ax in axes:
    ax.set_axis_off()

# %%
# Two colours find sky and ground. Sixteen make a fair picture; the sky has stripes where it was smooth.
#
# The bytes
# ---------
#
# To send the picture we send the palette, three bytes a colour, and for each pixel the *number* of its colour. With k
# colours a number takes :math:`\lceil \log_2 k \rceil` bits. Here it is, done with real bytes.


def packed(labels, palette):
    """The picture as bytes: the palette, then the number of each pixel's colour, in as few bits as hold it."""
    bits = max(1, int(np.ceil(np.log2(len(palette)))))
    digits = (labels[:, None] >> np.arange(bits)[::-1]) & 1
    return palette.tobytes() + np.packbits(digits.astype(np.uint8)).tobytes()


def unpacked(data, k, n):
    """The colours of n pixels, from such bytes."""
    bits = max(1, int(np.ceil(np.log2(k))))
    palette = np.frombuffer(data[: 3 * k], dtype=np.uint8).reshape(k, 3)
    digits = np.unpackbits(np.frombuffer(data[3 * k :], dtype=np.uint8))[: n * bits].reshape(n, bits)
    return palette[digits @ (1 << np.arange(bits)[::-1])]


print(f"{'colours':>7} {'bytes':>7} {'share':>7} {'J / 3n':>8} {'error':>6}")
sizes, errors = {}, {}
for k, fit in fits.items():
    sizes[k] = len(packed(labels[k], palettes[k]))
    errors[k] = fit.inertia / (3 * n)
    print(f"{k:7} {sizes[k]:7} {100 * sizes[k] / photo.nbytes:6.1f}% {errors[k]:8.2f} {np.sqrt(errors[k]):6.2f}")

# %%
# J is now something one can see: J over 3n is the mean squared error of a colour value. Its root is the error, in steps
# of 256. One colour more costs three bytes and no more, until the numbers need another bit.
#
# Bishop (2006, sec. 9.1.1) counts the same way, for a picture of 240 x 180 pixels: 43,248 bits for 2 colours, 86,472
# for 3 and 173,040 for 10, of 1,036,800.
#
# By colour, a picture falls into crumbs
# --------------------------------------
#
# Which pixels belong together? With three colours, take each piece of one colour that hangs together as a segment.


def pieces(owners):
    """How many connected pieces the clusters fall into, and how many of one pixel."""
    counts = [ndimage.label(owners.reshape(height, width) == j) for j in np.unique(owners)]
    areas = np.concatenate([np.bincount(found.ravel())[1:] for found, _ in counts])
    return len(areas), int((areas == 1).sum())


for k in (2, 3, 8, 16):
    total, alone = pieces(labels[k])
    print(f"{k:2} colours: {total:5} pieces, {alone:5} of them a single pixel")

# %%
# K-means has seen colours only. It does not know that pixels have neighbours: shuffle them, and it says the same.
#
# By colour and place
# -------------------
#
# So tell it. Give each pixel five numbers: its three colours and its two coordinates. K-means then looks for clusters
# that are alike *and* near: superpixels (Achanta et al., 2012, IEEE PAMI 34, have a quick version, SLIC). How much a
# step in place counts against a step in colour is ours to say: it is the scale of the two new columns. Here a step of
# one pixel counts as 15 of the 256 steps in one colour. We start from a grid of 8 x 12 centres.

rows, columns = np.mgrid[:height, :width]
places = np.column_stack([rows.ravel(), columns.ravel()]).astype(float)
grid = [
    int(row) * width + int(column)
    for row in (np.arange(8) + 0.5) * height / 8
    for column in (np.arange(12) + 0.5) * width / 12
]


def superpixels(strength):
    """K-means on colours and places, a step in place counting `strength` steps in colour."""
    five = np.column_stack([colours, strength * places])
    model = lem.KMeans(len(grid))
    return five, lem.fit(model, five, start=model.params(five[grid]), stop=lem.gain_below(1e-2))


five, fit = superpixels(15.0)
owners = fit.predict(five)
print(fit.status)
areas = np.bincount(owners)
print(
    f"{len(grid)} clusters in {pieces(owners)[0]} pieces; the clusters have from {areas.min()} to {areas.max()} pixels"
)

# %%
# Each cluster in the mean colour of its pixels, and their borders on the photograph. Borders follow edges where there
# are some, and are straight where there are none. Most clusters hang together, for what is near is mostly alike; a
# few stray pixels do not.

means = fit.params.components.means[:, :3].round().astype(np.uint8)
flat = owners.reshape(height, width)
edges = np.zeros((height, width), dtype=bool)
edges[:-1] |= flat[:-1] != flat[1:]
edges[:, :-1] |= flat[:, :-1] != flat[:, 1:]
fig, axes = plt.subplots(1, 2, figsize=(13, 4.4), layout="constrained")
axes[0].imshow(means[owners].reshape(photo.shape))
axes[1].imshow(np.where(edges[:, :, None], np.uint8([255, 220, 0]), photo))
for ax in axes:
    ax.set_axis_off()

# %%
# What is alike? A Mahalanobis distance
# -------------------------------------
#
# Red, green and blue rise and fall together, for light does. The covariance of the pixels says how much.

covariance = np.cov(colours.T, bias=True)
spread, directions = np.linalg.eigh(covariance)
correlation = np.corrcoef(colours.T)
print(f"correlation of red and green {correlation[0, 1]:.3f}, of red and blue {correlation[0, 2]:.3f}")
for value, direction in zip(spread[::-1], directions.T[::-1], strict=True):
    print(f"{100 * value / spread.sum():5.1f} % of the variance along {(direction * np.sign(direction[1])).round(2)}")

# %%
# Nearly all of the variance is along one line, dark to bright. The plain distance sees that line and little else. The
# **Mahalanobis distance** :math:`(x - \mu)^\top \Sigma^{-1} (x - \mu)` measures each direction in its own standard
# deviation. So a small change of hue counts as much as a large one of brightness.
#
# K-means under it is the same algorithm with one matrix more. In the library K-means is a Gaussian mixture with hard
# labels, equal weights and one held covariance. `KMeans` holds a round one. Here we hold :math:`\Sigma` instead:

k = 6
held = {"weights": lem.Fixed.uniform(), "covariances": lem.Fixed(covariance)}
mixture = lem.GaussianMixture(k, structure=lem.Tied(), **held)
model = lem.Hard(mixture)
by_hue = lem.fit(model, colours, n_starts=1)
by_light = lem.fit(lem.KMeans(k), colours, n_starts=2)
print(by_hue.params.components.means.round(1))

# %%
fig, axes = plt.subplots(1, 3, figsize=(13, 3.1), layout="constrained")
axes[0].imshow(photo)
for ax, shown, title in [(axes[1], by_light, "plain distance"), (axes[2], by_hue, "Mahalanobis distance")]:
    ax.imshow(shown.params.components.means.round().astype(np.uint8)[shown.predict(colours)].reshape(photo.shape))
    ax.set_title(f"{k} clusters, {title}")
for ax in axes:
    ax.set_axis_off()

# %%
# The plain distance makes six grades of brightness. The Mahalanobis distance tells red wood from green leaves of the
# same light. It is no better for *drawing*: measured in plain distance its J is larger.


def plain_error(fit):
    """The mean squared error of a colour value."""
    chosen = fit.params.components.means[fit.predict(colours)]
    return ((colours - chosen) ** 2).mean()


print(f"mean squared error: plain {plain_error(by_light):.1f}, Mahalanobis {plain_error(by_hue):.1f}")

# %%
# Which distance is right? The data do not say: J in one unit cannot be compared with J in another. Chapter 5 lets each
# cluster learn its own :math:`\Sigma`. That takes a likelihood.
#
# Exercises
# ---------
#
# **1.** Not all 16 colours are used equally often. A code may give short numbers to frequent colours. It needs at least
# the entropy of the shares, :math:`-\sum_j f_j \log_2 f_j` bits a pixel (Shannon, 1948). How much is that? And what
# does `zlib` make of the packed bytes? It looks at pixels that follow one another.
#
# .. raw:: html
#
#    <details><summary>Solution</summary>

shares = np.bincount(labels[16]) / n
entropy = -shares @ np.log2(shares)
squeezed = len(zlib.compress(packed(labels[16], palettes[16]), 9))
print(f"entropy {entropy:.3f} bits a pixel, in place of 4: {entropy * n / 8:.0f} bytes; zlib: {squeezed} bytes")
assert entropy < 4
assert squeezed < entropy * n / 8

# %%
# The entropy saves little. Neighbours save more: in the sky one number follows itself again and again.
#
# .. raw:: html
#
#    </details>
#
# **2.** Take blocks of 2 x 2 grey pixels as points in four dimensions and find 200 centres, as Hastie, Tibshirani and
# Friedman (2009, sec. 14.3.9) do. How many bits a pixel is that, palette aside? Compare the error with that of single
# pixels in 4 greys, which take 2 bits.
#
# .. raw:: html
#
#    <details><summary>Solution</summary>

grey = photo[:, :212].mean(axis=2)
blocks = grey.reshape(71, 2, 106, 2).transpose(0, 2, 1, 3).reshape(-1, 4)
in_blocks = lem.fit(lem.KMeans(200), blocks, n_starts=1, stop=lem.gain_below(1e-3)).inertia / grey.size
alone = lem.fit(lem.KMeans(4), grey.reshape(-1, 1)).inertia / grey.size
print(f"blocks: {np.log2(200) / 4:.2f} bits a pixel, mean squared error {in_blocks:.1f}")
print(f"single: {np.log2(4):.2f} bits a pixel, mean squared error {alone:.1f}")
assert f"{np.log2(200) / 4:.1f}" == "1.9"  # the book's fig. 14.9
assert in_blocks < alone / 2

# %%
# Fewer bits and less error: neighbours are alike, and only a block can know it.
#
# .. raw:: html
#
#    </details>
#
# **3.** Turn the dial between colour and place: strengths 1, 5 and 60. Count the pieces, and measure how well the
# clusters keep to colours. What are the two limits?
#
# .. raw:: html
#
#    <details><summary>Solution</summary>

dial = []
for strength in (1.0, 5.0, 60.0):
    table, found = superpixels(strength)
    chosen = found.predict(table)
    colour_error = ((colours - found.params.components.means[chosen][:, :3]) ** 2).mean()
    dial.append((pieces(chosen)[0], colour_error))
    print(f"strength {strength:4}: {dial[-1][0]:5} pieces, mean squared error of colours {colour_error:6.1f}")
counts, colour_errors = np.array(dial).T
assert (np.diff(counts) < 0).all()
assert (np.diff(colour_errors) > 0).all()
assert counts[-1] == len(grid)

# %%
# A large strength knows no colours: 96 pieces in a grid. A small one is the palette again, in crumbs.
#
# .. raw:: html
#
#    </details>
#
# Checks
# ------
#
# Bytes by counting and by going back; Lloyd's algorithm in plain numpy, on whitened colours, for the Mahalanobis
# distance.

for size, pixels, printed in [(2, 43_200, 43_248), (3, 43_200, 86_472), (10, 43_200, 173_040)]:
    bits = packed(np.zeros(pixels, dtype=int), np.zeros((size, 3), dtype=np.uint8))
    assert 8 * len(bits) == printed, size  # Bishop (2006), sec. 9.1.1
for size in fits:
    assert sizes[size] == 3 * size + -(-n * int(np.ceil(np.log2(size))) // 8)
    drawn = unpacked(packed(labels[size], palettes[size]), size, n)
    assert (drawn == palettes[size][labels[size]]).all()
    distances = ((colours[:, None, :] - fits[size].params.components.means) ** 2).sum(axis=2)
    assert (labels[size] == distances.argmin(axis=1)).all()
    np.testing.assert_allclose(fits[size].inertia, distances.min(axis=1).sum(), rtol=1e-10)
assert sorted(errors.values(), reverse=True) == list(errors.values())

white = colours @ np.linalg.inv(np.linalg.cholesky(covariance)).T
np.testing.assert_allclose(np.cov(white.T, bias=True), np.eye(3), atol=1e-9)
begin = mixture.params([1 / k] * k, colours[:: n // k][:k], covariance)
run = lem.record(model, colours, start=begin, steps=10)
centres = white[:: n // k][:k]
for frame in run[1:]:
    if frame.kind == "E":
        nearest = ((white[:, None, :] - centres) ** 2).sum(axis=2).argmin(axis=1)
        assert (nearest == run.responsibilities(frame.index).argmax(axis=1)).all()
    else:
        centres = np.array([white[nearest == j].mean(axis=0) for j in range(k)])
        back = centres @ np.linalg.cholesky(covariance).T
        np.testing.assert_allclose(frame.params.components.means, back, rtol=1e-9)
