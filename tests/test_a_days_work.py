"""The doors together, as an analyst goes through them."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from itertools import permutations

import numpy as np
import pandas as pd
import pytest

import latentem as lem
from latentem.command import main

N = 240
NEW = """
import sys
import pandas as pd
import latentem as lem
fit = lem.load(sys.argv[1])
print(fit.table(pd.read_csv(sys.argv[2], dtype={"serial": str})).to_csv(index=False), end="")
"""


def people(seed):
    """A table with an id, text and missing cells, and the group of each row, which is not in it."""
    rng = np.random.default_rng(seed)
    group = rng.random(N) < 0.4
    table = pd.DataFrame(
        {
            "serial": [f"p-{seed}-{i:03}" for i in range(N)],
            "region": np.where(rng.random(N) < 0.2 + 0.6 * group, "north", "south"),
            "age": rng.normal(30 + 25 * group, 4).round(1),
            "income": rng.normal(2 + 3 * group, 0.7).round(2),
        }
    )
    table.loc[5, "region"] = None
    table.loc[[3, 17], "income"] = np.nan
    return table, group


@pytest.mark.timeout(180)
def test_from_a_file_to_labels_of_new_rows(tmp_path):
    """A file is read, the size chosen, the fit saved; another process and the command line label new rows alike."""
    known, group = people(0)
    known.to_csv(tmp_path / "known.csv", index=False)
    people(1)[0].to_csv(tmp_path / "new.csv", index=False)

    frame = pd.read_csv(tmp_path / "known.csv")
    family = lem.Product(lem.Gaussian().on("age", "income"), lem.Categorical().on("region"))
    fits = [lem.fit(lem.Mixture(family, k), frame, n_starts=3) for k in (1, 2, 3)]
    fit = min(fits, key=lambda fit: fit.bic)
    assert fit is fits[1]

    table = fit.table(frame)
    assert list(table["serial"]) == list(frame["serial"])
    assert max(np.mean(np.array(order)[table["label"]] == group) for order in permutations((False, True))) > 0.97

    fit.save(tmp_path / "people.lem")
    assert main(["show", str(tmp_path / "people.lem"), "--plot", str(tmp_path / "people.png")]) == 0
    assert (tmp_path / "people.png").read_bytes().startswith(b"\x89PNG")

    by_python = subprocess.run(
        [sys.executable, "-c", NEW, tmp_path / "people.lem", tmp_path / "new.csv"],
        capture_output=True,
        text=True,
        check=True,
        timeout=90,
    ).stdout
    by_command = subprocess.run(
        [sys.executable, "-m", "latentem", "predict", tmp_path / "people.lem", tmp_path / "new.csv", "--id", "serial"],
        capture_output=True,
        text=True,
        check=True,
        timeout=90,
    ).stdout
    one, other = (list(csv.DictReader(io.StringIO(text))) for text in (by_python, by_command))
    assert [row["serial"] for row in one] == [row["serial"] for row in other]
    assert [row["label"] for row in one] == [row["label"] for row in other]
    density = [np.array([float(row["log_density"]) for row in rows]) for rows in (one, other)]
    assert np.allclose(*density, rtol=1e-12, atol=0)
