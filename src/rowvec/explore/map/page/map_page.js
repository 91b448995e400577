// The page around a PointMap: tooltip, search, legend, similar rows.
//
//   new MapPage(document, data, {similar: async (index) => [index, …]})
//
// `data` is what rowvec.explore.map.page writes: {x, y, texts, keys, colors, neighbours}. Without
// `similar` the neighbours in the data are shown. Texts are only ever set as text, never as HTML.
"use strict";

const SHOWN_ROWS = 50;

class MapPage {
  constructor(document, data, { similar = null } = {}) {
    this.document = document;
    this.data = data;
    this.similar = similar || ((index) => neighboursOf(data, index));
    this.map = new PointMap(this.$("points"), data);
    this.coloring = null;
    this.chosen = null;
    this.selected = -1;
    this.matches = null;
    this.#listen();
    this.#fillColors();
  }

  $(id) {
    return this.document.getElementById(id);
  }

  select(index) {
    this.selected = index;
    const box = this.$("row");
    box.hidden = index < 0;
    if (index < 0) {
      this.map.setMarked([]);
      return;
    }
    this.map.setMarked([index]);
    box.replaceChildren(this.#element("h2", "Row"), ...this.#describe(index));
    box.scrollIntoView({ block: "nearest" });
    Promise.resolve(this.similar(index)).then((near) => {
      if (this.selected !== index) return;
      this.map.setMarked([index, ...near]);
      if (near.length) box.append(this.#element("h2", "Similar rows"), this.#list(near));
    });
  }

  search(wanted) {
    const needle = wanted.trim().toLowerCase();
    const box = this.$("found");
    box.hidden = !needle;
    this.matches = null;
    if (needle) {
      this.matches = [];
      for (let i = 0; i < this.data.texts.length; i++) {
        if (this.data.lower[i].includes(needle)) this.matches.push(i);
      }
      const count = this.matches.length.toLocaleString();
      const title = this.#element("h2", `${count} ${this.matches.length === 1 ? "row" : "rows"}`);
      box.replaceChildren(title, this.#list(this.matches.slice(0, SHOWN_ROWS)));
    }
    this.#show();
  }

  colorBy(number) {
    this.coloring = this.data.colors[number] || null;
    this.chosen = null;
    const palette = this.coloring ? paletteOf(this.coloring, isDark()) : [];
    this.map.setColors(this.coloring && this.coloring.codes, palette);
    this.#fillLegend(palette);
    this.#show();
  }

  #show() {
    if (!this.matches && this.chosen === null) {
      this.map.setVisible(null);
      return;
    }
    const mask = new Uint8Array(this.data.texts.length).fill(this.matches ? 0 : 1);
    if (this.matches) for (const i of this.matches) mask[i] = 1;
    if (this.chosen !== null) {
      for (let i = 0; i < mask.length; i++) {
        if (this.coloring.codes[i] !== this.chosen) mask[i] = 0;
      }
    }
    this.map.setVisible(mask);
  }

  #listen() {
    const map = this.map;
    map.addEventListener("hover", (event) => this.#tip(event.detail.index));
    map.addEventListener("select", (event) => this.select(event.detail.index));
    const middle = (factor) => () => map.zoomAt(map.width / 2, map.height / 2, factor);
    this.$("closer").addEventListener("click", middle(1.5));
    this.$("farther").addEventListener("click", middle(1 / 1.5));
    this.$("whole").addEventListener("click", () => map.reset());
    this.$("color").addEventListener("change", (event) => this.colorBy(event.target.value));
    let waiting = 0;
    this.$("search").addEventListener("input", (event) => {
      clearTimeout(waiting);
      waiting = setTimeout(() => this.search(event.target.value), 120);
    });
    this.document.addEventListener("keydown", (event) => this.#key(event));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.colorBy(this.$("color").value);
    });
  }

  #key(event) {
    const typing = event.target === this.$("search");
    if (event.key === "/" && !typing) {
      this.$("search").focus();
      event.preventDefault();
    } else if (event.key === "Escape") {
      this.$("search").value = "";
      this.search("");
      this.select(-1);
      this.#tip(-1);
    } else if (event.key === "Enter" && typing && this.matches && this.matches.length) {
      this.map.reveal(this.matches[0]);
      this.select(this.matches[0]);
    }
  }

  #tip(index) {
    const tip = this.$("tip");
    tip.hidden = index < 0;
    if (index < 0) return;
    tip.replaceChildren(...this.#describe(index));
    const [px, py] = this.map.toScreen(index);
    const left = px > this.map.width / 2 ? px - tip.offsetWidth - 14 : px + 14;
    const top = Math.min(py + 10, this.map.height - tip.offsetHeight - 8);
    tip.style.left = `${Math.max(8, Math.min(left, this.map.width - tip.offsetWidth - 8))}px`;
    tip.style.top = `${Math.max(8, top)}px`;
  }

