"""The site: these notebooks, the pages beside them, and a reference made from the docstrings (`make docs`)."""

from nbagent._version import __version__

project = "nbagent"
author = "The nbagent contributors"
copyright = author
release = version = __version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build", "**.ipynb_checkpoints"]
html_theme = "furo"
html_title = "nbagent"
html_static_path: list[str] = []

myst_enable_extensions = ["colon_fence", "deflist", "html_image"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # `make docs` executes the tutorials first, with a reader's answers, and builds from these
nb_execution_raise_on_error = True
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_class_signature = "separated"
default_role = "code"
napoleon_google_docstring = False
napoleon_use_ivar = True
nitpicky = False
suppress_warnings = ["misc.highlighting_failure"]  # a cell that writes a file of YAML is no Python
