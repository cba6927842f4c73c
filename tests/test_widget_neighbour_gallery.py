"""The neighbour gallery: its script counts as minicl does, and in a page clicks, keys and buttons choose the image."""

import base64
import html
import io
import re

import matplotlib.image
import numpy as np
import pytest
from widgets import engine_with, seen_in_a_browser

import minicl as mc
from minicl.viz import neighbour_gallery
from minicl.viz.neighbour_gallery import shares


@pytest.fixture(scope="module")
def world():
    """Sixty small images of three classes, and three representations of them that differ in worth."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    images = rng.random((60, 9, 7, 1))
    features = {
        name: 3.0 * worth * np.eye(3)[labels] + rng.standard_normal((60, 3))
        for name, worth in (("raw pixels", 0.3), ("untrained", 0.1), ("trained <b>", 1.0))
    }
    return images, labels, features


@pytest.fixture(scope="module")
def widget(world):
    return neighbour_gallery(*world, classes=["shirt", "shoe", "bag"], k=5, chosen=7)


@pytest.fixture(scope="module")
def javascript(widget):
    return engine_with(widget)


def test_the_table_holds_the_neighbours_by_the_cosine(world, widget):
    _, _, features = world
    for table, f in zip(widget.data["tables"], features.values()):
        u = f / np.sqrt((f * f).sum(axis=1, keepdims=True))
        for i, row in enumerate(table):
            cosines = u @ u[i]
            others = sorted((j for j in range(60) if j != i), key=lambda j: -cosines[j])
            assert row == others[:5]


def test_the_script_counts_as_minicl_does(world, widget, javascript):
    """Sixty images in three representations, 180 numbers; and the mean of each is the precision of retrieval."""
    _, labels, features = world
    for table, f in zip(widget.data["tables"], features.values()):
        found = javascript.call("minicl.neighbourGallery.shares", labels.tolist(), table)
        by_hand = (labels[np.array(table)] == labels[:, None]).mean(axis=1)
        assert np.abs(np.array(found, float) - by_hand).max() <= 1e-9
        assert found == shares(labels.tolist(), table)
        mean = javascript.call("minicl.neighbourGallery.mean", found)
        assert abs(mean - mc.evaluate.precision_at_k(f, labels, k=5)) <= 1e-9


def test_the_order_of_the_buttons(world, widget, javascript):
    labels, tables = world[1].tolist(), widget.data["tables"]
    order = javascript.call("minicl.neighbourGallery.ranked", labels, tables[0], tables[2])
    gain = np.array(shares(labels, tables[2])) - shares(labels, tables[0])
    assert sorted(order) == list(range(60))
    assert order == sorted(range(60), key=lambda i: (-round(gain[i], 9), i))
    assert gain[order[0]] > 0.3 and gain[order[-1]] <= 0


def test_the_sheet_holds_the_images(world, widget):
    images = world[0]
    png = base64.b64decode(widget.data["sheet"].removeprefix("data:image/png;base64,"))
    sheet = matplotlib.image.imread(io.BytesIO(png))
    assert sheet.shape[:2] == (4 * 9, 16 * 7)
    for i, image in enumerate(images[..., 0]):
        top, left = 9 * (i // 16), 7 * (i % 16)
        assert np.abs(sheet[top : top + 9, left : left + 7] - image).max() <= 0.51 / 255


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"images": np.zeros((60, 9))}, "give at most 400 grey images"),
        ({"images": np.zeros((60, 9, 7, 3))}, "give at most 400 grey images"),
        ({"images": np.full((60, 9, 7), 200.0)}, r"images are in \[0, 1\]"),
        ({"labels": np.zeros(59, int)}, "a label for each"),
        ({"labels": np.full(60, 3)}, "labels lie between 3 and 3, and there are 3 classes"),
        ({"representations": {}}, "at least one representation"),
        ({"representations": {"raw": np.ones((59, 2))}}, "'raw' has 59 rows"),
        ({"chosen": 60}, "there is no image 60"),
        ({"k": 60}, "60 neighbours are asked for"),
    ],
)
def test_what_cannot_be_shown_is_refused(world, changed, message):
    images, labels, features = world
    given = {"images": images, "labels": labels, "representations": features, "classes": ["a", "b", "c"]} | changed
    with pytest.raises(ValueError, match=message):
        neighbour_gallery(**given)


def test_nothing_is_asked_from_outside(widget):
    piece = widget.html()
    addresses = set(re.findall(r"""(?:https?:)?//[\w.]+[^\s"'`)]*""", re.sub(r"(?m)^\s*//.*| // .*", "", piece)))
    assert not {a for a in addresses if a.startswith("http")}
    assert set(re.findall(r'src="([^:"]*:)', piece)) == {"data:"}
    assert not re.search(r"\b(fetch|XMLHttpRequest|import|@import)\s*\(", piece)
    assert re.findall(r"url\((.*?)\)", piece) == ['"${data.sheet}"']


