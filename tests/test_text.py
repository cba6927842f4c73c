"""Text: the sample is what its note says, words come out of text as they should, and numbers lead back to words."""

import gzip
import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minicl as mc
from minicl.data.text import SAMPLE

words = st.text(st.characters(categories=["Ll"], codec="latin-1"), min_size=1, max_size=4)


def test_the_sample_is_what_its_note_says():
    whole = mc.data.text()
    assert whole.isascii() and SAMPLE.stat().st_size <= 300_000
    assert len(whole.splitlines()) == 1533 + 545
    assert whole.startswith("In the beginning God created") and whole.endswith("discovered thereon.\n")
    assert not re.search(r"\d|  |[^\w ,.;:?!()'\n-]", whole), "no verse numbers and no marks are left"
    note = (SAMPLE.parent / "README.md").read_text(encoding="utf-8")
    assert SAMPLE.name in note and "Public domain" in note and "bible-kjv-text" in note
    v = mc.data.Vocabulary(mc.data.tokenize(whole))
    assert 800 < len(v) < 1200 and v.words[:2] == ["and", "the"]


@pytest.mark.parametrize(
    "given_text, expected",
    [
        ("", []),
        ("Let there be light: and there was light.", "let there be light and there was light".split()),
        ("Abram's wife's; 'twas the kings' well", ["abram's", "wife's", "twas", "the", "kings", "well"]),
        ("don’t", ["don't"]),
        ("well-known x_y 3 apples, 4th", ["well", "known", "x", "y", "apples", "th"]),
        ("ÉTÉ straße Ωμέγα Москва", ["été", "straße", "ωμέγα", "москва"]),
    ],
)
def test_tokens(given_text, expected):
    assert mc.data.tokenize(given_text) == expected


@given(st.text(max_size=60))
def test_tokens_are_words_and_are_their_own_tokens(anything):
    tokens = mc.data.tokenize(anything)
    assert all(token and not re.search(r"[\s\d_]", token) for token in tokens)
    assert mc.data.tokenize(" ".join(tokens)) == tokens


@given(st.lists(words, min_size=1, max_size=60), st.integers(1, 4))
def test_a_vocabulary_is_the_counted_words(tokens, min_count):
    counts = Counter(tokens)
    kept = {word for word in counts if counts[word] >= min_count}
    if not kept:
        with pytest.raises(ValueError, match=f"none of the {len(counts)} words occurs {min_count} times"):
            mc.data.Vocabulary(tokens, min_count)
        return
    v = mc.data.Vocabulary(tokens, min_count)
    assert set(v.words) == kept and len(v) == len(kept)
    assert v.counts.tolist() == [counts[word] for word in v.words]
    assert np.all(np.diff(v.counts) <= 0)
    assert v.words == mc.data.Vocabulary(sorted(tokens), min_count).words, "the order of the text does not matter"
    assert v.decode(v.encode(tokens)) == [word for word in tokens if word in kept]
    assert v.dropped == len(tokens) - len(v.encode(tokens))
    assert all((word in v) == (word in kept) for word in counts)
    assert all(v.words[v[word]] == word for word in kept)


def test_a_generator_of_tokens_is_enough():
    assert len(mc.data.Vocabulary(token for token in "a b a".split() * 5)) == 2


def test_text_files(tmp_path):
    plain, packed, old = tmp_path / "a.txt", tmp_path / "b.txt.gz", tmp_path / "c.txt"
    plain.write_bytes("Zeile eins\r\nZwölf\n".encode())
    packed.write_bytes(gzip.compress("Zwölf".encode()))
    old.write_bytes("Zwölf".encode("latin-1"))
    assert mc.data.text(plain) == mc.data.text(str(plain)) == "Zeile eins\nZwölf\n"
    assert mc.data.text(packed) == "Zwölf"
    with pytest.raises(ValueError, match=r'c.txt is not utf-8: .* at byte 2\. Try encoding="latin-1"'):
        mc.data.text(old)
    assert mc.data.text(old, encoding="latin-1") == "Zwölf"


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-9], lambda b: b"no gzip at all", lambda b: b[:12] + b"\xff" * 9 + b[21:]]
)
def test_a_broken_gzip_file_is_refused(tmp_path, damage):
    path = tmp_path / "b.gz"
    path.write_bytes(damage(gzip.compress(b"In the beginning " * 30)))
    with pytest.raises(ValueError, match="b.gz is no whole gzip file"):
        mc.data.text(path)


def test_a_missing_file_says_where_text_comes_from(tmp_path):
    with pytest.raises(FileNotFoundError, match="apt-get install bible-kjv-text"):
        mc.data.text(tmp_path / "none.txt")


def test_what_is_no_list_of_words_is_refused():
    v = mc.data.Vocabulary(["a"] * 5)
    for f in (mc.data.Vocabulary, v.encode):
        with pytest.raises(TypeError, match="tokenize"):
            f("a text")
    with pytest.raises(TypeError, match="got bytes"):
        mc.data.tokenize(b"a text")
    for bad in (0, 1.5):
        with pytest.raises(ValueError, match="min_count"):
            mc.data.Vocabulary(["a"], bad)
    with pytest.raises(KeyError, match="'b' is not among the 1 words"):
        v["b"]
    with pytest.raises(IndexError, match="0 to 0, got -1 to 0"):
        v.decode([0, -1])
