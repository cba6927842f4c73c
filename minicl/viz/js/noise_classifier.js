// Data or noise? Move the noise and its amount, and see the probability that a point at x is data.
// Above the line stand pure functions of numbers, which a test runs against Python; below it, what draws them.

globalThis.minicl = globalThis.minicl || {};

globalThis.minicl.noiseClassifier = (() => {
  "use strict";

  const logNormal = (x, mean, width) => -0.5 * ((x - mean) / width) ** 2 - Math.log(width) - 0.5 * Math.log(2 * Math.PI);

  // The data: a mixture of normal densities, given as rows (weight, mean, width).
  function logData(parts, x) {
    const logs = parts.map(([weight, mean, width]) => Math.log(weight) + logNormal(x, mean, width));
    const top = Math.max(...logs);
    return top + Math.log(logs.reduce((sum, l) => sum + Math.exp(l - top), 0));
  }

  // The logit is how far log p lies above log(νq), and the posterior is σ of it.
  const logit = (parts, x, mean, width, nu) => logData(parts, x) - logNormal(x, mean, width) - Math.log(nu);
  const sigmoid = (t) => (t > 0 ? 1 / (1 + Math.exp(-t)) : Math.exp(t) / (1 + Math.exp(t)));
  const posterior = (parts, x, mean, width, nu) => sigmoid(logit(parts, x, mean, width, nu));

  // What the article writes: f / (f + 1), here with f = p. The noise does not occur in it.
  const article = (parts, x) => sigmoid(logData(parts, x));

  // The share of points that the best classifier gets wrong: ∫ min(p, νq) dx / (1 + ν), by the trapezoidal rule.
  function errorShare(parts, mean, width, nu, low = -20, high = 20, steps = 4000) {
    let sum = 0;
    const by = (high - low) / steps;
    for (let i = 0; i <= steps; i++) {
      const x = low + i * by;
      const least = Math.min(Math.exp(logData(parts, x)), nu * Math.exp(logNormal(x, mean, width)));
      sum += i === 0 || i === steps ? least / 2 : least;
    }
    return (sum * by) / (1 + nu);
  }

  function at(parts, x, mean, width, nu) {
    return {
      p: Math.exp(logData(parts, x)),
      q: Math.exp(logNormal(x, mean, width)),
      logit: logit(parts, x, mean, width, nu),
      posterior: posterior(parts, x, mean, width, nu),
      article: article(parts, x),
    };
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

  function show(x, digits = 3) {
    return String(Number(x.toPrecision(digits))).replace("-", "−").replace("e+", "e");
  }
  const percent = (x) => `${show(100 * x)}\u00a0%`;

  const LEFT = 34, RIGHT = 8, TOP = 16, UPPER = 130, GAP = 26, LOWER = 110, BOTTOM = 32;
  const HEIGHT = TOP + UPPER + GAP + LOWER + BOTTOM;

  function mount(root, data) {
    const { parts, low, high, start } = data;
    const state = { ...start, article: false };
    const SLIDERS = [
      { key: "mean", label: "mean of the noise", min: -4, max: 4, step: 0.1, read: (v) => v, shown: (v) => show(v) },
      { key: "width", label: "width of the noise", min: 0.2, max: 4, step: 0.1, read: (v) => v, shown: (v) => show(v) },
      { key: "nu", label: "ν, noise points for each data point", min: 0, max: 6, step: 1, read: (v) => 2 ** v, shown: (v) => String(v) },
      { key: "x", label: "the point x", min: low, max: high, step: 0.1, read: (v) => v, shown: (v) => show(v) },
    ];
    const sliders = SLIDERS.map(({ key, label, min, max, step, read, shown }) => {
      const output = element("output");
      const input = element("input", { type: "range", min, max, step, "aria-label": label });
      const write = () => {
        input.value = key === "nu" ? Math.log2(state.nu) : state[key];
        output.textContent = shown(state[key]);
        input.setAttribute("aria-valuetext", shown(state[key]));
      };
      input.addEventListener("input", () => {
        state[key] = Number(read(Number(input.value)).toPrecision(12));
        write();
        update();
      });
      return { node: element("label", {}, element("span", {}, label, " ", output), input), write };
    });
    const tick = element("input", { type: "checkbox", onchange: () => ((state.article = tick.checked), update()) });
    const reset = element("button", { type: "button", onclick: () => (Object.assign(state, start), open()) }, "Reset");
    const picture = drawn("svg", { role: "img" });
    const says = element("p", { class: "says", "aria-live": "polite" });
    const key = (name, text) => element("span", {}, element("i", { class: name }), text);
    const legend = element(
      "div",
      { class: "legend" },
      key("data", "data, p(x)"),
      key("noise", "ν times the noise, νq(x)"),
      key("thin", "the noise, q(x)"),
      key("posterior", "P(D = 1 | x)"),
    );
    root.replaceChildren(
      element(
        "div",
        { class: "controls" },
        ...sliders.map((s) => s.node),
        element("label", { class: "tick" }, tick, " the article’s f / (f + 1)"),
        reset,
      ),
      legend,
      picture,
      says,
    );
    root.tabIndex = 0;
    root.setAttribute("role", "group");
    root.setAttribute("data-lm-suppress-shortcuts", "true"); // JupyterLab would take the arrow keys
    root.setAttribute("aria-label", "Data or noise: sliders for the noise, and the probability that a point is data");

    function update() {
      const { mean, width, nu, x } = state;
      const wide = Math.min(Math.max(picture.clientWidth || 600, 280), 860);
      const right = (v) => LEFT + ((v - low) / (high - low)) * (wide - LEFT - RIGHT);
      const ceiling = 0.62;
      const up = (v) => (v > ceiling ? null : TOP + UPPER * (1 - v / ceiling)); // null: above the picture
      const floor = TOP + UPPER + GAP + LOWER;
      const share = (v) => floor - LOWER * v;
      const xs = Array.from({ length: 301 }, (_, i) => low + ((high - low) * i) / 300);
      const line = (f, y) => {
        let pen = "M";
        const step = (v) => {
          const height = y(f(v));
          const word = height === null ? "" : `${pen}${right(v).toFixed(1)} ${height.toFixed(1)}`;
          pen = height === null ? "M" : "L";
          return word;
        };
        return xs.map(step).join("");
      };
      const area = (f) => `${line(f, up)}L${right(high)} ${up(0)}L${right(low)} ${up(0)}Z`;
      const p = (v) => Math.exp(logData(parts, v));
      const q = (v) => Math.exp(logNormal(v, mean, width));
      const here = at(parts, x, mean, width, nu);
      const path = (d, name) => drawn("path", { d, class: name });
      const text = (words, tx, ty, anchor, name = "") =>
        drawn("text", { x: tx, y: ty, "text-anchor": anchor, class: name }, words);
      const level = (y, words) => [path(`M${LEFT} ${y}H${wide - RIGHT}`, "grid"), text(words, LEFT - 5, y + 4, "end", "muted")];
      const ticks = [-4, -2, 0, 2, 4].filter((v) => v >= low && v <= high);
      picture.setAttribute("viewBox", `0 0 ${wide} ${HEIGHT}`);
      picture.replaceChildren(
        ...[0, 0.2, 0.4, 0.6].flatMap((v) => level(up(v), show(v))),
        text("densities", LEFT + 4, 11, "start", "title"),
        path(area(p), "data fill"),
        path(line(p, up), "data"),
        path(line(q, up), "thin"),
        path(line((v) => nu * q(v), up), "noise"),
        ...[0, 0.5, 1].flatMap((v) => level(share(v), show(v))),
        text("probability that a point at x is data", LEFT + 4, share(1) - 6, "start", "title"),
        ...(state.article ? [path(line((v) => article(parts, v), share), "article")] : []),
        path(line((v) => posterior(parts, v, mean, width, nu), share), "posterior"),
        path(`M${right(x)} ${TOP}V${floor}`, "probe"),
        ...[[up(here.p), "data"], [up(nu * here.q), "noise"], [share(here.posterior), "posterior"]]
          .filter(([height]) => height !== null)
          .map(([cy, name]) => drawn("circle", { cx: right(x), cy, r: 4.5, class: name })),
        ...ticks.map((v) => text(show(v), right(v), floor + 15, "middle", "muted")),
        text("x", right((low + high) / 2), floor + 29, "middle", "muted"),
      );
      const wrong = errorShare(parts, mean, width, nu);
      const theirs = state.article ? ` The article’s formula says ${percent(here.article)}: it does not know the noise.` : "";
      const numbers =
        `At x = ${show(x)}: p = ${show(here.p)}, νq = ${nu} × ${show(here.q)} = ${show(nu * here.q)}. ` +
        `log p − log(νq) = ${show(here.logit)}, so the point is data with probability ${percent(here.posterior)}.`;
      says.textContent =
        `${numbers}${theirs} One point in ${1 + nu} is data. Who always says “noise” is wrong for ${percent(1 / (1 + nu))} ` +
        `of the points; the best classifier for ${percent(wrong)}.`;
      picture.setAttribute("aria-label", `Densities of data and noise, and the posterior below. ${numbers}`);
    }

    function open() {
      sliders.forEach((s) => s.write());
      update();
    }
    open();
    new ResizeObserver(() => update()).observe(root);
  }

  return { logData, logNormal, logit, posterior, article, errorShare, at, mount };
})();
