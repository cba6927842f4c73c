"""What a notebook shows in words beside a figure: minus signs are set as such, hyphens stay."""

import IPython.display
import matplotlib.pyplot as plt
import pytest

from minicl.viz import show


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("NT-Xent -0.5", "NT-Xent −0.5"),
        ("fine-tuned, a two-stage run (-3 points)", "fine-tuned, a two-stage run (−3 points)"),
        ("1e-05 and -2e-16 of x - y", "1e−05 and −2e−16 of x − y"),
        ("+1.0, ±0.1", "+1.0, ±0.1"),
    ],
)
def test_a_hyphen_is_no_minus(written, shown, monkeypatch):
    seen = []
    monkeypatch.setattr(IPython.display, "display", lambda what, **keys: seen.append((what, keys)))
    show(plt.figure(), "A claim", written)
    (_, keys), (words, _) = seen
    assert keys["metadata"]["image/png"]["alt"] == f"A claim. {shown}"
    assert f"<p>{shown}</p>" in words.data
    assert not plt.get_fignums()
