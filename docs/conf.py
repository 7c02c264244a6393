"""How the documentation is built: `sphinx-build -W --keep-going -b html docs docs/_build`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import chapters
import gallery
import performance
import reference

import seqjax

project = "seqjax"
author = "The seqjax developers"
version = release = seqjax.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "seqjax"
nitpicky = False
# A name in single backquotes is code, in docstrings as in Markdown.
default_role = "code"
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
# A dataclass of arrays says what they are in its docstring; its fields would only repeat their names.
autodoc_default_options = {"members": False}
napoleon_google_docstring = True
napoleon_custom_sections = ["Equation", "Equations"]
napoleon_use_rtype = False


def setup(app):
    """Writes the pages that are made from the code and from what was measured, before anything is read."""
    app.connect("builder-inited", lambda app: reference.write(Path(app.srcdir) / "api"))
    app.connect("builder-inited", lambda app: gallery.write(Path(app.srcdir) / "gallery"))
    app.connect("builder-inited", lambda app: chapters.write(Path(app.srcdir) / "chapters"))
    app.connect("builder-inited", lambda app: performance.write(Path(app.srcdir) / "performance"))
