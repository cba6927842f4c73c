// Choose an image, and see which images stand next to it in several representations: the table comes from Python.
// Above the line stand pure functions of that table, which a test runs against minicl; below it, what draws them.

globalThis.minicl = globalThis.minicl || {};

globalThis.minicl.neighbourGallery = (() => {
  "use strict";

  // For each image the share of its neighbours that have its label; and the mean of that.
  const counts = (labels, table) => table.map((row, i) => row.filter((j) => labels[j] === labels[i]).length);
  const shares = (labels, table) => counts(labels, table).map((n, i) => n / table[i].length);
  const mean = (values) => values.reduce((sum, v) => sum + v, 0) / values.length;

  // Images by how much better the second table is for them than the first; equal ones in their order.
  function ranked(labels, first, second) {
    const [before, after] = [counts(labels, first), counts(labels, second)];
    const gain = before.map((b, i) => after[i] - b);
    return gain.map((_, i) => i).sort((a, b) => gain[b] - gain[a] || a - b);
  }

  // ---------------------------------------------------------------------------------------------------------- drawing

  function element(tag, attributes = {}, ...children) {
    const e = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) e.addEventListener(name.slice(2), value);
      else e.setAttribute(name, value);
    }
    e.append(...children);
    return e;
  }

  const percent = (p) => `${Math.round(100 * p)} %`;

  function mount(root, data) {
    const { labels, classes, names, tables, columns } = data;
    const number = (globalThis.minicl.galleries = (globalThis.minicl.galleries ?? 0) + 1); // ids are unique in a page
    const mark = `minicl-gallery-${number}`;
    const nameOf = (i) => `image ${i}, ${classes[labels[i]]}`;
    const found = tables.map((table) => shares(labels, table));
    let chosen = data.chosen;
    let step = 0; // how far the two buttons have gone down their list
    root.style.setProperty("--sheet", `url("${data.sheet}")`);
    root.style.setProperty("--across", columns);
    root.style.setProperty("--down", data.rows);

    // One image out of the sheet, at whatever size the style sheet gives it.
    const picture = (i, attributes = {}) => {
      const e = element("span", { class: "picture", ...attributes });
      e.style.setProperty("--column", i % columns);
      e.style.setProperty("--row", Math.floor(i / columns));
      return e;
    };

    const options = labels.map((_, i) =>
      picture(i, { role: "option", id: `${mark}-${i}`, "aria-label": nameOf(i), title: nameOf(i), onclick: () => choose(i) }),
    );
    const gallery = element(
      "div",
      { class: "all", role: "listbox", tabindex: "0", "aria-label": `${labels.length} images` },
      ...options,
    );
    const query = element("div", { class: "query" });
    const rows = names.map((name, k) => {
      const [list, score] = [element("div", { class: "row", role: "list" }), element("span", { class: "score" })];
      const head = element("div", { class: "head" }, element("b", {}, name), score);
      return { list, score, block: element("div", { class: "representation" }, head, list), all: mean(found[k]) };
    });
    const says = element("p", { class: "says", "aria-live": "polite" });
    const order = tables.length > 1 ? ranked(labels, tables[0], tables[tables.length - 1]) : [];
    const jump = (text, from) =>
      element("button", { type: "button", onclick: () => choose(from(step++ % Math.max(1, order.length >> 3))) }, text);
    const buttons = order.length
      ? [
          jump(`Where “${names[names.length - 1]}” is better`, (n) => order[n]),
          jump("Where it is worse", (n) => order[order.length - 1 - n]),
        ]
      : [];

    function choose(i) {
      options[chosen].removeAttribute("aria-selected");
      chosen = i;
      update();
    }

    function update() {
      const option = options[chosen];
      option.setAttribute("aria-selected", "true");
      gallery.setAttribute("aria-activedescendant", option.id);
      const [top, bottom] = [option.offsetTop, option.offsetTop + option.offsetHeight]; // within the gallery
      if (top < gallery.scrollTop) gallery.scrollTop = top - 4;
      if (bottom > gallery.scrollTop + gallery.clientHeight) gallery.scrollTop = bottom - gallery.clientHeight + 4;
      const label = labels[chosen];
      query.replaceChildren(picture(chosen, { role: "img", "aria-label": nameOf(chosen) }), nameOf(chosen));
      rows.forEach(({ list, score, all }, k) => {
        const row = tables[k][chosen];
        list.replaceChildren(
          ...row.map((j) => {
            const same = labels[j] === label;
            const words = `${nameOf(j)}: ${same ? "same class" : "another class"}`;
            const tile = element(
              "span",
              { class: same ? "tile same" : "tile other", role: "listitem", "aria-label": words, title: words },
              picture(j),
              element("i", { "aria-hidden": "true" }, same ? "✓" : "✗"),
            );
            tile.addEventListener("click", () => choose(j));
            return tile;
          }),
        );
        const right = row.filter((j) => labels[j] === label).length;
        score.textContent = `${right} of ${row.length} of the same class (all images: ${percent(all)})`;
      });
      says.textContent =
        `${nameOf(chosen)}. Neighbours of its class: ` +
        names.map((name, k) => `${name} ${Math.round(100 * found[k][chosen])} %`).join(", ") +
        ".";
    }

    const keys = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      // How many stand in a line depends on the width of the page.
      const line = Math.max(1, options.filter((o) => o.offsetTop === options[0].offsetTop).length);
      const last = labels.length - 1;
      const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: line, ArrowUp: -line };
      const to = { Home: 0, End: last }[event.key] ?? (event.key in steps ? chosen + steps[event.key] : undefined);
      if (to === undefined) return;
      event.preventDefault();
      event.stopPropagation(); // a notebook would move to another cell
      if (to >= 0 && to <= last) choose(to);
    };
    gallery.addEventListener("keydown", keys);

    root.replaceChildren(
      element("p", { class: "hint" }, "Choose an image: click, or use the arrow keys."),
      gallery,
      element("div", { class: "bar" }, query, ...buttons),
      ...rows.map((r) => r.block),
      says,
    );
    root.tabIndex = -1;
    root.setAttribute("role", "group");
    root.setAttribute("data-lm-suppress-shortcuts", "true"); // JupyterLab would take the arrow keys
    root.setAttribute("aria-label", "Nearest neighbours of an image in several representations.");
    update();
  }

  return { counts, shares, mean, ranked, mount };
})();
