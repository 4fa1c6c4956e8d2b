// What does the site know? The document that was generated, made ready to be looked things up in.
(function () {
  "use strict";
  const docs = window.elt_docs;
  const elt = (window.elt = { docs });
  if (!docs || docs.format !== 1) return; // app.js says so

  const { nodes, runs, releases } = docs;

  // Kinds, in the order in which they are shown.
  elt.kinds = {
    model: "Models", source: "Sources", seed: "Seeds", snapshot: "Snapshots", exposure: "Exposures",
    metric: "Metrics", semantic_model: "Semantic models", saved_query: "Saved queries", analysis: "Analyses",
    test: "Data tests", unit_test: "Unit tests", macro: "Macros", group: "Groups",
  };
  elt.isTest = (node) => node.kind === "test" || node.kind === "unit_test";
  elt.colorOf = (kind) => ({
    semantic_model: "--semantic", saved_query: "--metric", unit_test: "--test", group: "--macro",
  })[kind] || `--${kind}`;

  elt.byId = new Map();
  nodes.forEach((node, at) => {
    node.at = at;
    node.parents = node.parents || [];
    node.columns = node.columns || [];
    node.tags = node.tags || [];
    node.children = [];
    node.tests = [];
    node.past = []; // what runs did with it, the newest first
    node.title = node.version != null ? `${node.name}.v${node.version}`.replace(/(\.v[^.]+)\1$/, "$1") : node.name;
    if (node.kind === "source") node.title = `${node.source_name || ""}.${node.name.split(".").pop()}`;
    elt.byId.set(node.id, node);
  });
  for (const node of nodes) {
    if (elt.isTest(node)) {
      const on = node.on != null ? [node.on] : node.parents;
      for (const at of on) nodes[at].tests.push(node.at);
    }
    for (const at of node.parents) nodes[at].children.push(node.at);
    for (const at of node.macros || []) (nodes[at].callers = nodes[at].callers || []).push(node.at);
  }

  // A step of a run: [node, status, seconds, began, added, updated, removed, message].
  runs.forEach((run, at) => {
    run.index = at;
    run.time = Date.parse(run.at);
    run.counts = { good: 0, warn: 0, bad: 0, idle: 0 };
    for (const step of run.steps) {
      run.counts[elt_tone(step[1])]++;
      nodes[step[0]].past.push({
        run, status: step[1], took: step[2], began: step[3],
        added: step[4], updated: step[5], removed: step[6], message: step[7],
      });
    }
    run.tone = run.counts.bad || run.error ? "bad" : run.counts.warn ? "warn" : "good";
  });
  for (const release of releases) release.time = Date.parse(release.at);

  function elt_tone(status) {
    switch (status) {
      case "success": case "pass": return "good";
      case "warn": case "partial success": return "warn";
      case "fail": case "error": case "runtime error": return "bad";
      default: return "idle";
    }
  }
  elt.tone = elt_tone;

  // How a node stands: its own last run, and for what has tests the worst of their last results.
  elt.standing = (node) => {
    const own = node.past[0] ? elt.tone(node.past[0].status) : null;
    const tests = elt.testCounts(node);
    if (own === "bad" || tests.bad) return "bad";
    if (own === "warn" || tests.warn) return "warn";
    if (node.fresh && node.fresh.status === "error") return "bad";
    if (node.fresh && node.fresh.status === "warn") return "warn";
    if (own === "good" || tests.good) return "good";
    return "idle";
  };
  elt.testCounts = (node) => {
    const counts = { good: 0, warn: 0, bad: 0, idle: 0 };
    for (const at of node.tests) {
      const last = nodes[at].past[0];
      counts[last ? elt.tone(last.status) : "idle"]++;
    }
    return counts;
  };

  const groups = new Map(nodes.filter((node) => node.kind === "group").map((group) => [group.name, group]));
  elt.groupOf = (node) => groups.get(node.group);
  elt.ownerOf = (node) => {
    const said = node.owner || (node.meta && node.meta.owner) || (node.source_meta && node.source_meta.owner);
    const owner = said || (elt.groupOf(node) || {}).owner;
    if (!owner) return "";
    return typeof owner === "string" ? owner : [].concat(owner.name || owner.email || "").join(", ");
  };

  // What stands on the shelf of each kind, by name.
  const shelves = {};
  for (const node of nodes) if (!node.hidden) (shelves[node.kind] = shelves[node.kind] || []).push(node);
  for (const shelf of Object.values(shelves)) shelf.sort((a, b) => (a.title < b.title ? -1 : a.title > b.title ? 1 : 0));
  elt.ofKind = (kind) => shelves[kind] || [];

  // Columns by what comes of them, made when it is first asked for: key `at:column` in lower case.
  let feeds = null;
  const key = (at, column) => `${at}:${String(column).toLowerCase()}`;
  elt.columnKey = key;
  elt.fedBy = (node, column) => {
    const wanted = column.toLowerCase();
    return (node.from || [])
      .filter(([own]) => node.columns[own] && node.columns[own][0].toLowerCase() === wanted)
      .map(([, thing, of, how, was]) => ({ thing, column: of, how, was }));
  };
  elt.feeds = (node, column) => {
    if (!feeds) {
      feeds = new Map();
      for (const child of nodes) {
        for (const [own, thing, of, how] of child.from || []) {
          if (typeof thing !== "number" || !child.columns[own]) continue;
          const at = key(thing, of);
          if (!feeds.has(at)) feeds.set(at, []);
          feeds.get(at).push({ thing: child.at, column: child.columns[own][0], how });
        }
      }
    }
    return feeds.get(key(node.at, column)) || [];
  };

  // Every column that a column comes from or goes to: a set of keys, and the edges between them.
  elt.traceColumn = (node, column) => {
    const keys = new Set([key(node.at, column)]);
    const edges = [];
    const walk = (next, edge) => {
      const open = [[node, column]];
      const done = new Set([key(node.at, column)]);
      while (open.length) {
        const [at, of] = open.pop();
        for (const one of next(at, of)) {
          if (typeof one.thing !== "number") continue;
          edges.push(edge(at.at, of, one));
          const to = key(one.thing, one.column);
          if (done.has(to)) continue;
          done.add(to);
          keys.add(to);
          open.push([nodes[one.thing], one.column]);
        }
      }
    };
    walk(elt.fedBy, (at, of, one) => ({ from: one.thing, fromColumn: one.column, to: at, toColumn: of, how: one.how }));
    walk(elt.feeds, (at, of, one) => ({ from: at, fromColumn: of, to: one.thing, toColumn: one.column, how: one.how }));
    return { keys, edges };
  };

  // Nodes around one, so many steps up and down (Infinity for all), as a set of places.
  elt.around = (node, up, down, isShown) => {
    const seen = new Set([node.at]);
    const walk = (next, depth) => {
      let edge = [node.at];
      const done = new Set(edge);
      for (let step = 0; step < depth && edge.length; step++) {
        const more = [];
        for (const at of edge) {
          for (const to of nodes[at][next]) {
            if (done.has(to) || !isShown(nodes[to])) continue;
            done.add(to);
            seen.add(to);
            more.push(to);
          }
        }
        edge = more;
      }
    };
    walk("parents", up);
    walk("children", down);
    return seen;
  };

  // The SQL of nodes lies in pieces, each a script of its own, or all of them in the page.
  const pieces = new Map();
  const waiting = new Map();
  window.elt_code = (number, piece) => {
    pieces.set(number, piece);
    for (const done of waiting.get(number) || []) done(piece);
    waiting.delete(number);
  };
  elt.codeOf = (node) => {
    const number = node.code;
    if (number == null) return Promise.resolve([]);
    if (!pieces.has(number)) {
      const inside = document.querySelector(`script[data-code="${number}"]`);
      if (inside) pieces.set(number, JSON.parse(inside.textContent));
    }
    if (pieces.has(number)) return Promise.resolve(pieces.get(number)[node.at] || []);
    return new Promise((done, failed) => {
      const isFirst = !waiting.has(number);
      if (isFirst) waiting.set(number, []);
      waiting.get(number).push((piece) => done(piece[node.at] || []));
      if (!isFirst) return;
      const script = document.createElement("script");
      script.src = `docs/code_${number}.js?${Date.parse(docs.about.at)}`;
      script.onerror = () => {
        waiting.delete(number);
        failed(new Error(`docs/code_${number}.js is not beside this page`));
      };
      document.head.append(script);
    });
  };
})();