def test_without_scripts_a_picture_and_its_numbers_remain(world, widget):
    rest = re.sub(r"<(style|script)>.*?</\1>", "", widget.html(), flags=re.S)
    assert 'src="data:image/png;base64,' in rest
    text = html.unescape(re.sub(r"<[^>]*>", " ", rest))
    found = shares(world[1].tolist(), widget.data["tables"][2])
    assert f"trained <b>: {found[7]:.0%} of the neighbours have its label (all images: {np.mean(found):.0%})" in text


def test_a_page_of_200_photographs_is_small():
    images = mc.data.fashion_mnist_sample("test").images[:200]
    rows = images.reshape(200, -1)
    page = neighbour_gallery(images, np.zeros(200, int), {"a": rows, "b": rows, "c": rows}).page()
    assert len(page) < 400_000


DRIVE = """<pre id="seen"></pre><script>
const seen = { errors: [], keys: 0 };
window.onerror = (message) => seen.errors.push(message);
const [one, two] = document.querySelectorAll(".minicl-widget");
document.addEventListener("keydown", () => seen.keys++);
const list = (root) => root.querySelector(".all");
const press = (root, key) => list(root).dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
const says = (root) => root.querySelector(".says").textContent;
const chosen = (root) => [...root.querySelectorAll("[aria-selected]")].map((o) => o.getAttribute("aria-label"));
seen.start = [says(one), ...chosen(one)];
seen.scores = [...one.querySelectorAll(".score")].map((s) => s.textContent);
seen.tiles = [...one.querySelectorAll(".row")].map((r) => [...r.children].map((t) => t.getAttribute("aria-label")));
seen.marks = [...one.querySelectorAll(".row")].map((r) => [...r.children].map((t) => t.textContent).join(""));
press(one, "ArrowRight");
seen.right = chosen(one);
seen.active = document.getElementById(list(one).getAttribute("aria-activedescendant")).getAttribute("aria-label");
press(one, "End");
press(one, "ArrowRight");
seen.end = chosen(one);
press(one, "ArrowUp");
seen.up = chosen(one);
list(one).children[3].click();
seen.clicked = chosen(one);
one.querySelector(".tile").click();
seen.neighbour = chosen(one);
one.querySelectorAll("button")[0].click();
seen.better = chosen(one);
one.querySelectorAll("button")[1].click();
seen.worse = chosen(one);
seen.other = [says(two), ...chosen(two)];
const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
seen.twice = ids.length - new Set(ids).size;
seen.line = [...list(one).children].filter((o) => o.offsetTop === list(one).children[0].offsetTop).length;
const rows = [...document.querySelectorAll(".row")];
seen.lines = Math.max(...rows.map((r) => new Set([...r.children].map((t) => t.offsetTop)).size));
seen.wide = Math.max(...[...document.querySelectorAll(".minicl-widget")].map((w) => w.scrollWidth - w.clientWidth));
seen.requests = performance.getEntriesByType("resource").map((r) => r.name).filter((n) => !n.startsWith("data:"));
document.getElementById("seen").textContent = JSON.stringify(seen);
</script>"""


@pytest.mark.parametrize("width", [380, 1000])
def test_in_a_browser(world, widget, tmp_path, width):
    """Two of them on one page: clicks, keys and buttons move the one and leave the other alone."""
    page = widget.page().replace("</body>", widget.html() + DRIVE + "</body>")
    # Headless Chromium opens no window narrower than 500 pixels; the body is made as narrow as a phone instead.
    page = page.replace("margin:16px", f"margin:16px;width:{width - 32}px")
    seen = seen_in_a_browser(page, tmp_path)
    assert seen["errors"] == [] and seen["requests"] == [] and seen["keys"] == 0 and seen["twice"] == 0
    labels, tables, classes = world[1].tolist(), widget.data["tables"], ["shirt", "shoe", "bag"]
    name = lambda i: f"image {i}, {classes[labels[i]]}"
    found = [shares(labels, table) for table in tables]
    assert seen["start"][1:] == [name(7)] and seen["start"][0].startswith(
        f"{name(7)}. Neighbours of its class: raw pixels"
    )
    assert seen["scores"] == [
        f"{round(5 * f[7])} of 5 of the same class (all images: {int(100 * np.mean(f) + 0.5)} %)" for f in found
    ]
    for k, table in enumerate(tables):
        same = [labels[j] == labels[7] for j in table[7]]
        assert seen["marks"][k] == "".join("✓" if s else "✗" for s in same)
        words = [f"{name(j)}: {'same class' if s else 'another class'}" for j, s in zip(table[7], same)]
        assert seen["tiles"][k] == words
    assert seen["right"] == [name(8)] and seen["active"] == name(8)
    assert seen["end"] == [name(59)]  # beyond the last there is nothing
    assert seen["up"] == [name(59 - min(seen["line"], 59))] or seen["line"] >= 60
    assert seen["clicked"] == [name(3)] and seen["neighbour"] == [name(tables[0][3][0])]
    gain = lambda text: (lambda i: found[2][i] - found[0][i])(int(re.search(r"\d+", text)[0]))
    assert gain(seen["better"][0]) > 0.3 and gain(seen["worse"][0]) <= 0
    assert seen["other"] == seen["start"]
    assert seen["wide"] <= 0 and seen["lines"] == 1