  #describe(index) {
    const head = [String(this.data.keys[index])];
    if (this.coloring) head.push(`${this.coloring.name}: ${labelOf(this.coloring, index)}`);
    return [
      this.#element("b", head.join(" · ")),
      this.#element("p", this.data.texts[index] || "(no text)"),
    ];
  }

  #list(indices) {
    const list = this.#element("ul", "");
    list.className = "rows";
    for (const index of indices) {
      const button = this.#element("button", this.data.texts[index] || "(no text)");
      button.type = "button";
      button.addEventListener("click", () => {
        this.map.reveal(index);
        this.select(index);
      });
      button.addEventListener("mouseenter", () => this.#tipAt(index));
      button.addEventListener("mouseleave", () => this.#tipAt(-1));
      const item = this.#element("li", "");
      item.append(button);
      list.append(item);
    }
    return list;
  }

  #tipAt(index) {
    this.map.hovered = index;
    this.map.draw();
  }

  #fillColors() {
    const select = this.$("color");
    this.data.colors.forEach((coloring, number) => {
      const option = this.#element("option", `Colour: ${coloring.name}`);
      option.value = number;
      select.append(option);
    });
    const none = this.#element("option", "One colour");
    none.value = -1;
    select.append(none);
    this.colorBy(select.value);
  }

  #fillLegend(palette) {
    const box = this.$("legend");
    box.replaceChildren();
    const coloring = this.coloring;
    if (!coloring) return;
    box.append(this.#element("h2", coloring.name));
    if (coloring.kind === "number") {
      const ramp = this.#element("div", "");
      ramp.className = "ramp";
      ramp.style.background = `linear-gradient(to right, ${palette.slice(1).join(", ")})`;
      const ends = this.#element("div", "");
      ends.className = "ends";
      ends.append(this.#element("span", coloring.least), this.#element("span", coloring.most));
      box.append(ramp, ends);
      return;
    }
    const counts = new Uint32Array(coloring.labels.length);
    for (const code of coloring.codes) counts[code]++;
    const list = this.#element("ul", "");
    list.className = "legend";
    coloring.labels.forEach((label, code) => {
      if (!counts[code]) return;
      const button = this.#element("button", "");
      button.type = "button";
      button.setAttribute("aria-pressed", "true");
      const dot = this.#element("span", "");
      dot.className = "dot";
      dot.style.background = palette[code];
      const count = this.#element("span", counts[code].toLocaleString());
      button.append(dot, this.#element("span", label), count);
      button.addEventListener("click", () => this.#choose(code, list));
      button.dataset.code = code;
      const item = this.#element("li", "");
      item.append(button);
      list.append(item);
    });
    box.append(list);
  }

  #choose(code, list) {
    this.chosen = this.chosen === code ? null : code;
    for (const button of list.querySelectorAll("button")) {
      const shown = this.chosen === null || Number(button.dataset.code) === this.chosen;
      button.setAttribute("aria-pressed", String(shown));
    }
    this.#show();
  }

  #element(name, text) {
    const element = this.document.createElement(name);
    element.textContent = text;
    return element;
  }
}

function isDark() {
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

function labelOf(coloring, index) {
  if (coloring.kind === "number") return coloring.values[index] ?? "none";
  return coloring.labels[coloring.codes[index]];
}

// Ten colours that stay apart for most eyes, in the light and in the dark; more are made by turning
// the hue by the golden angle. Of numbers: grey for none, then from dark to bright.
function paletteOf(coloring, dark) {
  if (coloring.kind === "number") {
    const ramp = ["#440154", "#414487", "#2a788e", "#22a884", "#7ad151", "#fde725"];
    const steps = dark ? ramp.slice(1) : ramp.slice(0, 5);
    return ["#8a9097", ...Array.from({ length: 32 }, (_, i) => between(steps, i / 31))];
  }
  const fixed = dark
    ? ["#6baed6", "#fd8d3c", "#74c476", "#ff7b7b", "#b39ddb", "#d7a77a", "#f29ac4", "#c7c75a",
       "#5fd3d3", "#a8b1ba"]
    : ["#2171b5", "#e6680a", "#2b8a3e", "#c92a2a", "#7b4fb5", "#8c5a33", "#d0458d", "#8f8a00",
       "#0f8f95", "#6b7280"];
  return coloring.labels.map((label, code) => {
    if (coloring.rest === code) return dark ? "#5b636b" : "#b3b9bf";
    if (coloring.labels.length <= fixed.length + 1 && code < fixed.length) return fixed[code];
    const lightness = (dark ? 60 : 40) + 9 * (code % 3);
    return `hsl(${(code * 137.508 + 205) % 360} 62% ${lightness}%)`;
  });
}

function between(steps, share) {
  const at = Math.min(share * (steps.length - 1), steps.length - 1 - 1e-9);
  const [from, to] = [steps[Math.floor(at)], steps[Math.floor(at) + 1]];
  const part = at - Math.floor(at);
  const mixed = [1, 3, 5].map((i) => {
    const [a, b] = [parseInt(from.slice(i, i + 2), 16), parseInt(to.slice(i, i + 2), 16)];
    return Math.round(a + (b - a) * part);
  });
  return `rgb(${mixed.join(" ")})`;
}

function neighboursOf(data, index) {
  const { neighbours, each } = data;
  if (!neighbours) return [];
  return Array.from(neighbours.slice(index * each, (index + 1) * each)).filter((i) => i >= 0);
}

// The data as it stands in the page: numbers are base64 of little-endian arrays.
function readMapData(text) {
  const data = JSON.parse(text);
  data.x = decode(data.x, Float32Array);
  data.y = decode(data.y, Float32Array);
  data.neighbours = data.neighbours && decode(data.neighbours, Int32Array);
  for (const coloring of data.colors) coloring.codes = decode(coloring.codes, Uint8Array);
  data.lower = data.texts.map((row) => row.toLowerCase());
  return data;
}

function decode(text, type) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return new type(bytes.buffer);
}
