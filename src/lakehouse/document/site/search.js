// Where is it? A search over names, columns, descriptions, tags and owners.
(function () {
  "use strict";
  const elt = window.elt;
  const { html, hooks } = elt;
  const { nodes } = elt.docs;

  const split = (text) => text.toLowerCase().split(/[^\p{L}\p{N}]+/u).filter(Boolean);
  // `fct_daily_orders` is found by each of its words, and by the whole.
  const tokenize = (text) => {
    const words = split(text);
    const whole = text.toLowerCase().match(/[\p{L}\p{N}_]+/gu) || [];
    return [...new Set(words.concat(whole))];
  };

  const index = new window.MiniSearch({
    fields: ["name", "columns", "tags", "about", "path"], idField: "at", tokenize,
    searchOptions: {
      tokenize: split, prefix: (term) => term.length > 1, fuzzy: (term) => (term.length > 3 ? 0.25 : false), combineWith: "AND",
      boost: { name: 6, columns: 2, tags: 2, path: 0.6 },
      boostDocument: (at) => (elt.isTest(nodes[at]) ? 0.15 : nodes[at].kind === "macro" ? 0.5 : 1 + Math.min(nodes[at].children.length, 60) / 200),
    },
  });
  const entry = (node) => ({
    at: node.at, name: `${node.title} ${node.label || ""}`, columns: node.columns.map(([name]) => name).join(" "),
    tags: `${node.tags.join(" ")} ${elt.ownerOf(node)} ${node.group || ""}`,
    about: elt.isTest(node) ? "" : `${elt.gist(node.description)} ${node.columns.map(([, , text]) => text || "").join(" ")}`,
    path: elt.isTest(node) ? "" : `${node.path || ""} ${node.relation || ""}`,
  });

  // Filled a little at a time, so that the page answers meanwhile; at once if somebody is asking.
  let filled = 0;
  const shown = nodes.filter((node) => !node.hidden);
  const fill = (until) => {
    while (filled < shown.length && performance.now() < until) {
      index.addAll(shown.slice(filled, filled + 40).map(entry));
      filled += 40;
    }
    return filled >= shown.length;
  };
  elt.fillIndex = () => {
    const later = window.requestIdleCallback || ((work) => setTimeout(work, 30));
    const more = () => { if (!fill(performance.now() + 12)) later(more); };
    later(more);
  };

  // `kind:source tag:nightly orders`: words with a colon narrow what is found.
  elt.search = (text, limit = 60) => {
    const filters = [];
    const words = text.trim().replace(/\b(kind|tag|owner|package|schema|status):(\S+)/gi, (_, key, value) => {
      filters.push([key.toLowerCase(), value.toLowerCase()]);
      return "";
    }).trim();
    const passes = (node) => filters.every(([key, value]) => {
      switch (key) {
        case "kind": return node.kind.startsWith(value.replace(/s$/, "")) || elt.kindWord(node.kind).startsWith(value);
        case "tag": return node.tags.some((tag) => tag.toLowerCase().startsWith(value));
        case "owner": return elt.ownerOf(node).toLowerCase().includes(value);
        case "package": return (node.package || "").toLowerCase().startsWith(value);
        case "schema": return (node.relation || "").toLowerCase().startsWith(`${value}`);
        default: return (node.past[0] ? node.past[0].status : "").startsWith(value) || elt.standing(node).startsWith(value);
      }
    });
    if (!words) {
      if (!filters.length) return [];
      return shown.filter(passes).slice(0, limit).map((node) => ({ node, terms: [] }));
    }
    fill(Infinity);
    const found = index.search(words, { filter: (hit) => passes(nodes[hit.id]) });
    const exact = words.toLowerCase();
    const rank = (hit) => (nodes[hit.id].title.toLowerCase() === exact ? 0 : 1);
    found.sort((a, b) => rank(a) - rank(b) || b.score - a.score);
    return found.slice(0, limit).map((hit) => ({ node: nodes[hit.id], terms: hit.terms, match: hit.match }));
  };

  const marked = (text, terms) => {
    if (!terms.length) return text;
    const pattern = new RegExp(`(${terms.map((term) => term.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|")})`, "gi");
    return text.split(pattern).map((part, at) => (at % 2 ? html`<mark>${part}</mark>` : part));
  };

  // What of a node was found besides its name.
  const because = ({ node, terms, match }) => {
    const of = (field) => Object.keys(match || {}).filter((term) => match[term].includes(field));
    const inColumns = of("columns");
    if (inColumns.length && !of("name").length) {
      const columns = node.columns.map(([name]) => name).filter((name) => inColumns.some((term) => tokenize(name).includes(term)));
      if (columns.length) return html`column ${marked(columns.slice(0, 4).join(", "), terms)}`;
    }
    const gist = elt.gist(node.description);
    return gist ? marked(gist, terms) : node.path || "";
  };

  elt.Search = ({ close }) => {
    const [text, setText] = hooks.useState("");
    const [at, setAt] = hooks.useState(0);
    const list = hooks.useRef(null);
    const hits = hooks.useMemo(() => elt.search(text), [text]);
    const recent = hooks.useMemo(() => elt.recent().map((id) => elt.byId.get(id)).filter(Boolean).map((node) => ({ node, terms: [] })), []);
    const shownHits = text.trim() ? hits : recent;
    const pick = (hit) => { close(); elt.go(["node", hit.node.id]); };
    const onKeyDown = (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key] || (event.ctrlKey && { n: 1, p: -1 }[event.key]);
      if (step) {
        event.preventDefault();
        const next = Math.max(0, Math.min(shownHits.length - 1, at + step));
        setAt(next);
        const row = list.current && list.current.querySelectorAll(".hit")[next];
        if (row) row.scrollIntoView({ block: "nearest" });
      } else if (event.key === "Enter" && shownHits[at]) {
        event.preventDefault();
        pick(shownHits[at]);
      }
    };
    return html`<${elt.Sheet} label="Search" close=${close}>
      <div class="sheet-seek"><${elt.Icon} sign="search" size="18" />
        <input type="text" placeholder="Search models, columns, descriptions, tags …" value=${text} spellcheck="false"
          role="combobox" aria-expanded="true" aria-controls="hits" aria-label="Search" aria-activedescendant=${shownHits[at] ? `hit-${at}` : undefined}
          onInput=${(event) => { setText(event.target.value); setAt(0); }} onKeyDown=${onKeyDown} />
        <kbd>Esc</kbd></div>
      <div class="sheet-list" id="hits" role="listbox" aria-label="Found" ref=${list}>
        ${!text.trim() && recent.length > 0 && html`<div class="faint" style="padding: 4px 12px 6px; font-size: 12px">Seen last</div>`}
        ${shownHits.map((hit, one) => html`
          <a class="hit" id=${`hit-${one}`} role="option" aria-selected=${one === at} key=${hit.node.id} tabindex="-1" href=${elt.linkTo(hit.node)}
            onMouseMove=${() => setAt(one)} onClick=${close}>
            <${elt.Icon} kind=${hit.node.kind} size="18" />
            <b>${marked(hit.node.title, hit.terms)}</b>
            <span class="where">${elt.kindWord(hit.node.kind)}${hit.node.relation ? ` · ${hit.node.relation.split(".")[0]}` : ""}</span>
            <small>${because(hit)}</small>
          </a>`)}
        ${text.trim() && !hits.length && html`<div class="card-none">Nothing is called that, or says so.</div>`}
        ${!text.trim() && !recent.length && html`<div class="card-none">Type a few letters of a name, a column or a description.</div>`}
      </div>
      <div class="sheet-foot"><span><kbd>↑</kbd><kbd>↓</kbd> choose</span><span><kbd>↵</kbd> open</span>
        <span class="push mono">kind:source tag:nightly owner:ann status:fail</span></div>
    </${elt.Sheet}>`;
  };

  const KEY = `elt-recent-${elt.docs.about.project}`;
  elt.recent = () => {
    try { return JSON.parse(localStorage.getItem(KEY) || "[]"); } catch (error) { return []; }
  };
  elt.remember = (node) => {
    try {
      localStorage.setItem(KEY, JSON.stringify([node.id, ...elt.recent().filter((id) => id !== node.id)].slice(0, 8)));
    } catch (error) { /* a page from disk may have no storage */ }
  };

  // Something over the page that Esc or a click beside it closes; what had the focus gets it back.
  elt.Sheet = ({ label, close, children }) => {
    const box = hooks.useRef(null);
    hooks.useEffect(() => {
      const before = document.activeElement;
      const first = box.current.querySelector("input, button, a");
      if (first) first.focus();
      return () => { if (before && before.focus) before.focus(); };
    }, []);
    const onKeyDown = (event) => {
      if (event.key === "Escape") { event.stopPropagation(); close(); }
      if (event.key !== "Tab") return;
      const stops = [...box.current.querySelectorAll("input, button, a:not([tabindex='-1'])")];
      const edge = event.shiftKey ? stops[0] : stops[stops.length - 1];
      if (document.activeElement === edge) {
        event.preventDefault();
        (event.shiftKey ? stops[stops.length - 1] : stops[0]).focus();
      }
    };
    return html`<div class="veil" onMouseDown=${(event) => event.target === event.currentTarget && close()}>
      <div class="sheet" role="dialog" aria-modal="true" aria-label=${label} ref=${box} onKeyDown=${onKeyDown}>${children}</div></div>`;
  };
})();
