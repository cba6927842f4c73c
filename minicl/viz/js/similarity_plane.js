// Two vectors in a plane: u stays, v is moved, and three measures say how similar they are.
// Above the line stand pure functions of numbers, which a test runs against minicl; below it, what draws them.

globalThis.minicl = globalThis.minicl || {};

globalThis.minicl.similarityPlane = (() => {
  "use strict";

  const dot = (a, b) => a[0] * b[0] + a[1] * b[1];
  const scaled = (a, c) => [a[0] * c, a[1] * c];
  const plus = (a, b, c = 1) => [a[0] + c * b[0], a[1] + c * b[1]];
  const size = (a) => Math.hypot(a[0], a[1]);
  const unit = (a) => (size(a) > 0 ? [a[0] / size(a), a[1] / size(a)] : [0, 0]);

  // Value, and gradient in v. Where none exists (distance at v = u, cosine at v = 0) it is 0, as in minicl.
  function measures(u, v) {
    const difference = plus(v, u, -1);
    const cosine = dot(unit(u), unit(v));
    const across = plus(unit(u), unit(v), -cosine);
    return {
      inner: { value: dot(u, v), gradient: [...u] },
      distance: { value: size(difference), gradient: unit(difference) },
      cosine: { value: cosine, gradient: size(v) > 0 ? scaled(across, 1 / size(v)) : [0, 0] },
    };
  }

  // Angle from u to v in degrees, from -180 to 180, and the way back.
  const angle = (u, v) => (Math.atan2(u[0] * v[1] - u[1] * v[0], dot(u, v)) * 180) / Math.PI;
  function turned(u, degrees, length) {
    const [c, s] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
    const [x, y] = unit(u);
    return [length * (c * x - s * y), length * (s * x + c * y)];
  }

  // What is worth saying about this place, the rarest first.
  function remark(u, v) {
    const { inner, distance, cosine } = measures(u, v);
    const most = dot(u, u);
    if (size(v) === 0) return "v is zero: it has no direction, so the cosine is set to 0, and its gradient too.";
    if (distance.value < 1e-9) {
      return "v = u: distance 0 and cosine 1. The distance has a kink here: no gradient exists, 0 is taken.";
    }
    if (cosine.value > 1 - 1e-9) {
      return inner.value > most
        ? "Same direction as u, but longer: the cosine is 1 as before, the inner product larger than u with itself!"
        : "Same direction as u, but shorter: the cosine is 1 all the same, the inner product is smaller.";
    }
    if (cosine.value < -1 + 1e-9) {
      return "Opposite direction: the cosine is −1, and its gradient is 0: it does not know which way to turn.";
    }
    if (inner.value > most) {
      return "u · v is larger than u · u: by the inner product, v is more similar to u than u is.";
    }
    if (size(v) < 0.5) return "v is short: the cosine's arrow is long, since a small step turns a short vector far.";
    if (Math.abs(cosine.value) < 0.02) return "About a right angle: inner product and cosine are near 0.";
    return "The cosine's arrow is at right angles to v: it turns v and leaves its length alone.";
  }

  // -------------------------------------------------------------------------------------------------------------- page

  const SVG = "http://www.w3.org/2000/svg";
  function element(tag, { svg, ...attributes } = {}, ...children) {
    const e = svg ? document.createElementNS(SVG, tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) e.addEventListener(name.slice(2), value);
      else e.setAttribute(name, value);
    }
    e.append(...children);
    return e;
  }
  const drawn = (tag, attributes, ...children) => element(tag, { svg: true, ...attributes }, ...children);
  const show = (x) => (Math.abs(x) < 0.005 ? 0 : x).toFixed(2).replace("-", "−");
  const pair = (a) => `(${show(a[0])}, ${show(a[1])})`;

  const ROWS = [
    ["inner", "inner product", "u · v"],
    ["distance", "distance", "‖u − v‖"],
    ["cosine", "cosine", "cos(u, v)"],
  ];

  function mount(root, { u, v, reach, size: side, arrow, longest }) {
    const scale = side / 2 / reach;
    const place = ([x, y]) => [side / 2 + scale * x, side / 2 - scale * y];
    const limited = (x) => Math.max(-reach, Math.min(reach, x));
    const farthest = (a) => Math.max(Math.abs(a[0]), Math.abs(a[1]));
    const within = (a) => scaled(a, Math.min(1, reach / (farthest(a) || 1))); // keeps the angle

    const curves = {
      inner: drawn("path", { class: "level inner" }),
      distance: drawn("path", { class: "level distance" }),
      cosine: drawn("path", { class: "level cosine" }),
    };
    const line = (name) => [drawn("path", { class: `line ${name}` }), drawn("path", { class: `tip ${name}` })];
    const arrows = { u: line("of-u"), v: line("of-v") };
    for (const [name] of ROWS) arrows[name] = line(name);
    const letters = { u: drawn("text", {}, "u"), v: drawn("text", {}, "v") };
    const knob = drawn("circle", { r: 9, class: "knob" });
    const handle = drawn("circle", { r: 22, class: "handle" });
    const ticks = [];
    for (let k = Math.ceil(-reach); k <= reach; k++) {
      ticks.push(`M${place([k, -reach]).join(" ")}v${-side}M${place([-reach, k]).join(" ")}h${side}`);
    }
    const [x0, y0] = place([0, 0]);
    const picture = drawn(
      "svg",
      { viewBox: `0 0 ${side} ${side}`, role: "img" },
      drawn("path", { class: "grid", d: ticks.join("") }),
      drawn("path", { class: "axis", d: `M0 ${y0}H${side}M${x0} 0V${side}` }),
      ...Object.values(curves),
      ...Object.values(arrows).flat(),
      ...Object.values(letters),
      knob,
      handle,
    );

    function draw(name, from, to) {
      const [[a, b], [c, d]] = [place(from), place(to)];
      const [e, f] = unit([c - a, d - b]);
      const [path, tip] = arrows[name];
      const seen = Math.hypot(c - a, d - b) > 1;
      path.setAttribute("d", seen ? `M${a} ${b}L${c - 6 * e} ${d - 6 * f}` : "");
      const corners = [5, -5].map((w) => `L${c - 10 * e + w * f} ${d - 10 * f - w * e}`);
      tip.setAttribute("d", seen ? `M${c} ${d}${corners.join("")}Z` : "");
    }

    function levels(found) {
      const far = 3 * reach;
      const [ux, uy] = unit(u);
      const segment = (from, to) => `M${place(from).join(" ")}L${place(to).join(" ")}`;
      curves.inner.setAttribute("d", segment(plus(v, [-uy, ux], -far), plus(v, [-uy, ux], far)));
      const r = scale * found.distance.value;
      const [cx, cy] = place(u);
      const circle = `M${cx - r} ${cy}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`;
      curves.distance.setAttribute("d", r > 0 ? circle : "");
      const rays = [1, -1].map((side_) => segment([0, 0], turned(u, side_ * angle(u, v), far)));
      curves.cosine.setAttribute("d", size(v) > 0 ? rays.join("") : "");
    }

    // In words: sliders, buttons, table, remark.
    const slider = (min, max, step, changed) =>
      element("input", { type: "range", min, max, step, oninput: (event) => changed(Number(event.target.value)) });
    const turns = slider(-180, 180, 1, (degrees) => move(within(turned(u, degrees, size(v) || 1))));
    const direction = () => (size(v) ? angle(u, v) : Number(turns.value));
    const lengthens = slider(0, reach, reach / 60, (length) => move(within(turned(u, direction(), length))));
    const angleShown = element("output");
    const lengthShown = element("output");
    const go = (text, to) => element("button", { type: "button", onclick: () => move(within(to())) }, text);
    const cells = Object.fromEntries(ROWS.map(([name]) => [name, [0, 1, 2].map(() => element("td"))]));
    const titles = ["", "value", "gradient", "its length"].map((title) => element("th", { scope: "col" }, title));
    const head = element("tr", {}, ...titles);
    const row = ([name, title, formula]) =>
      element(
        "tr",
        {},
        element("th", { scope: "row", class: name }, title, element("small", {}, formula)),
        ...cells[name],
      );
    const table = element("table", {}, head, ...ROWS.map(row));
    const says = element("p", { class: "says", "aria-live": "polite" });

    function move(to) {
      v = to.map((x) => limited(Math.abs(x) < 1e-12 ? 0 : x));
      update();
    }

    function update() {
      const found = measures(u, v);
      levels(found);
      draw("u", [0, 0], u);
      draw("v", [0, 0], v);
      for (const [name] of ROWS) {
        const { value, gradient } = found[name];
        const step = scaled(gradient, name === "distance" ? -arrow : arrow);
        draw(name, v, plus(v, scaled(step, Math.min(1, longest / (size(step) || 1)))));
        [show(value), pair(gradient), show(size(gradient))].forEach((text, k) => (cells[name][k].textContent = text));
      }
      for (const [name, end] of [["u", u], ["v", v]]) {
        const [x, y] = place(plus(end, unit(end), -22 / scale));
        const [ex, ey] = unit(end);
        letters[name].setAttribute("x", x - 13 * ey);
        letters[name].setAttribute("y", y - 13 * ex + 5);
      }
      for (const circle of [knob, handle]) {
        const [x, y] = place(v);
        circle.setAttribute("cx", x);
        circle.setAttribute("cy", y);
      }
      if (size(v)) turns.value = angle(u, v);
      lengthens.value = size(v);
      angleShown.textContent = size(v) ? `${Math.round(angle(u, v))}°`.replace("-", "−") : "none";
      lengthShown.textContent = show(size(v));
      says.textContent = remark(u, v);
      const inWords = ROWS.map(([name, title]) => {
        const { value, gradient } = found[name];
        return `${title} ${show(value)}, gradient ${pair(gradient)}`;
      });
      picture.setAttribute("aria-label", `u = ${pair(u)}, v = ${pair(v)}. ${inWords.join("; ")}.`);
    }

    function pointed(event) {
      const box = picture.getBoundingClientRect();
      const [x, y] = [event.clientX - box.left, event.clientY - box.top].map((p) => ((2 * p) / box.width - 1) * reach);
      move([x, -y]);
    }
    let held = false;
    picture.addEventListener("pointerdown", (event) => {
      held = true;
      if (event.isTrusted) picture.setPointerCapture(event.pointerId);
      pointed(event);
    });
    picture.addEventListener("pointermove", (event) => held && pointed(event));
    for (const end of ["pointerup", "pointercancel"]) picture.addEventListener(end, () => (held = false));

    root.replaceChildren(
      element("div", { class: "both" }, picture, element("div", { class: "side" },
        element("label", {}, "angle to u ", angleShown, turns),
        element("label", {}, "length of v ", lengthShown, lengthens),
        element(
          "div",
          { class: "bar" },
          go("v = u", () => [...u]),
          go("v = 1.5 u", () => scaled(u, 1.5)),
          go("v = −u", () => scaled(u, -1)),
          go("v = 0", () => [0, 0]),
        ),
        table,
        says,
        element(
          "p",
          { class: "note" },
          "Arrows at v: the step that makes v more similar to u the fastest (for the distance, against its gradient). ",
          "Thin lines: where the measure does not change.",
        ),
      )),
    );
    root.tabIndex = 0;
    root.setAttribute("role", "group");
    root.setAttribute("data-lm-suppress-shortcuts", "true"); // JupyterLab would take the arrow keys
    root.setAttribute("aria-label", "Vectors u and v: the arrow keys move v, as do sliders for its angle and length");
    root.addEventListener("keydown", (event) => {
      if (event.target.tagName === "INPUT" || event.ctrlKey || event.metaKey || event.altKey) return;
      const by = (event.shiftKey ? 0.5 : 0.1) * (reach / 3);
      const step = { ArrowRight: [by, 0], ArrowLeft: [-by, 0], ArrowUp: [0, by], ArrowDown: [0, -by] }[event.key];
      if (!step) return;
      event.preventDefault();
      event.stopPropagation(); // a notebook would move to another cell
      move(plus(v, step));
    });
    update();
  }

  return { measures, angle, turned, remark, mount };
})();
