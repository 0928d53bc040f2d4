"""How the documentation becomes a site: `make site`. Who reads it needs no network."""

import logging
import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
BUILD = ROOT / "build"
sys.path[:0] = [str(ROOT), str(HERE / "_ext")]
os.environ["PYTHONPATH"] = str(ROOT)  # an example may start a process of its own
logging.getLogger("latentem").propagate = False  # a theme sets up the root logger, which would tell of each fit

project = "latentem"
author = copyright = "the authors of latentem"  # noqa: A001  # Sphinx reads this name
language = "en"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx_gallery.gen_gallery",
    "accessible",
    "equations",
    "examples",
    "names",
    "offline",
]
exclude_patterns = ["course/*", "figures", "_ext", "static", "**/sg_execution_times.rst", "sg_execution_times.rst"]
default_role = "code"  # docstrings say `name`, as Markdown does

autodoc_typehints = "none"  # signatures say them, and docstrings say shapes
autodoc_member_order = "bysource"
autosummary_generate = False  # the directive `names` documents each name on the same page
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # an attribute is a line of its class
napoleon_custom_sections = [
    (f"Class attributes that a {kind} may say", "Attributes") for kind in ("family", "model", "prior", "structure")
]
python_use_unqualified_type_names = True

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4

html_theme = "furo"
pygments_dark_style = "github-dark"
html_title = "latentem"
html_static_path = ["static", str(BUILD / "mathjax")]  # `make site` puts MathJax there
html_css_files = ["site.css"]
html_copy_source = False
mathjax_path = "tex-svg.js"
mathjax3_config = {"options": {"enableMenu": False}}  # the menu would ask a network for its parts
