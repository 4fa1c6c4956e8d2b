// Everything about one node.
(function () {
  "use strict";
  const elt = window.elt;
  const { html, hooks } = elt;
  const { nodes, releases } = elt.docs;

  elt.NodePage = ({ node, tab, query }) => {
    hooks.useEffect(() => elt.remember(node), [node]);
    const tests = node.tests.map((at) => nodes[at]);
    const hasGraph = !["macro", "group"].includes(node.kind);
    const tabs = [["", "About"]];
    if (node.code != null) tabs.push(["code", node.kind === "macro" ? "Text" : "SQL"]);
    if (node.columns.length) tabs.push(["columns", "Columns", node.columns.length]);
    if (hasGraph && (node.parents.length || node.children.length)) tabs.push(["lineage", "Lineage"]);
    if (tests.length) tabs.push(["tests", "Tests", tests.length]);
    if (node.past.length) tabs.push(["runs", "Runs", node.past.length]);
    if (node.versions) tabs.push(["history", "History", node.versions.length]);
    const at = tabs.some(([key]) => key === (tab || "")) ? tab || "" : "";
    const standing = elt.standing(node);
    const words = { good: "All well", warn: "Warns", bad: "Fails" };
    const crumbs = [node.package, ...(node.path || "").split("/")].filter(Boolean);
    return html`<div class="page-in">
      <div class="head"><span class="head-icon" style=${`--kind: var(${elt.colorOf(node.kind)})`}><${elt.Icon} kind=${node.kind} size="24" /></span>
        <div style="min-width: 0; flex: 1">
          <div class="crumbs">${crumbs.map((crumb, one) => html`${one > 0 && html`<span>/</span>`}<span>${crumb}</span>`)}</div>
          <h1>${node.title}</h1>
          <div class="row" style="margin-top: 8px; gap: 7px">
            <${elt.Kind} kind=${node.kind} />
            ${node.made && node.made !== node.kind && html`<span class="chip">${node.made}</span>`}
            ${words[standing] && html`<${elt.State} tone=${standing} word=${words[standing]} pill />`}
            ${node.access && node.access !== "protected" && html`<span class="chip">${node.access}</span>`}
            ${node.contract && html`<span class="chip" title="Its columns and types are promised, and enforced">contract</span>`}
            ${node.latest != null && html`<span class="chip">latest version: ${node.latest}</span>`}
            ${node.deprecation_date && html`<${elt.State} tone="warn" word=${`deprecated ${String(node.deprecation_date).slice(0, 10)}`} pill />`}
            ${node.tags.map((tag) => html`<a class="chip" href=${elt.link(["list", "tag", tag])}>#${tag}</a>`)}
            ${node.past.length > 1 && html`<span class="push"><${elt.Strip} node=${node} /></span>`}
          </div>
        </div></div>
      <div class="tabs" role="tablist" aria-label="About this node">${tabs.map(([key, name, count]) => html`
        <a role="tab" aria-selected=${key === at} href=${elt.linkTo(node, key)}>${name}${count != null && html`<small>${elt.number(count)}</small>`}</a>`)}</div>
      ${at === "" && html`<${About} node=${node} tests=${tests} />`}
      ${at === "code" && html`<${elt.NodeCode} node=${node} />`}
      ${at === "columns" && html`<${Columns} node=${node} query=${query} />`}
      ${at === "lineage" && html`<${elt.Card} title="Lineage" plain more="Ctrl and the wheel zoom, double click looks at a node's neighbours"><${NodeGraph} node=${node} query=${query} /></${elt.Card}>`}
      ${at === "tests" && html`<${elt.Card} title="Tests" plain><${elt.TestList} tests=${tests} /></${elt.Card}>`}
      ${at === "runs" && html`<${Runs} node=${node} />`}
      ${at === "history" && html`<${History} node=${node} />`}
    </div>`;
  };

  const NodeGraph = ({ node, query }) => {
    const put = (next) => {
      if (next.focus && next.focus !== node.id) return elt.go(["node", next.focus, "lineage"], { ...next, focus: "" });
      return elt.put(["node", node.id, "lineage"], { ...next, focus: "" });
    };
    return html`<${elt.Graph} inside key=${node.id} query=${{ up: "2", down: "2", ...query, focus: node.id }} put=${put} />`;
  };

  const Neighbours = ({ title, places }) => places.length > 0 && html`
    <${elt.Card} title=${title} more=${elt.number(places.length)} plain>
      <ul class="links">${places.slice(0, 200).map((at) => html`<li><${elt.NodeLink} node=${nodes[at]} /></li>`)}</ul></${elt.Card}>`;

  const About = ({ node, tests }) => {
    const children = node.children.filter((at) => !elt.isTest(nodes[at]));
    const callers = node.callers || [];
    const last = node.past[0];
    const size = node.size;
    const link = (text) => (/^(https?|mailto):/.test(text) ? html`<a href=${text} target="_blank" rel="noopener noreferrer">${text}</a>` : text);
    const facts = [
      ["Table", node.relation && html`<span class="mono">${node.relation}</span>`],
      ["Owner", elt.ownerOf(node)],
      ["Email", node.owner && node.owner.email && link(`mailto:${[].concat(node.owner.email)[0]}`)],
      ["Group", elt.groupOf(node) && html`<${elt.NodeLink} node=${elt.groupOf(node)} />`],
      ["Type", node.type], ["Maturity", node.maturity], ["Link", node.url && link(node.url)], ["Label", node.label],
      ["Rows", size && size[1] != null && elt.number(size[1])],
      ["Size", size && `${elt.bytes(size[3])} in ${elt.many(size[2], "file")}`],
      ["Version", size && elt.number(size[0])],
      ["Key", node.key && html`<span class="mono">${node.key.join(", ")}</span>`],
      ["Last run", last && html`<span class="row" style="gap: 8px"><${elt.State} status=${last.status} /> <${elt.Time} at=${last.run.time} /></span>`],
      ["Took", last && last.took != null && elt.seconds(last.took)],
      ["Loader", node.loader],
      ["Freshness", node.fresh && html`<span class="row" style="gap: 8px"><${elt.State} status=${node.fresh.status} />
        ${node.fresh.age != null && html`<span>${elt.seconds(node.fresh.age)} old when asked ${elt.ago(node.fresh.asked)}</span>`}</span>`],
      ["Tests", node.test && html`<span class="mono">${node.test}${node.column ? ` (${node.column})` : ""}</span>`],
      ["On", node.on != null && html`<${elt.NodeLink} node=${nodes[node.on]} />`],
      ["File", html`<span class="mono">${node.path}</span>`],
      ["Described in", node.described && html`<span class="mono">${node.described}</span>`],
    ];
    const pairs = (object) => Object.entries(object || {}).map(([key, value]) => [key, html`<span class="mono">${elt.inLine(value)}</span>`]);
    const more = ["arguments", "type_params", "filter", "defaults", "entities", "dimensions", "measures", "query_params", "exports", "given", "expect", "overrides", "constraints"];
    const isMacro = node.kind === "macro";
    const extra = more.filter((key) => node[key] != null && !(isMacro && key === "arguments"));
    const failing = tests.filter((test) => test.past[0] && ["bad", "warn"].includes(elt.tone(test.past[0].status)));
    return html`<div class="two"><div class="stack">
      ${last && last.message && html`<div class=${`alert ${elt.tone(last.status)}`} role="note"><b>${elt.statusWord(last.status)}</b><pre class="plain">${last.message}</pre></div>`}
      ${failing.length > 0 && html`<${elt.Card} title="Tests that do not pass" plain><${elt.TestList} tests=${failing} /></${elt.Card}>`}
      <${elt.Card} title="Description">${node.description ? html`<${elt.Words} text=${node.description} />` : html`<span class="faint">Nobody has described it yet.</span>`}
        ${node.source_description && html`<div style="margin-top: 14px"><h3 class="faint">The source ${node.source_name}</h3><${elt.Words} text=${node.source_description} small /></div>`}</${elt.Card}>
      ${node.columns.length > 0 && html`<${Columns} node=${node} query=${{}} first=${40} />`}
      ${isMacro && node.arguments && html`<${elt.Card} title="Arguments" plain><${elt.List} heads=${["Name", "Type", ["Description", "wide"]]} rows=${node.arguments.map((one) => ({
        key: one.name, cells: [html`<span class="col-name">${one.name}</span>`, html`<span class="type">${one.type || ""}</span>`, html`<${elt.Words} text=${one.description} small />`],
      }))} /></${elt.Card}>`}
      ${node.kind === "group" && html`<${Neighbours} title="Members" places=${nodes.filter((one) => one.group === node.name).map((one) => one.at)} />`}
      ${extra.map((key) => html`<${elt.Card} title=${key.replace("_", " ").replace(/^./, (first) => first.toUpperCase())}><pre class="plain">${typeof node[key] === "string" ? node[key] : JSON.stringify(node[key], null, 2)}</pre></${elt.Card}>`)}
    </div><div class="stack">
      <${elt.Card} title="Facts"><${elt.Facts} facts=${facts} /></${elt.Card}>
      <${Neighbours} title="Reads" places=${node.parents} />
      <${Neighbours} title="Read by" places=${children} />
      <${Neighbours} title=${node.kind === "macro" ? "Calls" : "Macros"} places=${node.macros || []} />
      <${Neighbours} title="Called by" places=${callers} />
      ${node.config && html`<${elt.Card} title="Settings"><${elt.Facts} facts=${pairs(node.config)} /></${elt.Card}>`}
      ${(node.meta || node.source_meta) && html`<${elt.Card} title="Meta"><${elt.Facts} facts=${pairs({ ...node.source_meta, ...node.meta })} /></${elt.Card}>`}
    </div></div>`;
  };

  const Columns = ({ node, query, first }) => {
    const tests = hooks.useMemo(() => {
      const byColumn = new Map();
      for (const at of node.tests) {
        const test = nodes[at];
        if (!test.column) continue;
        const key = test.column.toLowerCase();
        if (!byColumn.has(key)) byColumn.set(key, []);
        byColumn.get(key).push(test);
      }
      return byColumn;
    }, [node]);
    const rows = node.columns.map(([name, type, description, more], at) => {
      const own = tests.get(name.toLowerCase()) || [];
      const from = elt.fedBy(node, name);
      const to = elt.feeds(node, name).length;
      return {
        key: name, marked: query.column === name,
        cells: [
          { sort: at, show: html`<a class="col-name" href=${elt.link(["lineage"], { column: `${node.id}::${name}` })} title="Where it comes from, and goes to">${name}</a>
            ${more && more.missing && html` <span class="chip" title="Described, but not in the table">not there</span>`}
            ${more && more.tags && more.tags.map((tag) => html` <span class="chip">#${tag}</span>`)}` },
          { sort: type, show: html`<span class="type">${(type || "").toLowerCase()}</span>` },
          { sort: description, show: html`<${elt.Words} text=${description} small />
            ${more && more.meta && html`<div class="faint mono">${Object.entries(more.meta).map(([key, value]) => `${key}: ${elt.inLine(value)}`).join(" · ")}</div>`}` },
          { sort: own.length, show: own.map((test) => html`<div><a href=${elt.linkTo(test)} title=${test.id}>
            <${elt.State} status=${test.past[0] ? test.past[0].status : "idle"} word=${test.test || test.name} /></a></div>`) },
          { sort: from.length, show: html`<div class="quiet">${from.slice(0, 3).map((one) => html`<div style="white-space: nowrap">
            ${typeof one.thing === "number" ? html`<a href=${elt.linkTo(nodes[one.thing], "columns", { column: one.column })}>${nodes[one.thing].title}.${one.column}</a>` : `${one.thing}.${one.column}`}
            ${one.how !== "copied" && html` <span class="faint">${one.how}</span>`}${one.was && html` <span class="faint">of ${one.was}</span>`}</div>`)}
            ${from.length > 3 && html`<span class="faint">and ${from.length - 3} more</span>`}</div>` },
          { sort: to, show: to ? elt.number(to) : "" },
        ],
      };
    });
    const hasOrigin = !first && rows.some((row) => row.cells[4].sort || row.cells[5].sort);
    const heads = ["Column", "Type", ["Description", "wide"], "Tests", "From", ["Used by", "num"]];
    const cut = hasOrigin ? rows : rows.map((row) => ({ ...row, cells: row.cells.slice(0, 4) }));
    return html`<div class="stack"><${elt.Card} title="Columns" more=${elt.number(node.columns.length)} plain>
      <${elt.List} heads=${hasOrigin ? heads : heads.slice(0, 4)} rows=${cut} first=${first || 500} /></${elt.Card}>
      ${node.rows_from && !first && html`<${elt.Card} title="What decides which rows there are" plain><${elt.List} heads=${["Column", "Of", "How"]} rows=${node.rows_from.map(([thing, column, how], at) => ({
        key: at, cells: [html`<span class="mono">${column}</span>`, html`<${elt.Thing} thing=${thing} />`, html`<span class="quiet">${how}</span>`],
      }))} /></${elt.Card}>`}</div>`;
  };

  elt.TestList = ({ tests, withNode }) => {
    const rows = tests.map((test) => {
      const last = test.past[0];
      const on = test.on != null ? nodes[test.on] : nodes[test.parents[0]];
      const cells = [
        { sort: last ? { bad: 0, warn: 1, idle: 2, good: 3 }[elt.tone(last.status)] : 4, show: last ? html`<${elt.State} status=${last.status} pill />` : html`<span class="faint">not run</span>` },
        { sort: test.name, show: html`<a href=${elt.linkTo(test)} title=${test.id}>${test.test || test.name}</a>
          ${test.column && html` <span class="mono quiet">${test.column}</span>`}
          ${test.arguments && html`<div class="faint mono">${Object.entries(test.arguments).map(([key, value]) => `${key}: ${elt.inLine(value)}`).join(" · ").slice(0, 160)}</div>`}
          ${last && last.message && html`<div class="quiet" style="font-size: 12.5px">${last.message}</div>`}` },
        { sort: last && last.run.time, show: last ? html`<span class="quiet" style="white-space: nowrap"><${elt.Time} at=${last.run.time} /></span>` : "" },
        { sort: last && last.took, show: last && last.took != null ? elt.seconds(last.took) : "" },
        { sort: test.past.length, show: html`<${elt.Strip} node=${test} length=${14} />` },
      ];
      if (withNode) cells.splice(1, 0, { sort: on && on.title, show: on ? html`<${elt.NodeLink} node=${on} />` : "" });
      return { key: test.id, cells };
    });
    const heads = ["Result", "Test", "When", ["Took", "num"], "Last runs"];
    if (withNode) heads.splice(1, 0, "On");
    return html`<${elt.List} heads=${heads} rows=${rows} sort=${[0, false]} empty="There are no tests." />`;
  };

  const Runs = ({ node }) => {
    const past = node.past;
    const points = hooks.useMemo(() => past.slice(0, 60).reverse().map((one) => [one.run.time, one.took || 0, `--${elt.tone(one.status)}-fill`]), [node]);
    const rows = past.map((one, at) => ({
      key: at,
      cells: [
        html`<${elt.State} status=${one.status} pill />`,
        { sort: one.run.time, show: html`<a href=${elt.link(["run", one.run.id])}>${elt.instant(one.run.time)}</a>` },
        one.run.command,
        { sort: one.took, show: elt.seconds(one.took) },
        { sort: one.added, show: one.added == null ? "" : elt.number(one.added) },
        { sort: one.updated, show: one.updated == null ? "" : elt.number(one.updated) },
        { sort: one.removed, show: one.removed == null ? "" : elt.number(one.removed) },
        one.message || "",
      ],
    }));
    const pick = (at) => elt.go(["run", past[Math.min(past.length, 60) - 1 - at].run.id]);
    return html`<div class="stack">
      <${elt.Card} title="How long it took"><${elt.Chart} points=${points} name="Seconds" write=${elt.seconds} form="bars" onPick=${pick} /></${elt.Card}>
      <${elt.Card} title="Runs" plain><${elt.List} heads=${["Result", "Run", "Command", ["Took", "num"], ["Added", "num"], ["Updated", "num"], ["Removed", "num"], ["", "cut"]]} rows=${rows} /></${elt.Card}>
    </div>`;
  };

  // [version, release, operation, added, updated, removed, rows, bytes], the newest first.
  const History = ({ node }) => {
    const [rowsThen, written] = hooks.useMemo(() => {
      const old = node.versions.slice(0, 120).reverse();
      const when = (version) => releases[version[1]].time;
      return [
        old.filter((version) => version[6] != null).map((version) => [when(version), version[6]]),
        old.map((version) => [when(version), version[7] || 0]),
      ];
    }, [node]);
    const rows = node.versions.map((version) => {
      const release = releases[version[1]];
      const number = (value) => ({ sort: value, show: value ? elt.number(value) : value === 0 ? html`<span class="faint">0</span>` : "" });
      return {
        key: version[0],
        cells: [version[0], { sort: release.time, show: html`<a href=${elt.link(["releases"], { at: release.number })}>release ${release.number}</a> <span class="faint">${elt.ago(release.time)}</span>` },
          String(version[2]).replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase(), number(version[3]), number(version[4]), number(version[5]), number(version[6]), { sort: version[7], show: elt.bytes(version[7]) }],
      };
    });
    return html`<div class="stack"><div class="grid">
      ${rowsThen.length > 0 && html`<${elt.Card} title="Rows"><${elt.Chart} points=${rowsThen} name="Rows" write=${elt.compact} form="steps" /></${elt.Card}>`}
      <${elt.Card} title="Bytes written"><${elt.Chart} points=${written} name="Bytes" write=${elt.bytes} form="bars" /></${elt.Card}></div>
      <${elt.Card} title="Versions" more=${node.size ? `now ${elt.bytes(node.size[3])} in ${elt.many(node.size[2], "file")}` : ""} plain>
        <${elt.List} heads=${[["Version", "num"], "Published", "Operation", ["Added", "num"], ["Updated", "num"], ["Removed", "num"], ["Rows", "num"], ["Written", "num"]]} rows=${rows} /></${elt.Card}>
    </div>`;
  };
})();
