// How does the project stand? And lists: of a kind, of a tag, of tests.
(function () {
  "use strict";
  const elt = window.elt;
  const { html, hooks } = elt;
  const { nodes, runs, releases, about } = elt.docs;

  elt.HomePage = () => {
    const tests = hooks.useMemo(() => nodes.filter((node) => elt.isTest(node)), []);
    const counts = { good: 0, warn: 0, bad: 0, idle: 0 };
    for (const test of tests) counts[test.past[0] ? elt.tone(test.past[0].status) : "idle"]++;
    const wrong = hooks.useMemo(() => nodes
      .filter((node) => node.past[0] && ["bad", "warn"].includes(elt.tone(node.past[0].status)))
      .sort((a, b) => (elt.tone(a.past[0].status) < elt.tone(b.past[0].status) ? -1 : 1)), []);
    const slow = hooks.useMemo(() => nodes.filter((node) => node.past[0] && node.past[0].took != null && !elt.isTest(node))
      .sort((a, b) => b.past[0].took - a.past[0].took).slice(0, 8), []);
    const large = hooks.useMemo(() => nodes.filter((node) => node.size).sort((a, b) => b.size[3] - a.size[3]).slice(0, 8), []);
    const stale = nodes.filter((node) => node.fresh && node.fresh.status !== "pass");
    const bytes = nodes.reduce((sum, node) => sum + (node.size ? node.size[3] : 0), 0);
    const undescribed = hooks.useMemo(() => {
      const described = ["model", "source", "seed", "snapshot"].flatMap((kind) => elt.ofKind(kind));
      return [described.filter((node) => node.description).length, described.length];
    }, []);
    const last = runs[0];
    const points = hooks.useMemo(() => runs.slice(0, 60).reverse().map((run) => [run.time, run.took || 0, `--${run.tone}-fill`]), []);
    const pick = (at) => elt.go(["run", runs[Math.min(runs.length, 60) - 1 - at].id]);
    const shelf = (kind) => {
      const count = elt.ofKind(kind).length;
      return count > 0 && html`<a class="tile" href=${elt.link(kind === "test" ? ["tests"] : ["list", "kind", kind])} key=${kind}>
        <b>${elt.compact(count)}</b><span><${elt.Icon} kind=${kind} size="14" />${count === 1 ? elt.kindWord(kind) : elt.kinds[kind].toLowerCase()}</span></a>`;
    };
    const bar = (max, value, color) => html`<div style=${`height: 4px; border-radius: 2px; margin-top: 3px; background: var(${color}); opacity: .55; width: ${Math.max(1, (value / (max || 1)) * 100)}%`} />`;
    return html`<div class="page-in"><div class="row" style="margin-bottom: 4px"><h1>${about.project}</h1>
        ${last && html`<${elt.State} tone=${last.tone} pill word=${{ good: "last run: all well", warn: "last run: warned", bad: "last run: failed" }[last.tone]} />`}</div>
      <p class="quiet" style="margin: 0 0 20px">
        ${about.release ? html`Readers see <a href="#/releases">release ${about.release}</a>. ` : "Nothing is published yet. "}
        Target ${about.target}, written ${elt.ago(about.at)} by elt ${about.elt}.</p>
      <div class="stack">
        <div class="tiles">${Object.keys(elt.kinds).map(shelf)}</div>
        <div class="grid">
          <${elt.Card} title="Tests" more=${html`<a href="#/tests">all tests</a>`}>
            ${tests.length ? html`<div class="row" style="gap: 22px">
              ${[["good", "passed"], ["warn", "warned"], ["bad", "failed"], ["idle", "not run"]].map(([tone, word]) => (counts[tone] || tone === "good") && html`
                <div><b style="font-size: 21px; letter-spacing: -.02em" class="state ${tone}">${elt.number(counts[tone])}</b><div class="quiet" style="font-size: 12.5px">${word}</div></div>`)}</div>
              <div style="display: flex; height: 8px; border-radius: 4px; overflow: hidden; margin-top: 12px; background: var(--idle-soft)" aria-hidden="true">
                ${["good", "warn", "bad"].map((tone) => html`<i style=${`background: var(--${tone}-fill); width: ${(counts[tone] / tests.length) * 100}%`} />`)}</div>`
              : html`<span class="faint">There are no tests.</span>`}
          </${elt.Card}>
          <${elt.Card} title="The lake" more=${html`<a href="#/releases">releases</a>`}>
            <div class="row" style="gap: 22px">
              <div><b style="font-size: 21px; letter-spacing: -.02em">${elt.bytes(bytes)}</b><div class="quiet" style="font-size: 12.5px">in ${elt.many(nodes.filter((node) => node.size).length, "table")}</div></div>
              <div><b style="font-size: 21px; letter-spacing: -.02em">${elt.compact(nodes.reduce((sum, node) => sum + ((node.size && node.size[1]) || 0), 0))}</b><div class="quiet" style="font-size: 12.5px">rows</div></div>
              <div><b style="font-size: 21px; letter-spacing: -.02em">${releases.length ? elt.number(releases[0].number) : "0"}</b><div class="quiet" style="font-size: 12.5px">releases</div></div>
              ${undescribed[1] > 0 && html`<div><b style="font-size: 21px; letter-spacing: -.02em">${Math.round((undescribed[0] / undescribed[1]) * 100)} %</b><div class="quiet" style="font-size: 12.5px">described</div></div>`}
            </div></${elt.Card}>
        </div>
        ${wrong.length > 0 && html`<${elt.Card} title="What does not pass" more=${elt.number(wrong.length)} plain><${elt.List} heads=${["Result", "Node", "On", "When", "Message"]} first=${8} rows=${wrong.map((node) => ({
          key: node.id, cells: [html`<${elt.State} status=${node.past[0].status} pill />`,
            { sort: node.title, show: html`<${elt.NodeLink} node=${node} title=${node.test ? `${node.test}${node.column ? ` ${node.column}` : ""}` : node.title} />` },
            node.on != null ? html`<${elt.NodeLink} node=${nodes[node.on]} />` : "",
            { sort: node.past[0].run.time, show: html`<span style="white-space: nowrap"><${elt.Time} at=${node.past[0].run.time} /></span>` },
            { sort: node.past[0].message, show: html`<span class="quiet">${(node.past[0].message || "").slice(0, 200)}</span>` }],
        }))} /></${elt.Card}>`}
        ${stale.length > 0 && html`<${elt.Card} title="Sources that are late" plain><ul class="links">${stale.map((node) => html`<li><span class="row"><${elt.NodeLink} node=${node} /><${elt.State} status=${node.fresh.status} /></span></li>`)}</ul></${elt.Card}>`}
        ${about.overview && html`<${elt.Card} title="About"><${elt.Words} text=${about.overview} /></${elt.Card}>`}
        ${points.length > 1 && html`<${elt.Card} title="How long runs took" more=${html`<a href="#/runs">all runs</a>`}><${elt.Chart} points=${points} name="Seconds" write=${elt.seconds} form="bars" onPick=${pick} /></${elt.Card}>`}
        <div class="grid">
          ${slow.length > 0 && html`<${elt.Card} title="What took longest" more="when it last ran" plain><ul class="links" style="padding-bottom: 10px">${slow.map((node) => html`
            <li><div style="display: block"><div class="row" style="flex-wrap: nowrap"><${elt.NodeLink} node=${node} tab="runs" /><span class="push num quiet">${elt.seconds(node.past[0].took)}</span></div>${bar(slow[0].past[0].took, node.past[0].took, elt.colorOf(node.kind))}</div></li>`)}</ul></${elt.Card}>`}
          ${large.length > 0 && html`<${elt.Card} title="What is largest" plain><ul class="links" style="padding-bottom: 10px">${large.map((node) => html`
            <li><div style="display: block"><div class="row" style="flex-wrap: nowrap"><${elt.NodeLink} node=${node} tab="history" /><span class="push num quiet">${node.size[1] === 1 ? "1 row" : `${elt.compact(node.size[1])} rows`}, ${elt.bytes(node.size[3])}</span></div>${bar(large[0].size[3], node.size[3], elt.colorOf(node.kind))}</div></li>`)}</ul></${elt.Card}>`}
        </div>
      </div></div>`;
  };

  // Nodes of a kind, or with a tag.
  elt.ListPage = ({ by, value }) => {
    const found = hooks.useMemo(() => (by === "kind" ? elt.ofKind(value) : nodes.filter((node) => !node.hidden && node.tags.includes(value))), [by, value]);
    const rows = hooks.useMemo(() => found.map((node) => {
      const counts = elt.testCounts(node);
      const last = node.past[0];
      return {
        key: node.id,
        cells: [
          { sort: node.title, show: html`<${elt.NodeLink} node=${node} />` },
          { sort: node.made, show: html`<span class="quiet">${by === "kind" ? node.made && node.made !== node.kind ? node.made : node.type || "" : elt.kindWord(node.kind)}</span>` },
          { sort: elt.gist(node.description), show: html`<span class="quiet" title=${elt.gist(node.description)}>${elt.gist(node.description)}</span>` },
          { sort: elt.ownerOf(node), show: elt.ownerOf(node) },
          { sort: counts.bad * 1e6 + counts.warn * 1e3 + node.tests.length, show: node.tests.length ? html`<span class="row" style="gap: 8px; flex-wrap: nowrap">${["bad", "warn", "good", "idle"].map((tone) => counts[tone] > 0 && html`<span class=${`state ${tone}`}><i class="dot" />${counts[tone]}</span>`)}</span>` : "" },
          { sort: last && last.run.time, show: last ? html`<span style="white-space: nowrap"><${elt.State} status=${last.status} word=${elt.ago(last.run.time)} /></span>` : "" },
          { sort: node.size && node.size[1], show: node.size && node.size[1] != null ? elt.compact(node.size[1]) : "" },
        ],
      };
    }), [found]);
    return html`<div class="page-in"><div class="row" style="margin-bottom: 18px"><h1>${by === "kind" ? elt.kinds[value] || value : `#${value}`}</h1><span class="quiet">${elt.number(found.length)}</span>
      ${by === "kind" && !["macro", "group"].includes(value) && html`<a class="button push" href=${elt.link(["lineage"], { kinds: value })}>Lineage of these</a>`}</div>
      <div class="stack"><${elt.Card} plain title="Nodes"><${elt.List} key=${value} heads=${["Name", by === "kind" ? "Made as" : "Kind", ["Description", "cut"], "Owner", "Tests", "Last run", ["Rows", "num"]]} rows=${rows} /></${elt.Card}></div></div>`;
  };

  elt.TestsPage = ({ query }) => {
    const tests = hooks.useMemo(() => nodes.filter((node) => elt.isTest(node)), []);
    const counts = { good: 0, warn: 0, bad: 0, idle: 0 };
    const toneOf = (test) => (test.past[0] ? elt.tone(test.past[0].status) : "idle");
    for (const test of tests) counts[toneOf(test)]++;
    const shown = query.tone ? tests.filter((test) => toneOf(test) === query.tone) : tests;
    const tab = (tone, word, count) => html`<button role="tab" aria-selected=${(query.tone || "") === tone} onClick=${() => elt.put(["tests"], { tone })}>${word} ${elt.number(count)}</button>`;
    return html`<div class="page-in"><div class="row" style="margin-bottom: 18px"><h1>Tests</h1>
      <div class="segments push" role="tablist" aria-label="Which">${tab("", "All", tests.length)}${tab("bad", "Failed", counts.bad)}${tab("warn", "Warned", counts.warn)}${tab("good", "Passed", counts.good)}${tab("idle", "Not run", counts.idle)}</div></div>
      <div class="stack"><${elt.Card} title="Tests" more=${elt.number(shown.length)} plain><${elt.TestList} key=${query.tone} tests=${shown} withNode /></${elt.Card}></div></div>`;
  };
})();
