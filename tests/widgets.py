"""Where the tests of widgets run what is shipped: the script alone in V8, and whole pages in a headless browser."""

import html
import json
import re
import shutil
import subprocess

import pytest


def script_of(widget):
    """The shipped script without its last statement, which mounts it in a page."""
    script = re.search(r"<script>(.*)</script>", widget.html(), re.S)[1]
    return script[: script.index("for (const root of document")]


def engine_with(widget):
    """A JavaScript engine that has read the script of a widget."""
    engine = pytest.importorskip("py_mini_racer", reason="needs mini-racer (extra: test)").MiniRacer()
    engine.eval(script_of(widget))
    return engine


def seen_in_a_browser(page, tmp_path, *options):
    """What a page wrote into its element `seen` as JSON, after a headless browser ran it; skips without a browser."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium here")
    path = tmp_path / "page.html"
    path.write_text(page, encoding="utf-8")
    quiet = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    quiet += ["--disable-component-update", "--disable-sync", f"--user-data-dir={tmp_path / 'profile'}", *options]
    command = [browser, *quiet, "--virtual-time-budget=2000", "--dump-dom", path.as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
    return json.loads(html.unescape(re.search(r'<pre id="seen">(.*?)</pre>', dom, re.S)[1]))
