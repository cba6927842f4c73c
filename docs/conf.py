"""How Sphinx makes the site. `docs/build.py` runs it on the pages that it puts together, with warnings as errors."""

import re
import sys
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxRole

ROOT = next(folder for folder in Path(__file__).resolve().parents if (folder / "pyproject.toml").exists())
sys.path.insert(0, str(ROOT))

import minicl  # noqa: E402
from notebooks.webpage import mathml  # noqa: E402

project, author, copyright = "minicl", "the minicl authors", "the minicl authors, MIT license"
version = release = minicl.__version__
language = "en"

extensions = ["myst_nb", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
nitpicky = True
nitpick_ignore_regex = [("py:.*", ".*")]  # a docstring's `word` may be a name or just code: see `Name`
suppress_warnings = ["myst.header"]  # an output may begin with a heading of any level
default_role = "name"

# Notebooks are shown with the outputs that are stored in them.
nb_execution_mode = "off"
nb_render_markdown_format = "myst"
nb_ipywidgets_js = {}
myst_enable_extensions = ["dollarmath", "amsmath", "deflist", "colon_fence"]
myst_dmath_allow_space = myst_dmath_allow_digits = False
myst_dmath_double_inline = True
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_typehints = "none"
numpydoc_show_class_members = False
python_maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"

html_theme = "pydata_sphinx_theme"
html_title = "minicl"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_show_sourcelink = html_copy_source = False
html_context = {"default_mode": "auto"}
html_sidebars = {"index": [], "start": [], "notation": [], "coming_from": [], "claims": [], "widgets": []}
html_theme_options = {
    "logo": {"text": "minicl"},
    "navbar_align": "left",
    "header_links_before_dropdown": 9,
    "show_toc_level": 2,
    "navigation_depth": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "article_header_start": ["breadcrumbs"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    "back_to_top_button": False,
}


class Name(SphinxRole):
    """What stands in single backticks of a docstring: a link where it is a public name, and code everywhere."""

    def run(self):
        from sphinx.addnodes import pending_xref

        literal = nodes.literal(self.rawtext, self.text, classes=["xref", "py"])
        target = re.sub(r"\(.*\)$", "", self.text).removeprefix("mc.").strip()
        if not re.fullmatch(r"[A-Za-z_][\w.]*", target):
            return [literal], []
        context = self.env.ref_context
        reference = pending_xref(
            self.rawtext,
            literal,
            refdoc=self.env.current_document.docname,
            refdomain="py",
            reftype="obj",
            reftarget=f"minicl.{target}" if self.text.startswith("mc.") else target,
            refwarn=False,
            refexplicit=False,
            **{"py:module": context.get("py:module"), "py:class": context.get("py:class")},
        )
        return [reference], []


def offered_by_minicl(app, env, node, content):
    """`Tensor` is `mc.Tensor` on every page."""
    target = node.get("reftarget", "")
    if node.get("refdomain") == "py" and node.get("reftype") == "obj" and not target.startswith("minicl."):
        python = env.get_domain("py")
        return python.resolve_xref(env, node["refdoc"], app.builder, "obj", f"minicl.{target}", node, content)


def inline_math(self, node):
    self.body.append(mathml(node.astext()))
    raise nodes.SkipNode


def displayed_math(self, node):
    self.body.append(f'<div class="formula" tabindex="0">{mathml(node.astext(), display=True)}</div>')
    raise nodes.SkipNode


def plain_docstring(app, what, name, obj, options, lines):
    """Docstrings are plain text with backticks. What reStructuredText would take for markup, as in |x| or x_, is none."""
    from minicl.engine import Primitive

    if isinstance(obj, Primitive) and lines:  # a formula, and behind a gap its cotangents
        parts = re.split(r"\s{4,}", lines[0].strip())
        lines[:1] = [*("| " + re.sub(r" {2,}", "\N{NO-BREAK SPACE}" * 3, part) for part in parts), ""]
    literal = code = False
    for n, line in enumerate(lines):
        if literal and line.strip() and not line.startswith(" "):
            literal = False
        code = line.lstrip().startswith((">>>", "...")) or (code and bool(line.strip()))
        if not literal and not code:
            keep = re.split(r"(`+[^`]*`+)", line)
            keep[::2] = [_escaped(text) for text in keep[::2]]
            lines[n] = "".join(keep)
        literal |= line.rstrip().endswith("::")


def _escaped(text):
    bar = "| " if text.startswith("| ") else ""
    text = text[len(bar) :]
    text = re.sub(r"\\|\*|\||(?<=\w)_(?!\w)", r"\\\g<0>", text)
    return bar + re.sub(r"arXiv:(\d{4}\.\d{4,5})", r"`arXiv:\1 <https://arxiv.org/abs/\1>`__", text)


def skip_fields(app, what, name, obj, skip, options):
    return True if str(getattr(obj, "__doc__", "")).startswith("Alias for field number") else None


def setup(app):
    app.add_role("name", Name())
    app.add_html_math_renderer("mathml", (inline_math, None), (displayed_math, None))
    app.connect("missing-reference", offered_by_minicl)
    app.connect("autodoc-process-docstring", plain_docstring, priority=400)
    app.connect("autodoc-skip-member", skip_fields)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
