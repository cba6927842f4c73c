// False negatives: images of the anchor's own class among its negatives, how likely they are and what they do to a loss.
// Above the line stand pure functions of numbers, which a test runs against Python; below it, what draws them.

globalThis.minicl = globalThis.minicl || {};

globalThis.minicl.falseNegatives = (() => {
  "use strict";

  const GOLDEN = (Math.sqrt(5) - 1) / 2;
  const APART = 0.03; // half the angle between the two views of an image

  // The probability that a batch drawn at random from C equal classes has a false negative for its anchor.
  const chance = (classes, images) => -Math.expm1((images - 1) * Math.log1p(-1 / classes));

  // The batch: image k is of class k mod C. All first views, then all second views.
  function angles(classes, images) {
    const middle = Array.from({ length: images }, (_, k) => {
      const place = ((k * GOLDEN + 0.5) % 1) - 0.5; // within the arc of the class, image 0 in its middle
      return ((2 * Math.PI) / classes) * ((k % classes) + 0.6 * place);
    });
    return [...middle.map((a) => a - APART), ...middle.map((a) => a + APART)];
  }

  // For the anchor, the first view of image 0: the loss with all negatives, without the false ones, and debiased.
  function losses(classes, images, temperature) {
    const angle = angles(classes, images);
    const s = angle.map((a) => Math.cos(a - angle[0]));
    const e = s.map((x) => Math.exp((x - s[images]) / temperature));
    let total = 0, wrong = 0, count = 0;
    for (let v = 0; v < 2 * images; v++) {
      const k = v % images;
      if (k === 0) continue;
      total += e[v];
      if (k % classes === 0) {
        wrong += e[v];
        count += 1;
      }
    }
    const m = 2 * images - 2;
    const estimate = (total / m - 1 / classes) / (1 - 1 / classes);
    const lowest = Math.exp((-1 - s[images]) / temperature);
    const g = Math.max(estimate, lowest);
    return {
      all: Math.log1p(total),
      removed: count ? Math.log1p(Math.max(total - wrong, 0)) : Math.log1p(total),
      debiased: Math.log1p(m * g),
      share: wrong / total,
      count,
      bounded: estimate <= lowest ? 1 : 0,
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
  const show = (x, digits = 3) => String(Number(x.toPrecision(digits))).replace("-", "−").replace("e−", " · 10^−");
  // Close to 100 % the missing part is what tells.
  const percent = (x) => (x > 0.9995 && x < 1 ? "more than 99.9" : show(100 * x)) + "\u00a0%";

  const R = 118, SIDE = 280; // of the circle, and of each picture

  function mount(root, data) {
    const state = { ...data.start };
    const SLIDERS = [
      { key: "classes", label: "classes C", values: data.classes },
      { key: "images", label: "images N", values: data.images },
      { key: "temperature", label: "temperature τ", values: Array.from({ length: 20 }, (_, i) => (i + 1) / 20) },
    ];
    const sliders = SLIDERS.map(({ key, label, values }) => {
      const output = element("output");
      const input = element("input", { type: "range", min: 0, max: values.length - 1, step: 1, "aria-label": label });
      const write = () => {
        input.value = values.findIndex((v) => v >= state[key] - 1e-9);
        output.textContent = show(state[key]);
        input.setAttribute("aria-valuetext", show(state[key]));
      };
      input.addEventListener("input", () => {
        state[key] = values[Number(input.value)];
        write();
        update();
      });
      return { node: element("label", {}, element("span", {}, label, " = ", output), input), write };
    });
    const reset = element("button", { type: "button", onclick: () => (Object.assign(state, data.start), open()) }, "Reset");
    const circle = drawn("svg", { viewBox: `0 0 ${SIDE} ${SIDE}`, role: "img" });
    const curve = drawn("svg", { viewBox: `0 0 ${SIDE} ${SIDE}`, role: "img" });
    const bars = drawn("svg", { viewBox: `0 0 ${SIDE} ${SIDE}`, role: "img" });
    const says = element("p", { class: "says", "aria-live": "polite" });
    const key = (name, text) => element("span", {}, element("i", { class: name }), text);
    const panel = (title, picture, ...more) => element("div", { class: "panel" }, element("div", { class: "head" }, title), picture, ...more);
    root.replaceChildren(
      element("div", { class: "controls" }, ...sliders.map((s) => s.node), reset),
      element(
        "div",
        { class: "panels" },
        panel("One batch", circle, element("div", { class: "legend" }, key("anchor", "anchor"), key("partner", "partner"), key("false", "own class"), key("true", "others"))),
        panel("Any batch: is there a false negative?", curve, element("div", { class: "legend" }, key("line", "probability"), key("dash", "expected share"))),
        panel("Loss of the anchor, nats", bars),
      ),
      says,
    );
    root.tabIndex = 0;
    root.setAttribute("role", "group");
    root.setAttribute("data-lm-suppress-shortcuts", "true"); // JupyterLab would take the arrow keys
    root.setAttribute("aria-label", "False negatives: sliders for classes, images and temperature");

    const text = (words, x, y, anchor = "start", name = "") => drawn("text", { x, y, "text-anchor": anchor, class: name }, words);

    function drawBatch(found) {
      const { classes, images } = state;
      const angle = angles(classes, images);
      const size = images > 32 ? 2.5 : images > 8 ? 4 : 5.5;
      const order = [...angle.keys()].filter((v) => v % images).concat([images, 0]); // the anchor last, on top
      circle.replaceChildren(
        drawn("circle", { cx: SIDE / 2, cy: SIDE / 2, r: R, class: "rim" }),
        ...order.map((v) => {
          const k = v % images;
          const name = v === 0 ? "anchor" : v === images ? "partner" : k % classes === 0 ? "false" : "true";
          const far = k % classes === 0 && k ? R - 9 : R; // false negatives a little inside, or they hide each other
          const at = { cx: SIDE / 2 + far * Math.cos(angle[v]), cy: SIDE / 2 - far * Math.sin(angle[v]) };
          return drawn("circle", { ...at, r: v % images ? size : size + 2, class: name });
        }),
        text(`${found.count} of ${2 * images - 2} negatives`, SIDE / 2, SIDE / 2 - 4, "middle"),
        text("are false", SIDE / 2, SIDE / 2 + 14, "middle"),
      );
      circle.setAttribute("aria-label", `A batch of ${images} images on the circle: ${found.count} of ${2 * images - 2} negatives are of the anchor’s class.`);
    }

    function drawCurve() {
      const { classes, images } = state;
      const [left, right, top, bottom] = [46, SIDE - 18, 14, SIDE - 40];
      const x = (n) => left + ((Math.log2(n) - 1) / 9) * (right - left);
      const y = (p) => bottom - p * (bottom - top);
      const steps = Array.from({ length: 91 }, (_, i) => 2 ** (1 + i / 10));
      const line = steps.map((n, i) => `${i ? "L" : "M"}${x(n).toFixed(1)} ${y(chance(classes, n)).toFixed(1)}`).join("");
      curve.replaceChildren(
        ...[0, 0.5, 1].flatMap((p) => [drawn("path", { d: `M${left} ${y(p)}H${right}`, class: "grid" }), text(`${100 * p} %`, left - 4, y(p) + 4, "end", "muted")]),
        ...[2, 8, 32, 128, 1024].map((n) => text(n, x(n), bottom + 16, "middle", "muted")),
        text("images N", (left + right) / 2, bottom + 32, "middle", "muted"),
        drawn("path", { d: `M${left} ${y(1 / classes)}H${right}`, class: "dash" }),
        drawn("path", { d: line, class: "line" }),
        drawn("circle", { cx: x(images), cy: y(chance(classes, images)), r: 5, class: "partner" }),
      );
      curve.setAttribute("aria-label", `Probability of a false negative against N for ${classes} classes: ${percent(chance(classes, images))} at N = ${images}. The expected share is ${percent(1 / classes)} at every N.`);
    }

    function drawBars(found) {
      const rows = [["with all negatives", found.all, "false"], ["without the false ones", found.removed, "true"], ["debiased, prior 1/C", found.debiased, "partner"]];
      const most = Math.max(found.all, found.debiased, 0.1);
      bars.replaceChildren(
        ...rows.flatMap(([words, value, name], k) => {
          const y = 34 + 78 * k;
          return [
            text(words, 6, y),
            drawn("rect", { x: 6, y: y + 8, width: Math.max((value / most) * (SIDE - 66), 0.5), height: 24, class: name }),
            text(show(value), Math.max((value / most) * (SIDE - 66), 0.5) + 12, y + 25),
          ];
        }),
      );
      bars.setAttribute("aria-label", rows.map(([words, value]) => `${words} ${show(value)}`).join(", "));
    }

    function update() {
      const { classes, images, temperature } = state;
      const found = losses(classes, images, temperature);
      drawBatch(found);
      drawCurve();
      drawBars(found);
      says.textContent =
        `Drawn at random, a batch has a false negative for its anchor with probability ${percent(chance(classes, images))}; ` +
        `${show((2 * (images - 1)) / classes)} of ${2 * images - 2} are expected, a share of ${percent(1 / classes)} whatever N is. ` +
        `In the batch shown, ${percent(found.share)} of the push hits the own class. Loss ${show(found.all)}; ` +
        `without the false negatives ${show(found.removed)}; debiased ${show(found.debiased)}` +
        (found.bounded ? ", at its bound: the prior takes off more than there can be." : ".");
    }

    function open() {
      sliders.forEach((s) => s.write());
      update();
    }
    open();
  }

  return { chance, angles, losses, mount };
})();
