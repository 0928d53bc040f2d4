"""A recording of EM: one frame for each half step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, final, overload

import attrs
import numpy as np
from attrs import field, frozen

from latentem.answers import marginals
from latentem.arrays import Array
from latentem.core import Event, LatentModel, e_step
from latentem.engine import Serial
from latentem.engine.blas import one_thread
from latentem.numerics.arithmetic import own_arithmetic
from latentem.run import Status
from latentem.tables import Categories
from latentem.teaching.lines import Line, Tangent

Kind = Literal["start", "E", "M"]
_NAN = float("nan")


@final
@frozen
class Frame:
    """The books after one half step: an E half gives a new q, an M half new parameters.

    All but `index` and `distortion` are in nats, totals over the data. At the start there is no q yet, and what needs
    one is NaN.

    Attributes:
        index: How many half steps came before; 0 is the start.
        kind: "start", "E" or "M".
        params: The parameters.
        q_params: The parameters whose posterior q is: at an M half those before it; None at the start.
        expected_log_joint: Q, of q and the parameters.
        entropy: H[q].
        log_evidence: log p(data | params), or None where the model does not say it.
        log_prior: log p(params) up to a constant; 0 where there is no prior.
        objective: What both halves raise: Q + temperature x H + log prior.
        gain: What the half step added to the objective.
        distortion: J, what both halves of a model with hard labels lower: of K-means the sum of squared distances, of
            another minus the objective; None where labels are not hard.
        how: "plain", or "extrapolated" where an M half was followed by a leap, or "repaired".
        events: What is degenerate about the parameters, or was done on the way to them.
    """

    index: int
    kind: Kind
    params: Any
    q_params: Any
    expected_log_joint: float = _NAN
    entropy: float = _NAN
    log_evidence: float | None = None
    log_prior: float = 0.0
    objective: float = _NAN
    gain: float = _NAN
    distortion: float | None = None
    how: str = "plain"
    events: tuple[Event, ...] = ()

    @property
    def bound(self) -> float:
        """The auxiliary lower bound A = Q + H."""
        return self.expected_log_joint + self.entropy

    @property
    def gap(self) -> float | None:
        """KL(q || p(z | data, params)) = log evidence - A; None where there is no log evidence."""
        return None if self.log_evidence is None else self.log_evidence - self.bound


@final
@frozen(eq=False, repr=False)
class Trace(Sequence[Frame]):
    """A sequence of frames, one for each half step of EM; `trace.bound` and the other figures are columns, as arrays.

    Of q it keeps only the parameters that it is the posterior at, and computes it again when it is asked for.

    Attributes:
        model: What was run.
        frames: The frames.
        chunks: The data, as they were given to the model; they are not copied.
        status: How the run ended.
        columns: Names of the columns of the data, where they had names.
    """

    model: LatentModel[Any, Any, Any, Any]
    frames: tuple[Frame, ...]
    chunks: Sequence[Any]
    status: Status
    columns: tuple[str, ...] | None = field(default=None)
    categories: Categories | None = field(default=None)

    @overload
    def __getitem__(self, index: int) -> Frame: ...
    @overload
    def __getitem__(self, index: slice) -> Trace: ...
    def __getitem__(self, index: int | slice) -> Frame | Trace:
        found = self.frames[index]
        return found if isinstance(found, Frame) else attrs.evolve(self, frames=found)

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[Frame]:
        return iter(self.frames)

    def __getattr__(self, name: str) -> Array:
        if name not in _COLUMNS:
            raise AttributeError(f"a trace has no column {name!r}: it has {', '.join(_COLUMNS)}")
        values = [getattr(frame, name) for frame in self.frames]
        return np.array([_NAN if value is None else value for value in values])

    def __repr__(self) -> str:
        return f"<Trace of {self.model!r}: {len(self)} frames; {self.status}>"

    def posteriors(self, index: int) -> list[Any]:
        """q of a frame: one posterior for each chunk.

        Raises:
            ValueError: it is the start, where there is no q yet.
        """
        params = self._with_q(index).q_params
        return [self.model.posterior(params, chunk) for chunk in self.chunks]

    def responsibilities(self, index: int) -> Array:
        """The probability of each label in q of a frame, for each row, shape (n, k).

        Raises:
            ValueError: it is the start, where there is no q yet.
            Unavailable: the latents are no labels.
        """
        params = self._with_q(index).q_params
        return np.concatenate([marginals(self.model, params, chunk) for chunk in self.chunks])

    @own_arithmetic
    def tangent(self, index: int, line: Line | str, *, points: int = 201) -> Tangent:
        """The log likelihood along a line, and under it A(., theta of q), which touches it where q is exact.

        Args:
            index: Of a frame. Its q is held; the line begins at the parameters that it is the posterior at.
            line: A line through these; or the name of a number in them, such as "components.means[0, 1]", or
                "log components.covariances[0]"; or "next", towards the parameters of the M half that follows.
            points: On how many points, at least 3.

        Raises:
            ValueError: it is the start; there is no such number; nothing follows.
            Unavailable: the model has no log evidence.
        """
        frame = self._with_q(index)
        if isinstance(line, str):
            line = self._towards_next(frame) if line == "next" else Line.along(self.model, frame.q_params, line)
        return Tangent.of(self.model, line, e_step(self.model, frame.q_params, self._placed()), self._placed(), points)

    @own_arithmetic
    def page(
        self,
        path: str | Path | None = None,
        *,
        questions: Mapping[int, str] | None = None,
        truth: Any = None,
        columns: Sequence[int | str] | None = None,
        lines: Sequence[str] | None = None,
    ) -> str | None:
        """The trace as one HTML page that needs nothing else: data, bound and tangent, half step by half step.

        Args:
            path: The file to write; None returns the text of the page.
            questions: Texts by half step. Before that half step the page asks, and hides it until its reader asks for
                the answer.
            truth: Parameters that the data were drawn from, to be drawn faintly; None where they are not known.
            columns: Which columns of the data to show, by name or number, at most 8; None shows the first ones.
            lines: Names of lines to show the tangent along, as `tangent` takes them; None chooses a few.

        Raises:
            ValueError, TypeError: a question is for no half step, or a column or a line is not there; or the truth is
                no parameters of this model.
            OSError: the file cannot be written.
        """
        from latentem.teaching.page import contents, document, writable  # whose colours are those of pictures of traces

        target = None if path is None else writable(path)
        with one_thread():
            text = document(contents(self, questions, truth, columns, lines))
        if target is None:
            return text
        target.write_text(text, encoding="utf-8")
        return None

    def _repr_html_(self) -> str:
        from latentem.teaching.page import frame

        text = self.page()
        assert text is not None
        return frame(text)

    def _with_q(self, index: int) -> Frame:
        frame = self[index]
        if frame.q_params is None:
            raise ValueError("frame 0 is the start, where there is no q yet: ask for a later one")
        return frame

    def _towards_next(self, frame: Frame) -> Line:
        for later in self.frames[frame.index - self.frames[0].index :]:
            if later.kind == "M" and later.q_params is frame.q_params:
                return Line.towards(frame.q_params, later.params)
        raise ValueError(f"no M half follows frame {frame.index}: ask for an earlier one, or name a number")

    def _placed(self) -> Any:
        return Serial().place(self.chunks)


_COLUMNS = (
    "expected_log_joint",
    "entropy",
    "bound",
    "log_evidence",
    "gap",
    "log_prior",
    "objective",
    "gain",
    "distortion",
)
