"""The widget of maps: its script counts neighbours as Python does, and the page needs nothing from outside."""

import re

import numpy as np
import pytest
from widgets import engine_with, seen_in_a_browser

from minicl.viz import embedding_maps
from minicl.viz.embedding_maps import agreement, chance, whole


def table(rng, labels, spread, keys=((5, 0), (5, 1), (30, 0), (30, 1))):
    """Maps where points of one label are together up to `spread`."""
    centres = 10 * np.stack([np.cos(2.1 * labels), np.sin(2.1 * labels)], axis=1)
    return {key: (centres + spread * rng.standard_normal((len(labels), 2)), 0.5 + 0.01 * key[0]) for key in keys}


@pytest.fixture(scope="module")
def widget():
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    sets = {"learned": table(rng, labels, 0.5), "pixels": table(rng, labels, 8), "noise": table(rng, 0 * labels, 1)}
    colours = {"digit": labels, "turn": np.array(["left", "right"])[rng.integers(0, 2, 60)]}
    return embedding_maps(sets, colours, {"learned": "A note.", "turn": "Another."})


@pytest.fixture(scope="module")
def javascript(widget):
    return engine_with(widget)


def test_the_script_counts_neighbours_as_python_does(javascript, rng):
    for trial in range(60):
        n, k = int(rng.integers(7, 40)), int(rng.integers(1, 6))
        places = rng.integers(0, 12 if trial % 2 else 1000, (n, 2))  # the small ones have many ties
        labels = rng.integers(0, 4, n)
        found = javascript.call("minicl.embeddingMaps.agreement", places.ravel().tolist(), labels.tolist(), k)
        assert abs(found - agreement(places, labels, k)) < 1e-12
        found = javascript.call("minicl.embeddingMaps.chance", labels.tolist())
        assert abs(found - chance(labels)) < 1e-12


def test_agreement_is_what_its_name_says(rng):
    labels = np.repeat([0, 1, 2], 50)
    apart = 100 * labels[:, None] + rng.standard_normal((150, 2))
    assert agreement(apart, labels) == 1.0
    shuffled = [agreement(apart, rng.permutation(labels)) for _ in range(200)]
    error = np.std(shuffled) / np.sqrt(200)
    assert abs(np.mean(shuffled) - chance(labels)) < 4 * error
    assert abs(agreement(3 * apart + 7, labels[::-1]) - agreement(apart[::-1], labels)) < 1e-12


def test_a_map_keeps_its_proportions(rng):
    places = rng.standard_normal((50, 2)) * [3, 1]
    small = whole(places)
    assert small.min() == 0 and small.max() == 1000
    sizes = (small.max(axis=0) - small.min(axis=0)) / (places.max(axis=0) - places.min(axis=0))
    assert abs(sizes[0] / sizes[1] - 1) < 0.01
    assert (whole(np.ones((4, 2))) == 500).all()


def test_the_table_holds_what_was_given(widget):
    data = widget.data
    assert data["perplexities"] == [5, 30] and data["seeds"] == [0, 1]
    assert [item["title"] for item in data["sets"]] == ["learned", "pixels", "noise"]
    assert all(len(item["maps"]) == 4 and len(item["maps"][0]["places"]) == 120 for item in data["sets"])
    assert data["colours"][1]["names"] == ["left", "right"] and data["colours"][0]["values"][:4] == [0, 1, 2, 0]
    assert data["sets"][0]["maps"][2]["trust"] == 0.8


LINE = np.column_stack([np.arange(8.0), np.zeros(8)])
HALF = [0, 0, 0, 0, 1, 1, 1, 1]
GOOD = {(5, 0): (LINE, 0.9)}


