// An anchor, a positive and a negative in the plane, under the pairwise loss and under the triplet loss.
// Above the line stand pure functions of numbers, which a test runs against minicl; below it, what draws them.

globalThis.minicl = globalThis.minicl || {};

globalThis.minicl.marginPlane = (() => {
  "use strict";

  const minus = (a, b) => [a[0] - b[0], a[1] - b[1]];
  const plus = (a, b) => [a[0] + b[0], a[1] + b[1]];
  const times = (c, a) => [c * a[0], c * a[1]];
  const size = (a) => Math.hypot(a[0], a[1]);
  const unit = (a) => (size(a) > 0 ? times(1 / size(a), a) : [0, 0]); // a distance of 0 has no direction

  // Both return the value, minus the gradient for each point, and the distance from which the negative is left alone.
  function pairwise(a, p, n, m) {
    const dp = size(minus(a, p));
    const room = Math.max(0, m - size(minus(a, n)));
    const pull = minus(a, p);
    const push = times(room, unit(minus(n, a)));
    return { value: dp * dp / 2 + room * room / 2, forces: [times(-1, plus(pull, push)), pull, push], rest: m };
  }

  function triplet(a, p, n, m) {
    const dp = size(minus(a, p));
    const value = Math.max(0, dp - size(minus(a, n)) + m);
    const active = value > 0 ? 1 : 0;
    const pull = times(active, unit(minus(a, p)));
    const push = times(active, unit(minus(n, a)));
    return { value, forces: [times(-1, plus(pull, push)), pull, push], rest: dp + m };
  }

  // A point moved along its ray from the anchor at (0, 0).
  const further = (x, by) => (size(x) + by > 0 && size(x) > 0 ? times((size(x) + by) / size(x), x) : x);

  // ------------------------------------------------------------------------------------------------------------- drawing

  const SVG = "http://www.w3.org/2000/svg";
  const PIXELS = 320; // of the side of a plane
  const ARROW = 0.6; // length for a force of 1

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
  const show = (x) => (Math.abs(x) < 0.005 ? "0" : x.toFixed(2)).replace("-", "−");

  const KINDS = {
    pairwise: {
      title: "Pairwise: an absolute margin",
      law: "½ d_p² + ½ max(0, m − d_n)²",
      sum: (dp, dn, m) => `${show(dp * dp / 2)} + ${show(Math.max(0, m - dn) ** 2 / 2)}`,
      rests: (dn, rest) => `d_n is at least m = ${show(rest)}`,
    },
    triplet: {
      title: "Triplet: a relative margin",
      law: "max(0, d_p − d_n + m)",
      sum: (dp, dn, m) => `max(0, ${show(dp)} − ${show(dn)} + ${show(m)})`,
      rests: (dn, rest) => `d_n is at least d_p + m = ${show(rest)}`,
    },
  };
  const LOSS = { pairwise, triplet };

  function mount(root, data) {
    const { reach } = data;
    const points = { positive: [...data.positive], negative: [...data.negative] };
    let margin = data.margin;
    const scale = PIXELS / (2 * reach);
    const at = ([x, y]) => [PIXELS / 2 + scale * x, PIXELS / 2 - scale * y];
    const inside = (x) => Math.min(reach, Math.max(-reach, x));

    function move(name, point) {
      points[name] = point.map((x) => inside(Math.round(x * 100) / 100));
      update();
    }

    // One plane with its loss. The two planes show the same points.
    function panel(kind) {
      const zone = drawn("circle", { cx: PIXELS / 2, cy: PIXELS / 2, class: "zone" });
      const arrows = ["anchor", "positive", "negative"].map((name) =>
        drawn("g", { class: `arrow ${name}` }, drawn("line", {}), drawn("path", { d: "M0 0l-9 -5v10z" })),
      );
      const handles = ["positive", "negative"].map((name) => {
        const handle = drawn(
          "g",
          { class: `handle ${name}`, role: "slider", tabindex: 0, "aria-valuemin": 0, "aria-valuemax": show(reach * Math.SQRT2) },
          drawn("circle", { r: 22, class: "reach" }),
          drawn("circle", { r: 11 }),
          drawn("text", { y: 4.5, "text-anchor": "middle" }, name[0]),
        );
        handle.addEventListener("pointerdown", (event) => {
          handle.setPointerCapture(event.pointerId);
          handle.focus();
          event.preventDefault();
        });
        handle.addEventListener("pointermove", (event) => {
          if (!handle.hasPointerCapture(event.pointerId)) return;
          const box = picture.getBoundingClientRect();
          const place = (pixel, start, width) => ((pixel - start) / width) * 2 * reach - reach;
          move(name, [place(event.clientX, box.left, box.width), -place(event.clientY, box.top, box.height)]);
        });
        handle.addEventListener("keydown", (event) => {
          const step = event.shiftKey ? 0.5 : 0.1;
          const by = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] }[event.key];
          if (!by || event.ctrlKey || event.metaKey || event.altKey) return;
          event.preventDefault();
          event.stopPropagation(); // a notebook would move to another cell
          move(name, plus(points[name], by));
        });
        return handle;
      });
      const middle = drawn(
        "g",
        { class: "anchor", transform: `translate(${PIXELS / 2} ${PIXELS / 2})` },
        drawn("circle", { r: 11 }),
        drawn("text", { y: 4.5, "text-anchor": "middle" }, "a"),
      );
      const title = element("div", { class: "head" }, KINDS[kind].title);
      const picture = drawn(
        "svg",
        { viewBox: `0 0 ${PIXELS} ${PIXELS}`, role: "group" },
        drawn("rect", { width: PIXELS, height: PIXELS, class: "rest" }),
        zone,
        ...arrows,
        middle,
        ...handles,
      );
      const value = element("p", { class: "value" });
      const says = element("p", { class: "says", "aria-live": "polite" });

      function update() {
        const { positive: p, negative: n } = points;
        const found = LOSS[kind]([0, 0], p, n, margin);
        const dp = size(p);
        const dn = size(n);
        zone.setAttribute("r", scale * found.rest);
        [[0, 0], p, n].forEach((point, k) => {
          const [x, y] = at(point);
          const [fx, fy] = times(scale * ARROW, found.forces[k]);
          const line = arrows[k].firstChild;
          const tip = arrows[k].lastChild;
          const length = Math.hypot(fx, fy);
          arrows[k].setAttribute("visibility", length > 1 ? "visible" : "hidden");
          const start = 11; // from the rim of the point on
          const [ux, uy] = length ? [fx / length, fy / length] : [0, 0];
          const end = [x + ux * start + fx, y - uy * start - fy];
          line.setAttribute("x1", x + ux * start);
          line.setAttribute("y1", y - uy * start);
          line.setAttribute("x2", end[0] - ux * 6);
          line.setAttribute("y2", end[1] + uy * 6);
          tip.setAttribute("transform", `translate(${end[0]} ${end[1]}) rotate(${(Math.atan2(-uy, ux) * 180) / Math.PI})`);
        });
        handles.forEach((handle, k) => {
          const name = ["positive", "negative"][k];
          const [x, y] = at(points[name]);
          const far = size(points[name]);
          handle.setAttribute("transform", `translate(${x} ${y})`);
          handle.setAttribute("aria-label", `${name}: arrow keys move it`);
          handle.setAttribute("aria-valuenow", far.toFixed(2));
          handle.setAttribute(
            "aria-valuetext",
            `at ${show(points[name][0])}, ${show(points[name][1])}, distance ${show(far)} from the anchor`,
          );
        });
        const push = size(found.forces[2]);
        value.textContent = `${KINDS[kind].law} = ${KINDS[kind].sum(dp, dn, margin)} = ${show(found.value)}`;
        const rests = dn >= found.rest ? `The negative rests: ${KINDS[kind].rests(dn, found.rest)}.` : "";
        const pushed = `The negative is pushed with force ${show(push)}.`;
        const pull = size(found.forces[1]);
        says.textContent = `${rests || pushed} ${pull ? `The positive is pulled with force ${show(pull)}.` : "The positive rests."}`;
        picture.setAttribute(
          "aria-label",
          `Plane of the ${kind} loss. Anchor in the middle; positive at distance ${show(dp)}; negative at distance ` +
            `${show(dn)}; a negative beyond ${show(found.rest)} feels no force. Loss ${show(found.value)}.`,
        );
      }
      return { root: element("div", { class: "panel" }, title, picture, value, says), update };
    }

    const panels = [panel("pairwise"), panel("triplet")];
    const shown = element("output", {});
    const slider = element("input", { type: "range", min: 0, max: 3, step: 0.05, value: margin, "aria-label": "margin m" });
    slider.addEventListener("input", () => {
      margin = Number(slider.value);
      update();
    });
    // Both distances grow by the same amount, unless one of the points would leave the plane or reach the anchor.
    function both(by) {
      const moved = Object.entries(points).map(([name, x]) => [name, further(x, by)]);
      const fits = moved.every(([name, x]) => x.every((v) => Math.abs(v) <= reach) && size(points[name]) + by > 0.05);
      if (fits) for (const [name, x] of moved) points[name] = x;
      update();
    }
    const distances = element("p", { class: "distances" });
    function update() {
      shown.textContent = show(margin);
      distances.textContent = `d_p = ${show(size(points.positive))}, d_n = ${show(size(points.negative))}`;
      panels.forEach((p) => p.update());
    }
    root.replaceChildren(
      element(
        "div",
        { class: "bar" },
        element("label", {}, "margin m = ", shown, slider),
        element("button", { type: "button", onclick: () => both(-0.5) }, "Both ½ nearer"),
        element("button", { type: "button", onclick: () => both(0.5) }, "Both ½ further"),
        distances,
      ),
      element("div", { class: "planes" }, ...panels.map((p) => p.root)),
      element(
        "p",
        { class: "note" },
        "Drag p or n, or give one the focus and use the arrow keys. Inside the coloured disc a negative is pushed; outside " +
          "it is the dead zone. Arrows: minus the gradient.",
      ),
    );
    root.classList.replace("minicl-plane", "minicl-margins"); // another widget is a plane too
    root.tabIndex = -1;
    root.setAttribute("role", "group");
    root.setAttribute("data-lm-suppress-shortcuts", "true"); // JupyterLab would take the arrow keys
    root.setAttribute("aria-label", "Pairwise and triplet loss of three points in the plane");
    update();
  }

  return { pairwise, triplet, further, mount };
})();
