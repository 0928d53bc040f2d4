"""The packages of R, timed in R: it runs in a process of its own, and starting it is not counted."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

REPEATS = 5
SCRIPT = """
arguments <- commandArgs(trailingOnly = TRUE)
x <- as.matrix(read.csv(arguments[1], header = FALSE)); k <- as.integer(arguments[2])
timed <- function(name, fit) {
  if (!suppressPackageStartupMessages(require(name, character.only = TRUE, quietly = TRUE))) return(invisible())
  set.seed(0); last <- fit()
  took <- replicate(%d, system.time(fit())[["elapsed"]])
  cat(name, median(took), format(as.numeric(logLik(last)), digits = 17), "\\n")
}
timed("mclust", function() Mclust(x, G = k, modelNames = "VVV", verbose = FALSE))
full <- function() FLXMCmvnorm(diagonal = FALSE)
timed("flexmix", function() stepFlexmix(x ~ 1, k = k, nrep = 10, model = full(), verbose = FALSE))
"""


def mixtures(x: np.ndarray, k: int, ours: float) -> tuple[str, str]:
    """Milliseconds of mclust and of flexmix, and their log likelihoods less ours; empty where one is not installed."""
    found = {"mclust": "", "flexmix": ""}
    if shutil.which("Rscript") is None:
        return "", ""
    with tempfile.TemporaryDirectory() as folder:
        table, script = Path(folder, "x.csv"), Path(folder, "fit.R")
        np.savetxt(table, x, delimiter=",", fmt="%.17g")
        script.write_text(SCRIPT % REPEATS)
        command = ["Rscript", "--vanilla", str(script), str(table), str(k)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=1800)
    for line in done.stdout.splitlines():
        name, took, reached = line.split()
        found[name] = f"{1e3 * float(took):.0f} ms, {float(reached) - ours:+.3f}"
    return found["mclust"], found["flexmix"]
