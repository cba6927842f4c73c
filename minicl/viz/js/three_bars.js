// Three scores as bars, and one slider that shifts them all: the binary loss changes, the ranking loss does not.
// Above the line stand pure functions of numbers, which a test runs against minicl; below it, what draws them.

globalThis.minicl = globalThis.minicl || {};

globalThis.minicl.threeBars = (() => {
  "use strict";

  const softplus = (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
  const sigmoid = (x) => (x > 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)));

  // The first score is the positive's. Both losses, and the probabilities that they are made of.
  function losses(scores) {
    const [positive, ...negatives] = scores;
    const top = Math.max(...scores);
    const lse = top + Math.log(scores.reduce((sum, s) => sum + Math.exp(s - top), 0));
    return {
      binary: negatives.reduce((sum, s) => sum + softplus(s), softplus(-positive)),
      ranking: lse - positive,
      yes: scores.map(sigmoid),
      share: scores.map((s) => Math.exp(s - lse)),
    };
  }

  const shifted = (scores, shift) => scores.map((s) => s + shift);

  // Where the binary loss is smallest its slope Σ σ(s + c) − 1 is zero. The slope only grows, so halving finds it.
  function bestShift(scores) {
    let low = -Math.max(...scores) - 40;
    let high = -Math.min(...scores) + 40;
    for (let k = 0; k < 100; k++) {
      const middle = (low + high) / 2;
      const sum = shifted(scores, middle).reduce((total, s) => total + sigmoid(s), 0);
      if (sum < 1) low = middle;
      else high = middle;
    }
    return (low + high) / 2;
  }

  // ---------------------------------------------------------------------------------------------------------- drawing

  const SVG = "http://www.w3.org/2000/svg";
  const REACH = 5; // shifts go from −5 to 5
  const OWN = 3; // and scores from −3 to 3

  function element(tag, attributes = {}, ...children) {
    const e = attributes.svg ? document.createElementNS(SVG, tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) e.addEventListener(name.slice(2), value);
      else if (name !== "svg") e.setAttribute(name, value);
    }
    e.append(...children);
    return e;
  }
  const drawn = (tag, attributes, ...children) => element(tag, { svg: true, ...attributes }, ...children);

  const show = (x, digits = 2) => x.toFixed(digits).replace("-", "−").replace(/^−(0\.?0*)$/, "$1");
  const signed = (x) => (x > 0 ? "+" : "") + show(x, 1);
  const percent = (p) => `${(100 * p).toFixed(p > 0.9995 || p < 0.0005 ? 2 : 1)} %`;

  // The three bars, from the zero line up or down, with the two probabilities of each below them.
  function bars(names) {
    const [width, height, zero] = [340, 250, 98];
    const scale = 78 / (OWN + REACH);
    const columns = names.map((name, k) => {
      const x = 62 + 92 * k;
      const bar = drawn("rect", { x, width: 60, class: k ? "negative" : "positive" });
      const label = drawn("text", { x: x + 30, "text-anchor": "middle", class: "number" });
      const line = (y, kind) => drawn("text", { x: x + 30, y, "text-anchor": "middle", class: kind });
      const [yes, share] = [line(222, "binary"), line(242, "ranking")];
      const title = line(202, "");
      title.textContent = name;
      return { bar, label, yes, share, all: [bar, label, yes, share, title] };
    });
    const heads = [[202, "", "score of"], [222, "binary", "σ(s)"], [242, "ranking", "softmax"]];
    const picture = drawn(
      "svg",
      { viewBox: `0 0 ${width} ${height}`, role: "img" },
      ...columns.flatMap((c) => c.all),
      ...heads.map(([y, kind, text]) => drawn("text", { x: 2, y, class: kind }, text)),
      drawn("line", { x1: 50, x2: width - 4, y1: zero, y2: zero, class: "axis" }),
      drawn("text", { x: 40, y: zero + 4, "text-anchor": "end" }, "0"),
    );
    function update(scores, found) {
      columns.forEach(({ bar, label, yes, share }, k) => {
        const length = scale * Math.abs(scores[k]);
        bar.setAttribute("y", scores[k] > 0 ? zero - length : zero);
        bar.setAttribute("height", Math.max(length, 1));
        label.setAttribute("y", scores[k] > 0 ? zero - length - 5 : zero + length + 15);
        label.textContent = show(scores[k]);
        yes.textContent = percent(found.yes[k]);
        share.textContent = percent(found.share[k]);
      });
      const words = names.map(
        (name, k) =>
          `${name}: score ${show(scores[k])}, sigmoid ${percent(found.yes[k])}, softmax ${percent(found.share[k])}`,
      );
      picture.setAttribute("aria-label", `Bars. ${words.join("; ")}.`);
    }
    return { picture, update };
  }

  // Both losses against the shift, and where the slider stands.
  function curves() {
    const [width, height, left, right, bottom, top] = [340, 250, 34, 8, 216, 24];
    const place = (c) => left + ((c + REACH) / (2 * REACH)) * (width - left - right);
    const parts = { binary: null, ranking: null };
    for (const kind in parts) {
      const dot = drawn("circle", { r: 5, class: `dot ${kind}` });
      parts[kind] = { line: drawn("path", { class: `curve ${kind}` }), dot };
    }
    const labels = {
      binary: drawn("text", { class: "binary", "text-anchor": "end" }, "binary"),
      ranking: drawn("text", { class: "ranking" }, "ranking"),
    };
    const marks = drawn("g", {});
    const here = drawn("line", { y1: top, y2: bottom, class: "here" });
    const picture = drawn(
      "svg",
      { viewBox: `0 0 ${width} ${height}`, role: "img" },
      drawn("text", { x: 4, y: 13 }, "loss (nats)"),
      drawn("line", { x1: left, x2: width - right, y1: bottom, y2: bottom, class: "axis" }),
      ...[-4, -2, 0, 2, 4].map((c) =>
        drawn("text", { x: place(c), y: bottom + 16, "text-anchor": "middle" }, signed(c).replace(".0", "")),
      ),
      drawn("text", { x: width - right, y: bottom + 31, "text-anchor": "end" }, "shift of all three scores"),
      marks,
      here,
      ...Object.values(parts).flatMap(({ line, dot }) => [line, dot]),
      ...Object.values(labels),
    );
    function update(scores, shift) {
      const at = Array.from({ length: 97 }, (_, k) => -REACH + (2 * REACH * k) / 96);
      const values = at.map((c) => losses(shifted(scores, c)));
      const most = Math.max(...values.map((v) => v.binary));
      const level = (loss) => bottom - (loss / most) * (bottom - top);
      const now = losses(shifted(scores, shift));
      for (const kind in parts) {
        const points = values.map((v, k) => `${place(at[k]).toFixed(1)} ${level(v[kind]).toFixed(1)}`);
        parts[kind].line.setAttribute("d", `M${points.join("L")}`);
        parts[kind].dot.setAttribute("cx", place(shift));
        parts[kind].dot.setAttribute("cy", level(now[kind]));
      }
      const middle = losses(shifted(scores, 0));
      labels.ranking.setAttribute("x", left + 6);
      labels.ranking.setAttribute("y", Math.min(level(middle.ranking) - 6, bottom - 4));
      labels.binary.setAttribute("x", place(3) - 10);
      labels.binary.setAttribute("y", level(losses(shifted(scores, 3)).binary) - 2);
      const tick = [1, 2, 5, 10].find((t) => most / t <= 4.5);
      marks.replaceChildren(
        ...Array.from({ length: Math.floor(most / tick) + 1 }, (_, k) =>
          drawn("text", { x: left - 6, y: level(k * tick) + 4, "text-anchor": "end" }, String(k * tick)),
        ),
      );
      here.setAttribute("x1", place(shift));
      here.setAttribute("x2", place(shift));
      picture.setAttribute(
        "aria-label",
        `Losses against the shift from −${REACH} to +${REACH}. ` +
          `Binary: ${show(values[0].binary)} at −${REACH}, ${show(middle.binary)} at 0, ` +
          `${show(values[96].binary)} at +${REACH}. Ranking: ${show(middle.ranking)} at every shift. ` +
          `At the present shift ${signed(shift)}: binary ${show(now.binary)}, ranking ${show(now.ranking)}.`,
      );
    }
    return { picture, update };
  }

  function mount(root, data) {
    const { names } = data;
    const scores = [...data.scores];
    let shift = data.shift;
    const [left, right] = [bars(names), curves()];
    const says = element("p", { class: "says", "aria-live": "polite" });

    const slider = (text, low, high, get, set, digits) => {
      const shown = element("output");
      const input = element("input", { type: "range", min: low, max: high, step: 0.1, "aria-label": text });
      input.addEventListener("input", () => {
        set(Number(input.value));
        update();
      });
      const refresh = () => {
        input.value = get();
        shown.textContent = digits(get());
        input.setAttribute("aria-valuetext", digits(get()));
      };
      return { refresh, label: element("label", {}, element("span", {}, text), input, shown) };
    };
    const shifter = slider("shift of all", -REACH, REACH, () => shift, (x) => (shift = x), signed);
    const own = names.map((name, k) =>
      slider(name, -OWN, OWN, () => scores[k], (x) => (scores[k] = x), (x) => show(x, 1)),
    );
    const within = (c) => Math.min(Math.max(c, -REACH), REACH);
    const jump = (to) => () => {
      to();
      update();
    };
    const best = element(
      "button",
      { type: "button", class: "main", onclick: jump(() => (shift = within(bestShift(scores)))) },
      "Best shift for binary",
    );
    const reset = element(
      "button",
      { type: "button", onclick: jump(() => ((shift = data.shift), scores.splice(0, 3, ...data.scores))) },
      "Reset",
    );

    function update() {
      [shifter, ...own].forEach((s) => s.refresh());
      const moved = shifted(scores, shift);
      const [now, before] = [losses(moved), losses(scores)];
      left.update(moved, now);
      right.update(scores, shift);
      const sum = now.yes.reduce((a, b) => a + b, 0);
      says.replaceChildren(
        element("b", { class: "binary" }, `binary ${show(now.binary, 3)}`),
        ` (${show(before.binary, 3)} without shift), `,
        element("b", { class: "ranking" }, `ranking ${show(now.ranking, 3)}`),
        ` (${show(before.ranking, 3)} without shift). ` +
          `The three σ add up to ${show(sum)}, the three softmax always to 1.` +
          (Math.abs(sum - 1) < 5e-3 ? " No shift is better for binary, and still it is the larger." : ""),
      );
    }

    root.classList.replace("minicl-bars", "minicl-three"); // another widget's rules are for "bars"
    root.replaceChildren(
      element("div", { class: "bar" }, shifter.label, best, reset),
      element("div", { class: "panels" }, left.picture, right.picture),
      says,
      element("div", { class: "own" }, ...own.map((s) => s.label)),
    );
    root.tabIndex = 0;
    root.setAttribute("role", "group");
    root.setAttribute("data-lm-suppress-shortcuts", "true"); // JupyterLab would take the arrow keys
    root.setAttribute("aria-label", "Three scores and two losses. The arrow keys shift all scores together.");
    root.addEventListener("keydown", (event) => {
      if (event.target.tagName === "INPUT" || event.ctrlKey || event.metaKey || event.altKey) return;
      const to = { ArrowRight: shift + 0.1, ArrowLeft: shift - 0.1, Home: -REACH, End: REACH }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      event.stopPropagation(); // a notebook would move to another cell
      shift = Number(within(to).toFixed(1));
      update();
    });
    update();
  }

  return { softplus, sigmoid, losses, shifted, bestShift, mount };
})();
