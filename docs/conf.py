"""How Sphinx builds the documentation."""

import dcread

project = "dcread"
author = "The dcread developers"
version = release = dcread.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "explanation/benchmarks-table.md"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}  # rst: autosummary
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autosummary_generate = True
autosummary_ignore_module_all = False
autodoc_typehints = "none"  # the docstrings say types in words
autodoc_member_order = "groupwise"
numpydoc_show_class_members = False
numpydoc_validation_checks: set[str] = set()

html_theme = "furo"
html_static_path = ["_static"]
html_title = f"dcread {version}"
