"""word2vec: skip-gram with negative sampling on one thread, words of running text a second, beside gensim.

Both learn vectors of 100 numbers, window 5, 5 negatives, no subsampling, and one pass over the same text.
"""

import time

SIZE, WINDOW, NEGATIVES = 100, 5, 5


def words():
    import minicl as mc

    return mc.data.tokenize(mc.data.text())


def minicl():
    import minicl as mc

    text = words()
    vocabulary = mc.data.Vocabulary(text)
    model = mc.train.Word2Vec(vocabulary, dim=SIZE, window=WINDOW, negatives=NEGATIVES, subsample=None, epochs=1)
    start = time.perf_counter()
    model.fit(text, progress=False)
    return len(text) / (time.perf_counter() - start)


def gensim():
    from gensim.models import Word2Vec

    text = words()
    lines = [text[k : k + 1000] for k in range(0, len(text), 1000)]
    model = Word2Vec(
        vector_size=SIZE, window=WINDOW, negative=NEGATIVES, sg=1, min_count=1, sample=0, workers=1, seed=0
    )
    model.build_vocab(lines)
    start = time.perf_counter()
    model.train(lines, total_examples=len(lines), epochs=1)
    return len(text) / (time.perf_counter() - start)


PEERS = {"minicl": minicl, "gensim": gensim}
