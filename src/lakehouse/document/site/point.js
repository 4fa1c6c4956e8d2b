// What do a mouse, a finger and a wheel do to the graph?
(function () {
  "use strict";
  const elt = window.elt;
  const { CARD } = elt;

  Object.assign(elt.GraphCanvas.prototype, {
    // What is at a point of the canvas: a node, and its column if it is on one.
    at(x, y) {
      const wx = (x - this.view.x) / this.view.k, wy = (y - this.view.y) / this.view.k;
      for (const [box, at] of this.boxesIn({ left: wx, right: wx, top: wy, bottom: wy })) {
        if (wx < box.x || wx > box.x + box.w || wy < box.y || wy > box.y + box.h) continue;
        const row = Math.floor((wy - box.y - CARD.height - 3) / CARD.row);
        return { at, column: box.columns[row] || null };
      }
      return null;
    },

    listen() {
      const { canvas } = this;
      let held = null;
      const touches = new Map();
      canvas.addEventListener("pointerdown", (event) => {
        canvas.setPointerCapture(event.pointerId);
        touches.set(event.pointerId, [event.offsetX, event.offsetY]);
        held = { x: event.offsetX, y: event.offsetY, view: { ...this.view }, isMoved: false };
      });
      canvas.addEventListener("pointermove", (event) => {
        if (touches.has(event.pointerId)) {
          const before = touches.get(event.pointerId);
          touches.set(event.pointerId, [event.offsetX, event.offsetY]);
          if (touches.size === 2) {
            const [a, b] = [...touches.values()];
            const other = a[0] === event.offsetX && a[1] === event.offsetY ? b : a;
            const wide = (one) => Math.hypot(one[0] - other[0], one[1] - other[1]) || 1;
            this.zoom(wide([event.offsetX, event.offsetY]) / wide(before), (event.offsetX + other[0]) / 2, (event.offsetY + other[1]) / 2);
            held = null;
            return;
          }
        }
        if (held && touches.size === 1) {
          const dx = event.offsetX - held.x, dy = event.offsetY - held.y;
          if (!held.isMoved && Math.hypot(dx, dy) < 4) return;
          held.isMoved = true;
          this.view = { ...this.view, x: held.view.x + dx, y: held.view.y + dy };
          this.draw(true);
          return;
        }
        const found = this.at(event.offsetX, event.offsetY);
        const at = found ? found.at : null;
        const column = found && found.column && !found.column.more ? { at, name: found.column.name } : null;
        const isSame = at === this.hovered && (column && column.name) === (this.overColumn && this.overColumn.name);
        canvas.classList.toggle("over", at != null);
        if (isSame) return;
        this.hovered = at;
        this.overColumn = column;
        this.draw();
      });
      const end = (event) => {
        touches.delete(event.pointerId);
        if (held && !held.isMoved && event.type === "pointerup") {
          const found = this.at(event.offsetX, event.offsetY);
          if (found && found.column) this.on.column(found.at, found.column);
          else this.on.pick(found ? found.at : null);
        }
        held = null;
      };
      canvas.addEventListener("pointerup", end);
      canvas.addEventListener("pointercancel", end);
      canvas.addEventListener("pointerleave", () => { if (this.hovered != null) { this.hovered = null; this.overColumn = null; this.draw(); } });
      canvas.addEventListener("dblclick", (event) => {
        const found = this.at(event.offsetX, event.offsetY);
        if (found) this.on.open(found.at); else this.zoom(1.6, event.offsetX, event.offsetY, false);
      });
      canvas.addEventListener("wheel", (event) => {
        if (this.isInside && !event.ctrlKey && !event.metaKey) return;
        event.preventDefault();
        const lines = event.deltaMode === 1 ? 16 : 1;
        if (event.shiftKey || (!event.ctrlKey && Math.abs(event.deltaX) > Math.abs(event.deltaY))) {
          this.view = { ...this.view, x: this.view.x - (event.deltaX || event.deltaY) * lines };
          return this.draw(true);
        }
        this.zoom(Math.exp((-event.deltaY * lines) / (event.ctrlKey ? 120 : 420)), event.offsetX, event.offsetY);
      }, { passive: false });
      if (this.map) {
        const jump = (event) => {
          if (event.buttons !== 1 && event.type !== "pointerdown") return;
          const { x, y, k } = this.mapView;
          const wx = (event.offsetX - x) / k, wy = (event.offsetY - y) / k;
          this.view = { ...this.view, x: this.width / 2 - wx * this.view.k, y: this.height / 2 - wy * this.view.k };
          this.draw(true);
        };
        this.map.addEventListener("pointerdown", jump);
        this.map.addEventListener("pointermove", jump);
      }
    },
  });
})();
