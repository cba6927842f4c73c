// Two engines walk back through one scalar graph, one message at a time: youngest first, and recursively without an order.
// Above the line stand pure functions of numbers, which a test runs against minicl; below it, what draws them.

globalThis.minicl = globalThis.minicl || {};

globalThis.minicl.backwardStepper = (() => {
  "use strict";

  // Each operation: its value, its local derivatives, and those derivatives in words (y and the arguments are names).
  const OPS = {
    add: { value: (a, b) => a + b, slopes: () => [1, 1], words: () => ["1", "1"] },
    subtract: { value: (a, b) => a - b, slopes: () => [1, -1], words: () => ["1", "−1"] },
    multiply: { value: (a, b) => a * b, slopes: (y, a, b) => [b, a], words: (y, a, b) => [b, a] },
    divide: {
      value: (a, b) => a / b,
      slopes: (y, a, b) => [1 / b, -y / b],
      words: (y, a, b) => [`1 / ${b}`, `−${y} / ${b}`],
    },
    power: {
      value: (a, b) => a ** b,
      slopes: (y, a, b) => [b * a ** (b - 1), y * Math.log(a)],
      words: (y, a, b) => [b === "2" ? `2 ${a}` : `${b} ${a}^(${b} − 1)`, `${y} log ${a}`],
    },
    negative: { value: (a) => -a, slopes: () => [-1], words: () => ["−1"] },
    square: { value: (a) => a * a, slopes: (y, a) => [2 * a], words: (y, a) => [`2 ${a}`] },
    sqrt: { value: (a) => Math.sqrt(a), slopes: (y) => [0.5 / y], words: (y) => [`1 / (2 ${y})`] },
    exp: { value: (a) => Math.exp(a), slopes: (y) => [y], words: (y) => [y] },
    log: { value: (a) => Math.log(a), slopes: (y, a) => [1 / a], words: (y, a) => [`1 / ${a}`] },
    sin: { value: (a) => Math.sin(a), slopes: (y, a) => [Math.cos(a)], words: (y, a) => [`cos ${a}`] },
    cos: { value: (a) => Math.cos(a), slopes: (y, a) => [-Math.sin(a)], words: (y, a) => [`−sin ${a}`] },
    tanh: { value: (a) => Math.tanh(a), slopes: (y) => [1 - y * y], words: (y) => [`1 − ${y}²`] },
    sigmoid: {
      value: (a) => 1 / (1 + Math.exp(-a)),
      slopes: (y) => [y * (1 - y)],
      words: (y) => [`${y} (1 − ${y})`],
    },
    relu: {
      value: (a) => Math.max(a, 0),
      slopes: (y, a) => [a > 0 ? 1 : 0],
      words: (y, a) => [`1 if ${a} > 0 else 0`],
    },
  };

  // A graph is a list of nodes, oldest first. A node without op is a leaf. An argument is the place of an older node, or
  // {constant: number}.
  const isNode = (arg) => typeof arg === "number";
  const take = (list, arg) => (isNode(arg) ? list[arg] : arg.constant);

  function forward(nodes, leaves) {
    const values = [];
    let leaf = 0;
    for (const { op, args } of nodes) {
      values.push(op ? OPS[op].value(...args.map((a) => take(values, a))) : leaves[leaf++]);
    }
    return values;
  }

  const localSlopes = (nodes, values, k) =>
    OPS[nodes[k].op].slopes(values[k], ...nodes[k].args.map((a) => take(values, a)));

  // Send what node `from` has received on to each of its arguments, and note each message.
  function send(nodes, values, gradients, from, visit, messages) {
    if (!nodes[from].op) return;
    const slopes = localSlopes(nodes, values, from);
    nodes[from].args.forEach((to, slot) => {
      if (!isNode(to)) return;
      const amount = gradients[from] * slopes[slot];
      messages.push({ from, to, slot, visit, given: gradients[from], slope: slopes[slot], amount, before: gradients[to] });
      gradients[to] += amount;
    });
  }

  function begin(nodes) {
    const gradients = nodes.map(() => 0);
    gradients[nodes.length - 1] = 1;
    return { gradients, messages: [], visits: [] };
  }

  // Right: youngest first. When a node's turn comes, all that use it are younger, so they have all sent.
  function inOrder(nodes, values) {
    const run = begin(nodes);
    for (let k = nodes.length - 1; k >= 0; k--) {
      if (!nodes[k].op) continue;
      run.visits.push(k);
      send(nodes, values, run.gradients, k, run.visits.length, run.messages);
    }
    return run;
  }

  // Wrong: after sending, go down into each argument at once. An argument that is used twice is visited twice, and the
  // second visit sends once more what the first has sent already.
  function recursive(nodes, values) {
    const run = begin(nodes);
    const visit = (k) => {
      if (!nodes[k].op) return;
      run.visits.push(k);
      send(nodes, values, run.gradients, k, run.visits.length, run.messages);
      nodes[k].args.filter(isNode).forEach(visit);
    };
    visit(nodes.length - 1);
    return run;
  }

  // The judge that knows no calculus: wiggle each leaf and look at the output.
  function measured(nodes, leaves, h = 1e-5) {
    const output = (x) => forward(nodes, x)[nodes.length - 1];
    return leaves.map((_, i) => {
      const moved = (d) => output(leaves.map((x, j) => (j === i ? x + d : x)));
      return (moved(h) - moved(-h)) / (2 * h);
    });
  }

  function solve(nodes, leaves) {
    const values = forward(nodes, leaves);
    return {
      values,
      inOrder: inOrder(nodes, values),
      recursive: recursive(nodes, values),
      measured: measured(nodes, leaves),
    };
  }

  // Whether node k has a gradient after `step` steps.
  const reached = (run, step, count, k) =>
    (step > 0 && k === count - 1) || run.messages.slice(0, Math.max(step - 1, 0)).some((m) => m.to === k);

  const wrong = (gradient, right) => Math.abs(gradient - right) > 1e-9 * Math.max(1, Math.abs(right));

  // A difference quotient is good to some six digits, no more.
  const rounded = (slope) => Number(slope.toFixed(6));

  // The gradients after `step` steps: step 0 is before the start, step 1 gives the output its 1, each further one is a message.
  function after(run, step, count) {
    const gradients = Array(count).fill(0);
    if (step > 0) gradients[count - 1] = 1;
    run.messages.slice(0, Math.max(step - 1, 0)).forEach((m) => (gradients[m.to] += m.amount));
    return gradients;
  }

  // ------------------------------------------------------------------------------------------------------------- drawing

  const SVG = "http://www.w3.org/2000/svg";

  function element(tag, attributes = {}, ...children) {
    const e = attributes.svg ? document.createElementNS(SVG, tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) e.addEventListener(name.slice(2), value);
      else if (name !== "svg" && value !== false) e.setAttribute(name, value === true ? "" : value);
    }
    e.append(...children);
    return e;
  }
  const drawn = (tag, attributes, ...children) => element(tag, { svg: true, ...attributes }, ...children);

  function show(x) {
    if (!Number.isFinite(x)) return String(x).replace("-", "−");
    return String(Number(x.toPrecision(4))).replace("-", "−").replace("e+", "e");
  }
  const sum = (a, b) => `${show(a)} ${b < 0 ? "−" : "+"} ${show(Math.abs(b))} = ${show(a + b)}`;

  // What the message says, in one or two sentences.
  function explain(nodes, run, step, ordered) {
    const name = (arg) => (isNode(arg) ? nodes[arg].name : show(arg.constant));
    const output = nodes[nodes.length - 1].name;
    const last = run.messages.length + 1;
    if (step === 0) return "The values are there; no gradient yet. Press Next.";
    if (step === 1) return `The output starts: grad ${output} = ∂${output}/∂${output} = 1.`;
    if (step > last) return "Finished: each value has sent once.";
    const m = run.messages[step - 2];
    const { op, args, name: from } = nodes[m.from];
    const words = OPS[op].words(from, ...args.map(name))[m.slot];
    const slope = show(m.slope);
    const rule = words === slope ? slope : `${words} = ${slope}`;
    const uses = nodes.reduce((n, x) => n + (x.args || []).filter((a) => a === m.from).length, 0);
    const earlier = run.messages.slice(0, step - 2);
    let why = "";
    if (!earlier.some((e) => e.visit === m.visit)) {
      const visits = run.visits.slice(0, m.visit).filter((k) => k === m.from).length;
      if (visits > 1) why = `${from} is visited again, visit ${visits}, and sends all of its gradient once more. `;
      else if (ordered && uses > 1) why = `All ${uses} uses of ${from} have sent, so its gradient is complete. `;
    }
    return (
      `${why}∂${from}/∂${name(m.to)} is ${rule}. ${from} sends ${show(m.given)} × ${slope} = ${show(m.amount)} to ` +
      `${name(m.to)}: grad ${name(m.to)} = ${sum(m.before, m.amount)}.`
    );
  }

  // One engine: a picture of the graph, the order of its visits, and a sentence about the present step.
  function panel(program, ordered) {
    const { nodes, plan } = program;
    const cards = plan.cards.map(([x, y, w, h], k) => {
      const value = drawn("text", { x: x + w - 8, y: y + 38, class: "value", "text-anchor": "end" });
      const gradient = drawn("text", { x: x + w - 8, y: y + 56, class: "grad", "text-anchor": "end" });
      const box = drawn("rect", { x, y, width: w, height: h, rx: 7, class: "box" });
      const group = drawn(
        "g",
        { class: nodes[k].op ? "card" : "card leaf" },
        box,
        drawn("text", { x: x + 8, y: y + 17, class: "name" }, nodes[k].name),
        drawn("text", { x: x + w - 8, y: y + 17, class: "op", "text-anchor": "end" }, nodes[k].op || "input"),
        drawn("text", { x: x + 8, y: y + 38, class: "label" }, "value"),
        drawn("text", { x: x + 8, y: y + 56, class: "label" }, "grad"),
        value,
        gradient,
      );
      return { group, value, gradient };
    });
    const edges = plan.edges.map(({ path, end: [x, y], from, to, slot }) => {
      const group = drawn(
        "g",
        { class: "edge" },
        drawn("path", { d: path, class: "line" }),
        drawn("path", { d: `M${x} ${y}l-7 -3.6v7.2z`, class: "tip" }),
        drawn("path", { d: `${path.split("C")[0]}l8 -4.4v8.8z`, class: "tip back" }),
      );
      return { group, from, to, slot };
    });
    const amount = drawn("text", { "text-anchor": "middle", y: 4 });
    const pill = drawn("rect", { rx: 8, y: -9, height: 18 });
    const label = drawn("g", { class: "amount" }, pill, amount);
    const margin = 4;
    const picture = drawn(
      "svg",
      {
        viewBox: `${-margin} ${-margin} ${plan.width + 2 * margin} ${plan.height + 2 * margin}`,
        role: "img",
        style: `width:${plan.width + 2 * margin}px;min-width:${0.72 * plan.width}px`,
      },
      ...edges.map((e) => e.group),
      ...cards.map((c) => c.group),
      label,
    );
    const view = element("div", { class: "scroll" }, picture); // on a phone it follows the messages
    const visits = element("span");
    const says = element("p", { "aria-live": "polite", class: "says", style: `min-height:${plan.width > 500 ? 3 : 4.4}em` });
    const verdict = element("span", { class: "verdict" });
    const root = element(
      "div",
      { class: "panel", style: `flex-basis:${0.78 * plan.width}px` },
      element("div", { class: "head" }, ordered ? "In order: youngest first" : "Recursive, without an order", verdict),
      view,
      element("div", { class: "visits" }, "visits: ", visits),
      says,
    );

    function update(solution, step) {
      const run = ordered ? solution.inOrder : solution.recursive;
      const last = run.messages.length + 1;
      const gradients = after(run, step, nodes.length);
      const message = step > 1 && step <= last ? run.messages[step - 2] : null;
      cards.forEach((card, k) => {
        card.value.textContent = show(solution.values[k]);
        card.gradient.textContent = reached(run, step, nodes.length, k) ? show(gradients[k]) : "·";
        card.group.classList.toggle("from", Boolean(message) && message.from === k);
        card.group.classList.toggle("to", message ? message.to === k : step === 1 && k === nodes.length - 1);
        card.group.classList.toggle("wrong", step >= last && wrong(gradients[k], solution.inOrder.gradients[k]));
      });
      edges.forEach((e) => {
        const active = message && e.from === message.to && e.to === message.from && e.slot === message.slot;
        e.group.classList.toggle("active", Boolean(active));
        if (active) {
          const line = e.group.firstChild;
          const middle = line.getPointAtLength(line.getTotalLength() / 2);
          amount.textContent = (message.amount < 0 ? "" : "+") + show(Number(message.amount.toPrecision(3)));
          const width = 7.4 * amount.textContent.length + 8;
          pill.setAttribute("x", -width / 2);
          pill.setAttribute("width", width);
          label.setAttribute("transform", `translate(${middle.x} ${middle.y})`);
          const scale = picture.clientWidth / (plan.width + 2 * margin);
          view.scrollLeft = middle.x * scale - view.clientWidth / 2;
        }
      });
      label.setAttribute("visibility", message ? "visible" : "hidden");
      const done = step >= last;
      const seen = step === 0 ? 0 : message ? message.visit : done ? run.visits.length : 0;
      visits.textContent = run.visits.slice(0, seen).map((k) => nodes[k].name).join(" → ") || "none yet";
      says.textContent = explain(nodes, run, step, ordered);
      const differs = run.gradients.some((g, k) => wrong(g, solution.inOrder.gradients[k]));
      verdict.textContent = !done ? "" : differs ? "✗ wrong" : ordered ? "✓ right" : "✓ right here";
      verdict.className = differs ? "verdict bad" : "verdict good";
      const inWords = nodes.map((n, k) => {
        const gradient = reached(run, step, nodes.length, k) ? show(gradients[k]) : "none yet";
        return `${n.name} = ${show(solution.values[k])}, gradient ${gradient}`;
      });
      picture.setAttribute("aria-label", `Graph. ${inWords.join("; ")}.`);
    }
    return { root, update };
  }

  function mount(root, programs) {
    let program, panels, solution, leaves, step;

    const choice = element(
      "select",
      { onchange: () => open(choice.selectedIndex) },
      ...programs.map((p) => element("option", {}, p.title)),
    );
    const previous = element("button", { type: "button", onclick: () => go(step - 1) }, "◀ Previous");
    const next = element("button", { type: "button", class: "main", onclick: () => go(step + 1) }, "Next ▶");
    const reset = element("button", { type: "button", onclick: () => go(0) }, "Reset");
    const counter = element("span", { class: "counter" });
    const code = element("pre", { "aria-label": "The program" });
    const sliders = element("div", { class: "sliders" });
    const note = element("p", { class: "note" });
    const engines = element("div", { class: "engines" });
    const judge = element("p");
    const table = element("table");

    const steps = () => 1 + Math.max(solution.inOrder.messages.length, solution.recursive.messages.length);

    function go(wanted) {
      step = Math.min(Math.max(wanted, 0), steps());
      update();
    }

    function open(which) {
      program = programs[which];
      leaves = program.leaves.map((l) => l.value);
      panels = [panel(program, true), panel(program, false)];
      engines.replaceChildren(...panels.map((p) => p.root));
      note.textContent = program.note;
      sliders.replaceChildren(
        ...program.leaves.map(({ name, low, high, step: by }, i) => {
          const shown = element("output", {}, show(leaves[i]));
          const slider = element("input", { type: "range", min: low, max: high, step: by });
          slider.value = leaves[i];
          slider.addEventListener("input", () => {
            leaves[i] = Number(slider.value);
            shown.textContent = show(leaves[i]);
            update();
          });
          return element("label", {}, `${name} = `, shown, slider);
        }),
      );
      step = 0;
      update();
    }

    function update() {
      solution = solve(program.nodes, leaves);
      const { nodes } = program;
      panels.forEach((p) => p.update(solution, step));
      // Not `disabled`: a disabled button in focus would swallow the arrow keys.
      for (const [button, off] of [[previous, step === 0], [reset, step === 0], [next, step === steps()]]) {
        button.setAttribute("aria-disabled", off);
      }
      counter.textContent = `step ${step} of ${steps()} (keys ← →)`;
      const message = step > 1 ? solution.inOrder.messages[step - 2] : null;
      code.replaceChildren(
        ...nodes
          .map((n, k) => [n, k])
          .filter(([n]) => n.op)
          .map(([n, k]) => element("code", { class: message && message.from === k ? "active" : "" }, n.text + "\n")),
      );
      const runs = [solution.inOrder, solution.recursive];
      const cell = (run, k) => {
        const gradient = show(after(run, step, nodes.length)[k]);
        if (step <= run.messages.length) return reached(run, step, nodes.length, k) ? `${gradient} so far` : "·";
        return `${gradient} ${wrong(run.gradients[k], solution.inOrder.gradients[k]) ? "✗" : "✓"}`;
      };
      const places = nodes.map((n, k) => k).filter((k) => !nodes[k].op);
      const row = (tag, head, ...cells) =>
        element("tr", {}, element("th", { scope: tag === "th" ? "col" : "row" }, head), ...cells.map((c) => element(tag, {}, c)));
      const output = nodes[nodes.length - 1].name;
      judge.textContent = `Who is right? The slope of ${output}, measured by moving each input a little, decides:`;
      table.replaceChildren(
        row("th", "gradient of", "in order", "recursive", "measured slope"),
        ...places.map((k, i) => row("td", nodes[k].name, ...runs.map((r) => cell(r, k)), show(rounded(solution.measured[i])))),
      );
    }

    root.replaceChildren(
      element("div", { class: "bar" }, element("label", {}, "Program ", choice), previous, next, reset, counter),
      element("div", { class: "top" }, code, sliders, note),
      engines,
      judge,
      element("div", { class: "scroll" }, table),
    );
    root.tabIndex = 0;
    root.setAttribute("role", "group");
    root.setAttribute("data-lm-suppress-shortcuts", "true"); // JupyterLab would take the arrow keys
    root.setAttribute("aria-label", "Step through a backward pass: Next and Previous, or the right and left arrow keys");
    root.addEventListener("keydown", (event) => {
      if (["INPUT", "SELECT"].includes(event.target.tagName) || event.ctrlKey || event.metaKey || event.altKey) return;
      const to = { ArrowRight: step + 1, ArrowLeft: step - 1, Home: 0, End: steps() }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      event.stopPropagation(); // a notebook would move to another cell
      go(to);
    });
    open(0);
  }

  return { OPS, solve, after, mount };
})();
