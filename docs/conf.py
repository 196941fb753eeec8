"""How Sphinx builds the documentation.

The gallery and the pages of the commands are run by the build, on the measurement that
`dcread demo` makes. The build contacts no server unless DOCS_INTERSPHINX is set.
"""

import os
import pathlib
import sys
import sysconfig

from docutils import nodes
from sphinx.application import Sphinx

import dcread

DOCS = pathlib.Path(__file__).parent
EXAMPLES = DOCS / "examples"
sys.path.insert(0, str(DOCS))

from make_samples import make_samples  # noqa: E402

project = "dcread"
author = copyright = "The dcread developers"
version = release = dcread.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "sphinxcontrib.programoutput",
    "sphinxext.opengraph",
]
templates_path = ["_templates"]
exclude_patterns = [
    "_build",
    "examples",
    "explanation/benchmarks-table.md",
    "explanation/benchmarks-details.md",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}  # rst: autosummary
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autosummary_generate = True
autosummary_ignore_module_all = False
autodoc_typehints = "none"  # the docstrings say types in words
autodoc_member_order = "groupwise"
numpydoc_show_class_members = False
numpydoc_validation_checks: set[str] = set()

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",
    "abort_on_example_error": True,
    "within_subsection_order": "ExampleTitleSortKey",
    "download_all_examples": False,
    "remove_config_comments": True,
    "write_computation_times": False,
    "min_reported_time": 3600,
    "show_signature": False,
    "copyfile_regex": "",
    "capture_repr": (),
    "reset_modules": (),
}
suppress_warnings = ["config.cache"]  # a function in the settings of the gallery

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# Commands run as on a terminal of 80 columns, and are those of this environment.
os.environ["COLUMNS"] = "80"
scripts = sysconfig.get_path("scripts")
os.environ["PATH"] = os.pathsep.join([scripts, os.environ["PATH"]])
programoutput_prompt_template = "$ {command}\n{output}"

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["dcread.css"]
html_title = f"dcread {version}"
html_baseurl = os.environ.get("DOCS_URL", "")

ogp_site_url = html_baseurl
ogp_site_name = "dcread"
ogp_image = "_static/demo.png"
ogp_image_alt = "Cells of a made-up measurement with the outlines of their masks"
ogp_social_cards = {"enable": False}

if os.environ.get("DOCS_INTERSPHINX"):
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "h5py": ("https://docs.h5py.org/en/stable", None),
    }

make_samples(EXAMPLES)


def hide_folder(app: Sphinx, doctree: nodes.document) -> None:
    """Write a folder that anybody might have in the place of that of the build."""
    for block in list(doctree.findall(nodes.literal_block)):
        text = block.astext().replace(str(EXAMPLES), "/home/you")
        text = text.replace(f"{pathlib.Path.home()}/", "/home/you/")
        if text != block.astext():
            block.replace_self(nodes.literal_block(text, text, **block.attributes))


def setup(app: Sphinx) -> None:
    """Change what the commands printed, once they have run."""
    app.connect("doctree-read", hide_folder, priority=900)
