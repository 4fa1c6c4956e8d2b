// How does a graph get onto the screen? On a canvas, with as much of each node as there is room for.
(function () {
  "use strict";
  const elt = window.elt;
  const { nodes } = elt.docs;
  const { CARD } = elt;
  const NEAREST = 2.2;
  // A picture that takes longer than this (ms) to draw is moved as a picture, and drawn again when it rests.
  const SLOW = 14;

  elt.GraphCanvas = class {
    // `on`: { pick(at), open(at), column(at, name), hover(at) }
    constructor(canvas, map, on) {
      Object.assign(this, { canvas, map, on, view: { x: 0, y: 0, k: 1 }, selected: null, hovered: null, related: null, trace: null });
      this.ctx = canvas.getContext("2d");
      this.tones = "kind";
      this.drawTime = 0;
      this.listen();
    }

    resize() {
      const dpr = window.devicePixelRatio || 1;
      const { clientWidth: width, clientHeight: height } = this.canvas;
      this.width = width;
      this.height = height;
      this.canvas.width = Math.round(width * dpr);
      this.canvas.height = Math.round(height * dpr);
      this.dpr = dpr;
      this.still = null;
      this.draw();
    }

    // A new layout. What is the same as before stays in view.
    show(layout, keep) {
      this.layout = layout;
      this.labels = new Map();
      this.still = null;
      this.small = null;
      // Boxes by their left edges, each list from top to bottom: what is in sight is found without looking at the rest.
      const columns = new Map();
      for (const at of layout.shown) {
        const box = layout.boxes.get(at);
        if (!columns.has(box.x)) columns.set(box.x, []);
        columns.get(box.x).push([box, at]);
      }
      this.columns = [...columns.entries()].sort((a, b) => a[0] - b[0]);
      for (const [, column] of this.columns) column.sort((a, b) => a[0].y - b[0].y);
      this.threads = layout.isLarge ? [] : this.columnEdges();
      if (!keep) this.fit(false);
      this.draw();
    }

    readColors() {
      const names = ["ground", "surface", "raised", "line", "line-strong", "text", "soft", "faint", "accent", "accent-soft", "edge", "good-fill", "warn-fill", "bad-fill", "idle-fill", "hover"];
      this.colors = Object.fromEntries(names.map((name) => [name, elt.color(`--${name}`)]));
      this.kindColors = Object.fromEntries(Object.keys(elt.kinds).map((kind) => [kind, elt.color(elt.colorOf(kind))]));
      const style = getComputedStyle(document.documentElement);
      this.font = style.getPropertyValue("--font");
      this.mono = style.getPropertyValue("--mono");
      this.still = null;
      this.small = null;
    }

    colorOf(node) {
      if (node.color && this.tones === "kind") return node.color;
      if (this.tones === "status") return this.colors[`${elt.standing(node)}-fill`];
      if (this.tones === "time") {
        const took = node.past[0] && node.past[0].took;
        if (took == null) return this.colors["idle-fill"];
        return took > 60 ? this.colors["bad-fill"] : took > 5 ? this.colors["warn-fill"] : this.colors["good-fill"];
      }
      return this.kindColors[node.kind] || this.colors["idle-fill"];
    }

    // The world's rectangle that is in sight.
    sight() {
      const { x, y, k } = this.view;
      return { left: -x / k, top: -y / k, right: (this.width - x) / k, bottom: (this.height - y) / k };
    }

    *boxesIn({ left, top, right, bottom }) {
      for (const [x, column] of this.columns) {
        if (x > right) break;
        if (x + CARD.width < left) continue;
        let low = 0, high = column.length;
        while (low < high) {
          const half = (low + high) >> 1;
          if (column[half][0].y + column[half][0].h < top) low = half + 1; else high = half;
        }
        for (let at = low; at < column.length && column[at][0].y <= bottom; at++) yield column[at];
      }
    }

    draw(isMoving) {
      if (!this.layout || !this.width) return;
      if (isMoving && this.drawTime > SLOW && this.still) return this.slide();
      cancelAnimationFrame(this.asked);
      this.asked = requestAnimationFrame(() => this.paint());
    }

    paint() {
      if (!this.layout || !this.width) return;
      if (!this.colors) this.readColors();
      const begun = performance.now();
      const { ctx, dpr, view } = this;
      ctx.setTransform(dpr, 0, 0, dpr, 0, 0);
      ctx.clearRect(0, 0, this.width, this.height);
      ctx.setTransform(view.k * dpr, 0, 0, view.k * dpr, view.x * dpr, view.y * dpr);
      this.paintEdges();
      this.paintTrace();
      this.paintBoxes();
      this.drawTime = performance.now() - begun;
      if (this.drawTime > SLOW) {
        // Kept, to be moved about.
        const still = document.createElement("canvas");
        still.width = this.canvas.width;
        still.height = this.canvas.height;
        still.getContext("2d").drawImage(this.canvas, 0, 0);
        this.still = { picture: still, view: { ...view } };
      } else {
        this.still = null;
      }
      this.paintMap();
      elt.graph = { nodes: this.layout.shown.length, edges: this.layout.edges.length, drawn: this.drawTime };
    }

    // The last picture, moved and scaled; the real one follows when nothing moves any more.
    slide() {
      const { ctx, dpr, view } = this;
      const { picture, view: was } = this.still;
      const k = view.k / was.k;
      ctx.setTransform(1, 0, 0, 1, 0, 0);
      ctx.clearRect(0, 0, this.canvas.width, this.canvas.height);
      ctx.setTransform(k, 0, 0, k, (view.x - was.x * k) * dpr, (view.y - was.y * k) * dpr);
      ctx.drawImage(picture, 0, 0);
      this.paintMap();
      clearTimeout(this.rest);
      this.rest = setTimeout(() => this.draw(), 90);
    }

    paintEdges() {
      const { ctx, colors, layout, view, related } = this;
      const { left, top, right, bottom } = this.sight();
      const isFar = layout.isLarge && view.k < 0.45;
      const inSight = ({ points }) => {
        const first = points[0], last = points[points.length - 1];
        if (last.x < left || first.x > right) return false;
        let low = Infinity, high = -Infinity;
        for (const { y } of points) { if (y < low) low = y; if (y > high) high = y; }
        return high >= top && low <= bottom;
      };
      const trail = (edge) => {
        const { points } = edge;
        ctx.moveTo(points[0].x, points[0].y);
        if (isFar) return ctx.lineTo(points[1].x, points[1].y);
        for (let at = 1; at < points.length; at++) {
          const a = points[at - 1], b = points[at];
          const bend = Math.max(18, (b.x - a.x) / 2);
          ctx.bezierCurveTo(a.x + bend, a.y, b.x - bend, b.y, b.x, b.y);
        }
        return undefined;
      };
      const shown = layout.edges.filter(inSight);
      const isRelated = (edge) => related && related.has(edge.from) && related.has(edge.to);
      const crowd = shown.length > 2500 ? Math.max(0.22, 0.9 - shown.length / 24000) : 0.95;
      ctx.lineWidth = isFar ? Math.min(1.1 / view.k, 3.4) * 0.6 : 1.4;
      ctx.strokeStyle = colors.edge;
      ctx.globalAlpha = related || this.trace || this.threads.length ? crowd * 0.28 : crowd;
      ctx.beginPath();
      for (const edge of shown) if (!isRelated(edge)) trail(edge);
      ctx.stroke();
      if (related) {
        ctx.globalAlpha = this.trace || this.threads.length ? 0.3 : 0.95;
        ctx.lineWidth = Math.max(1.8, Math.min(1.6 / view.k, 6));
        ctx.strokeStyle = colors.accent;
        ctx.beginPath();
        for (const edge of shown) if (isRelated(edge)) trail(edge);
        ctx.stroke();
      }
      ctx.globalAlpha = 1;
    }

    paintBoxes() {
      const { ctx, colors, view, related, layout } = this;
      const sight = this.sight();
      const { k } = view;
      const isDim = (at) => (this.trace ? !this.trace.nodes.has(at) : related ? !related.has(at) : false);
      if (layout.isLarge && k < 0.42) {
        // From afar: a patch of colour each, all of one colour at once.
        const patches = new Map();
        for (const [box, at] of this.boxesIn(sight)) {
          const paint = `${this.colorOf(nodes[at])}|${isDim(at) ? 0.22 : 1}`;
          if (!patches.has(paint)) patches.set(paint, []);
          patches.get(paint).push(box);
        }
        for (const [paint, boxes] of patches) {
          const [color, alpha] = paint.split("|");
          ctx.fillStyle = color;
          ctx.globalAlpha = Number(alpha);
          ctx.beginPath();
          for (const box of boxes) ctx.rect(box.x, box.y, box.w, box.h);
          ctx.fill();
        }
        ctx.globalAlpha = 1;
        for (const at of [this.hovered, this.selected]) {
          const box = at != null && layout.boxes.get(at);
          if (!box) continue;
          ctx.strokeStyle = colors.text;
          ctx.lineWidth = 2.5 / k;
          ctx.strokeRect(box.x - 2 / k, box.y - 2 / k, box.w + 4 / k, box.h + 4 / k);
          this.paintTip(box, nodes[at]);
        }
        return;
      }
      for (const [box, at] of this.boxesIn(sight)) {
        ctx.globalAlpha = isDim(at) ? 0.3 : 1;
        if (layout.isLarge) this.paintSmall(box, at); else this.paintCard(box, at);
      }
      ctx.globalAlpha = 1;
    }

    round(x, y, w, h, radius) {
      this.ctx.beginPath();
      this.ctx.roundRect(x, y, w, h, radius);
    }

    // A name cut to the room there is; measured once.
    label(at, text, room, font) {
      const key = `${at}|${font}`;
      let cut = this.labels.get(key);
      if (cut === undefined) {
        const { ctx } = this;
        ctx.font = font;
        cut = text;
        if (ctx.measureText(text).width > room) {
          let low = 0, high = text.length;
          while (low < high) {
            const half = (low + high + 1) >> 1;
            if (ctx.measureText(`${text.slice(0, half)}…`).width <= room) low = half; else high = half - 1;
          }
          cut = `${text.slice(0, low)}…`;
        }
        this.labels.set(key, cut);
      }
      this.ctx.font = font;
      return cut;
    }

    paintSmall(box, at) {
      const { ctx, colors } = this;
      const node = nodes[at];
      const isAt = at === this.selected, isOver = at === this.hovered;
      this.round(box.x, box.y, box.w, box.h, 6);
      ctx.fillStyle = isOver || isAt ? colors.hover : colors.surface;
      ctx.fill();
      ctx.lineWidth = isAt ? 2 : 1;
      ctx.strokeStyle = isAt ? colors.accent : colors["line-strong"];
      ctx.stroke();
      ctx.fillStyle = this.colorOf(node);
      this.round(box.x + 4, box.y + 5, 4, box.h - 10, 2);
      ctx.fill();
      ctx.fillStyle = colors.text;
      ctx.textBaseline = "middle";
      ctx.fillText(this.label(at, node.title, box.w - 22, `500 12px ${this.font}`), box.x + 14, box.y + box.h / 2 + 0.5);
    }

    paintCard(box, at) {
      const { ctx, colors, view } = this;
      const node = nodes[at];
      const isAt = at === this.selected, isOver = at === this.hovered;
      const color = this.colorOf(node);
      if (view.k > 0.5) {
        ctx.shadowColor = "rgb(10 16 28 / 14%)";
        ctx.shadowBlur = isAt || isOver ? 12 * view.k : 4 * view.k;
        ctx.shadowOffsetY = 1.5 * view.k;
      }
      this.round(box.x, box.y, box.w, box.h, 9);
      ctx.fillStyle = colors.raised;
      ctx.fill();
      ctx.shadowColor = "transparent";
      ctx.lineWidth = isAt ? 2.2 : 1.1;
      ctx.strokeStyle = isAt ? colors.accent : isOver ? colors.faint : colors["line-strong"];
      ctx.stroke();
      ctx.save();
      ctx.clip();
      ctx.fillStyle = color;
      ctx.fillRect(box.x, box.y, 5, box.h);
      ctx.restore();
      ctx.textBaseline = "middle";
      if (view.k < 0.38) return; // too far to read anything
      ctx.fillStyle = colors.text;
      ctx.fillText(this.label(at, node.title, box.w - 44, `600 12.5px ${this.font}`), box.x + 15, box.y + 17);
      ctx.fillStyle = colors.faint;
      const made = node.made && node.made !== node.kind ? `${elt.kindWord(node.kind)} · ${node.made}` : elt.kindWord(node.kind);
      ctx.font = `500 11px ${this.font}`;
      ctx.fillText(made, box.x + 15, box.y + 33);
      const tone = elt.standing(node);
      ctx.fillStyle = colors[`${tone}-fill`];
      ctx.globalAlpha *= tone === "idle" ? 0.45 : 1;
      ctx.beginPath();
      ctx.arc(box.x + box.w - 15, box.y + 16.5, 4, 0, 7);
      ctx.fill();
      ctx.globalAlpha = this.trace ? (this.trace.nodes.has(at) ? 1 : 0.3) : this.related && !this.related.has(at) ? 0.3 : 1;
      this.paintColumns(box, at);
    }

    paintColumns(box, at) {
      const { ctx, colors } = this;
      if (!box.columns.length) return;
      ctx.strokeStyle = colors.line;
      ctx.lineWidth = 1;
      ctx.beginPath();
      ctx.moveTo(box.x + 5, box.y + CARD.height);
      ctx.lineTo(box.x + box.w, box.y + CARD.height);
      ctx.stroke();
      box.columns.forEach((column, one) => {
        const y = box.y + CARD.height + 3 + one * CARD.row;
        const isTraced = this.trace && this.trace.keys.has(elt.columnKey(at, column.name));
        const isOver = this.overColumn && this.overColumn.at === at && this.overColumn.name === column.name;
        if (isTraced || isOver) {
          ctx.fillStyle = isTraced ? colors["accent-soft"] : colors.hover;
          this.round(box.x + 9, y, box.w - 14, CARD.row - 1, 5);
          ctx.fill();
        }
        ctx.fillStyle = isTraced ? colors.accent : column.more ? colors.faint : colors.text;
        const font = column.more ? `500 11px ${this.font}` : `${isTraced ? 600 : 400} 11.5px ${this.mono}`;
        ctx.fillText(this.label(`${at}/${column.name}/${isTraced}`, column.name, box.w - (column.type ? 104 : 30), font), box.x + 15, y + CARD.row / 2);
        if (column.type) {
          ctx.fillStyle = colors.faint;
          ctx.textAlign = "right";
          const type = this.label(`${at}/${column.name}/type`, column.type.toLowerCase(), 72, `400 10.5px ${this.mono}`);
          ctx.fillText(type, box.x + box.w - 11, y + CARD.row / 2);
          ctx.textAlign = "left";
        }
      });
    }

    // What comes of what, of the columns that are shown on both sides.
    columnEdges() {
      const { boxes } = this.layout;
      const shows = (at, name) => boxes.get(at).columns.some((column) => column.name.toLowerCase() === name.toLowerCase());
      const edges = [];
      for (const [at, box] of boxes) {
        if (!box.columns.length) continue;
        for (const [own, thing, of, how] of nodes[at].from || []) {
          const name = nodes[at].columns[own] && nodes[at].columns[own][0];
          if (!name || !boxes.has(thing) || !shows(at, name) || !shows(thing, of)) continue;
          edges.push({ from: thing, fromColumn: of, to: at, toColumn: name, how });
        }
      }
      return edges;
    }

    // Where a column's edge begins or ends: at its row, or at the name of a card that does not show it.
    port(at, name, isStart) {
      const box = this.layout.boxes.get(at);
      if (!box) return null;
      const one = box.columns.findIndex((column) => column.name.toLowerCase() === name.toLowerCase());
      const y = one < 0 ? box.y + Math.min(CARD.height, box.h) / 2 : box.y + CARD.height + 3 + (one + 0.5) * CARD.row;
      return { x: isStart ? box.x + box.w : box.x, y };
    }

    // The way of a column that was chosen; else those of all columns that are shown, the one under the mouse before others.
    paintTrace() {
      if (this.trace) return this.paintThreads(this.trace.edges, 1);
      if (!this.threads.length) return undefined;
      if (!this.overColumn) return this.paintThreads(this.threads, 0.42);
      const { at, name } = this.overColumn;
      this.paintThreads(this.threads, 0.12);
      return this.paintThreads(elt.traceColumn(nodes[at], name).edges, 1);
    }

    paintThreads(edges, alpha) {
      const { ctx, colors, view } = this;
      ctx.globalAlpha = alpha;
      ctx.strokeStyle = colors.accent;
      ctx.lineWidth = alpha < 1 ? 1.2 : Math.max(1.8, 1.2 / view.k);
      for (const edge of edges) {
        const a = this.port(edge.from, edge.fromColumn, true), b = this.port(edge.to, edge.toColumn, false);
        if (!a || !b) continue;
        ctx.setLineDash(edge.how === "copied" ? [] : [7, 4]);
        const bend = Math.max(24, (b.x - a.x) / 2);
        ctx.beginPath();
        ctx.moveTo(a.x, a.y);
        ctx.bezierCurveTo(a.x + bend, a.y, b.x - bend, b.y, b.x, b.y);
        ctx.stroke();
      }
      ctx.setLineDash([]);
      ctx.globalAlpha = 1;
    }

    // The name beside something too small to have one.
    paintTip(box, node) {
      const { ctx, colors, view } = this;
      const { k } = view;
      ctx.save();
      ctx.font = `600 ${12.5 / k}px ${this.font}`;
      const width = ctx.measureText(node.title).width + 20 / k;
      const x = Math.min(box.x + box.w + 8 / k, this.sight().right - width - 6 / k), y = box.y + box.h / 2 - 13 / k;
      this.round(x, y, width, 26 / k, 6 / k);
      ctx.fillStyle = colors.raised;
      ctx.fill();
      ctx.strokeStyle = colors["line-strong"];
      ctx.lineWidth = 1 / k;
      ctx.stroke();
      ctx.fillStyle = colors.text;
      ctx.textBaseline = "middle";
      ctx.fillText(node.title, x + 10 / k, y + 13.5 / k);
      ctx.restore();
    }

    paintMap() {
      const { map, layout } = this;
      if (!map || !map.clientWidth) return; // few nodes need no map
      const { clientWidth: width, clientHeight: height } = map;
      const dpr = this.dpr || 1;
      const k = Math.min(width / (layout.width || 1), height / (layout.height || 1)) * 0.92;
      const x = (width - layout.width * k) / 2, y = (height - layout.height * k) / 2;
      this.mapView = { x, y, k };
      if (!this.small) {
        const small = document.createElement("canvas");
        small.width = width * dpr;
        small.height = height * dpr;
        const ctx = small.getContext("2d");
        ctx.setTransform(dpr, 0, 0, dpr, 0, 0);
        for (const at of layout.shown) {
          const box = layout.boxes.get(at);
          ctx.fillStyle = this.colorOf(nodes[at]);
          ctx.fillRect(x + box.x * k, y + box.y * k, Math.max(1, box.w * k), Math.max(1, box.h * k));
        }
        this.small = small;
      }
      map.width = width * dpr;
      map.height = height * dpr;
      const ctx = map.getContext("2d");
      ctx.globalAlpha = 0.75;
      ctx.drawImage(this.small, 0, 0);
      ctx.globalAlpha = 1;
      ctx.setTransform(dpr, 0, 0, dpr, 0, 0);
      const sight = this.sight();
      ctx.strokeStyle = this.colors.accent;
      ctx.fillStyle = this.colors.accent;
      ctx.lineWidth = 1.5;
      const rect = [x + sight.left * k, y + sight.top * k, (sight.right - sight.left) * k, (sight.bottom - sight.top) * k];
      ctx.globalAlpha = 0.1;
      ctx.fillRect(...rect);
      ctx.globalAlpha = 1;
      ctx.strokeRect(...rect);
    }

    // Moving about.
    fit(isSmooth = true) {
      if (!this.width || !this.layout) return;
      const { width, height } = this.layout;
      const room = this.room();
      const w = this.width - room.left - room.right, h = this.height - room.top - room.bottom;
      const k = Math.min(w / (width + 40), h / (height + 40), 1.15);
      this.go({ k, x: room.left + (w - width * k) / 2, y: room.top + (h - height * k) / 2 }, isSmooth);
    }

    zoom(by, x = this.width / 2, y = this.height / 2, isMoving = true) {
      const { view } = this;
      const k = Math.max(0.008, Math.min(NEAREST, view.k * by));
      const real = k / view.k;
      this.view = { k, x: x - (x - view.x) * real, y: y - (y - view.y) * real };
      this.draw(isMoving);
    }

    reveal(at, isCentered) {
      const box = this.layout && this.layout.boxes.get(at);
      if (!box) return;
      const { k, x, y } = this.view;
      const near = Math.max(k, this.layout.isLarge ? 0.75 : 0.6);
      const left = box.x * k + x, top = box.y * k + y;
      const isInside = left > 60 && top > 70 && left + box.w * k < this.width - 60 && top + box.h * k < this.height - 40;
      if (isInside && !isCentered) return this.draw();
      const to = isCentered ? near : k;
      this.go({ k: to, x: this.width / 2 - (box.x + box.w / 2) * to, y: this.height / 2 - (box.y + Math.min(box.h, 200) / 2) * to });
    }

    go(view, isSmooth = true) {
      cancelAnimationFrame(this.moving);
      if (!isSmooth || matchMedia("(prefers-reduced-motion: reduce)").matches) {
        this.view = view;
        return this.draw();
      }
      const from = { ...this.view }, begun = performance.now();
      const step = (now) => {
        const part = Math.min(1, Math.max(0, (now - begun) / 180));
        const eased = 1 - (1 - part) ** 3;
        // Scales multiply: half-way from 1 to 4 is 2.
        const k = from.k * (view.k / from.k) ** eased;
        this.view = { k, x: from.x + (view.x - from.x) * eased, y: from.y + (view.y - from.y) * eased };
        if (part < 1) { this.draw(true); this.moving = requestAnimationFrame(step); } else { this.view = view; this.draw(); }
      };
      this.moving = requestAnimationFrame(step);
    }
  };
})();
