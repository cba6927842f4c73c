"""What is checked on the built pages: each link inside the site leads somewhere, and nothing is asked of the network."""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# What a browser loads by itself. A link that a reader may click is none of these.
LOADED = {"src", "srcset", "poster", "data", "xlink:href"}
LOADING_LINKS = "stylesheet icon shortcut preload prefetch preconnect dns-prefetch modulepreload manifest".split()
OUTSIDE = re.compile(r"^\s*(?:(?:https?|wss?|ftp):)?//", re.IGNORECASE)
IN_STYLE = re.compile(r"""(?:url\(\s*|@import\s+)["']?\s*((?:(?:https?):)?//[^"')\s]+)""", re.IGNORECASE)
# An address in a script is taken for a request, unless it is the name of a namespace.
IN_SCRIPT = re.compile(r"""["'`]((?:https?:)?//[\w.-]+\.[a-z]{2,}[^"'`\s]*)""", re.IGNORECASE)
NAMESPACE = "http://www.w3.org/"


class Page(HTMLParser):
    """What a page links to, what it can be linked at, and what it would load from outside.

    Examples
    --------
    >>> page = Page('<h1 id="top">A</h1> <a href="b.html#c">b</a> <script src="https://cdn.org/x.js"></script>')
    >>> page.anchors, page.links, page.requests
    ({'top'}, ['b.html#c', 'https://cdn.org/x.js'], ['https://cdn.org/x.js'])
    """

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.anchors, self.links, self.requests = set(), [], []
        self.inside, self.headed = None, False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        found = {name: value or "" for name, value in attributes}
        self.inside = tag if tag in ("script", "style") else None
        self.headed |= tag == "h1"
        if "id" in found:
            self.anchors.add(found["id"])
        if tag == "a" and "name" in found:
            self.anchors.add(found["name"])
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if "src" in found:
            self.links.append(found["src"])
        loaded = [found[name] for name in LOADED & found.keys()]
        if tag in ("image", "use") or (tag == "link" and set(LOADING_LINKS) & set(found.get("rel", "").split())):
            loaded.append(found.get("href", ""))
        for value in loaded:
            self.requests += [part.strip() for part in re.split(r",\s+", value) if OUTSIDE.match(part)]
        self.requests += IN_STYLE.findall(found.get("style", ""))

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, text):
        if self.inside == "style":
            self.requests += IN_STYLE.findall(text)
        elif self.inside == "script":
            self.requests += [a for a in IN_SCRIPT.findall(text) if not a.startswith(NAMESPACE)]


def inspect(folder):
    """Reads all pages and style sheets below a folder.

    Returns
    -------
    dict
        `pages`, `links` (inside the site) and `outside` (links to click) are counts; `problems` is a list of texts.
    """
    folder = Path(folder).resolve()
    pages = {
        path: Page(path.read_text(encoding="utf-8"))
        for path in sorted(folder.rglob("*.html"))
        if "_static" not in path.relative_to(folder).parts
    }
    links = outside = 0
    problems = []
    for path, page in pages.items():
        here = path.relative_to(folder).as_posix()
        problems += [f"{here}: asks for {address}" for address in page.requests]
        problems += [] if page.headed else [f"{here}: has no heading"]
        for address in page.links:
            parts = urlsplit(address)
            if parts.scheme in ("data", "mailto", "javascript"):
                continue
            if parts.scheme or parts.netloc:
                outside += 1
                continue
            links += 1
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.exists():
                problems.append(f"{here}: there is nothing at {address}")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                problems.append(f"{here}: {address} has no such place in it")
    for path in sorted(folder.rglob("*.css")):
        found = IN_STYLE.findall(path.read_text(encoding="utf-8"))
        problems += [f"{path.relative_to(folder)}: asks for {address}" for address in found]
    return {"pages": len(pages), "links": links, "outside": outside, "problems": problems}