@pytest.mark.parametrize(
    "arguments, message",
    [
        (({"a": GOOD}, {"half": HALF}), "at least two data sets"),
        (({"a": GOOD, "b": {(7, 0): (LINE, 1)}}, {"half": HALF}), "'b' has other perplexities"),
        (({"a": {**GOOD, (7, 1): (LINE, 1)}, "b": GOOD}, {"half": HALF}), "a map for each seed"),
        (({"a": GOOD, "b": {(5, 0): (LINE[:7], 1)}}, {"half": HALF}), "has shape"),
        (({"a": {(5, 0): (LINE * np.nan, 1)}, "b": GOOD}, {"half": HALF}), "finite"),
        (({"a": GOOD, "b": GOOD}, {}), "something to colour by"),
        (({"a": GOOD, "b": GOOD}, {"half": HALF[:5]}), "must be 8"),
        (({"a": GOOD, "b": GOOD}, {"one": [1] * 8}), "2 to 10 different"),
    ],
)
def test_what_cannot_be_shown_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        embedding_maps(*arguments)


def test_nothing_is_asked_from_outside_and_without_scripts_the_numbers_remain(widget):
    piece = widget.html()
    assert piece.count("</script>") == 1
    addresses = set(re.findall(r"""(?:https?:)?//[\w.]+[^\s"'`)]*""", re.sub(r"(?m)^\s*//.*| // .*", "", piece)))
    assert addresses == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"\b(fetch|XMLHttpRequest|import|@import|url)\s*\(", piece)
    rest = re.sub(r"<(style|script)>.*?</\1>", "", piece, flags=re.S)
    assert 'src="data:image/svg+xml;base64,' in rest
    assert "learned at perplexity 5: 100 % of neighbours agree, trustworthiness 0.55" in rest


DRIVE = """<pre id="seen"></pre><script>
const seen = { errors: [] };
window.onerror = (message) => seen.errors.push(message);
const [one, two] = document.querySelectorAll(".minicl-widget");
seen.keys = 0;
document.addEventListener("keydown", () => seen.keys++);
const says = (root) => root.querySelector(".spoken").textContent;
const press = (key) => one.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
seen.start = says(one);
press("ArrowLeft");
seen.left = says(one);
press("ArrowUp");
press("ArrowUp");
seen.up = says(one);
const [set, colour] = one.querySelectorAll("select");
colour.selectedIndex = 1;
colour.dispatchEvent(new Event("change"));
seen.turn = says(one);
set.selectedIndex = 1;
set.dispatchEvent(new Event("change"));
const [perplexity, seed] = one.querySelectorAll("input");
perplexity.value = 1;
perplexity.dispatchEvent(new Event("input"));
seen.end = says(one);
seen.value = perplexity.getAttribute("aria-valuetext");
seen.note = one.querySelector(".note").textContent;
seen.points = one.querySelectorAll("svg .point").length;
seen.aloud = [...one.querySelectorAll("svg")].map((picture) => picture.getAttribute("aria-label"));
seen.other = says(two);
seen.wide = Math.max(document.documentElement.scrollWidth, ...[...one.querySelectorAll("*")].map((e) => e.getBoundingClientRect().right));
seen.room = window.innerWidth;
seen.requests = performance.getEntriesByType("resource").map((r) => r.name).filter((n) => !n.startsWith("data:"));
document.getElementById("seen").textContent = JSON.stringify(seen);
</script>"""


def test_in_a_browser(widget, tmp_path):
    """Two of them on one narrow page: keys, sliders and choices move the one and leave the other alone."""
    page = widget.page().replace("</body>", widget.html() + DRIVE + "</body>")
    seen = seen_in_a_browser(page, tmp_path, "--window-size=380,900")
    assert seen["errors"] == [] and seen["requests"] == [] and seen["keys"] == 0
    assert seen["start"].startswith(
        "At perplexity 30, seed 0, coloured by digit: 100 % of neighbours agree in learned, "
    )
    assert seen["start"].endswith("32 % by chance.") and seen["other"] == seen["start"]
    assert seen["left"].startswith("At perplexity 5, seed 0") and seen["up"].startswith("At perplexity 5, seed 1")
    assert "coloured by turn" in seen["turn"] and seen["end"].startswith("At perplexity 30, seed 1, coloured by turn")
    assert "agree in pixels" in seen["end"] and seen["value"] == "perplexity 30" and seen["note"] == "Another."
    assert seen["points"] == 120
    assert seen["aloud"][0].startswith("Map of pixels, perplexity 30, seed 1, coloured by turn. ")
    assert seen["aloud"][1].startswith("Map of noise (control), ")
    assert seen["wide"] <= seen["room"] + 0.5
