"""What every kernel-free widget needs: data, a script and a still picture, put together to HTML that stands alone.

The page asks for nothing from outside. Where scripts run, the script replaces the still picture; where a code host has
removed scripts and styles, the picture and its text stay.
"""

import hashlib
import json
from html import escape
from importlib import resources
from pathlib import Path


class Widget:
    """A script from `minicl/viz/js` with the data that it draws.

    Parameters
    ----------
    script : str
        Name of the script, without `.js`; a style sheet of the same name is taken too. The script defines
        `globalThis.minicl.<name in camel case>` with a function `mount(element, data)`.
    title : str
    data : object
        What JSON can hold.
    still : str
        HTML that is shown where scripts do not run: presentation attributes and images, no styles.

    Examples
    --------
    >>> from minicl.viz import backward_stepper
    >>> widget = backward_stepper()
    >>> "<script>" in widget.html()
    True
    """

    def __init__(self, script, title, data, still):
        self.script, self.title, self.data, self.still = script, title, data, still

    def html(self):
        """The widget as a piece of a page. The same widget may stand on a page many times."""
        # The browser ends a script at "</" wherever it stands.
        data = json.dumps(self.data, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
        mark = hashlib.sha256(f"{self.script} {data}".encode()).hexdigest()[:12]
        first, *rest = self.script.split("_")
        return (
            f"<style>{_file('widget.css')}{_file(self.script + '.css')}</style>"
            f'<div class="minicl-widget minicl-{rest[-1] if rest else first}" data-minicl="{mark}">{self.still}</div>'
            f"<script>{_file(self.script + '.js')}"
            # All that are not mounted yet: a notebook may show one output twice.
            f"for (const root of document.querySelectorAll('[data-minicl=\"{mark}\"]:not([tabindex])')) "
            f"globalThis.minicl.{first + ''.join(r.title() for r in rest)}.mount(root, {data});</script>"
        )

    def page(self):
        """The widget as a whole page."""
        return (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f'<meta name="color-scheme" content="light dark"><title>{escape(self.title)}</title></head>'
            f'<body style="background:Canvas;color:CanvasText;margin:16px">{self.html()}</body></html>'
        )

    def save(self, path):
        """Write `page()` to a file and return its path."""
        path = Path(path)
        path.write_text(self.page(), encoding="utf-8")
        return path

    def _repr_html_(self):
        return self.html()

    def __repr__(self):
        return f"<{self.title}: shown in a notebook, or written by .save('page.html')>"


def _file(name):
    return resources.files(__package__).joinpath("js", name).read_text(encoding="utf-8")
