// One batch, one anchor, one temperature: how the push is shared out among the negatives, and how long the gradient is.
// Above the line stand pure functions of numbers, which a test runs against minicl; below it, what draws them.

globalThis.minicl = globalThis.minicl || {};

globalThis.minicl.temperatureBars = (() => {
  "use strict";

  const dot = (a, b) => a.reduce((sum, x, k) => sum + x * b[k], 0);
  const unit = (z) => z.map((x) => x / Math.sqrt(dot(z, z)));

  function softmax(logits) {
    const top = Math.max(...logits);
    const e = logits.map((x) => Math.exp(x - top));
    const sum = e.reduce((a, b) => a + b, 0);
    return e.map((x) => x / sum);
  }

  // The gradient of NT-Xent for the stacked views z, its length, and the loss. Row i of G is (P − Y) / (2N τ).
  function whole(z, tau) {
    const u = z.map(unit);
    const n = u.length;
    let loss = 0;
    const G = u.map((a, i) => {
      const j = (i + n / 2) % n;
      const logits = u.map((b, k) => (k === i ? -Infinity : dot(a, b) / tau));
      const top = Math.max(...logits);
      loss += (top - logits[j] + Math.log(logits.reduce((s, x) => s + Math.exp(x - top), 0))) / n;
      return softmax(logits).map((p, k) => (p - (k === j ? 1 : 0)) / (n * tau));
    });
    const gradient = u.map((a, i) => {
      const along = a.map((_, c) => u.reduce((sum, b, k) => sum + (G[i][k] + G[k][i]) * b[c], 0));
      const length = Math.sqrt(dot(z[i], z[i]));
      const radial = dot(a, along);
      return along.map((x, c) => (x - radial * a[c]) / length);
    });
    return { loss, gradient, norm: Math.sqrt(gradient.reduce((sum, g) => sum + dot(g, g), 0)) };
  }

  // What one anchor sees: its negatives in the order of the rows.
  function solve(z, anchor, tau) {
    const u = z.map(unit);
    const n = u.length;
    const partner = (anchor + n / 2) % n;
    const rows = u.map((_, k) => k).filter((k) => k !== anchor && k !== partner);
    const s = rows.map((k) => dot(u[anchor], u[k]));
    const shares = softmax(s.map((x) => x / tau));
    const mean = dot(shares, s);
    const variance = shares.reduce((sum, p, k) => sum + p * (s[k] - mean) ** 2, 0);
    const entropy = -shares.reduce((sum, p) => sum + (p > 0 ? p * Math.log(p) : 0), 0);
    const sp = dot(u[anchor], u[partner]);
    const all = softmax([sp, ...s].map((x) => x / tau));
    const missing = all.slice(1).reduce((a, b) => a + b, 0); // 1 − P of the partner, also where P rounds to 1
    const { loss, norm } = whole(z, tau);
    return {
      rows, s, shares, entropy, sp, loss, norm,
      effective: Math.exp(entropy), slope: variance / tau ** 3, repulsion: missing / tau,
    };
  }

  // ------------------------------------------------------------------------------------------------------ drawing

  function element(tag, attributes = {}, ...children) {
    const { svg, ...rest } = attributes;
    const e = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(rest)) {
      if (typeof value === "function") e.addEventListener(name.slice(2), value);
      else e.setAttribute(name, value);
    }
    e.append(...children);
    return e;
  }
  const drawn = (tag, attributes, ...children) => element(tag, { svg: true, ...attributes }, ...children);

  function show(x, digits = 3) {
    const text = x !== 0 && Math.abs(x) < 1e-3 ? x.toExponential(1) : String(Number(x.toPrecision(digits)));
    return text.replaceAll("-", "−");
  }
  const cosine = (s) => s.toFixed(2).replace("-", "−");
  const percent = (share) => (share < 1e-4 ? "< 0.01 %" : `${show(100 * share, 2)} %`);

  const LOW = -2, HIGH = 1; // log₁₀ of the temperatures that the slider reaches
  const GRID = Array.from({ length: 61 }, (_, k) => 10 ** (LOW + (k * (HIGH - LOW)) / 60));
  const WIDTH = 340, ROW = 22, BAR = 135, START = WIDTH - BAR - 48; // of the bars

  // A curve over the temperature with a mark where the slider stands.
  function curve(title, log) {
    const W = 300, H = 134, L = 40, R = 10, T = 8, B = 34;
    const x = (tau) => L + ((Math.log10(tau) - LOW) / (HIGH - LOW)) * (W - L - R);
    const lines = drawn("g", {});
    const mark = drawn("circle", { r: 4.5, class: "mark" });
    const picture = drawn("svg", { viewBox: `0 0 ${W} ${H}`, role: "img" }, lines, mark);
    let y;
    function open(series) {
      const values = series.flatMap((c) => c.values).filter((v) => v > 1e-6);
      const [low, high] = log
        ? [Math.floor(Math.log10(Math.min(...values))), Math.ceil(Math.log10(Math.max(...values)))]
        : [0, Math.max(...values)];
      y = (v) => H - B - (((log ? Math.log10(Math.max(v, 1e-6)) : v) - low) / (high - low)) * (H - T - B);
      lines.replaceChildren(
        ...[0.01, 0.1, 1, 10].flatMap((tau) => [
          drawn("path", { d: `M${x(tau)} ${T}V${H - B}`, class: "grid" }),
          drawn("text", { x: x(tau), y: H - 20, "text-anchor": "middle" }, show(tau)),
        ]),
        ...[low, high].map((v) =>
          drawn("text", { x: L - 5, y: v > low ? T + 8 : H - B, "text-anchor": "end" }, log ? `10${sup(v)}` : show(v)),
        ),
        drawn("text", { x: (W + L) / 2, y: H - 5, "text-anchor": "middle" }, "temperature τ"),
        ...series.map((c) =>
          drawn("path", { d: "M" + GRID.map((tau, k) => `${x(tau)} ${y(c.values[k])}`).join("L"), class: c.kind }),
        ),
      );
    }
    function update(tau, value) {
      mark.setAttribute("cx", x(tau));
      mark.setAttribute("cy", y(value));
      const here = `at ${show(tau, 2)} it is ${show(value)}`;
      picture.setAttribute("aria-label", `${title} against the temperature; ${here}.`);
    }
    const root = element("div", { class: "curve" }, element("div", { class: "head" }, title), picture);
    return { root, open, update };
  }
  const sup = (n) => [...String(n)].map((c) => (c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[c])).join("");

  function mount(root, data) {
    let batch, tau, bars;

    const titles = data.map((b) => element("option", {}, b.title));
    const choice = element("select", { onchange: () => open(choice.selectedIndex) }, ...titles);
    const about = "temperature, on a logarithmic scale";
    const slider = element("input", { type: "range", min: LOW, max: HIGH, step: 0.02, "aria-label": about });
    const shown = element("output", {});
    slider.addEventListener("input", () => update());
    const picture = drawn("svg", { role: "img", class: "bars" });
    const numbers = element("table");
    const says = element("p", { class: "says", "aria-live": "polite" });
    const note = element("p", { class: "note" });
    const effective = curve("effective number of negatives eᴴ", false);
    const lengths = curve("length of the gradient, and (dashed) τ times it", true);

    function open(which) {
      batch = data[which];
      note.textContent = batch.note;
      const { rows, s } = solve(batch.z, batch.anchor, 1);
      const order = rows.map((_, k) => k).sort((a, b) => s[b] - s[a]);
      picture.setAttribute("viewBox", `0 0 ${WIDTH} ${ROW * rows.length + 22}`);
      const even = START + BAR / rows.length;
      bars = order.map((k, place) => {
        const y = 20 + ROW * place;
        const kind = batch.special.includes(rows[k]) ? "bar special" : "bar";
        const bar = drawn("rect", { x: START, y: y + 3, height: ROW - 7, rx: 2, class: kind });
        const share = drawn("text", { y: y + 15 });
        const group = drawn(
          "g", {},
          drawn("text", { x: 0, y: y + 15 }, batch.names[rows[k]]),
          drawn("text", { x: START - 8, y: y + 15, "text-anchor": "end", class: "muted" }, cosine(s[k])),
          bar,
          share,
        );
        return { k, bar, share, group };
      });
      picture.replaceChildren(
        drawn("text", { x: 0, y: 12, class: "muted" }, "negative"),
        drawn("text", { x: START - 8, y: 12, "text-anchor": "end", class: "muted" }, "cosine"),
        drawn("text", { x: START, y: 12, class: "muted" }, "share (dashed: even share)"),
        ...bars.map((b) => b.group),
        drawn("path", { d: `M${even} 18V${20 + ROW * rows.length}`, class: "even" }),
      );
      const found = GRID.map((t) => solve(batch.z, batch.anchor, t));
      effective.open([{ values: found.map((f) => f.effective), kind: "line" }]);
      lengths.open([
        { values: found.map((f) => f.norm), kind: "line" },
        { values: found.map((f, k) => f.norm * GRID[k]), kind: "line dashed" },
      ]);
      update();
    }

    function update() {
      tau = 10 ** Number(slider.value);
      const f = solve(batch.z, batch.anchor, tau);
      shown.textContent = show(tau, 2);
      slider.setAttribute("aria-valuetext", `temperature ${show(tau, 2)}`);
      for (const { k, bar, share } of bars) {
        bar.setAttribute("width", Math.max(BAR * f.shares[k], 0.5));
        share.setAttribute("x", START + 4 + BAR * f.shares[k]);
        share.textContent = percent(f.shares[k]);
      }
      const inWords = ({ k }) => `${batch.names[f.rows[k]]} cosine ${cosine(f.s[k])}, share ${percent(f.shares[k])}`;
      const listed = bars.map(inWords);
      picture.setAttribute("aria-label", `Shares of the push at temperature ${show(tau, 2)}: ${listed.join("; ")}.`);
      const row = (name, value) =>
        element("tr", {}, element("th", { scope: "row" }, name), element("td", {}, show(value)));
      numbers.replaceChildren(
        row("entropy H of the shares", f.entropy),
        row(`effective negatives eᴴ (of ${f.rows.length})`, f.effective),
        row("dH/dτ = Var(s)/τ³", f.slope),
        row("push = pull = (1 − P)/τ", f.repulsion),
        row("loss of the batch", f.loss),
        row("length of its gradient", f.norm),
        row("τ × that length", tau * f.norm),
      );
      const most = bars.reduce((a, b) => (f.shares[b.k] > f.shares[a.k] ? b : a));
      says.textContent =
        `At τ = ${show(tau, 2)}, ${show(f.effective, 2)} of ${f.rows.length} negatives take part; ` +
        `the nearest, ${batch.names[f.rows[most.k]]}, gets ${percent(f.shares[most.k])} of the push. ` +
        "The cosines stay as they are.";
      effective.update(tau, f.effective);
      lengths.update(tau, f.norm);
    }

    root.replaceChildren(
      element(
        "div", { class: "controls" },
        element("label", {}, "Batch ", choice),
        element("label", {}, "τ = ", shown, slider),
      ),
      note,
      element(
        "div", { class: "columns" },
        element("div", { class: "column" }, picture, numbers),
        element("div", { class: "column" }, effective.root, lengths.root, says),
      ),
    );
    root.tabIndex = 0;
    root.setAttribute("role", "group");
    root.setAttribute("data-lm-suppress-shortcuts", "true"); // JupyterLab would take the arrow keys
    root.setAttribute("aria-label", "Move the temperature: the slider, or the left and right arrow keys");
    root.addEventListener("keydown", (event) => {
      if (["INPUT", "SELECT"].includes(event.target.tagName) || event.ctrlKey || event.metaKey || event.altKey) return;
      const by = { ArrowRight: 0.02, ArrowUp: 0.02, ArrowLeft: -0.02, ArrowDown: -0.02, Home: -9, End: 9 }[event.key];
      if (by === undefined) return;
      event.preventDefault();
      event.stopPropagation(); // a notebook would move to another cell
      slider.value = Math.min(Math.max(Number(slider.value) + by, LOW), HIGH);
      update();
    });
    slider.value = Math.log10(0.5);
    open(0);
  }

  return { solve, whole, mount };
})();
