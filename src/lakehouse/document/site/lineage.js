// What comes from what? The graph of the project, of all of it or around one node, down to columns.
(function () {
  "use strict";
  const elt = window.elt;
  const { html, hooks } = elt;
  const { nodes } = elt.docs;

  const NEVER = new Set(["macro", "group"]);
  // So many cards may show their columns all at once.
  const MANY = 80;
  const MOST_COLUMNS = 14;

  const isInGraph = (withTests) => (node) => !node.hidden && !NEVER.has(node.kind) && (withTests || !elt.isTest(node));

  // The graph with its keys and its panel. `query` is what the address says, `put` changes it.
  elt.Graph = ({ query, put, inside }) => {
    const focus = elt.byId.get(query.focus) || null;
    const depth = (text) => (text === "all" ? Infinity : text == null ? 2 : Math.max(0, Number(text) || 0));
    const up = depth(query.up), down = depth(query.down);
    const withTests = query.tests === "1";
    const allColumns = query.columns === "1";
    const tones = query.color || "kind";
    const only = query.kinds ? query.kinds.split(",") : null;
    const [open, setOpen] = hooks.useState(() => new Set());
    const [selected, setSelected] = hooks.useState(focus ? focus.at : null);
    const [said, setSaid] = hooks.useState("");
    const main = hooks.useRef(null), tools = hooks.useRef(null), map = hooks.useRef(null), graph = hooks.useRef(null);
    const theme = elt.useTheme();
    const traced = query.column ? query.column.split("::") : null;

    const trace = hooks.useMemo(() => {
      if (!traced) return null;
      const node = elt.byId.get(traced[0]);
      if (!node) return null;
      const found = elt.traceColumn(node, traced[1]);
      const on = new Set([node.at]);
      const byNode = new Map();
      const names = (at, name) => {
        on.add(at);
        if (!byNode.has(at)) byNode.set(at, new Set());
        byNode.get(at).add(name.toLowerCase());
      };
      names(node.at, traced[1]);
      for (const edge of found.edges) {
        names(edge.from, edge.fromColumn);
        names(edge.to, edge.toColumn);
      }
      return { ...found, node, column: traced[1], nodes: on, byNode };
    }, [query.column]);

    const layout = hooks.useMemo(() => {
      const shows = isInGraph(withTests);
      const takes = (node) => shows(node) && (!only || only.includes(node.kind) || node === focus);
      let places;
      if (trace && !focus) places = [...trace.nodes];
      else if (focus) places = [...elt.around(focus, up, down, takes)].filter((at) => takes(nodes[at]));
      else places = nodes.filter(takes).map((node) => node.at);
      if (focus && trace) for (const at of trace.nodes) if (!places.includes(at)) places.push(at);
      const isFew = places.length <= MANY;
      const columnsOf = (node) => {
        const named = ([name, type]) => ({ name, type });
        const isOpen = open.has(node.at) || (allColumns && isFew);
        const own = trace && trace.byNode.get(node.at);
        if (!isOpen) return own ? node.columns.filter(([name]) => own.has(name.toLowerCase())).map(named) : [];
        if (node.columns.length <= MOST_COLUMNS + 2 || open.has(node.at)) return node.columns.map(named);
        const first = node.columns.filter(([name], one) => one < MOST_COLUMNS || (own && own.has(name.toLowerCase()))).map(named);
        return first.concat({ name: `${node.columns.length - first.length} more`, more: true });
      };
      const begun = performance.now();
      const made = elt.layout(places, columnsOf);
      elt.layoutTime = performance.now() - begun;
      return made;
    }, [query.focus, query.up, query.down, withTests, allColumns, query.kinds, trace, open]);

    const live = hooks.useRef({});
    live.current = { layout, selected, focus, query, put, open };

    // The canvas lives as long as the page; what it shows changes.
    hooks.useEffect(() => {
      const on = {
        pick: (at) => live.current.pick(at),
        open: (at) => live.current.put({ ...live.current.query, focus: nodes[at].id, column: "" }),
        column: (at, column) => live.current.column(at, column),
      };
      const canvas = new elt.GraphCanvas(main.current, map.current, on);
      canvas.isInside = Boolean(inside);
      // What the tools and the panel leave free.
      canvas.room = () => {
        const top = (tools.current ? tools.current.offsetHeight : 40) + 26;
        if (inside) return { top, right: 10, bottom: 10, left: 10 };
        const hasPanel = (live.current.selected != null || live.current.focus) && canvas.width > 900;
        return { top, right: hasPanel ? 336 : 16, bottom: live.current.layout.shown.length < 12 ? 60 : 128, left: 16 };
      };
      graph.current = canvas;
      const seen = new ResizeObserver(() => {
        const isFirst = !canvas.width;
        canvas.resize();
        if (isFirst) canvas.fit(false);
      });
      seen.observe(main.current);
      return () => { seen.disconnect(); cancelAnimationFrame(canvas.asked); clearTimeout(canvas.rest); };
    }, []);
    hooks.useEffect(() => {
      const canvas = graph.current;
      canvas.readColors();
      canvas.tones = tones;
      canvas.draw();
    }, [theme, tones]);
    const shape = `${query.focus}|${query.up}|${query.down}|${withTests}|${query.kinds}|${query.column}|${allColumns}`;
    const before = hooks.useRef(null);
    hooks.useEffect(() => {
      graph.current.trace = trace;
      graph.current.show(layout, before.current === shape);
      before.current = shape;
    }, [layout]);
    hooks.useEffect(() => {
      const canvas = graph.current;
      canvas.selected = selected;
      canvas.still = null;
      if (selected == null) canvas.related = null;
      else canvas.related = elt.around(nodes[selected], Infinity, Infinity, (node) => layout.inside.has(node.at));
      canvas.draw();
    }, [selected, layout]);
    hooks.useEffect(() => { setSelected(focus ? focus.at : null); }, [query.focus]);

    const tell = (at) => {
      const node = nodes[at];
      setSaid(`${node.title}, ${elt.kindWord(node.kind)}, ${elt.many(node.parents.length, "parent")}, ${elt.many(node.children.length, "child", "children")}`);
    };
    live.current.pick = (at) => {
      setSelected(at);
      if (at != null) tell(at);
    };
    live.current.column = (at, column) => {
      if (column.more) return flip(at);
      const text = `${nodes[at].id}::${column.name}`;
      put({ ...query, column: query.column === text ? "" : text });
      return undefined;
    };
    const flip = (at) => {
      const next = new Set(open);
      if (next.has(at)) next.delete(at); else next.add(at);
      setOpen(next);
    };

    const step = (key) => {
      if (selected == null || !layout.boxes.has(selected)) {
        const first = focus && layout.boxes.has(focus.at) ? focus.at : layout.shown[0];
        return first;
      }
      const box = layout.boxes.get(selected);
      const nearest = (places) => {
        let best = null, least = Infinity;
        for (const at of places) {
          const to = layout.boxes.get(at);
          if (!to) continue;
          const far = Math.abs(to.y - box.y) + Math.abs(to.x - box.x) * 0.05;
          if (far < least) { least = far; best = at; }
        }
        return best;
      };
      if (key === "ArrowLeft") return nearest(nodes[selected].parents);
      if (key === "ArrowRight") return nearest(nodes[selected].children);
      const column = layout.shown
        .filter((at) => Math.abs(layout.boxes.get(at).x - box.x) < 40)
        .sort((a, b) => layout.boxes.get(a).y - layout.boxes.get(b).y);
      return column[column.indexOf(selected) + (key === "ArrowDown" ? 1 : -1)];
    };
    const onKeyDown = (event) => {
      if (event.metaKey || event.altKey || event.ctrlKey) return;
      const canvas = graph.current;
      const { key } = event;
      let isOurs = true;
      if (key.startsWith("Arrow")) {
        const to = step(key);
        if (to != null) { live.current.pick(to); canvas.reveal(to); }
      } else if (key === "Enter" && selected != null) elt.go(["node", nodes[selected].id]);
      else if (key === "f" && selected != null) put({ ...query, focus: nodes[selected].id, column: "" });
      else if (key === "c" && selected != null) flip(selected);
      else if (key === "+" || key === "=") canvas.zoom(1.3, undefined, undefined, false);
      else if (key === "-") canvas.zoom(1 / 1.3, undefined, undefined, false);
      else if (key === "0") canvas.fit();
      else if (key === "Escape") {
        if (query.column) put({ ...query, column: "" });
        else if (selected != null && !(focus && selected === focus.at)) setSelected(null);
        else if (focus && !inside) put({ ...query, focus: "" });
        else isOurs = false;
      } else isOurs = false;
      if (isOurs) { event.preventDefault(); event.stopPropagation(); }
    };

    const stepper = (name, value, key) => {
      const text = value === Infinity ? "all" : String(value);
      const to = (next) => put({ ...query, [key]: next });
      return html`<span class="row" style="gap: 6px"><span class="faint">${name}</span>
        <span class="stepper" role="group" aria-label=${name}>
          <button aria-label=${`fewer ${name}`} onClick=${() => to(value === Infinity ? "5" : String(Math.max(0, value - 1)))}>−</button>
          <b>${text}</b>
          <button aria-label=${`more ${name}`} onClick=${() => to(value >= 5 ? "all" : String(value + 1))}>+</button>
        </span></span>`;
    };

    return html`<div class=${`graph ${inside ? "inside" : ""}`}>
      <canvas class="main" ref=${main} tabindex="0" role="application" onKeyDown=${onKeyDown}
        aria-label=${`Lineage of ${elt.many(layout.shown.length, "node")}. Arrows go from node to node, Enter opens one, f looks at its neighbours, c shows its columns.`} />
      <span class="unseen" role="status" aria-live="polite">${said}</span>
      <div class="graph-tools" ref=${tools} style=${!inside && selected != null ? "right: 336px" : ""}>
        ${focus && html`<div class="panel">
          ${inside ? null : html`<span class="row" style="gap: 7px"><${elt.Icon} kind=${focus.kind} /><b>${focus.title}</b></span>`}
          ${stepper("upstream", up, "up")} ${stepper("downstream", down, "down")}
          ${inside ? html`<a class="button" href=${elt.link(["lineage"], { ...query, focus: focus.id })}>Full page</a>`
            : html`<button class="button" onClick=${() => put({ ...query, focus: "", column: "" })}>Whole graph</button>`}
        </div>`}
        ${trace && html`<div class="panel"><span>column <b class="mono">${trace.node.title}.${trace.column}</b></span>
          <button class="button" onClick=${() => put({ ...query, column: "" })}>Clear</button></div>`}
        <div class="panel">
          <label class="switch"><input type="checkbox" checked=${allColumns} onChange=${(event) => put({ ...query, columns: event.target.checked ? "1" : "" })} />Columns</label>
          <label class="switch"><input type="checkbox" checked=${withTests} onChange=${(event) => put({ ...query, tests: event.target.checked ? "1" : "" })} />Tests</label>
          ${inside ? null : html`<select aria-label="Colour by" value=${tones} onChange=${(event) => put({ ...query, color: event.target.value === "kind" ? "" : event.target.value })}>
            <option value="kind">Colour: kind</option><option value="status">Colour: last result</option><option value="time">Colour: time taken</option></select>`}
        </div>
      </div>
      <div class="graph-zoom" role="group" aria-label="Zoom">
        <button class="round" aria-label="Zoom in" title="Zoom in (+)" onClick=${() => graph.current.zoom(1.4, undefined, undefined, false)}><${elt.Icon} sign="plus" /></button>
        <button class="round" aria-label="Zoom out" title="Zoom out (-)" onClick=${() => graph.current.zoom(1 / 1.4, undefined, undefined, false)}><${elt.Icon} sign="minus" /></button>
        <button class="round" aria-label="Show all" title="Show all (0)" onClick=${() => graph.current.fit()}><${elt.Icon} sign="fit" /></button>
      </div>
      <canvas class="graph-map" ref=${map} style=${`width: 176px; height: 112px; ${inside || layout.shown.length < 12 ? "display: none" : ""}`} aria-hidden="true" />
      ${!inside && html`<div class="graph-note">${elt.many(layout.shown.length, "node")}, ${elt.many(layout.edges.length, "edge")}
        ${allColumns && layout.shown.length > MANY ? ` · columns are shown of ${MANY} nodes at most` : ""}</div>`}
      ${!inside && selected != null && html`<${SidePanel} node=${nodes[selected]} query=${query} put=${put} isOpen=${open.has(selected)}
        flip=${() => flip(selected)} close=${() => setSelected(null)} pick=${(at) => { live.current.pick(at); graph.current.reveal(at); }} shown=${layout.inside} />`}
    </div>`;
  };

  // What is known of the chosen node, and its neighbours as a list: the graph for who does not see it, too.
  const SidePanel = ({ node, query, put, isOpen, flip, close, pick, shown }) => {
    const neighbours = (name, places) => places.length > 0 && html`<section><h3>${name} (${places.length})</h3>
      <ul class="links">${places.slice(0, 60).map((at) => html`<li><button class="node-link" onClick=${() => (shown.has(at) ? pick(at) : elt.go(["node", nodes[at].id]))}>
        <${elt.Icon} kind=${nodes[at].kind} /><span>${nodes[at].title}</span></button></li>`)}
        ${places.length > 60 && html`<li class="faint" style="padding: 4px 10px">and ${places.length - 60} more</li>`}</ul></section>`;
    const last = node.past[0];
    const children = node.children.filter((at) => !elt.isTest(nodes[at]));
    return html`<aside class="graph-side" aria-label=${node.title}>
      <header><div class="row"><${elt.Kind} kind=${node.kind} />${node.made && node.made !== node.kind && html`<span class="chip">${node.made}</span>`}
        <button class="round push" aria-label="Close" onClick=${close}><${elt.Icon} sign="close" /></button></div>
        <div style="margin-top: 6px; overflow-wrap: anywhere"><a href=${elt.linkTo(node)}><b>${node.title}</b></a></div></header>
      ${(node.description || last) && html`<section class="quiet" style="font-size: 13px">
        ${elt.gist(node.description)}
        ${last && html`<div class="row" style="margin-top: 6px"><${elt.State} status=${last.status} /><span class="faint">${elt.ago(last.run.time)}, ${elt.seconds(last.took)}</span></div>`}
      </section>`}
      <section class="row" style="gap: 6px">
        <button class="button" onClick=${() => put({ ...query, focus: node.id, column: "" })}>Neighbours</button>
        ${node.columns.length > 0 && html`<button class="button" aria-pressed=${isOpen} onClick=${flip}>Columns</button>`}
        <a class="button" href=${elt.linkTo(node)}>Open</a>
      </section>
      ${neighbours("Reads", node.parents)}
      ${neighbours("Read by", children)}
    </aside>`;
  };

  elt.LineagePage = ({ query }) => html`<${elt.Graph} query=${query} put=${(query) => elt.put(["lineage"], query)} />`;
})();
