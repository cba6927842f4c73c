// Which scores does word2vec end at? Move k and the exponent of the noise, and see all 36 best scores move.
// Above the line stand pure functions of numbers, which a test runs against Python; below it, what draws them.

globalThis.minicl = globalThis.minicl || {};

globalThis.minicl.noiseShift = (() => {
  "use strict";

  const sum = (values) => values.reduce((total, v) => total + v, 0);

  // How often each word occurs: the rows of the table, as shares.
  function shares(counts) {
    const rows = counts.map(sum);
    const total = sum(rows);
    return rows.map((v) => v / total);
  }

  // What the noise draws: shares to a power, made to sum to 1 again.
  function noise(p, exponent) {
    const powers = p.map((v) => v ** exponent);
    const total = sum(powers);
    return powers.map((v) => v / total);
  }

  // How far the scores of each context lie from PMI − log k: log p − log q.
  function shift(counts, exponent) {
    const p = shares(counts);
    return noise(p, exponent).map((q, c) => Math.log(p[c]) - Math.log(q));
  }

  // PMI − log k of each pair, and the best score: that, plus the shift of its context.
  function scores(counts, negatives, exponent) {
    const p = shares(counts);
    const total = sum(counts.map(sum));
    const off = shift(counts, exponent);
    const pmi = counts.map((row, w) => row.map((n, c) => Math.log(n / total) - Math.log(p[w] * p[c]) - Math.log(negatives)));
    return { pmi, best: pmi.map((row) => row.map((v, c) => v + off[c])), shift: off, p, q: noise(p, exponent) };
  }

  // ------------------------------------------------------------------------------------------------------------- drawing

  const SVG = "http://www.w3.org/2000/svg";

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
  const show = (x, digits = 2) => String(Number(x.toFixed(digits))).replace("-", "−");

  const KINDS = ["often", "often", "middle", "middle", "seldom", "seldom"];
  const LEFT = 34, RIGHT = 10, BARS = 84, NAMES = 22, TITLE = 22, PLANE = 250, BOTTOM = 34;
  const HEIGHT = TITLE + BARS + NAMES + TITLE + PLANE + BOTTOM;

  function mount(root, data) {
    const { counts, words, low, high, start } = data;
    const state = { ...start };
    const SLIDERS = [
      { key: "negatives", label: "k, negatives for each pair", min: 1, max: 20, step: 1 },
      { key: "exponent", label: "exponent of the noise", min: 0, max: 1, step: 0.05 },
    ];
    const sliders = SLIDERS.map(({ key, label, min, max, step }) => {
      const output = element("output");
      const input = element("input", { type: "range", min, max, step, "aria-label": label });
      const write = () => {
        input.value = state[key];
        output.textContent = show(state[key]);
        input.setAttribute("aria-valuetext", show(state[key]));
      };
      input.addEventListener("input", () => {
        state[key] = Number(Number(input.value).toFixed(10));
        write();
        update();
      });
      return { node: element("label", {}, element("span", {}, label, " ", output), input), write };
    });
    const reset = element("button", { type: "button", onclick: () => (Object.assign(state, start), open()) }, "Reset");
    const picture = drawn("svg", { role: "img" });
    const says = element("p", { class: "says", "aria-live": "polite" });
    const key = (name, text) => element("span", {}, element("i", { class: name }), text);
    const legend = element(
      "div",
      { class: "legend" },
      key("text", "share of the text"),
      ...["often", "middle", "seldom"].map((kind, k) => key(kind, words.slice(2 * k, 2 * k + 2).join(", "))),
    );
    root.replaceChildren(element("div", { class: "controls" }, ...sliders.map((s) => s.node), reset), legend, picture, says);
    root.tabIndex = 0;
    root.setAttribute("role", "group");
    root.setAttribute("data-lm-suppress-shortcuts", "true"); // JupyterLab would take the arrow keys
    root.setAttribute("aria-label", "Best scores of word2vec: sliders for the number of negatives and the exponent of the noise");

    function update() {
      const { negatives, exponent } = state;
      const { pmi, best, shift: off, p, q } = scores(counts, negatives, exponent);
      const wide = Math.min(Math.max(picture.clientWidth || 600, 280), 720);
      const text = (words, x, y, anchor, name = "") => drawn("text", { x, y, "text-anchor": anchor, class: name }, words);
      const path = (d, name) => drawn("path", { d, class: name });
      const floor = TITLE + BARS;
      const slot = (wide - LEFT - RIGHT) / 6;
      const most = Math.max(...p, 1 / 6);
      const bar = (x, v, name) => {
        const height = (BARS * v) / most;
        return drawn("rect", { x, y: floor - height, width: slot * 0.36, height, class: name });
      };
      const top = floor + NAMES + TITLE;
      const right = (v) => LEFT + ((v - low) / (high - low)) * (wide - LEFT - RIGHT);
      const up = (v) => top + PLANE * (1 - (v - low) / (high - low));
      const ticks = [-4, -2, 0, 2];
      const pairs = counts.flatMap((row, w) => row.map((_, c) => [w, c]));
      picture.setAttribute("viewBox", `0 0 ${wide} ${HEIGHT}`);
      picture.replaceChildren(
        text("how often: in the text, and in the noise", LEFT, 12, "start", "title"),
        ...words.flatMap((word, c) => {
          const x = LEFT + c * slot + slot * 0.1;
          return [
            bar(x, p[c], "text"),
            bar(x + slot * 0.4, q[c], KINDS[c]),
            text(word, x + slot * 0.38, floor + 15, "middle"),
          ];
        }),
        path(`M${LEFT} ${floor}H${wide - RIGHT}`, "grid"),
        text("best score", LEFT, top - 8, "start", "title"),
        ...ticks.flatMap((v) => [
          path(`M${LEFT} ${up(v)}H${wide - RIGHT}`, "grid"),
          text(show(v), LEFT - 5, up(v) + 4, "end", "muted"),
          text(show(v), right(v), top + PLANE + 15, "middle", "muted"),
        ]),
        path(`M${right(low)} ${up(low)}L${right(high)} ${up(high)}`, "diagonal"),
        ...pairs.map(([w, c]) => path(`M${right(pmi[w][c])} ${up(pmi[w][c])}V${up(best[w][c])}`, `stem ${KINDS[c]}`)),
        ...pairs.map(([w, c]) =>
          drawn(
            "circle",
            { cx: right(pmi[w][c]), cy: up(best[w][c]), r: 4, class: KINDS[c] },
            drawn("title", {}, `${words[w]}, context ${words[c]}: PMI − log k ${show(pmi[w][c])}, best score ${show(best[w][c])}`),
          ),
        ),
        text("PMI − log k", (LEFT + wide - RIGHT) / 2, top + PLANE + 31, "middle", "muted"),
      );
      const far = Math.max(...off.map(Math.abs));
      const list = words.map((word, c) => `${word} ${show(off[c])}`).join(", ");
      const numbers =
        far < 1e-9
          ? `k = ${negatives}, exponent ${show(exponent)}: all 36 best scores are PMI − log k.`
          : `k = ${negatives}, exponent ${show(exponent)}: the best scores lie off PMI − log k, by an amount for each context: ${list}.`;
      says.textContent = `${numbers} log k = ${show(Math.log(negatives))}.`;
      picture.setAttribute("aria-label", `Shares of text and noise above, and best scores against PMI − log k below. ${numbers}`);
    }

    function open() {
      sliders.forEach((s) => s.write());
      update();
    }
    open();
    new ResizeObserver(() => update()).observe(root);
  }

  return { shares, noise, shift, scores, mount };
})();
