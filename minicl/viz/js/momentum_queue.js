// A ring of numbered keys that is filled step by step, and how far behind the query encoder the maker of each key was.
// Above the line stand pure functions of numbers, which a test runs against minicl; below it, what draws them.

globalThis.minicl = globalThis.minicl || {};

globalThis.minicl.momentumQueue = (() => {
  "use strict";

  // The query encoder walks one unit a step. The key encoder after so many updates: m + m² + … behind it.
  function lag(m, steps) {
    return m === 1 ? steps : (m * (1 - m ** steps)) / (1 - m);
  }

  // Key number t lies in slot t mod K. The youngest key that belongs to a slot is in it; null: as at first.
  function slots(size, batch, steps) {
    const total = batch * steps;
    return Array.from({ length: size }, (_, slot) => {
      const key = total - 1 - ((((total - 1 - slot) % size) + size) % size);
      return key < 0 ? null : { key, step: Math.floor(key / batch) + 1 };
    });
  }

  // Keys of step s were made by the key encoder before that step's update. For each step whose keys remain:
  // how far its maker is behind the query encoder now.
  function makers(size, batch, steps, m) {
    const held = slots(size, batch, steps).filter(Boolean);
    const alive = [...new Set(held.map((h) => h.step))].sort((a, b) => a - b);
    return alive.map((step) => ({
      step,
      keys: held.filter((h) => h.step === step).map((h) => h.key).sort((a, b) => a - b),
      behind: steps - (step - 1) + lag(m, step - 1),
    }));
  }

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
  const show = (x) => (x >= 100 ? x.toFixed(0) : x.toFixed(1)).replace(/\.0$/, "");
  const range = (keys) => (keys.length > 1 ? `keys ${keys[0]}–${keys.at(-1)}` : `key ${keys[0]}`);

  // The ring: a circle for each slot with its key and the age of the key; an arrow shows where the next key goes.
  function ring(size, batch) {
    const [middle, radius, own] = [130, 98, Math.min(26, 290 / size)];
    const place = (slot, r) => {
      const angle = (2 * Math.PI * slot) / size - Math.PI / 2;
      return [middle + r * Math.cos(angle), middle + r * Math.sin(angle)];
    };
    const parts = Array.from({ length: size }, (_, slot) => {
      const [x, y] = place(slot, radius);
      return {
        disc: drawn("circle", { cx: x, cy: y, r: own }),
        key: drawn("text", { x, y: y + 2, "text-anchor": "middle", class: "key" }),
        age: drawn("text", { x, y: y + 14, "text-anchor": "middle", class: "age" }),
      };
    });
    const arrow = drawn("line", { class: "next" });
    const tip = drawn("circle", { r: 4, class: "tip" });
    const label = drawn("text", { x: middle, y: middle + 5, "text-anchor": "middle" });
    const picture = drawn(
      "svg",
      { viewBox: `0 0 ${2 * middle} ${2 * middle}`, role: "img", class: "ring" },
      arrow, tip, label, ...parts.flatMap((p) => [p.disc, p.key, p.age]),
    );
    function update(steps) {
      const held = slots(size, batch, steps);
      const oldest = Math.max(1, ...held.map((h) => (h ? steps - h.step : 0)));
      held.forEach((h, slot) => {
        const { disc, key, age } = parts[slot];
        const old = h && steps - h.step;
        disc.setAttribute("class", h ? (old === 0 ? "slot new" : "slot") : "slot empty");
        disc.style.fillOpacity = h ? 0.5 - 0.4 * (old / oldest) : 0;
        key.textContent = h ? h.key : "noise";
        age.textContent = h ? `age ${old}` : "";
      });
      const next = (batch * steps) % size;
      const [[x1, y1], [x2, y2]] = [place(next, 34), place(next, radius - own - 5)];
      for (const [name, value] of Object.entries({ x1, y1, x2, y2 })) arrow.setAttribute(name, value);
      tip.setAttribute("cx", x2);
      tip.setAttribute("cy", y2);
      label.textContent = `next: ${batch * steps}`;
      const words = held.map((h, slot) => `slot ${slot}: ${h ? `key ${h.key}, age ${steps - h.step}` : "noise"}`);
      picture.setAttribute("aria-label", `The queue after ${steps} steps. ${words.join("; ")}. Next is slot ${next}.`);
    }
    return { picture, update };
  }

  // Where the makers of the keys are on the way of the query encoder, one line for each step whose keys remain.
  function way(size, batch) {
    const [width, height, left, right, line] = [340, 224, 10, 330, 26];
    const marks = drawn("g", {});
    const picture = drawn("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", class: "way" }, marks);
    function update(steps, m) {
      const found = makers(size, batch, steps, m).reverse(); // the newest on top
      const rows = found.slice(0, 6);
      const x = (position) => left + ((right - left) * position) / Math.max(steps, 1);
      const bottom = 60 + line * rows.length;
      const text = (at, y, words, kind, anchor) =>
        drawn("text", { x: at, y, class: kind, "text-anchor": anchor || (at > width / 2 ? "end" : "start") }, words);
      const signs = [
        drawn("line", { x1: left, x2: right, y1: bottom, y2: bottom, class: "axis" }),
        text(left, bottom + 16, "start", "", "start"),
        text(right, bottom + 16, `${steps} steps`, "", "end"),
        drawn("line", { x1: x(steps), x2: x(steps), y1: 24, y2: bottom, class: "query" }),
        text(right, 16, "query encoder", "query", "end"),
      ];
      rows.forEach(({ step, keys, behind }, k) => {
        const y = 44 + line * k;
        const at = x(steps - behind);
        const words = `${range(keys)}: ${show(behind)} behind`;
        signs.push(drawn("line", { x1: at, x2: x(steps), y1: y, y2: y, class: "gap" }));
        signs.push(drawn("circle", { cx: at, cy: y, r: 5, class: k ? "maker" : "maker new" }));
        signs.push(text(at > width / 2 ? at - 9 : at + 9, y - 5, words, "", at > width / 2 ? "end" : "start"));
      });
      marks.replaceChildren(...signs);
      const words = found.map(({ step, keys, behind }) => `${range(keys)} of step ${step}: ${show(behind)} behind`);
      picture.setAttribute("aria-label", `Makers of the keys behind the query encoder, in steps. ${words.join("; ")}.`);
    }
    return { picture, update };
  }

  function mount(root, data) {
    const { size, batch, momenta } = data;
    let steps = data.steps;
    let chosen = momenta.indexOf(data.momentum);
    const [left, right] = [ring(size, batch), way(size, batch)];
    const says = element("p", { class: "says", "aria-live": "polite" });
    const shown = element("output");
    const slider = element("input", { type: "range", min: 0, max: momenta.length - 1, step: 1, "aria-label": "momentum m" });
    slider.addEventListener("input", () => {
      chosen = Number(slider.value);
      update();
    });
    const go = (to) => {
      steps = Math.min(to, 1000);
      update();
    };
    const button = (text, onclick, kind = "") => element("button", { type: "button", onclick, class: kind }, text);

    function update() {
      const m = momenta[chosen];
      slider.value = chosen;
      slider.setAttribute("aria-valuetext", `m = ${m}`);
      shown.textContent = `m = ${m}`;
      left.update(steps);
      right.update(steps, m);
      const found = makers(size, batch, steps, m);
      const [old, young] = [found[0], found.at(-1)];
      says.textContent = found.length
        ? `After ${steps} ${steps === 1 ? "step" : "steps"} with m = ${m}: the newest keys come from an encoder ` +
          `${show(young.behind)} steps behind, the oldest from one ${show(old.behind)} behind. ` +
          `Within the queue the makers are ${show(old.behind - young.behind)} apart.`
        : "The queue holds noise. Make a step.";
    }

    root.replaceChildren(
      element(
        "div",
        { class: "bar" },
        button("Step", () => go(steps + 1), "main"),
        button("10 steps", () => go(steps + 10)),
        button("From the start", () => go(0)),
        element("label", {}, "momentum", slider, shown),
      ),
      element("div", { class: "panels" }, left.picture, right.picture),
      says,
    );
    root.tabIndex = 0;
    root.setAttribute("role", "group");
    root.setAttribute("data-lm-suppress-shortcuts", "true"); // JupyterLab would take the arrow keys
    root.setAttribute("aria-label", "A queue of keys. The right arrow key makes a step, Home begins again.");
    root.addEventListener("keydown", (event) => {
      if (event.target.tagName === "INPUT" || event.ctrlKey || event.metaKey || event.altKey) return;
      const to = { ArrowRight: steps + 1, Home: 0 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      event.stopPropagation(); // a notebook would move to another cell
      go(to);
    });
    update();
  }

  return { lag, slots, makers, mount };
})();
