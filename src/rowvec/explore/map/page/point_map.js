// A canvas with up to 100,000 points: pan, zoom, hover, select, by mouse, touch and keyboard.
//
//   const map = new PointMap(canvas, {x: Float32Array, y: Float32Array});
//   map.setColors(codes, palette);  // a palette entry (CSS colour) a point; null: one colour
//   map.setVisible(mask);           // Uint8Array, 1 for what is shown in full; null: all
//   map.setMarked(indices);         // ringed, in the order given
//   map.addEventListener("hover", (e) => e.detail.index);   // -1: nothing under the pointer
//   map.addEventListener("select", (e) => e.detail.index);  // clicked, or Enter
//   map.reveal(index);              // moves it into sight
//
// Colours of everything but the points are CSS variables of the canvas: --point, --ring, --surface.
"use strict";

class PointMap extends EventTarget {
  constructor(canvas, { x, y }) {
    super();
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.x = x;
    this.y = y;
    this.count = x.length;
    this.codes = null;
    this.palette = [];
    this.visible = null;
    this.marked = [];
    this.hovered = -1;
    this.cursor = -1;
    this.pending = false;
    this.pointers = new Map();
    this.#measure();
    this.#buildGrid();
    this.#listen();
    new ResizeObserver(() => this.resize()).observe(canvas);
    this.resize();
  }

  setColors(codes, palette) {
    this.codes = codes;
    this.palette = palette;
    this.draw();
  }

  setVisible(mask) {
    this.visible = mask;
    this.draw();
  }

  setMarked(indices) {
    this.marked = indices;
    this.draw();
  }

  reveal(index) {
    const [px, py] = this.toScreen(index);
    const margin = 40;
    const inside =
      px > margin && py > margin && px < this.width - margin && py < this.height - margin;
    if (!inside) {
      this.panX += this.width / 2 - px;
      this.panY += this.height / 2 - py;
    }
    this.cursor = index;
    this.draw();
  }

  reset() {
    this.zoom = 1;
    this.panX = this.panY = 0;
    this.draw();
  }

  resize() {
    const box = this.canvas.getBoundingClientRect();
    if (!box.width || !box.height) return;
    const ratio = window.devicePixelRatio || 1;
    this.width = box.width;
    this.height = box.height;
    this.canvas.width = Math.round(box.width * ratio);
    this.canvas.height = Math.round(box.height * ratio);
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const pad = 28;
    this.scale = Math.min(
      (this.width - 2 * pad) / this.spanX,
      (this.height - 2 * pad) / this.spanY,
    );
    this.draw();
  }

  toScreen(index) {
    const factor = this.scale * this.zoom;
    return [
      (this.x[index] - this.middleX) * factor + this.width / 2 + this.panX,
      (this.middleY - this.y[index]) * factor + this.height / 2 + this.panY,
    ];
  }

  toData(px, py) {
    const factor = this.scale * this.zoom;
    return [
      (px - this.width / 2 - this.panX) / factor + this.middleX,
      this.middleY - (py - this.height / 2 - this.panY) / factor,
    ];
  }

