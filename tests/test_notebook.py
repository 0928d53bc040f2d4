"""A notebook that is run: what it shows of fits, histories, States and models, and of a fit under way."""

from __future__ import annotations

import re
import warnings
from functools import cache
from pathlib import Path

import nbformat
from nbclient import NotebookClient

CELLS = [
    "import latentem as lem\n"
    "from pandas import DataFrame\n"
    "data = DataFrame(lem.datasets.old_faithful(), columns=['minutes', '<i>wait</i>'])",
    "fit = lem.fit(lem.GaussianMixture(2), data, progress=True)",
    "fit",
    "fit.history",
    "fit.summary()",
    "fit.model",
    "lem.EM(max_steps=3).run(fit.model, fit.params, data)",
    "print(fit)",
    "import sys\nsys.modules['rich'] = sys.modules['rich.console'] = None\n"
    "lem.fit(lem.KMeans(2), data, progress=True).converged",
]


@cache
def outputs():
    """The outputs of each cell, in order."""
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the packages that run notebooks
        NotebookClient(book, timeout=200, kernel_name="python3", resources={"metadata": {"path": ROOT}}).execute()
    return [cell.outputs for cell in book.cells]


ROOT = str(Path(__file__).parent.parent)


def shown(cell):
    """What the last line of a cell shows, by type."""
    (found,) = (output.data for output in outputs()[cell] if output.output_type == "execute_result")
    return found


def test_fits_histories_states_and_models_are_pages():
    """Each is shown as HTML and as the plain text that it was before; names of columns are escaped."""
    plain = [r"<Fit of GaussianMixture\(2\)", r"History\(", r"Summary\(", r"GaussianMixture\(2\)$", r"State\("]
    for cell, text in enumerate(plain, 2):
        assert shown(cell)["text/html"].startswith('<div class="latentem"'), cell
        assert re.match(text, shown(cell)["text/plain"]), cell
    page = shown(2)["text/html"]
    assert "&lt;i&gt;wait&lt;/i&gt;: mean" in page
    assert "<svg" in page
    assert "<details" in page


def test_print_is_plain_text():
    """`print(fit)` is the summary in text."""
    (output,) = outputs()[7]
    assert output.text.startswith("GaussianMixture(2) on 272 observations\nconverged")


def test_progress_is_one_output_that_is_drawn_anew():
    """With rich a cell that fits has one output, at the end of the work; no package of widgets is asked for."""
    (output,) = outputs()[1]
    assert output.output_type == "display_data"
    assert "converged" in output.data["text/html"]
    assert "GaussianMixture(2)" in output.data["text/plain"]


def test_progress_without_rich_is_lines():
    """Without rich it is lines on the standard error stream."""
    streams = [output for output in outputs()[8] if output.output_type == "stream"]
    assert {stream.name for stream in streams} == {"stderr"}
    assert "converged" in streams[-1].text
