"""An executed notebook as one HTML file that asks nothing of the network. Jupyter's own export loads MathJax and two
other programs from the internet; here each formula is turned into MathML, which browsers draw themselves.
"""

import re

import math_core
from bs4 import BeautifulSoup
from nbconvert import HTMLExporter

TEMPLATE = """{% extends "index.html.j2" %}
{% block html_head_js %}{% endblock %}
{% block jupyter_widgets %}{% endblock %}
{% block html_head_js_mathjax %}{% endblock %}
{% block html_head_js_mermaidjs %}{% endblock %}
{% block html_head_css %}<style>
math { font-family: "Latin Modern Math", "STIX Two Math", "Cambria Math", "TeX Gyre Pagella Math",
       "DejaVu Math TeX Gyre", "DejaVu Sans Math", math; font-size: 1.1em; }
math[display=block] { margin: 0.8em 0; }
</style>{% endblock %}
"""

# What MathJax would find in a page. A dollar beside a space, or before a digit, is money.
FORMULA = re.compile(
    r"\$\$(?P<dollars>.+?)\$\$|\\\[(?P<brackets>.+?)\\\]"
    r"|(?P<environment>\\begin\{(?P<name>[a-z]+\*?)\}.+?\\end\{(?P=name)\})"
    r"|\\\((?P<parentheses>.+?)\\\)|(?<!\\)\$(?P<dollar>[^\s$](?:[^$]*[^\s$])?)\$(?!\d)",
    re.DOTALL,
)
DISPLAYED = ("dollars", "brackets", "environment")
NOT_PROSE = ("script", "style", "pre", "code", "textarea", "svg", "math")

_latex = math_core.LatexToMathML(annotation=True, allow_unreliable_rendering=True, fancy_error=False)


def mathml(latex, display=False):
    r"""A LaTeX formula as MathML, with its LaTeX kept as an annotation for readers who listen or copy.

    Raises
    ------
    ValueError
        Where the converter does not know a command; it names the formula.

    Examples
    --------
    >>> mathml(r"x^2").startswith("<math>")
    True
    >>> mathml(r"\softmaks x")
    Traceback (most recent call last):
        ...
    ValueError: the formula '\\softmaks x' cannot be drawn without MathJax: Unknown command "\softmaks".
    """
    try:
        return _latex.convert_with_local_state(latex, displaystyle=display)
    except math_core.LatexError as error:
        reason = str(error).split(": ", 1)[-1]
        raise ValueError(f"the formula {latex!r} cannot be drawn without MathJax: {reason}") from None


def webpage(notebook, title):
    """The HTML of an executed notebook: figures inside, formulas as MathML, no request to the outside."""
    exporter = HTMLExporter(raw_template=TEMPLATE)
    exporter.log.setLevel("ERROR")
    html, _ = exporter.from_notebook_node(notebook, resources={"metadata": {"name": title}})
    page = BeautifulSoup(html, "html.parser")
    for text in page.body.find_all(string=FORMULA):
        if text.find_parent(NOT_PROSE) is None:
            text.replace_with(*_drawn(str(text)))
    for link in page.body.select('a[href*=".ipynb"]'):  # from notebook to notebook becomes from page to page
        link["href"] = re.sub(r"^(\d\d_\w+)\.ipynb", r"\1.html", link["href"])
    return str(page)


def _drawn(text):
    """The text and the formulas in it, in order, as nodes of a page."""
    end = 0
    for found in FORMULA.finditer(text):
        kind = next(k for k in (*DISPLAYED, "parentheses", "dollar") if found[k] is not None)
        yield text[end : found.start()]
        yield BeautifulSoup(mathml(found[kind].strip(), kind in DISPLAYED), "html.parser").math
        end = found.end()
    yield text[end:]
