"""Text: a small sample that comes with the package, a way to read larger ones, and the step from letters to numbers.

Text is cut into words (`tokenize`), each word gets a number (`Vocabulary`), and learning sees the numbers alone.
"""

import gzip
import pathlib
import re
import zlib
from collections import Counter

import numpy as np

SAMPLE = pathlib.Path(__file__).parent / "texts" / "genesis_and_exodus.txt"
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


def text(path=None, encoding="utf-8"):
    """The text in a file as one string; without a path, the sample that comes with the package.

    Parameters
    ----------
    path : str or Path, optional
        A plain text file; one that ends in `.gz` is unpacked.
    encoding : str

    Returns
    -------
    str

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not text in this encoding, or is not the gzip file that its name says.

    Notes
    -----
    The sample is Genesis and Exodus 1 to 20 in the King James Version, one verse a line; the note in `data/texts` gives
    source and status (public domain). The whole of it, 4.4 MB: install the Debian package `bible-kjv-text`, run
    `bible -f 'gen1:1-rev22:21' > bible.txt`, and read `text("bible.txt")`.

    Examples
    --------
    >>> text()[:55]
    'In the beginning God created the heaven and the earth.\\n'
    """
    path = SAMPLE if path is None else pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"text: there is no file {path}. Without a path, text() gives the sample of the package. For a larger "
            "text, install the Debian package bible-kjv-text (apt-get install bible-kjv-text) and run "
            "bible -f 'gen1:1-rev22:21' > bible.txt"
        )
    content = path.read_bytes()
    if path.suffix == ".gz":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"text: {path} is no whole gzip file: {error}") from error
    try:
        return content.decode(encoding).replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise ValueError(
            f'text: {path} is not {encoding}: {error.reason} at byte {error.start}. Try encoding="latin-1".'
        ) from error


def tokenize(text):
    """The words of a text, in lower case and in order; digits and punctuation are left out.

    Parameters
    ----------
    text : str

    Returns
    -------
    list of str
        A word is a run of letters of any alphabet; an apostrophe between letters belongs to it.

    Examples
    --------
    >>> tokenize("And God said, Let there be light: 'twas Abram's.")
    ['and', 'god', 'said', 'let', 'there', 'be', 'light', 'twas', "abram's"]
    """
    if not isinstance(text, str):
        raise TypeError(f"tokenize: a text is a str, got {type(text).__name__}.")
    return [word.replace("’", "'") for word in WORD.findall(text.lower())]


class Vocabulary:
    """Words and their numbers: word 0 is the most frequent one. Words that are too rare have no number.

    Parameters
    ----------
    tokens : iterable of str
    min_count : int
        A word is kept if it occurs at least so often: little can be learned of the others.

    Attributes
    ----------
    words : list of str
        By falling count; words of the same count in the order of the alphabet.
    counts : integer array, shape (number of words,)
    dropped : int
        How many tokens were words that are too rare.

    Raises
    ------
    ValueError
        If no word is frequent enough.

    Notes
    -----
    As in word2vec (Mikolov et al. 2013, arXiv:1310.4546), rare words are taken out of the text before it is cut into
    windows, so that their neighbours come closer together.

    Examples
    --------
    >>> v = Vocabulary("to be or not to be".split(), min_count=2)
    >>> v
    Vocabulary(2 words, 4 of 6 tokens)
    >>> v.encode(["to", "whom", "be"])
    array([1, 0])
    >>> v.decode([1, 0])
    ['to', 'be']
    """

    def __init__(self, tokens, min_count=5):
        if isinstance(tokens, str):
            raise TypeError("Vocabulary: tokens are a list of words; tokenize(text) makes one of a text.")
        if min_count < 1 or min_count != int(min_count):
            raise ValueError(f"Vocabulary: min_count is a whole number, at least 1, got {min_count}.")
        found = Counter(tokens)
        kept = sorted(((word, n) for word, n in found.items() if n >= min_count), key=lambda pair: (-pair[1], pair[0]))
        if not kept:
            raise ValueError(
                f"Vocabulary: none of the {len(found)} words occurs {min_count} times. Lower min_count, or give "
                "more text."
            )
        self.words = [word for word, _ in kept]
        self.counts = np.array([n for _, n in kept])
        self.dropped = found.total() - int(self.counts.sum())
        self._number = {word: k for k, word in enumerate(self.words)}

    def __len__(self):
        return len(self.words)

    def __contains__(self, word):
        return word in self._number

    def __getitem__(self, word):
        """The number of a word."""
        if word not in self._number:
            raise KeyError(f"{word!r} is not among the {len(self)} words of the vocabulary")
        return self._number[word]

    def encode(self, tokens):
        """The numbers of the tokens as an integer array; tokens without a number are left out."""
        if isinstance(tokens, str):
            raise TypeError("encode: tokens are a list of words; tokenize(text) makes one of a text.")
        return np.array([self._number[word] for word in tokens if word in self._number], dtype=np.int64)

    def decode(self, numbers):
        """The words that these numbers stand for, as a list."""
        numbers = np.asarray(numbers)
        if numbers.size and not (0 <= numbers.min() and numbers.max() < len(self)):
            raise IndexError(f"decode: the numbers are 0 to {len(self) - 1}, got {numbers.min()} to {numbers.max()}.")
        return [self.words[k] for k in numbers]

    def __repr__(self):
        kept = int(self.counts.sum())
        return f"Vocabulary({len(self)} words, {kept} of {kept + self.dropped} tokens)"
