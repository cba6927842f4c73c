"""The page docs/benchmarks.md, made from the numbers in docs/benchmarks.json: what was aimed at, and what was reached."""

import pathlib

PROFILED = ("convnet", "resnet", "mlp")
TORCH = ("torch", "torch channels last", "torch.compile")
# workload: [(beside whom, the ratio that was aimed at)]; "torch" is the fastest of its variants.
TARGETS = {
    "nt_xent 8192": [("torch", 0.12), ("jax jit", 0.3), ("two GEMMs", 1.1)],
    "nt_xent 512": [("torch", 0.8)],
    "nt_xent 128": [("torch", 1.0)],
    "convnet": [("torch", 0.5)],
    "resnet": [("torch", 0.8)],
    "mlp": [("torch", 0.9)],
    "chain": [("torch", 0.8)],
}
NOTES = pathlib.Path(__file__).with_name("notes.md")


def medians(found):
    return {peer: row["median"] for peer, row in found["peers"].items() if "median" in row}


def ratio(found, peer):
    """minicl's time over that of a peer, or of the fastest torch; and the name of that."""
    times = medians(found)
    named = [p for p in (TORCH if peer == "torch" else [peer]) if p in times]
    best = min(named, key=times.get, default=None)
    return (None, peer) if best is None else (times["minicl"] / times[best], best)


def section(name, result):
    found = result["found"]
    if name == "large":
        return (
            "### NT-Xent, 2N = 131,072\n\n"
            f"{found['seconds']:.1f} s, peak memory {found['megabytes']:.0f} MB above the embeddings; "
            f"{found['seconds'] / found['gemms']:.2f} times two GEMMs of this size (measured at 2N = 16,384 in the same "
            "process, and scaled by the number of pairs). All scores at once would be 69 GB."
        )
    if name == "words":
        rows = [
            f"| `{peer}` | {speed:,.0f} |" if isinstance(speed, float) else f"| `{peer}` | {speed} |"
            for peer, speed in found.items()
        ]
        return "\n".join(["### word2vec on one thread", "", "| | words/s |", "|---|---:|", *rows])
    if name == "import":
        took, alone = 1e3 * found["minicl"], 1e3 * found["numpy"]
        return (
            f"### `import minicl`\n\n{took:.0f} ms, of which NumPy takes {alone:.0f} ms. Medians of 11 fresh processes, "
            "modules compiled before."
        )
    if name == "curves":
        return (
            "### How time and memory grow\n\n"
            "![Three curves of time and of memory, against the rows of NT-Xent, the batch and the depth](benchmarks_curves.svg)"
            "\n\nEach point is the median of repeats in a process of its own, so that peers do not disturb each other."
        )
    if name == "tried":
        return what_was_tried(found)
    times = medians(found)
    lines = [f"### {found['title']}", "", "| | median ms | minicl takes | peak MB |", "|---|---:|---:|---:|"]
    for peer, row in found["peers"].items():
        if "missing" in row:
            lines.append(f"| `{peer}` | – | {row['missing']} | |".replace("\n", " "))
            continue
        share = "" if peer == "minicl" else f"{times['minicl'] / row['median']:.2f} of it"
        size = "" if row["megabytes"] is None else f"{row['megabytes']:.0f}"
        lines.append(f"| `{peer}` | {1e3 * row['median']:.2f} | {share} | {size} |")
    if found.get("profile"):
        lines += ["", "Where the time of minicl goes (one step, with the clocks of `mc.profile()`):", "", "```"]
        lines += [found["profile"], "```"]
    return "\n".join(lines)


def what_was_tried(found):
    """The ideas, each without and with it, and the rates that explain what is left."""
    lines = [
        "### What was tried, and what it gave",
        "",
        "| | before | after | before, ms | after, ms |",
        "|---|---|---|---:|---:|",
    ]
    lines += [f"| {what} | {old} | {new} | {1e3 * a:.2f} | {1e3 * b:.2f} |" for what, old, new, a, b in found["ideas"]]
    lines += [
        "",
        "Forward and backward, both ways by turns in one process. Products of matrices, on one thread:",
        "",
        "| | thousand million operations a second |",
        "|---|---:|",
        *(f"| {label} | {rate:.0f} |" for label, rate in found["rates"].items()),
        "",
        "NT-Xent in a block, on one thread: "
        + ", ".join(f"{name} {share:.0%}" for name, share in found["parts"].items())
        + ". A step of Adam for the MLP: "
        + ", ".join(f"`{name}` {ms:.2f} ms" for name, ms in found["adam"].items())
        + ".",
    ]
    return "\n".join(lines)


def goals(results):
    """What was aimed at, beside what was measured: rows (workload, beside, target, measured)."""
    rows = []
    for name, wanted in TARGETS.items():
        if name not in results:
            continue
        found = results[name]["found"]
        for peer, target in wanted:
            reached, best = ratio(found, peer)
            rows.append(
                (
                    found["title"],
                    best,
                    f"≤ {target}",
                    None if reached is None else reached,
                    reached is not None and reached <= target,
                )
            )
    if "large" in results:
        found = results["large"]["found"]
        share = found["seconds"] / found["gemms"]
        rows.append(("NT-Xent, 2N = 131,072", "two GEMMs", "≤ 1.6", share, share <= 1.6))
        rows.append(("the same, peak memory", "", "< 1 GB", found["megabytes"] / 1000, found["megabytes"] < 1000))
    if "words" in results and all(isinstance(v, float) for v in results["words"]["found"].values()):
        found = results["words"]["found"]
        share = found["minicl"] / found["gensim"]
        rows.append(("word2vec, words a second", "gensim", "≥ 0.1", share, share >= 0.1))
    if "import" in results:
        seconds = results["import"]["found"]["minicl"]
        rows.append(("`import minicl`, seconds", "", "< 0.15", seconds, seconds < 0.15))
    return rows


def page(results):
    machines = dict.fromkeys(result["machine"] for result in results.values())
    loads = [result["load"] for result in results.values()]
    lines = [
        "# Benchmarks",
        "",
        "`make bench` measures all this and writes this page. Times are medians of repeats that are interleaved with those of",
        "the peers, in float32, with the same number of threads for all. A number below 1 means that minicl is faster.",
        "",
        *(f"Measured on: {machine.replace('; ', '; `')}`." for machine in machines),
        f"The load average of the machine was {min(loads):.1f} to {max(loads):.1f} as the measurements began (0 is idle).",
        "",
        "## What was aimed at, and what was reached",
        "",
        "| workload | beside | aim | measured | |",
        "|---|---|---:|---:|---|",
    ]
    for title, peer, target, reached, met in goals(results):
        lines.append(
            f"| {title} | {f'`{peer}`' if peer else ''} | {target} | {'–' if reached is None else f'{reached:.2f}'} | {'reached' if met else 'missed'} |"
        )
    lines += ["", NOTES.read_text(encoding="utf-8").strip(), "", "## The measurements", ""]
    return "\n".join(lines) + "\n" + "\n\n".join(section(name, result) for name, result in results.items()) + "\n"
