"""A model that is no density: the point with the least sum of distances to the data, by Weiszfeld's weights (1937).

A distance lies below a parabola: |x - m| <= |x - m|^2 / 2 d + d / 2 for every d > 0, and they are equal where d is the
distance. So d takes the place of q: -|x - m|^2 / 2 d is the log joint of a point, -d / 2 its entropy, and A = Q + H is
a lower bound of minus the sum of distances. The E half sets d to the distances, the M half takes a weighted mean.

At a point of the data d is 0, and there is no parabola. That distance stays as it is; the M half then weighs the pull
of the other points against it (Vardi and Zhang, 2000). A run that begins at the best point of the data never meets
another one, since the sum of distances only falls.

The squares are about zero: data far from it are given without their mean.

Nothing here is a log evidence, so the model has none, and a fit of it no log likelihood, AIC or BIC.
"""

from collections.abc import Sequence

import numpy as np
from attrs import frozen
from scipy import optimize

import latentem as lem
from latentem.arrays import Array
from latentem.testing import check_model


@frozen
class Parabolas:
    """q: a distance d for each point, shape (n,), by which its parabola is drawn; they were taken from `centre`."""

    distances: Array
    centre: Array

    def entropy(self) -> float:
        return -float(self.distances.sum()) / 2


@frozen
class GeometricMedian(lem.LatentModel[Array, Parabolas, Array, Array]):
    """The parameter is a point m. Statistics: sums of 1/d, x/d and |x|^2/d; how many points lie at m, and their sum."""

    def posterior(self, params: Array, chunk: Array) -> Parabolas:
        return Parabolas(np.linalg.norm(chunk - params, axis=1), params)  # (eq: geometric-median)

    def statistics(self, chunk: Array, posterior: Parabolas) -> Array:
        apart = posterior.distances > 0
        pull, x = 1 / posterior.distances[apart], chunk[apart]
        here = len(chunk) - len(x)
        return np.hstack([pull.sum(), pull @ x, pull @ (x**2).sum(axis=1), here, here * posterior.centre])

    def log_joint(self, params: Array, statistics: Array) -> float:
        weight, mean, square, here, corner = np.split(statistics, np.cumsum([1, len(params), 1, 1]))
        parabolas = square[0] - 2 * mean @ params + weight[0] * params @ params
        return float(-parabolas / 2 - np.sign(here[0]) * np.linalg.norm(here * params - corner))

    def blocks(self) -> Sequence[lem.Block[Array, Array]]:
        return [lem.Block((), lambda statistics, params: self.first(statistics), len)]

    def first(self, statistics: Array) -> Array:
        d = (len(statistics) - 3) // 2
        weight, mean, _, here, corner = np.split(statistics, np.cumsum([1, d, 1, 1]))
        if here == 0:
            return mean / weight
        # (eq: geometric-median)
        corner = corner / here
        pull = float(np.linalg.norm(mean - weight * corner))
        return corner if pull <= here[0] else corner + (1 - here / pull) * (mean / weight - corner)


def minus_distances(params: Array, chunk: Array) -> Array:
    """What the bound must touch, point by point."""
    return -np.linalg.norm(chunk - params, axis=1)


towns = np.array([[0.0, 0.0], [6.0, 1.0], [2.0, 5.0], [9.0, 7.0], [3.0, 1.0], [1.0, 2.0]])
model = GeometricMedian()
check_model(model, np.array([2.5, 2.0]), towns, evidence=minus_distances)
check_model(model, towns[4], towns, evidence=minus_distances)  # at a point of the data

best_town = min(towns, key=lambda town: -minus_distances(town, towns).sum())
states = list(lem.EM(stop=lem.remaining_below(1e-20)).iterate(model, best_town, towns))
for state in states[:4]:
    print(f"{state.step.index}: m = {np.round(state.params, 6)}, sum of distances {-state.bound:.9f}")
end = states[-1]


def pull(m: Array) -> Array:
    """The sum of the unit vectors from m to the towns: zero at the median."""
    apart = towns - m
    return np.asarray((apart / np.linalg.norm(apart, axis=1, keepdims=True)).sum(axis=0))


found = optimize.root(pull, towns.mean(axis=0), tol=1e-14).x
# One town in the midst of three others: it is the median, and a run that begins there stays.
star = np.array([[1.0, 1.0], [0.0, 0.0], [3.0, 0.0], [1.0, 4.0]])
stays = lem.EM().run(model, star[0], star)

assert end.converged
np.testing.assert_allclose(end.params, found, atol=1e-8)
assert abs(end.bound - minus_distances(found, towns).sum()) < 1e-10
assert all(state.step.m_gain > -1e-12 and state.step.e_gain > -1e-12 for state in states[1:])
np.testing.assert_array_equal(stays.params, star[0])
