"""Half steps in words: what moved, what it gained, and why it could not lose."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from latentem.core import Unavailable
from latentem.report import counted
from latentem.report.words import gain
from latentem.teaching.page.study import Study

if TYPE_CHECKING:
    from latentem.teaching.trace import Frame

_SMALL = 5e-4


def captions(study: Study) -> list[tuple[str, str]]:
    """For each frame what happened, and why it could not lose."""
    return [_caption(study, i, frame) for i, frame in enumerate(study.trace)]


def _caption(study: Study, i: int, frame: Frame) -> tuple[str, str]:
    why = ""
    if frame.kind == "start":
        told = ["There are parameters, and no q yet.", _level("The log likelihood is", frame.log_evidence)]
    elif frame.kind == "E":
        told = [_relabelled(study, frame), _e_gain(study, i, frame)]
        why = _why_e(study, frame)
    else:
        told = [_moved(study, frame), _m_gain(study, i, frame)]
        why = _why_m(study, frame)
    told += [f"{event.describe(study.trace.columns)}." for event in frame.events]
    return " ".join(part for part in told if part), why


def _level(words: str, value: float | None) -> str:
    return "" if value is None else f"{words} {nats(value)}."


def nats(value: float) -> str:
    """A figure in nats, to four decimals, without minus zero."""
    return f"{value:.4f}" if abs(value) >= 5e-5 else "0.0000"


def _gained(value: float, frame: Frame) -> str:
    return gain(value, frame)  # type: ignore[arg-type]  # a frame has the two books that its rounding is of


def _relabelled(study: Study, frame: Frame) -> str:
    """What q did: how many rows have another most probable label."""
    now = study.at(frame)
    try:
        q = study.responsibilities
    except Unavailable:
        return "q follows the parameters, which stay."
    rows = "rows that are drawn" if len(study.kept) < len(study.x) else "rows"
    if frame.index <= 1 or now == 0:
        return f"Each of {len(study.kept)} {rows} gets the probabilities of its labels, q, from the parameters."
    changed = int((q[now].argmax(axis=1) != q[now - 1].argmax(axis=1)).sum())
    most = float(np.abs(q[now] - q[now - 1]).max())
    if frame.distortion is not None:
        return f"The parameters stay; {changed} of {len(study.kept)} {rows} change their label."
    return (
        f"q follows the parameters: a probability changes by {most:.2g} at most, and {changed} of {len(study.kept)} "
        f"{rows} get another label."
    )


def _moved(study: Study, frame: Frame) -> str:
    """What an M half moved, the centre that moved most, and by how much."""
    blocks = [block.name.split(".")[-1] for block in study.trace.model.blocks()]
    moving = _listed(list(dict.fromkeys(blocks)))
    verb = "moves" if len(blocks) == 1 and not moving.endswith("s") else "move"
    best = "Q is largest; q stays" if frame.distortion is None else "J is least; the labels stay"
    what = f"{moving[0].upper()}{moving[1:]} {verb} to where {best}"
    q_at = study.q_at(frame)
    if study.shapes is None or q_at is None:
        return f"{what}."
    before, after = study.shapes[q_at], study.shapes[study.at(frame)]
    steps = after.centres - before.centres
    if not (np.abs(steps) > 0).any():
        return f"{what}."
    spread = np.nanstd(study.x[:, study.shown], axis=0)
    j, c = np.unravel_index(int(np.nanargmax(np.abs(steps) / np.where(spread > 0, spread, 1.0))), steps.shape)
    noun = study.trace.model.noun
    centre = "The centre" if after.scales is None else "The mean"
    place = f"{after.centres[j, c]:.5g}"
    column = study.name(study.shown[c])
    return f"{what}. {centre} of {noun} {j} moves farthest, by {abs(steps[j, c]):.3g} in {column}, to {place}."


def _e_gain(study: Study, i: int, frame: Frame) -> str:
    if frame.distortion is not None:
        return _fall(study, i, frame)
    name, level = _raised(study, frame)
    if math.isnan(frame.gain):
        return f"{name} is {level}."
    evidence = "; the log likelihood stays" if frame.log_evidence is not None else ""
    return f"{name} rises by {_gained(frame.gain, frame)} to {level}{evidence}."


def _m_gain(study: Study, i: int, frame: Frame) -> str:
    if frame.distortion is not None:
        return _fall(study, i, frame)
    name, level = _raised(study, frame)
    told = f"{name} rises by {_gained(frame.gain, frame)} to {level}"
    before = study.trace[i - 1].log_evidence if i else None
    if frame.log_evidence is None or before is None or frame.gap is None:
        return f"{told}."
    rise = _gained(frame.log_evidence - before, frame)
    return f"{told}, and the log likelihood by {rise}: KL, the gap, opens to {_gained(frame.gap, frame)}."


def _raised(study: Study, frame: Frame) -> tuple[str, str]:
    """What both halves raise, and where it is."""
    if study.trace.model.inference.temperature != 1:
        return "Q + temperature x H", nats(frame.objective)
    if frame.log_prior != 0:
        return "A + log prior", nats(frame.objective)
    return "A = Q + H", nats(frame.bound)


def _fall(study: Study, i: int, frame: Frame) -> str:
    before = study.trace[i - 1].distortion if i else None
    assert frame.distortion is not None
    if before is None or math.isnan(before):
        return f"J is {frame.distortion:.6g}."
    fall = before - frame.distortion
    return f"J falls by {fall if abs(fall) > 1e-12 * abs(before) else 0.0:.4g} to {frame.distortion:.6g}."


def _why_e(study: Study, frame: Frame) -> str:
    inference = study.trace.model.inference
    if "E" not in inference.audited:
        return "This half may lose: q is not the best one, such as a draw."
    if inference.exact and frame.log_evidence is not None:
        return "It cannot lose: KL is never below 0, and the posterior alone makes it 0: A touches the log likelihood."
    if not inference.smooth:
        return "It cannot lose: a label changes only where another one is better."
    return "It cannot lose: of all q it takes the one that is best at these parameters."


def _why_m(study: Study, frame: Frame) -> str:
    if "M" not in study.trace.model.inference.audited:
        return "This half may lose."
    why = "It cannot lose: the old parameters were among those to choose from."
    if frame.how == "extrapolated":
        return f"{why} A leap along the way of the last steps followed, and was kept, for it gained."
    if frame.how == "repaired":
        return f"{why} A repair followed, of a component that had no rows."
    return why


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def heading(study: Study) -> str:
    """The trace in one line."""
    trace = study.trace
    halves = counted(len(trace) - 1, "half step")
    return f"{study.rows} {'row' if study.rows == 1 else 'rows'}, {halves}; {trace.status}"
