"""`latentem demo`: EM at work, step by step."""

from __future__ import annotations

import argparse
import textwrap

import latentem as lem
from latentem import report
from latentem.data.readers.reader import Table

CLOSING = (
    "Each M half step moves the parameters and adds its M gain to the bound A, each E half step moves the "
    "posterior of the hidden labels and adds its E gain, and as neither can lose, A = Q + H (the expected "
    "complete-data log likelihood plus the entropy of that posterior, in nats) climbs to a maximum of the "
    "log likelihood."
)


def run(arguments: argparse.Namespace) -> int:
    """Print the books of each step of a fit to Old Faithful, and the fit."""
    data = Table(lem.datasets.old_faithful(), ("eruption", "waiting"))
    print("272 eruptions of the Old Faithful geyser: how long each lasted, and the waiting time to the next,")
    print("in minutes. Two Gaussians, from a crude start: waiting up to 80 minutes, and longer.\n")
    fit = lem.fit(lem.GaussianMixture(2), data, start=(data.values[:, 1] > 80).astype(int))
    rows = [["step", "M gain", "E gain", "Q", "H", "A = Q + H"]]
    for step in fit.history:
        gains = [report.gain(gain, step) if step.index else "" for gain in (step.m_gain, step.e_gain)]
        books = [report.number(value) for value in (step.expected_log_joint, step.entropy, step.bound)]
        rows.append([f"{step.index:4}", *gains, *books])
    print(report.table(rows), fit, textwrap.fill(CLOSING, 98), sep="\n\n")
    return 0
