// Where does each node of a graph stand? Parents to the left of children.
(function () {
  "use strict";
  const elt = window.elt;
  const { nodes } = elt.docs;

  elt.CARD = { width: 214, height: 46, row: 21, foot: 7 };
  const SMALL = { width: 168, height: 25 };
  const GAP = { x: 12, y: 7 };
  // So many are laid out with care for every crossing; more would take too long.
  const CAREFUL = 350;

  // `shown`: places of nodes; `columnsOf(node)`: the columns to show on its card.
  // Gives boxes by place, edges with their bends, and the whole extent.
  elt.layout = (shown, columnsOf) => {
    const inside = new Set(shown);
    const links = [];
    for (const at of shown) {
      for (const parent of nodes[at].parents) if (inside.has(parent)) links.push([parent, at]);
    }
    const made = shown.length <= CAREFUL && links.length <= CAREFUL * 4 ? careful(shown, links, columnsOf) : quick(shown, links);
    return { ...made, shown, inside };
  };

  function careful(shown, links, columnsOf) {
    const { width, height, row, foot } = elt.CARD;
    const graph = new window.dagre.graphlib.Graph();
    graph.setGraph({ rankdir: "LR", nodesep: 16, ranksep: 72, edgesep: 10, marginx: 20, marginy: 20 });
    graph.setDefaultEdgeLabel(() => ({}));
    for (const at of shown) {
      const columns = columnsOf ? columnsOf(nodes[at]) : [];
      graph.setNode(String(at), { width, height: height + (columns.length ? columns.length * row + foot : 0), columns });
    }
    for (const [from, to] of links) graph.setEdge(String(from), String(to));
    window.dagre.layout(graph);
    const boxes = new Map();
    for (const at of shown) {
      const { x, y, width, height, columns } = graph.node(String(at));
      boxes.set(at, { x: x - width / 2, y: y - height / 2, w: width, h: height, columns });
    }
    const edges = links.map(([from, to]) => {
      // Of the bends, every other one stands between two layers, and would only make the edge wriggle.
      const bends = graph.edge(String(from), String(to)).points.slice(1, -1).filter((_, at) => at % 2);
      const a = boxes.get(from), b = boxes.get(to);
      // An edge leaves and comes where a card has its name, however many columns stand below it.
      const start = { x: a.x + a.w, y: a.y + height / 2 };
      const end = { x: b.x, y: b.y + height / 2 };
      return { from, to, points: [start, ...bends, end] };
    });
    const { width: w = 0, height: h = 0 } = graph.graph();
    return { boxes, edges, width: Number.isFinite(w) ? w : 0, height: Number.isFinite(h) ? h : 0, isLarge: false };
  }

  // Layers by the longest way, in them by the middle of what they are joined to; a layer that would be too tall stands in
  // several columns. Takes a moment for tens of thousands.
  function quick(shown, links) {
    const parents = new Map(shown.map((at) => [at, []]));
    const children = new Map(shown.map((at) => [at, []]));
    for (const [from, to] of links) {
      children.get(from).push(to);
      parents.get(to).push(from);
    }
    const rank = new Map();
    const missing = new Map(shown.map((at) => [at, parents.get(at).length]));
    let open = shown.filter((at) => !missing.get(at));
    open.forEach((at) => rank.set(at, 0));
    const order = [];
    while (open.length) {
      const more = [];
      for (const at of open) {
        order.push(at);
        for (const to of children.get(at)) {
          rank.set(to, Math.max(rank.get(to) || 0, rank.get(at) + 1));
          missing.set(to, missing.get(to) - 1);
          if (!missing.get(to)) more.push(to);
        }
      }
      open = more;
    }
    for (const at of shown) if (!rank.has(at)) rank.set(at, 0);
    // What nothing comes before stands right before what it is for.
    for (const at of order) {
      const after = children.get(at);
      if (!parents.get(at).length && after.length) rank.set(at, Math.min(...after.map((to) => rank.get(to))) - 1);
    }
    const layers = [];
    for (const at of shown) {
      const of = rank.get(at);
      (layers[of] = layers[of] || []).push(at);
    }
    const full = layers.filter(Boolean);
    const place = new Map();
    const number = (layer) => layer.forEach((at, one) => place.set(at, (one + 0.5) / layer.length));
    full.forEach((layer) => {
      layer.sort((a, b) => ((nodes[a].path || "") < (nodes[b].path || "") ? -1 : 1));
      number(layer);
    });
    const middle = (at, near) => {
      const of = near.get(at);
      if (!of.length) return place.get(at);
      let sum = 0;
      for (const one of of) sum += place.get(one);
      return sum / of.length;
    };
    for (let sweep = 0; sweep < 6; sweep++) {
      const near = sweep % 2 ? children : parents;
      for (const layer of sweep % 2 ? full.slice().reverse() : full) {
        const wanted = new Map(layer.map((at) => [at, middle(at, near)]));
        layer.sort((a, b) => wanted.get(a) - wanted.get(b));
        number(layer);
      }
    }
    const stepX = SMALL.width + GAP.x, stepY = SMALL.height + GAP.y;
    // Room between layers, in which the edges are seen: the more of them, the more of it.
    const between = 74 + Math.min(620, links.length / 28);
    const extent = (rows) => full.reduce((sum, layer) => sum + Math.ceil(layer.length / rows) * stepX + between, 0);
    const tallest = Math.max(1, ...full.map((layer) => layer.length));
    let rows = 8;
    while (rows < tallest && extent(rows) > rows * stepY * 1.9) rows = Math.ceil(rows * 1.12) + 1;
    rows = Math.min(rows, tallest);
    const boxes = new Map();
    let x = 20;
    for (const layer of full) {
      const columns = Math.ceil(layer.length / rows);
      const high = Math.ceil(layer.length / columns);
      const top = 20 + ((rows - high) * stepY) / 2;
      layer.forEach((at, one) => {
        boxes.set(at, { x: x + Math.floor(one / high) * stepX, y: top + (one % high) * stepY, w: SMALL.width, h: SMALL.height, columns: [] });
      });
      x += columns * stepX + between;
    }
    const edges = links.map(([from, to]) => {
      const a = boxes.get(from), b = boxes.get(to);
      return { from, to, points: [{ x: a.x + a.w, y: a.y + a.h / 2 }, { x: b.x, y: b.y + b.h / 2 }] };
    });
    return { boxes, edges, width: x, height: rows * stepY + 40, isLarge: true };
  }
})();
