// Maps of embeddings, one for each stored epoch, behind a slider. The maps come from Python; here they are looked up, and
// nearest neighbours are counted. Above the line stand pure functions, which a test runs against Python; below it, what draws.

globalThis.minicl = globalThis.minicl || {};

globalThis.minicl.trainingMovie = (() => {
  "use strict";

  // The share of the points whose nearest neighbour has their own label. `places` is x, y, x, y ...; the first of equals counts.
  function share(places, labels) {
    const n = labels.length;
    let same = 0;
    for (let i = 0; i < n; i++) {
      let nearest = -1, least = Infinity;
      for (let j = 0; j < n; j++) {
        const square = (places[2 * i] - places[2 * j]) ** 2 + (places[2 * i + 1] - places[2 * j + 1]) ** 2;
        if (j !== i && square < least) [nearest, least] = [j, square];
      }
      same += labels[nearest] === labels[i];
    }
    return same / n;
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
  const percent = (x) => `${(100 * x).toFixed(0)} %`;
  const SIDE = 400, MARGIN = 14, WIDE = 260, HIGH = 90; // of the map, and of the curve
  const PAUSE = 450; // milliseconds that a map is shown

  function mount(root, data) {
    const frames = data.frames, last = frames.length - 1;
    const shares = frames.map((frame) => share(frame.places, data.values));
    const slider = element("input", { type: "range", min: 0, max: last, step: 1, value: 0, "aria-label": "epoch", oninput: () => show() });
    const play = element("button", { type: "button", class: "main", onclick: () => (timer ? stop() : start()) }, "▶ Play");
    const follow = element("select", { onchange: () => show() }, ...["all", ...data.names].map((name) => element("option", {}, name)));
    const title = element("output", { class: "title" });
    const signs = data.values.map((value) => drawn("text", { class: `point c${value}` }, data.names[value].slice(0, 1)));
    const map = drawn("svg", { viewBox: `0 0 ${SIDE} ${SIDE}`, role: "img" }, ...signs);
    const says = element("p", { class: "says", "aria-live": "polite" });
    let timer = null;

    // The curve of all epochs, with a mark at the one that is shown.
    const x = (k) => 8 + ((WIDE - 16) * k) / last, y = (s) => HIGH - 8 - (HIGH - 16) * s;
    const mark = drawn("circle", { r: 5, class: "mark" });
    const path = shares.map((s, k) => `${k ? "L" : "M"}${x(k).toFixed(1)} ${y(s).toFixed(1)}`).join("");
    const curve = drawn(
      "svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", class: "curve" },
      drawn("path", { d: `M8 ${y(0)}H${WIDE - 8}M8 ${y(1)}H${WIDE - 8}`, class: "frame" }), drawn("path", { d: path, class: "line" }), mark,
    );
    curve.setAttribute("aria-label", `Share of nearest neighbours of the same label, stored map by map: ${shares.map(percent).join(", ")}`);

    function show() {
      const k = Number(slider.value), frame = frames[k], scale = (SIDE - 2 * MARGIN) / 1000;
      signs.forEach((sign, i) => {
        sign.setAttribute("x", (MARGIN + scale * frame.places[2 * i]).toFixed(1));
        sign.setAttribute("y", (MARGIN + 4 + scale * frame.places[2 * i + 1]).toFixed(1));
        const faint = follow.selectedIndex > 0 && data.values[i] !== follow.selectedIndex - 1;
        sign.classList.toggle("faint", faint);
      });
      title.textContent = frame.title;
      slider.setAttribute("aria-valuetext", frame.title);
      mark.setAttribute("cx", x(k).toFixed(1));
      mark.setAttribute("cy", y(shares[k]).toFixed(1));
      says.textContent = `${percent(shares[k])} of the points have a nearest neighbour of their own label in this map.`;
      map.setAttribute("aria-label", `Map of the embeddings, ${frame.title}. ${says.textContent}`);
    }

    function stop() {
      clearInterval(timer);
      timer = null;
      play.textContent = "▶ Play";
    }
    function start() {
      if (Number(slider.value) === last) slider.value = 0;
      show();
      play.textContent = "❚❚ Pause";
      timer = setInterval(() => {
        if (!root.isConnected) return stop(); // a notebook may take the output away
        slider.value = Number(slider.value) + 1;
        show();
        if (Number(slider.value) === last) stop();
      }, PAUSE);
    }

    root.replaceChildren(
      element("div", { class: "controls" }, play, slider, title, element("label", {}, "Follow ", follow)),
      element("p", { class: "note" }, data.about),
      element(
        "div", { class: "panels" }, map,
        element("div", { class: "beside" }, says, curve, element("p", { class: "note" }, "The curve: all stored maps. The lines: 0 and 100\u00a0%.")),
      ),
    );
    root.tabIndex = 0;
    root.setAttribute("role", "group");
    root.setAttribute("data-lm-suppress-shortcuts", "true"); // JupyterLab would take the arrow keys
    root.setAttribute("aria-label", "Training movie: left and right arrow keys move through the epochs, Home and End to the first and last");
    root.addEventListener("keydown", (event) => {
      if (["INPUT", "SELECT"].includes(event.target.tagName) || event.ctrlKey || event.metaKey || event.altKey) return;
      const k = Number(slider.value);
      const to = { ArrowRight: k + 1, ArrowLeft: k - 1, Home: 0, End: last }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      event.stopPropagation(); // a notebook would move to another cell
      stop();
      slider.value = Math.min(Math.max(to, 0), last);
      show();
    });
    show();
  }

  return { share, mount };
})();
