"""A fit that keeps a checkpoint, is killed in mid-run, and goes on to the bits of the fit that was never killed."""

import subprocess
import sys
import tempfile
from pathlib import Path

import latentem as lem

# The same fit in another process, which is killed (here by itself) after 40 steps, in the middle of a trial.
SCRIPT = """
import os, signal, sys
import latentem as lem
from latentem.run import checkpoint

checkpoint.INTERVAL = 0.0  # seconds between two writes; for a fit of hours, the 5 that it is are better
steps = []

def kill(state):
    steps.append(state)
    if len(steps) == 40:
        os.kill(os.getpid(), signal.SIGKILL)

lem.fit(lem.GaussianMixture(3), lem.datasets.old_faithful(), checkpoint=sys.argv[1], callback=kill)
"""

path = Path(tempfile.mkdtemp()) / "run.ckpt"
killed = subprocess.run([sys.executable, "-c", SCRIPT, str(path)], check=False)
print(f"the process ended with {killed.returncode} and left {path.stat().st_size} bytes")

seen: list[int] = []
model, data = lem.GaussianMixture(3), lem.datasets.old_faithful()
fit = lem.fit(model, data, checkpoint=path, callback=lambda state: seen.append(state.step.index))
print(f"taken up again at step {seen[0]} of a trial")
print(fit)

undisturbed = lem.fit(model, data)
again = lem.fit(model, data, checkpoint=path)  # it has ended: no pass is made

try:
    lem.fit(lem.GaussianMixture(4), data, checkpoint=path)
except ValueError as error:
    print(error)

assert killed.returncode == -9
assert fit.params == undisturbed.params
assert fit.history.bound.tolist() == undisturbed.history.bound.tolist()
assert again.params == fit.params
