// What is every page put together of?
(function () {
  "use strict";
  const elt = window.elt;
  const { h, Fragment } = window.preact;
  const hooks = window.preactHooks;
  const html = (elt.html = window.htm.bind(h));
  Object.assign(elt, { Fragment, hooks });

  // One sign for each kind, drawn on 16 × 16.
  const SIGNS = {
    model: "M8 1.5 14 5v6l-6 3.5L2 11V5zM2 5l6 3.5L14 5M8 8.5v6",
    source: "M2.5 4c0-1.4 2.5-2.3 5.5-2.3s5.5.9 5.5 2.3-2.5 2.3-5.5 2.3S2.5 5.4 2.5 4zM2.5 4v8c0 1.4 2.5 2.3 5.5 2.3s5.5-.9 5.5-2.3V4M2.5 8c0 1.4 2.5 2.3 5.5 2.3s5.5-.9 5.5-2.3",
    seed: "M8 14.5V7M8 9c0-3 2-5 5.5-5C13.5 7 11.5 9 8 9zM8 7C8 4.5 6 2.5 2.5 2.5 2.5 5.5 4.5 7 8 7z",
    snapshot: "M2 5.5h2.5L6 3.5h4l1.5 2H14v8H2zM8 11.5a2.3 2.3 0 1 0 0-4.6 2.3 2.3 0 0 0 0 4.6z",
    exposure: "M2 13.5h12M4 11V8M8 11V3M12 11V5.5",
    metric: "M2 11.5a6 6 0 0 1 12 0M8 11.5l3-4",
    semantic_model: "M8 2l5 3-5 3-5-3zM3 8l5 3 5-3M3 11l5 3 5-3",
    saved_query: "M4 1.5h8v13l-4-3-4 3z",
    analysis: "M7 12a5 5 0 1 0 0-10 5 5 0 0 0 0 10zM10.6 10.6 14.5 14.5",
    test: "M3 8.5 6.5 12 13 4.5",
    unit_test: "M6 1.5h4M7 1.5v5L3 13.5h10L9 6.5v-5",
    macro: "M6 2C4 2 4.5 7 2 8c2.5 1 2 6 4 6M10 2c2 0 1.5 5 4 6-2.5 1-2 6-4 6",
    group: "M6 7.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM1.5 14c0-2.5 2-4 4.5-4s4.5 1.5 4.5 4M11 3c2.5.5 2.5 4 0 4.5M12.5 10.5c1.5.5 2 2 2 3.5",
    folder: "M1.5 3.5h4.5l1.5 2h7v8h-13z",
    search: "M7 12a5 5 0 1 0 0-10 5 5 0 0 0 0 10zM10.6 10.6 14.5 14.5",
    sun: "M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1 1M12 12l1 1M13 3l-1 1M4 12l-1 1",
    moon: "M13.5 9.5A6 6 0 0 1 6.5 2.5a6 6 0 1 0 7 7z",
    question: "M6 6a2 2 0 1 1 2.8 1.8C8.2 8.1 8 8.5 8 9.2M8 11.5v.2M8 14.5a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13z",
    menu: "M2 4h12M2 8h12M2 12h12",
    plus: "M8 3v10M3 8h10",
    minus: "M3 8h10",
    fit: "M2 6V2h4M10 2h4v4M14 10v4h-4M6 14H2v-4",
    copy: "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
    fold: "M6 3.5 10.5 8 6 12.5",
    close: "M3.5 3.5l9 9M12.5 3.5l-9 9",
  };

  elt.Icon = ({ sign, kind, size = 16 }) => html`
    <svg class="icon" style=${kind ? `--kind: var(${elt.colorOf(kind)})` : ""} width=${size} height=${size} viewBox="0 0 16 16"
      fill="none" stroke="currentColor" stroke-width="1.4" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
      <path d=${SIGNS[sign || kind] || SIGNS.model} />
    </svg>`;

  elt.Kind = ({ kind }) => html`<span class="chip kind" style=${`--kind: var(${elt.colorOf(kind)})`}>${elt.kindWord(kind)}</span>`;

  elt.State = ({ status, tone, word, pill }) => html`
    <span class=${`state ${tone || elt.tone(status)} ${pill ? "pill" : ""}`}>
      ${pill ? null : html`<i class="dot" />`}${word || elt.statusWord(status)}
    </span>`;

  elt.NodeLink = ({ node, tab, query, title }) => html`
    <a class="node-link" href=${elt.linkTo(node, tab, query)} title=${node.id}>
      <${elt.Icon} kind=${node.kind} /><span>${title || node.title}</span>
    </a>`;

  // A node by its place, or the name of something that is not of the project.
  elt.Thing = ({ thing, tab, query }) =>
    typeof thing === "number"
      ? html`<${elt.NodeLink} node=${elt.docs.nodes[thing]} tab=${tab} query=${query} />`
      : html`<span class="quiet">${thing}</span>`;

  elt.Time = ({ at }) => html`<time datetime=${new Date(at).toISOString()} title=${elt.instant(at)}>${elt.ago(at)}</time>`;

  elt.Card = ({ title, more, children, plain, id }) => html`
    <section class="card" aria-label=${typeof title === "string" ? title : undefined} id=${id}>
      ${title && html`<header><h2>${title}</h2>${more && html`<span class="push">${more}</span>`}</header>`}
      ${plain ? children : html`<div class="card-in">${children}</div>`}
    </section>`;

  elt.Facts = ({ facts }) => {
    const said = facts.filter(([, value]) => value != null && value !== "" && value !== false);
    return said.length ? html`<dl class="facts">${said.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>` : null;
  };

  // Words that people wrote, as Markdown. What could do more than be read is taken out of it.
  const written = new Map();
  const purify = window.DOMPurify;
  purify.addHook("afterSanitizeAttributes", (node) => {
    if (node.tagName === "A" && node.hasAttribute("href")) {
      node.setAttribute("target", "_blank");
      node.setAttribute("rel", "noopener noreferrer");
    }
    // Nothing is fetched from elsewhere: a picture is named, and leads to where it is.
    if (node.tagName === "IMG" && !/^data:image\//.test(node.getAttribute("src") || "")) {
      const link = document.createElement("a");
      link.textContent = node.getAttribute("alt") || node.getAttribute("src") || "picture";
      const src = node.getAttribute("src") || "";
      if (/^https?:/.test(src)) Object.assign(link, { href: src, target: "_blank", rel: "noopener noreferrer" });
      node.replaceWith(link);
    }
  });
  elt.asHtml = (text) => {
    if (!written.has(text)) {
      const made = window.marked.parse(text, { gfm: true, breaks: false });
      written.set(text, purify.sanitize(made, {
        USE_PROFILES: { html: true }, FORBID_TAGS: ["style", "form", "input", "button", "select", "textarea", "video", "audio", "source"],
        FORBID_ATTR: ["style", "id", "name", "class"],
      }));
    }
    return written.get(text);
  };
  elt.Words = ({ text, small }) =>
    text ? html`<div class=${`words ${small ? "small" : ""}`} dangerouslySetInnerHTML=${{ __html: elt.asHtml(text) }} /> ` : null;

  // The first sentence or so, as plain text.
  const first = new Map();
  elt.gist = (text) => {
    if (!text) return "";
    if (!first.has(text)) {
      const stripped = text.replace(/<[^>]*>/g, " ").replace(/!?\[([^\]]*)\]\([^)]*\)/g, "$1").replace(/[*_`#>|]+/g, "");
      first.set(text, stripped.replace(/\s+/g, " ").trim().slice(0, 240));
    }
    return first.get(text);
  };

  // The last runs of a node: one small bar each, the newest at the right.
  elt.Strip = ({ node, length = 20 }) => {
    const past = node.past.slice(0, length).reverse();
    return html`<span class="strip">
      ${past.map((one) => html`<a class=${elt.tone(one.status)} href=${elt.link(["run", one.run.id])} tabindex="-1"
        aria-label=${`${elt.statusWord(one.status)} ${elt.ago(one.run.time)}`} title=${`${elt.statusWord(one.status)} ${elt.ago(one.run.time)}, ${elt.seconds(one.took)}${one.message ? `\n${one.message}` : ""}`} />`)}
    </span>`;
  };

  elt.copy = (text) => {
    const area = document.createElement("textarea");
    area.value = text;
    area.style.cssText = "position: fixed; opacity: 0";
    document.body.append(area);
    area.select();
    document.execCommand("copy"); // the only way that works from disk
    area.remove();
  };

  elt.Copy = ({ text, label = "Copy" }) => {
    const [done, setDone] = hooks.useState(false);
    const copy = () => {
      elt.copy(typeof text === "function" ? text() : text);
      setDone(true);
      setTimeout(() => setDone(false), 1200);
    };
    return html`<button class="button" onClick=${copy}><${elt.Icon} sign="copy" size="14" />${done ? "Copied" : label}</button>`;
  };

  // Rows of a long list: only those in sight are there. `row(at)` draws one, with its own `top`.
  elt.useWindow = (ref, count, height) => {
    const [range, setRange] = hooks.useState([0, 60]);
    hooks.useLayoutEffect(() => {
      const box = ref.current;
      if (!box) return undefined;
      const look = () => {
        const top = Math.max(0, Math.floor(box.scrollTop / height) - 8);
        const end = Math.ceil((box.scrollTop + box.clientHeight) / height) + 8;
        setRange((old) => (old[0] === top && old[1] === end ? old : [top, end]));
      };
      look();
      box.addEventListener("scroll", look, { passive: true });
      const seen = new ResizeObserver(look);
      seen.observe(box);
      return () => { box.removeEventListener("scroll", look); seen.disconnect(); };
    }, [count, height]);
    const from = Math.min(range[0], Math.max(0, count - 1));
    return [from, Math.min(range[1], count)];
  };

  // A table of many rows: so many at first, more when asked for; sorted by a click on a head.
  elt.List = ({ heads, rows, empty = "Nothing here.", first = 100, sort }) => {
    const [shown, setShown] = hooks.useState(first);
    const [by, setBy] = hooks.useState(sort || null);
    if (!rows.length) return html`<div class="card-none">${empty}</div>`;
    let sorted = rows;
    if (by) {
      const [at, down] = by;
      const value = (row) => { const one = row.cells[at]; return one && one.sort !== undefined ? one.sort : one; };
      const rank = (one) => (one == null || one === "" ? null : one);
      sorted = rows.slice().sort((a, b) => {
        const x = rank(value(a)), y = rank(value(b));
        if (x === y) return 0;
        if (x === null) return 1;
        if (y === null) return -1;
        return (x < y ? -1 : 1) * (down ? -1 : 1);
      });
    }
    const click = (at) => setBy((old) => (old && old[0] === at ? (old[1] ? null : [at, true]) : [at, false]));
    const show = (cell) => (cell && cell.show !== undefined ? cell.show : cell);
    return html`<div class="scroll"><table>
      <thead><tr>${heads.map((head, at) => {
        const [name, kind] = Array.isArray(head) ? head : [head];
        const way = by && by[0] === at ? (by[1] ? "descending" : "ascending") : "none";
        if (!name) return html`<th class=${kind} scope="col"><span class="unseen">More</span></th>`;
        return html`<th class=${kind} aria-sort=${way} scope="col"><button onClick=${() => click(at)}>${name}${way === "none" ? "" : by[1] ? " ↓" : " ↑"}</button></th>`;
      })}</tr></thead>
      <tbody>${sorted.slice(0, shown).map((row) => html`<tr class=${`can ${row.marked ? "marked-row" : ""}`} key=${row.key}>
        ${row.cells.map((cell, at) => {
          const kind = Array.isArray(heads[at]) ? heads[at][1] : "";
          return html`<td class=${kind}>${kind === "cut" ? html`<div>${show(cell)}</div>` : show(cell)}</td>`;
        })}
      </tr>`)}</tbody></table>
      ${sorted.length > shown && html`<div class="card-none"><button class="button" onClick=${() => setShown(shown * 4)}>
        Show more of ${elt.number(sorted.length)}</button></div>`}
    </div>`;
  };
})();
