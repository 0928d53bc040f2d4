"""Any model of this library as an estimator."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar, Self, final

from attrs import evolve
from sklearn.utils._param_validation import HasMethods, Interval

import latentem as lem
from latentem.sklearn.base import known_labels, run, warn_unless_converged
from latentem.sklearn.density import Density


@final
class LatentEstimator(Density):
    """Any model as an estimator: `LatentEstimator(lem.Mixture(lem.Poisson(), 3))`.

    `GridSearchCV(estimator, {"model": [...]})` chooses among models; `scoring=lambda e, X, y=None: -e.bic(X)` does so
    by Schwarz's criterion.

    Parameters:
        model: A `lem.LatentModel` of rows.
        n_init: Starts, as `lem.fit` makes and compares them.
        start: Parameters to start from instead, or None.
        stop: When a run ends, a stop rule such as `lem.gain_below(1e-6)`; None: `lem.remaining_below()`.
        max_iter: The most steps of a run.
        runner: Another way of running, such as `lem.Annealing()`, or None; it has its own stop and steps.
        engine: Where passes are computed, such as `lem.Threads(2)`, or None.
        random_state: An int, a RandomState, or None.

    Attributes:
        converged_: Whether the best run converged.
        n_iter_: Its steps.
        lower_bound_: Its bound in nats, a total.
        fit_: The `Fit`.
    """

    takes_missing: ClassVar[bool] = True
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "model": [lem.LatentModel],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "start": "no_validation",
        "stop": [callable, None],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "runner": [lem.Runner, None],
        "engine": [HasMethods("place"), None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        model: Any,
        *,
        n_init: int = 10,
        start: Any = None,
        stop: Any = None,
        max_iter: int = 10_000,
        runner: Any = None,
        engine: Any = None,
        random_state: Any = None,
    ) -> None:
        self.model = model
        self.n_init = n_init
        self.start = start
        self.stop = stop
        self.max_iter = max_iter
        self.runner = runner
        self.engine = engine
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit the model to rows.

        Args:
            X: Rows, shape (n, d); NaN where a value is missing, if the model takes that.
            y: Known components of some rows, shape (n,), with -1 for the others. Without a -1 it is not looked at.
            sample_weight: How much each row counts, shape (n,).

        Raises:
            ValueError: the data or a parameter cannot be used, or all starts are degenerate.
        """
        self._validate_params()
        X = self._table(X, reset=True, least=2)
        weight, clusters = self._weights(sample_weight, X), self.model.clusters()
        known = None if clusters is None else known_labels(y, len(X), clusters.k)
        options = {"start": self.start, "n_starts": self.n_init, "engine": self.engine, "rng": self._generator()}
        if self.runner is None:
            options |= {"stop": self.stop, "max_steps": self.max_iter}
        elif self.stop is not None or self.max_iter != 10_000:
            raise ValueError("stop or max_iter was given beside a runner: give them to the runner itself.")
        fit = run(self.model, X, weights=weight, allowed=known, runner=self.runner, **options)
        warn_unless_converged(fit, "The model did not converge.")
        names = vars(self).get("feature_names_in_")
        self.fit_ = fit if names is None else evolve(fit, columns=tuple(names))
        self.converged_, self.n_iter_, self.lower_bound_ = fit.converged, len(fit.history) - 1, fit.bound
        return self
