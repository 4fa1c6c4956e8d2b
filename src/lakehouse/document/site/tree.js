// Where is everything? The project's folders, the lake's schemas, or one shelf for each kind.
(function () {
  "use strict";
  const elt = window.elt;
  const { html, hooks } = elt;
  const { nodes } = elt.docs;
  const HEIGHT = 28;

  const listed = nodes.filter((node) => !node.hidden && !elt.isTest(node) && node.kind !== "group");

  const branch = (name, key) => ({ name, key, folders: new Map(), leaves: [] });
  const into = (root, path, node) => {
    let at = root;
    for (const name of path) {
      if (!at.folders.has(name)) at.folders.set(name, branch(name, `${at.key}/${name}`));
      at = at.folders.get(name);
    }
    at.leaves.push(node);
  };
  const counted = (at) => {
    at.count = at.leaves.length;
    for (const folder of at.folders.values()) at.count += counted(folder);
    at.leaves.sort((a, b) => (a.title < b.title ? -1 : 1));
    return at.count;
  };

  const WAYS = {
    Project: (node) => [node.package].concat((node.path || "").split("/").slice(0, -1)),
    Lake: (node) => (node.relation ? [node.relation.split(".")[0]] : null),
    Kinds: (node) => [elt.kinds[node.kind] || node.kind],
  };
  const trees = {};
  const treeOf = (way) => {
    if (!trees[way]) {
      const root = branch("", way);
      for (const node of listed) {
        const path = WAYS[way](node);
        if (path) into(root, path, node);
      }
      counted(root);
      trees[way] = root;
    }
    return trees[way];
  };

  // The rows that are in sight of what is open.
  const rowsOf = (way, open, filter) => {
    const rows = [];
    const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
    const passes = (node) => words.every((word) => node.title.toLowerCase().includes(word));
    const walk = (at, depth) => {
      const names = [...at.folders.keys()].sort();
      const isKinds = way === "Kinds";
      if (isKinds) names.sort((a, b) => Object.values(elt.kinds).indexOf(a) - Object.values(elt.kinds).indexOf(b));
      for (const name of names) {
        const folder = at.folders.get(name);
        const before = rows.length;
        const isOpen = words.length ? true : open.has(folder.key);
        rows.push({ folder, depth, isOpen });
        if (isOpen) walk(folder, depth + 1);
        if (words.length && rows.length === before + 1) rows.pop();
      }
      for (const node of at.leaves) if (!words.length || passes(node)) rows.push({ node, depth });
    };
    walk(treeOf(way), 0);
    return rows;
  };

  // What is open at first: what has little in it, and the way to what is shown.
  const opened = (way) => {
    const open = new Set();
    const walk = (at, depth) => {
      for (const folder of at.folders.values()) {
        if (depth < 2 && (folder.count <= 80 || depth === 0) && at.folders.size <= 12) {
          open.add(folder.key);
          walk(folder, depth + 1);
        }
      }
    };
    walk(treeOf(way), 0);
    return open;
  };
  const wayTo = (way, node) => {
    const path = WAYS[way](node);
    const keys = [];
    let key = way;
    for (const name of path || []) keys.push((key = `${key}/${name}`));
    return keys;
  };

  elt.Tree = ({ here }) => {
    const [way, setWay] = hooks.useState("Project");
    const [open, setOpen] = hooks.useState(() => opened("Project"));
    const [filter, setFilter] = hooks.useState("");
    const [at, setAt] = hooks.useState(-1);
    const box = hooks.useRef(null);
    const shownNode = here && !elt.isTest(here) ? here : here && here.on != null ? nodes[here.on] : null;
    const rows = hooks.useMemo(() => rowsOf(way, open, filter), [way, open, filter]);
    const [from, to] = elt.useWindow(box, rows.length, HEIGHT);

    const show = (row) => {
      const top = row * HEIGHT;
      if (top < box.current.scrollTop || top + HEIGHT > box.current.scrollTop + box.current.clientHeight) {
        box.current.scrollTop = Math.max(0, top - box.current.clientHeight / 2);
      }
    };
    hooks.useEffect(() => {
      if (!shownNode) return;
      const keys = wayTo(way, shownNode);
      if (keys.some((key) => !open.has(key))) setOpen(new Set([...open, ...keys]));
    }, [shownNode, way]);
    hooks.useEffect(() => {
      if (!shownNode) return;
      const row = rows.findIndex((row) => row.node === shownNode);
      if (row >= 0) { setAt(row); show(row); }
    }, [shownNode, rows]);

    const fold = (folder, isOpen) => {
      const next = new Set(open);
      if (isOpen) next.delete(folder.key); else next.add(folder.key);
      setOpen(next);
    };
    const move = (step) => {
      const next = Math.max(0, Math.min(rows.length - 1, at + step));
      setAt(next);
      show(next);
    };
    const act = (key) => {
      const row = rows[at];
      if (key === "j" || key === "ArrowDown") move(1);
      else if (key === "k" || key === "ArrowUp") move(-1);
      else if (key === "Home") { setAt(0); show(0); }
      else if (key === "End") { setAt(rows.length - 1); show(rows.length - 1); }
      else if (!row) return false;
      else if (key === "Enter" || key === "o") row.node ? elt.go(["node", row.node.id]) : fold(row.folder, row.isOpen);
      else if (key === "ArrowRight" || key === "l") { if (row.folder && !row.isOpen) fold(row.folder, false); else move(1); }
      else if (key === "ArrowLeft" || key === "h") {
        if (row.folder && row.isOpen) fold(row.folder, true);
        else {
          let up = at - 1;
          while (up > 0 && rows[up].depth >= row.depth) up--;
          setAt(Math.max(0, up));
          show(Math.max(0, up));
        }
      } else return false;
      return true;
    };
    elt.moveInTree = act; // j, k and o work wherever nothing else takes them
    const onKeyDown = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (act(event.key)) { event.preventDefault(); event.stopPropagation(); }
    };
    const change = (next) => { setWay(next); setOpen(opened(next)); setAt(-1); };

    return html`
      <div class="side-top">
        <div class="segments" role="group" aria-label="How to order">${Object.keys(WAYS).map((name) => html`
          <button aria-pressed=${name === way} onClick=${() => change(name)}>${name}</button>`)}</div>
        <input class="field" type="search" placeholder="Filter by name" aria-label="Filter by name" value=${filter} spellcheck="false"
          onInput=${(event) => { setFilter(event.target.value); setAt(-1); }}
          onKeyDown=${(event) => { if (event.key === "ArrowDown") { event.preventDefault(); box.current.focus(); move(1); } if (event.key === "Escape") { setFilter(""); event.target.blur(); } }} />
      </div>
      <div class="tree" ref=${box} tabindex="0" role="tree" aria-label=${way} aria-activedescendant=${at >= 0 ? `tree-${at}` : undefined} onKeyDown=${onKeyDown}>
        <div class="tree-rows" style=${`height: ${rows.length * HEIGHT}px`}>
          ${rows.slice(from, to).map((row, one) => {
            const number = from + one;
            const isHere = row.node && row.node === shownNode;
            const look = `top: ${number * HEIGHT}px; padding-left: ${8 + row.depth * 15}px`;
            if (row.folder) {
              return html`<div class=${`tree-row ${number === at ? "at" : ""}`} style=${look} key=${row.folder.key} id=${`tree-${number}`} role="treeitem"
                aria-expanded=${row.isOpen} aria-level=${row.depth + 1} onClick=${() => { setAt(number); fold(row.folder, row.isOpen); }}>
                <span class=${`fold ${row.isOpen ? "open" : ""}`}><${elt.Icon} sign="fold" size="11" /></span>
                <span class="name">${row.folder.name}</span><span class="count">${elt.number(row.folder.count)}</span></div>`;
            }
            const tone = elt.standing(row.node);
            return html`<div class=${`tree-row leaf ${isHere ? "here" : ""} ${number === at ? "at" : ""}`} style=${look} key=${row.node.id} id=${`tree-${number}`}
              role="treeitem" aria-level=${row.depth + 1} aria-selected=${isHere} title=${row.node.title}
              onClick=${() => { setAt(number); elt.go(["node", row.node.id]); }}>
              <${elt.Icon} kind=${row.node.kind} size="15" /><span class="name">${row.node.title}</span>
              ${tone === "bad" || tone === "warn" ? html`<i class=${`dot ${tone}`} title=${tone === "bad" ? "something failed" : "something warned"} />` : null}</div>`;
          })}
        </div>
        ${rows.length === 0 && html`<div class="card-none">Nothing is called that.</div>`}
      </div>`;
  };
})();
