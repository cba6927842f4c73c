// Pairs of views on a circle: the loss of each, whom it takes for its partner, and the force that turns it.
// Above the line stand pure functions of numbers, which a test runs against minicl; below it, what draws them.

globalThis.minicl = globalThis.minicl || {};

globalThis.minicl.circleForces = (() => {
  "use strict";

  // Angles of all first views, then of all second views. Forces are −∂L/∂angle: positive is against the clock.
  function solve(angles, temperature) {
    const n = angles.length;
    const partner = angles.map((_, i) => (i + n / 2) % n);
    const cosines = angles.map((a) => angles.map((b) => Math.cos(a - b)));
    const losses = [];
    const probabilities = cosines.map((row, i) => {
      const logits = row.map((s, k) => (k === i ? -Infinity : s / temperature));
      const top = Math.max(...logits);
      const e = logits.map((x) => Math.exp(x - top)); // the largest is exp(0): nothing overflows
      const sum = e.reduce((a, b) => a + b);
      losses.push(Math.log(sum) + top - logits[partner[i]]);
      return e.map((x) => x / sum);
    });
    // G = (P − Y)/(2Nτ); candidate k turns anchor i by G_ik sin(θ_i − θ_k), and view i as k's candidate by G_ki sin(...).
    const g = (i, k) => (i === k ? 0 : (probabilities[i][k] - (partner[i] === k ? 1 : 0)) / (n * temperature));
    const turn = (weight) => angles.map((a, i) => angles.map((b, k) => weight(i, k) * Math.sin(a - b)));
    const pushes = turn(g);
    const total = (rows) => rows.map((row) => row.reduce((a, b) => a + b));
    const asAnchor = total(pushes);
    const asCandidate = total(turn((i, k) => g(k, i)));
    return {
      cosines,
      probabilities,
      losses,
      loss: losses.reduce((a, b) => a + b) / n,
      pushes,
      asAnchor,
      asCandidate,
      forces: asAnchor.map((f, i) => f + asCandidate[i]),
    };
  }

  // One step downhill. Forces are at most about 1/(Nτ), so the step is taken in that unit.
  const step = (angles, temperature, size = 0.15) => {
    const { forces } = solve(angles, temperature);
    return angles.map((a, i) => a + size * angles.length * temperature * forces[i]);
  };

  // What the best batch in the plane costs: pairs aligned on a regular polygon.
  function floor(images, temperature) {
    let sum = 0;
    for (let m = 1; m < images; m++) sum += Math.exp((Math.cos((2 * Math.PI * m) / images) - 1) / temperature);
    return Math.log1p(2 * sum);
  }

  // --------------------------------------------------------------------------------------------------------------- page

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
  const show = (x, digits = 2) => (Math.abs(x) < 0.5 * 10 ** -digits ? 0 : x).toFixed(digits).replace("-", "−");
  const signed = (x, digits = 2) => (x >= 0.5 * 10 ** -digits ? "+" : "") + show(x, digits);

  function mount(root, data) {
    const { size, radius } = data;
    const middle = size / 2;
    let angles, temperature, anchor, names, dots;

    const place = (a, r = radius) => [middle + r * Math.cos(a), middle - r * Math.sin(a)];
    const picture = drawn("svg", { viewBox: `0 0 ${size} ${size}`, role: "group", "aria-label": "Views on a circle" });
    const links = drawn("g", {});
    const says = element("p", { "aria-live": "polite", class: "says" });
    const totals = element("p", { class: "totals" });
    const table = element("table");
    const tau = element("input", { type: "range", min: Math.log(0.05), max: Math.log(5), step: 0.01, "aria-label": "temperature τ" });
    const shown = element("output");
    const choice = element(
      "select",
      { onchange: () => open(data.examples[choice.selectedIndex].angles) },
      ...data.examples.map((e) => element("option", {}, e.title)),
    );
    const go = (count) => {
      for (let k = 0; k < count; k++) angles = step(angles, temperature);
      update();
    };

    function dot(i) {
      const image = i % (angles.length / 2);
      const arrow = drawn("path", { class: "force" });
      const tip = drawn("path", { class: "tip" });
      const ball = drawn("g", { class: "ball", tabindex: 0, role: "slider", "aria-valuemin": 0, "aria-valuemax": 360 },
        drawn("circle", { r: 20, class: "halo" }),
        drawn("circle", { r: 14, class: "disc", style: `--own:${data.colors[image]}` }),
        drawn("text", { y: 5 }, names[i]));
      ball.setAttribute("aria-label", `view ${i < angles.length / 2 ? 1 : 2} of image ${image + 1}`);
      const move = (event) => {
        const box = picture.getBoundingClientRect();
        const [x, y] = [event.clientX - box.left - box.width / 2, event.clientY - box.top - box.height / 2];
        if (Math.hypot(x, y) > 4) angles[i] = Math.atan2(-y, x);
        update();
      };
      ball.addEventListener("pointerdown", (event) => {
        ball.setPointerCapture(event.pointerId);
        ball.focus();
        event.preventDefault();
      });
      ball.addEventListener("pointermove", (event) => ball.hasPointerCapture(event.pointerId) && move(event));
      ball.addEventListener("focus", () => { anchor = i; update(); });
      ball.addEventListener("keydown", (event) => {
        const by = { ArrowLeft: 3, ArrowUp: 3, ArrowRight: -3, ArrowDown: -3, PageUp: 30, PageDown: -30 }[event.key];
        if (by === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
        event.preventDefault();
        event.stopPropagation(); // a notebook would move to another cell
        angles[i] += (by * Math.PI) / 180;
        update();
      });
      return { ball, arrow, tip };
    }

    function open(start) {
      angles = [...start];
      anchor = 0;
      const half = angles.length / 2;
      names = angles.map((_, i) => `${(i % half) + 1}${i < half ? "" : "′"}`);
      dots = angles.map((_, i) => dot(i));
      picture.replaceChildren(
        drawn("circle", { cx: middle, cy: middle, r: radius, class: "circle" }),
        links,
        ...dots.map((d) => d.arrow),
        ...dots.map((d) => d.tip),
        ...dots.map((d) => d.ball),
      );
      update();
    }

    function update() {
      const found = solve(angles, temperature);
      const n = angles.length;
      const partner = (anchor + n / 2) % n;
      const chord = (k) => {
        const [[x0, y0], [x1, y1]] = [place(angles[anchor]), place(angles[k])];
        const width = 1 + 13 * found.probabilities[anchor][k];
        return drawn("path", { d: `M${x0} ${y0}L${x1} ${y1}`, class: k === partner ? "link right" : "link", "stroke-width": width });
      };
      links.replaceChildren(...angles.map((_, k) => k).filter((k) => k !== anchor).map(chord));
      dots.forEach(({ ball, arrow, tip }, i) => {
        const [x, y] = place(angles[i]);
        const force = found.forces[i];
        const wanted = data.arrow * force * n * temperature;
        const length = Math.sign(wanted) * Math.min(Math.abs(wanted), data.longest);
        const [dx, dy] = [-Math.sin(angles[i]) * Math.sign(length), -Math.cos(angles[i]) * Math.sign(length)];
        const [ex, ey] = [x + dx * Math.abs(length), y + dy * Math.abs(length)];
        ball.setAttribute("transform", `translate(${x} ${y})`);
        ball.classList.toggle("anchor", i === anchor);
        arrow.setAttribute("d", `M${x} ${y}L${ex} ${ey}`);
        tip.setAttribute("d", `M${ex + 9 * dx} ${ey + 9 * dy}L${ex - 5 * dy} ${ey + 5 * dx}L${ex + 5 * dy} ${ey - 5 * dx}Z`);
        tip.setAttribute("visibility", Math.abs(length) < 1.5 ? "hidden" : "visible");
        const degrees = Math.round((((angles[i] * 180) / Math.PI) % 360 + 360) % 360);
        ball.setAttribute("aria-valuenow", degrees);
        ball.setAttribute("aria-valuetext", `${degrees}°, loss ${show(found.losses[i])}, force ${signed(force)}`);
      });
      const name = names[anchor];
      const found_ = show(found.probabilities[anchor][partner]);
      says.textContent =
        `Anchor ${name}: it picks its partner ${names[partner]} with probability ${found_}, so ℓ = ${show(found.losses[anchor], 3)}. ` +
        `Force: ${signed(found.asAnchor[anchor])} as an anchor, ${signed(found.asCandidate[anchor])} as a candidate of the others, ` +
        `${signed(found.forces[anchor])} together.`;
      totals.textContent =
        `Mean loss L = ${show(found.loss, 3)}. At collapse ${show(Math.log(n - 1), 3)}; ` +
        `at best, on a regular polygon, ${show(floor(n / 2, temperature), 3)}.`;
      shown.textContent = show(temperature);
      const row = (k) => {
        const p = found.probabilities[anchor][k];
        const bar = element("span", { class: k === partner ? "bar-of right" : "bar-of", style: `width:${(60 * p).toFixed(1)}px` });
        const cells = [show(found.cosines[anchor][k]), show(p), signed(found.pushes[anchor][k])].map((c) => element("td", {}, c));
        return element("tr", {}, element("th", { scope: "row" }, names[k], k === partner ? " partner" : ""), ...cells, element("td", { class: "bars" }, bar));
      };
      const head = ["candidate", "cosine", "P", "turns it by"].map((t) => element("th", { scope: "col" }, t));
      table.replaceChildren(element("tr", {}, ...head), ...angles.map((_, k) => k).filter((k) => k !== anchor).map(row));
    }

    tau.value = Math.log(data.temperature);
    temperature = data.temperature;
    tau.addEventListener("input", () => {
      temperature = Math.exp(Number(tau.value));
      update();
    });
    const button = (text, click) => element("button", { type: "button", onclick: click }, text);
    root.replaceChildren(
      element(
        "div",
        { class: "bar" },
        ...(data.examples.length > 1 ? [element("label", {}, "Batch ", choice)] : []),
        button("Again", () => open(data.examples[Math.max(choice.selectedIndex, 0)].angles)),
        button("1 step", () => go(1)),
        button("50 steps", () => go(50)),
        element("label", {}, "τ = ", shown, tau),
      ),
      element("div", { class: "both" }, picture, element("div", { class: "side" }, says, table, totals)),
      element("p", { class: "note" }, "Drag a view, or choose it with Tab and turn it with the arrow keys. Arrows: the forces (positive is against the clock). Lines: whom the chosen anchor picks, as thick as P."),
    );
    root.tabIndex = -1;
    root.setAttribute("role", "group");
    root.setAttribute("data-lm-suppress-shortcuts", "true"); // JupyterLab would take the arrow keys
    root.setAttribute("aria-label", "Forces of NT-Xent on a circle");
    open(data.examples[0].angles);
  }

  return { solve, step, floor, mount };
})();
