// How long a step takes on 2 to 1024 workers: the parts of the cost model, and where the loss overtakes the encoder.
// Above the line stand pure functions of numbers, which a test runs against minicl; below it, what draws them.

globalThis.minicl = globalThis.minicl || {};

globalThis.minicl.clusterSteps = (() => {
  "use strict";

  // Seconds of the encoder, the loss and all messages; the formulas are those of minicl/parallel/cost.py.
  function seconds(c, workers, batch) {
    const n = batch / workers;
    const rounds = Math.ceil(Math.log2(workers));
    const message = c.latency + (2 * n * (c.dim + 2) * c.itemsize) / c.bandwidth;
    const numbers = (((2 * (workers - 1)) / workers) * c.parameters * c.itemsize) / c.bandwidth;
    return {
      encoder: c.step + n * c.image,
      loss: 4 * n * batch * (workers === 1 ? c.alone : c.ring),
      messages: 3 * (workers - 1) * message + 2 * rounds * c.latency + numbers + 4 * c.norms * rounds * c.latency,
    };
  }

  const total = (parts) => parts.encoder + parts.loss + parts.messages;

  // The number of workers at which the loss takes as long as the encoder, if each has so many images.
  const balance = (c, images) => c.image / (4 * images * c.ring);

  // ---------------------------------------------------------------------------------------------------------- drawing

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

  const three = (x) => String(Number(x.toPrecision(3)));
  const ms = (s) => `${s >= 0.1 ? Math.round(1e3 * s) : three(1e3 * s)} ms`;
  const ALL = 64; // "in all" is this many times the images of the slider
  const LABELS = { images: "images", image: "e, for an image", latency: "α, latency", bandwidth: "β, bandwidth" };
  const SHOWN = {
    image: (x) => `${three(1e3 * x)} ms`,
    latency: (x) => `${three(1e6 * x)} µs`,
    bandwidth: (x) => `${three(x / 1e9)} GB/s`,
  };
  const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [340, 300, 50, 72, 16, 36];
  const [LOW, HIGH] = [-4, 3]; // powers of ten of a second

  function chart(workers) {
    const x = (k) => LEFT + (k / (workers.length - 1)) * (WIDTH - LEFT - RIGHT);
    const y = (s) => {
      const power = Math.min(Math.max(Math.log10(s), LOW), HIGH);
      return HEIGHT - BOTTOM - ((power - LOW) / (HIGH - LOW)) * (HEIGHT - TOP - BOTTOM);
    };
    const lines = {};
    for (const name of ["encoder", "loss", "messages", "step"]) {
      lines[name] = [drawn("path", { class: name }), drawn("text", { class: name, x: WIDTH - RIGHT + 5 }, name)];
    }
    const here = drawn("line", { class: "here", y1: TOP, y2: HEIGHT - BOTTOM });
    const marks = [];
    for (let power = LOW; power <= HIGH; power++) {
      const at = y(10 ** power);
      const label = power < 0 ? `${10 ** (power + 3)} ms`.replace(/^0\.1 /, "0.1 ") : `${10 ** power} s`;
      marks.push(drawn("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: at, y2: at }));
      marks.push(drawn("text", { x: LEFT - 4, y: at + 4, "text-anchor": "end" }, label));
    }
    workers.forEach((R, k) => {
      if (k % 3 === 0) marks.push(drawn("text", { x: x(k), y: HEIGHT - BOTTOM + 16, "text-anchor": "middle" }, String(R)));
    });
    marks.push(drawn("text", { x: WIDTH - RIGHT, y: HEIGHT - 4, "text-anchor": "end" }, "workers R"));
    const flat = Object.values(lines).flat();
    const picture = drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" }, ...marks, here, ...flat);
    function update(found, crossing) {
      const ends = [];
      for (const [name, [path, text]] of Object.entries(lines)) {
        const points = found.map((f, k) => `${x(k).toFixed(1)} ${y(f[name]).toFixed(1)}`);
        path.setAttribute("d", `M${points.join("L")}`);
        ends.push([y(found[found.length - 1][name]), text]);
      }
      ends.sort((a, b) => a[0] - b[0]); // names that would lie on each other move apart
      let last = -Infinity;
      for (const [at, text] of ends) {
        last = Math.max(at + 4, last + 13);
        text.setAttribute("y", last.toFixed(1));
      }
      const k = crossing === null ? -1 : Math.log2(crossing) - 1;
      const seen = k >= 0 && k <= workers.length - 1;
      here.setAttribute("visibility", seen ? "visible" : "hidden");
      if (seen) for (const end of ["x1", "x2"]) here.setAttribute(end, x(k).toFixed(1));
    }
    return { picture, update };
  }

  function mount(root, data) {
    const { workers, choices } = data;
    const state = { ...data.start, grows: true };
    const { picture, update: draw } = chart(workers);
    const says = element("p", { class: "says", "aria-live": "polite" });
    const shown = (key) => {
      if (key !== "images") return SHOWN[key](state[key]);
      return state.grows ? `${state.images} each` : `${state.images * ALL} in all`;
    };
    const sliders = Object.keys(LABELS).map((key) => {
      const output = element("output");
      const last = choices[key].length - 1;
      const input = element("input", { type: "range", min: 0, max: last, step: 1, "aria-label": LABELS[key] });
      input.addEventListener("input", () => {
        state[key] = choices[key][Number(input.value)];
        update();
      });
      const refresh = () => {
        input.value = choices[key].indexOf(state[key]);
        output.textContent = shown(key);
        input.setAttribute("aria-valuetext", shown(key));
      };
      return { refresh, label: element("label", {}, element("span", {}, LABELS[key]), input, output) };
    });
    const box = element("input", { type: "checkbox" });
    box.addEventListener("change", () => ((state.grows = box.checked), update()));
    const reset = () => (Object.assign(state, data.start, { grows: true }), update());
    const button = element("button", { type: "button", onclick: reset }, "Reset");

    function update() {
      sliders.forEach((s) => s.refresh());
      box.checked = state.grows;
      const costs = { ...data.costs, image: state.image, latency: state.latency, bandwidth: state.bandwidth };
      const batch = (R) => state.images * (state.grows ? R : ALL);
      const found = workers.map((R) => {
        const parts = seconds(costs, R, batch(R));
        return { ...parts, step: total(parts) };
      });
      const crossing = state.grows ? balance(costs, state.images) : null;
      draw(found, crossing);
      const words = workers.map((R, k) => `${R} workers: ${ms(found[k].step)}`);
      picture.setAttribute("aria-label", `Predicted seconds of a step. ${words.join(", ")}.`);
      if (state.grows) {
        const share = total(seconds(costs, 1, state.images)) / found[workers.length - 1].step;
        const where = crossing > 1024 ? "beyond 1024 workers" : `at R = ${Math.max(1, Math.round(crossing))}`;
        says.textContent = `The loss overtakes the encoder ${where}. On 1024 workers each does ${three(100 * share)} % of what one does alone.`;
      } else {
        const alone = total(seconds(costs, 1, batch(1)));
        const best = found.reduce((b, f, k) => (f.step < found[b].step ? k : b), 0);
        says.textContent = `One process: ${ms(alone)}. Fastest with ${workers[best]} workers: ${ms(found[best].step)}, ${three(alone / found[best].step)} times as fast.`;
      }
    }

    const check = element("label", { class: "check" }, box, element("span", {}, "the batch grows with the workers"));
    root.replaceChildren(
      element("div", { class: "controls" }, ...sliders.map((s) => s.label), check, element("div", {}, button)),
      picture,
      says,
    );
    root.tabIndex = 0;
    root.setAttribute("role", "group");
    root.setAttribute("data-lm-suppress-shortcuts", "true"); // JupyterLab would take the arrow keys
    root.setAttribute("aria-label", "The cost of a step on 2 to 1024 workers, with sliders for its constants.");
    update();
  }

  return { seconds, total, balance, mount };
})();