  // The nearest shown point within so many pixels, or -1.
  nearest(px, py, pixels = 12) {
    const [dx, dy] = this.toData(px, py);
    const reach = pixels / (this.scale * this.zoom);
    let best = -1;
    let least = reach * reach;
    this.#eachNear(dx, dy, reach, (i) => {
      if (this.visible && !this.visible[i]) return;
      const distance = (this.x[i] - dx) ** 2 + (this.y[i] - dy) ** 2;
      if (distance <= least) {
        least = distance;
        best = i;
      }
    });
    return best;
  }

  // Draws with the next frame, however often it is called before that.
  draw() {
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => {
      this.pending = false;
      this.#paint();
    });
  }

  #measure() {
    let [minX, maxX, minY, maxY] = [Infinity, -Infinity, Infinity, -Infinity];
    for (let i = 0; i < this.count; i++) {
      minX = Math.min(minX, this.x[i]);
      maxX = Math.max(maxX, this.x[i]);
      minY = Math.min(minY, this.y[i]);
      maxY = Math.max(maxY, this.y[i]);
    }
    this.minX = minX;
    this.minY = minY;
    this.spanX = maxX - minX || 1;
    this.spanY = maxY - minY || 1;
    this.middleX = (minX + maxX) / 2;
    this.middleY = (minY + maxY) / 2;
    this.width = this.height = this.scale = this.zoom = 1;
    this.panX = this.panY = 0;
  }

  // Points sorted by the cell of a square grid: what is under the pointer is found in its cells.
  #buildGrid() {
    this.side = Math.max(1, Math.ceil(Math.sqrt(this.count / 4)));
    const cells = new Int32Array(this.side * this.side + 1);
    const cellOf = new Int32Array(this.count);
    for (let i = 0; i < this.count; i++) {
      cellOf[i] = this.#row(this.y[i]) * this.side + this.#column(this.x[i]);
      cells[cellOf[i] + 1]++;
    }
    for (let c = 0; c < this.side * this.side; c++) cells[c + 1] += cells[c];
    const next = cells.slice();
    this.sorted = new Int32Array(this.count);
    for (let i = 0; i < this.count; i++) this.sorted[next[cellOf[i]]++] = i;
    this.cells = cells;
  }

  #column(x) {
    const at = Math.floor(((x - this.minX) / this.spanX) * this.side);
    return Math.min(this.side - 1, Math.max(0, at));
  }

  #row(y) {
    const at = Math.floor(((y - this.minY) / this.spanY) * this.side);
    return Math.min(this.side - 1, Math.max(0, at));
  }

  #eachNear(x, y, reach, visit) {
    const lastRow = this.#row(y + reach);
    const lastColumn = this.#column(x + reach);
    for (let row = this.#row(y - reach); row <= lastRow; row++) {
      const from = this.cells[row * this.side + this.#column(x - reach)];
      const to = this.cells[row * this.side + lastColumn + 1];
      for (let at = from; at < to; at++) visit(this.sorted[at]);
    }
  }

  #paint() {
    const { context } = this;
    const style = getComputedStyle(this.canvas);
    context.clearRect(0, 0, this.width, this.height);
    const radius = this.#radius();
    if (this.visible) {
      context.globalAlpha = 0.12;
      this.#paintPoints(radius * 0.8, style, (i) => !this.visible[i]);
    }
    context.globalAlpha = this.count > 20000 ? 0.7 : 0.85;
    this.#paintPoints(radius, style, this.visible ? (i) => this.visible[i] : null);
    context.globalAlpha = 1;
    this.marked.forEach((i, place) => this.#ring(i, radius + (place ? 3 : 5), style));
    if (this.cursor >= 0) this.#ring(this.cursor, radius + 5, style);
    if (this.hovered >= 0) this.#ring(this.hovered, radius + 3, style);
  }

  #radius() {
    const base = this.count > 30000 ? 1.3 : this.count > 5000 ? 2 : this.count > 800 ? 3 : 4.5;
    return Math.min(7, base * Math.max(1, this.zoom ** 0.35));
  }

  // One path a colour; squares where points are many, since circles take five times as long.
  #paintPoints(radius, style, wanted) {
    const { context } = this;
    const paths = new Map();
    const squares = this.count > 20000;
    for (let i = 0; i < this.count; i++) {
      if (wanted && !wanted(i)) continue;
      const [px, py] = this.toScreen(i);
      if (px < -9 || py < -9 || px > this.width + 9 || py > this.height + 9) continue;
      const code = this.codes ? this.codes[i] : 0;
      let path = paths.get(code);
      if (!path) paths.set(code, (path = new Path2D()));
      if (squares) {
        path.rect(px - radius, py - radius, 2 * radius, 2 * radius);
      } else {
        path.moveTo(px + radius, py);
        path.arc(px, py, radius, 0, 2 * Math.PI);
      }
    }
    for (const [code, path] of paths) {
      context.fillStyle = this.codes ? this.palette[code] : style.getPropertyValue("--point");
      context.fill(path);
    }
  }

  #ring(index, radius, style) {
    const { context } = this;
    const [px, py] = this.toScreen(index);
    context.beginPath();
    context.arc(px, py, radius, 0, 2 * Math.PI);
    context.lineWidth = 4;
    context.strokeStyle = style.getPropertyValue("--surface");
    context.stroke();
    context.lineWidth = 2;
    context.strokeStyle = style.getPropertyValue("--ring");
    context.stroke();
  }

  #listen() {
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerup", (event) => this.#up(event));
    canvas.addEventListener("pointercancel", (event) => this.pointers.delete(event.pointerId));
    canvas.addEventListener("pointerleave", () => this.#hover(-1));
    canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("blur", () => {
      this.cursor = -1;
      this.draw();
    });
  }

  #at(event) {
    const box = this.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  #down(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, this.#at(event));
    this.moved = this.pointers.size > 1;
  }

  #move(event) {
    const [px, py] = this.#at(event);
    const before = this.pointers.get(event.pointerId);
    if (!before) {
      if (event.pointerType === "mouse") this.#hover(this.nearest(px, py));
      return;
    }
    if (!this.moved && Math.hypot(px - before[0], py - before[1]) < 4) return;
    this.moved = true;
    this.#hover(-1);
    if (this.pointers.size === 1) {
      this.panX += px - before[0];
      this.panY += py - before[1];
    } else {
      const other = [...this.pointers].find(([id]) => id !== event.pointerId)[1];
      const was = Math.hypot(before[0] - other[0], before[1] - other[1]);
      const is = Math.hypot(px - other[0], py - other[1]);
      if (was > 0) this.zoomAt((px + other[0]) / 2, (py + other[1]) / 2, is / was);
    }
    this.pointers.set(event.pointerId, [px, py]);
    this.draw();
  }

  #up(event) {
    const held = this.pointers.delete(event.pointerId);
    if (!held || this.moved) return;
    const [px, py] = this.#at(event);
    const index = this.nearest(px, py, event.pointerType === "mouse" ? 12 : 24);
    this.#emit("select", index);
  }

  #wheel(event) {
    event.preventDefault();
    const [px, py] = this.#at(event);
    this.zoomAt(px, py, Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)));
  }

  zoomAt(px, py, factor) {
    const zoom = Math.min(400, Math.max(0.5, this.zoom * factor));
    const [dx, dy] = [px - this.width / 2 - this.panX, py - this.height / 2 - this.panY];
    this.panX -= dx * (zoom / this.zoom - 1);
    this.panY -= dy * (zoom / this.zoom - 1);
    this.zoom = zoom;
    this.draw();
  }

  // Arrows go from point to point, with Shift they pan.
  #key(event) {
    const steps = {
      ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
    };
    const step = steps[event.key];
    if (step && event.shiftKey) {
      this.panX -= step[0] * 60;
      this.panY -= step[1] * 60;
      this.draw();
    } else if (step) {
      this.#walk(step);
    } else if (event.key === "+" || event.key === "=") {
      this.zoomAt(this.width / 2, this.height / 2, 1.4);
    } else if (event.key === "-") {
      this.zoomAt(this.width / 2, this.height / 2, 1 / 1.4);
    } else if (event.key === "0") {
      this.reset();
    } else if ((event.key === "Enter" || event.key === " ") && this.cursor >= 0) {
      this.#emit("select", this.cursor);
    } else {
      return;
    }
    event.preventDefault();
  }

  // To the nearest point in that direction; to the one in the middle where none is chosen yet.
  #walk([stepX, stepY]) {
    const from =
      this.cursor >= 0 ? this.toScreen(this.cursor) : [this.width / 2, this.height / 2];
    let best = -1;
    let least = Infinity;
    for (let i = 0; i < this.count; i++) {
      if (i === this.cursor || (this.visible && !this.visible[i])) continue;
      const [px, py] = this.toScreen(i);
      const [dx, dy] = [px - from[0], py - from[1]];
      const along = dx * stepX + dy * stepY;
      const aside = Math.abs(dx * stepY) + Math.abs(dy * stepX);
      if (this.cursor >= 0 && (along <= 0 || aside > along)) continue;
      const distance = Math.hypot(dx, dy) + aside;
      if (distance < least) {
        least = distance;
        best = i;
      }
    }
    if (best < 0) return;
    this.reveal(best);
    this.#hover(best);
  }

  #hover(index) {
    if (index === this.hovered) return;
    this.hovered = index;
    this.canvas.style.cursor = index >= 0 ? "pointer" : "grab";
    this.#emit("hover", index);
    this.draw();
  }

  #emit(name, index) {
    this.dispatchEvent(new CustomEvent(name, { detail: { index } }));
  }
}
