// A map of embeddings out of a table, with a control beside it. The maps come from Python; here they are looked up, and
// neighbours are counted. Above the line stand pure functions, which a test runs against Python; below it, what draws them.

globalThis.minicl = globalThis.minicl || {};

globalThis.minicl.embeddingMaps = (() => {
  "use strict";

  // The share of the k nearest neighbours in the plane that have the label of the point. `places` is x, y, x, y ...
  function agreement(places, labels, k) {
    const n = labels.length;
    let same = 0;
    for (let i = 0; i < n; i++) {
      const square = (j) => (places[2 * i] - places[2 * j]) ** 2 + (places[2 * i + 1] - places[2 * j + 1]) ** 2;
      const others = Array.from({ length: n }, (_, j) => j).filter((j) => j !== i).map((j) => [square(j), j]);
      others.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
      for (const [, j] of others.slice(0, k)) same += labels[j] === labels[i];
    }
    return same / (n * k);
  }

  // The chance that two different points have the same label.
  function chance(labels) {
    const counts = new Map();
    for (const x of labels) counts.set(x, (counts.get(x) || 0) + 1);
    const n = labels.length;
    return [...counts.values()].reduce((sum, c) => sum + c * (c - 1), 0) / (n * (n - 1));
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
  const percent = (share) => `${(100 * share).toFixed(0)} %`;
  const NEIGHBOURS = 5;
  const SIDE = 360, MARGIN = 14; // of a picture

  // One map: its points are signs, so that colour is not the only difference.
  function panel() {
    const points = drawn("g", {});
    const picture = drawn("svg", { viewBox: `0 0 ${SIDE} ${SIDE}`, role: "img" }, points);
    const head = element("div", { class: "head" });
    const says = element("p", { class: "says" });
    function update(title, map, colour, place) {
      const scale = (SIDE - 2 * MARGIN) / 1000;
      points.replaceChildren(
        ...colour.values.map((value, i) =>
          drawn(
            "text",
            {
              x: (MARGIN + scale * map.places[2 * i]).toFixed(1),
              y: (MARGIN + 4 + scale * map.places[2 * i + 1]).toFixed(1),
              class: `point c${value}`,
            },
            colour.names[value].slice(0, 1),
          ),
        ),
      );
      const share = agreement(map.places, colour.values, NEIGHBOURS);
      head.textContent = title;
      says.textContent =
        `${percent(share)} of the ${NEIGHBOURS} nearest neighbours agree (chance: ${percent(chance(colour.values))}). ` +
        `Trustworthiness ${map.trust.toFixed(2)}.`;
      picture.setAttribute("aria-label", `Map of ${title}, ${place}, coloured by ${colour.title}. ${says.textContent}`);
      return share;
    }
    return { root: element("figure", {}, head, picture, says), update };
  }

  function mount(root, data) {
    const last = data.sets.length - 1;
    const option = (item) => element("option", {}, item.title);
    const set = element("select", { onchange: update }, ...data.sets.slice(0, last).map(option));
    const colour = element("select", { onchange: update }, ...data.colours.map(option));
    const slider = (max, about) =>
      element("input", { type: "range", min: 0, max, step: 1, value: 0, "aria-label": about, oninput: update });
    const perplexity = slider(data.perplexities.length - 1, "perplexity");
    const seed = slider(data.seeds.length - 1, "seed");
    const shownPerplexity = element("output"), shownSeed = element("output");
    const key = element("p", { class: "key" });
    const note = element("p", { class: "note" });
    const spoken = element("p", { class: "spoken", "aria-live": "polite" });
    const [mine, control] = [panel(), panel()];

    function update() {
      const p = Number(perplexity.value), s = Number(seed.value);
      const by = data.colours[colour.selectedIndex], item = data.sets[set.selectedIndex];
      const at = p * data.seeds.length + s;
      const place = `perplexity ${data.perplexities[p]}, seed ${data.seeds[s]}`;
      shownPerplexity.textContent = data.perplexities[p];
      shownSeed.textContent = data.seeds[s];
      perplexity.setAttribute("aria-valuetext", `perplexity ${data.perplexities[p]}`);
      seed.setAttribute("aria-valuetext", `seed ${data.seeds[s]}`);
      const a = mine.update(item.title, item.maps[at], by, place);
      const b = control.update(`${data.sets[last].title} (control)`, data.sets[last].maps[at], by, place);
      key.replaceChildren(
        ...by.names.map((name, c) => element("span", { class: `point c${c}` }, name)),
      );
      note.textContent = [item.note, by.note].filter(Boolean).join(" ");
      spoken.textContent =
        `At ${place}, coloured by ${by.title}: ${percent(a)} of neighbours agree in ${item.title}, ` +
        `${percent(b)} in the control, ${percent(chance(by.values))} by chance.`;
    }

    root.replaceChildren(
      element(
        "div", { class: "controls" },
        element("label", {}, "Data ", set),
        element("label", {}, "Colour ", colour),
        element("label", {}, "perplexity ", shownPerplexity, perplexity),
        element("label", {}, "seed ", shownSeed, seed),
      ),
      note, key,
      element("div", { class: "panels" }, mine.root, control.root),
      spoken,
    );
    root.tabIndex = 0;
    root.setAttribute("role", "group");
    root.setAttribute("data-lm-suppress-shortcuts", "true"); // JupyterLab would take the arrow keys
    root.setAttribute("aria-label", "Choose a map: left and right arrow keys change the perplexity, up and down the seed");
    root.addEventListener("keydown", (event) => {
      if (["INPUT", "SELECT"].includes(event.target.tagName) || event.ctrlKey || event.metaKey || event.altKey) return;
      const [which, by] =
        { ArrowRight: [perplexity, 1], ArrowLeft: [perplexity, -1], ArrowUp: [seed, 1], ArrowDown: [seed, -1] }[event.key] || [];
      if (!which) return;
      event.preventDefault();
      event.stopPropagation(); // a notebook would move to another cell
      which.value = Math.min(Math.max(Number(which.value) + by, 0), Number(which.max));
      update();
    });
    perplexity.value = Math.floor(data.perplexities.length / 2);
    update();
  }

  return { agreement, chance, mount };
})();
