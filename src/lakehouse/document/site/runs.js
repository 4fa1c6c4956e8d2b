// What happened? A grid of nodes and runs, one run, and the releases.
(function () {
  "use strict";
  const elt = window.elt;
  const { html, hooks } = elt;
  const { nodes, runs, releases, about } = elt.docs;
  const HEIGHT = 26;
  const CELL = 20;

  const Legend = () => html`<div class="legend">${[["good", "built, passed"], ["warn", "warned"], ["bad", "failed"], ["idle", "skipped"]].map(([tone, word]) => html`
    <span><i class=${`dot ${tone}`} style="border-radius: 3px" />${word}</span>`)}</div>`;

  // In how many runs, and which of their rows are shown.
  elt.RunsPage = ({ query }) => {
    const withTests = query.tests === "1";
    const isBad = query.only === "bad";
    const box = hooks.useRef(null);
    const shownRuns = hooks.useMemo(() => runs.slice().reverse(), []);
    const columnOf = hooks.useMemo(() => new Map(shownRuns.map((run, at) => [run, at])), []);
    const rows = hooks.useMemo(() => {
      const takes = (node) => node.past.length && (withTests || !elt.isTest(node))
        && (!isBad || node.past.some((one) => ["bad", "warn"].includes(elt.tone(one.status))))
        && (!query.name || node.title.toLowerCase().includes(query.name.toLowerCase()));
      const rank = { source: 0, seed: 1, model: 2, snapshot: 3, test: 4, unit_test: 5 };
      return nodes.filter(takes).sort((a, b) => rank[a.kind] - rank[b.kind] || (a.path < b.path ? -1 : a.path > b.path ? 1 : a.title < b.title ? -1 : 1));
    }, [withTests, isBad, query.name]);
    const [from, to] = elt.useWindow(box, rows.length, HEIGHT);
    const [over, setOver] = hooks.useState(-1);
    hooks.useLayoutEffect(() => { if (box.current) box.current.scrollLeft = box.current.scrollWidth; }, []);
    if (!runs.length) return html`<${Empty} title="Runs" text="Nothing was built yet. After elt build, and elt docs generate again, its runs are here." />`;
    const longest = Math.max(0.001, ...runs.map((run) => run.took || 0));
    const put = (more) => elt.put(["runs"], { ...query, ...more });
    const width = 280 + shownRuns.length * CELL + 12;
    return html`<div class="page-in" style="max-width: 1600px">
      <div class="row" style="margin-bottom: 18px"><h1>Runs</h1><span class="quiet">${about.runs > runs.length ? `the last ${runs.length} of ${elt.number(about.runs)}` : elt.many(runs.length, "run")}</span></div>
      <div class="card"><header>
        <input class="field" style="width: 220px" type="search" placeholder="Filter by name" aria-label="Filter by name" value=${query.name || ""} onInput=${(event) => put({ name: event.target.value })} />
        <label class="switch"><input type="checkbox" checked=${withTests} onChange=${(event) => put({ tests: event.target.checked ? "1" : "" })} />Tests</label>
        <label class="switch"><input type="checkbox" checked=${isBad} onChange=${(event) => put({ only: event.target.checked ? "bad" : "" })} />Only what failed or warned</label>
        <span class="push"><${Legend} /></span></header>
        <div class="grid-runs" ref=${box} tabindex="0" role="region" aria-label="Nodes and runs">
          <div class="grid-head" style=${`width: ${width}px`}>
            <div class="grid-corner">${elt.many(rows.length, "node")}</div>
            <div class="grid-bars">${shownRuns.map((run, at) => html`
              <a class=${`grid-bar ${run.tone} ${at === over ? "at" : ""}`} key=${run.id} href=${elt.link(["run", run.id])} onMouseEnter=${() => setOver(at)}
                title=${`${run.command}, ${elt.instant(run.time)}\n${elt.seconds(run.took)}, ${elt.many(run.steps.length, "step")}${run.counts.bad ? `, ${run.counts.bad} failed` : ""}`}
                aria-label=${`${run.command} of ${elt.instant(run.time)}: ${run.tone === "bad" ? "failed" : run.tone === "warn" ? "warned" : "well"}`}>
                <i style=${`height: ${Math.max(4, Math.sqrt((run.took || 0) / longest) * 68)}px`} /></a>`)}</div>
          </div>
          <div class="grid-rows" style=${`height: ${rows.length * HEIGHT}px; width: ${width}px`} onMouseLeave=${() => setOver(-1)}>
            ${rows.slice(from, to).map((node, one) => {
              const cells = new Array(shownRuns.length).fill(null);
              for (const step of node.past) cells[columnOf.get(step.run)] = step;
              return html`<div class="grid-row" style=${`top: ${(from + one) * HEIGHT}px`} key=${node.id}>
                <div class="grid-name"><${elt.NodeLink} node=${node} tab="runs" /></div>
                <div class="grid-cells">${cells.map((step, at) => step
                  ? html`<a class=${`${elt.tone(step.status)} ${at === over ? "at" : ""}`} href=${elt.link(["run", step.run.id], { node: node.id })} tabindex="-1" onMouseEnter=${() => setOver(at)}
                      title=${`${node.title}: ${elt.statusWord(step.status)}, ${elt.seconds(step.took)}\n${elt.instant(step.run.time)}${step.message ? `\n${step.message}` : ""}`} />`
                  : html`<i />`)}</div></div>`;
            })}
          </div>
        </div></div></div>`;
  };

  const Empty = ({ title, text }) => html`<div class="page-in"><h1>${title}</h1><p class="quiet">${text}</p></div>`;

  elt.RunPage = ({ id, query }) => {
    const run = runs.find((run) => run.id === id);
    if (!run) return html`<${Empty} title="Run" text="This run is not among those that are shown here." />`;
    const steps = hooks.useMemo(() => run.steps.map(([at, status, took, began, added, updated, removed, message]) => ({ node: nodes[at], status, took, began, added, updated, removed, message })), [run]);
    const withTests = query.tests === "1";
    const timed = steps.filter((step) => step.began != null && step.took != null && (withTests || !elt.isTest(step.node) || elt.tone(step.status) === "bad"));
    const all = Math.max(0.001, ...timed.map((step) => step.began + step.took));
    const rows = steps.map((step) => ({
      key: step.node.id, marked: query.node === step.node.id,
      cells: [
        { sort: { bad: 0, warn: 1, idle: 2, good: 3 }[elt.tone(step.status)], show: html`<${elt.State} status=${step.status} pill />` },
        { sort: step.node.title, show: html`<${elt.NodeLink} node=${step.node} title=${step.node.test ? `${step.node.test} ${step.node.column || ""}` : step.node.title} />` },
        step.node.on != null ? { sort: nodes[step.node.on].title, show: html`<${elt.NodeLink} node=${nodes[step.node.on]} />` } : "",
        { sort: step.took, show: elt.seconds(step.took) },
        { sort: step.added, show: step.added ? elt.number(step.added) : "" },
        { sort: step.updated, show: step.updated ? elt.number(step.updated) : "" },
        { sort: step.message, show: step.message || "" },
      ],
    }));
    const release = releases.find((one) => one.number === run.release);
    const older = runs[run.index + 1], newer = runs[run.index - 1];
    return html`<div class="page-in">
      <div class="crumbs"><a href="#/runs">Runs</a><span>/</span><span class="mono">${run.id.slice(0, 8)}</span></div>
      <div class="row"><h1>${run.command}, ${elt.instant(run.time)}</h1>${run.scheduled && html`<span class="chip">schedule ${run.scheduled.schedule}</span>`}<${elt.State} tone=${run.tone} word=${{ good: "All well", warn: "Warned", bad: "Failed" }[run.tone]} pill />
        <span class="push row">${older && html`<a class="button" href=${elt.link(["run", older.id])}>← older</a>`}${newer && html`<a class="button" href=${elt.link(["run", newer.id])}>newer →</a>`}</span></div>
      <div class="tiles" style="margin: 18px 0">
        <div class="tile"><b>${elt.seconds(run.took)}</b><span>took</span></div>
        <div class="tile"><b>${elt.number(run.counts.good)}</b><span><i class="dot good" />built or passed</span></div>
        <div class="tile"><b>${elt.number(run.counts.warn)}</b><span><i class="dot warn" />warned</span></div>
        <div class="tile"><b>${elt.number(run.counts.bad)}</b><span><i class="dot bad" />failed</span></div>
        <div class="tile"><b>${elt.number(run.counts.idle)}</b><span><i class="dot idle" />skipped</span></div>
        ${release ? html`<a class="tile" href=${elt.link(["releases"], { at: release.number })}><b>${release.number}</b><span>release published</span></a>`
          : html`<div class="tile"><b>–</b><span>nothing published</span></div>`}
      </div>
      <div class="stack">
        ${run.error && html`<div class="alert bad" role="note"><b>error</b><pre class="plain">${run.error}</pre></div>`}
        ${timed.length > 0 && html`<${elt.Card} title="When what was at work" more=${html`<label class="switch"><input type="checkbox" checked=${withTests} onChange=${(event) => elt.put(["run", id], { ...query, tests: event.target.checked ? "1" : "" })} />Tests</label>`}>
          <div class="gantt">${timed.slice().sort((a, b) => a.began - b.began).slice(0, 200).map((step) => html`
            <div><${elt.NodeLink} node=${step.node} /></div>
            <div class="track"><i class=${elt.tone(step.status)} style=${`left: ${(step.began / all) * 100}%; width: ${(step.took / all) * 100}%`} title=${`${elt.seconds(step.began)} after the start, for ${elt.seconds(step.took)}`} /></div>
            <div class="num faint" style="justify-content: flex-end">${elt.seconds(step.took)}</div>`)}</div></${elt.Card}>`}
        <${elt.Card} title="Steps" more=${`${elt.number(steps.length)}${run.gone ? `, and ${run.gone} of nodes that are no more` : ""}${run.unchanged ? `; ${elt.number(run.unchanged)} up to date` : ""}`} plain>
          <${elt.List} heads=${["Result", ["Node", "cut"], ["On", "cut"], ["Took", "num"], ["Added", "num"], ["Updated", "num"], ["Message", "cut"]]} rows=${rows} sort=${[0, false]} /></${elt.Card}>
      </div></div>`;
  };

  elt.ReleasesPage = ({ query }) => {
    if (!releases.length) return html`<${Empty} title="Releases" text="Nothing was published yet." />`;
    const rows = releases.map((release) => {
      const run = runs.find((run) => run.id === release.run);
      return {
        key: release.number, marked: String(release.number) === query.at,
        cells: [
          release.number,
          release.published ? release.number === about.release ? html`<${elt.State} tone="good" word="what readers see" pill />` : html`<span class="quiet">published</span>` : html`<${elt.State} tone="bad" word="abandoned" pill />`,
          { sort: release.time, show: html`${elt.instant(release.time)} <span class="faint">${elt.ago(release.time)}</span>` },
          { sort: release.kind, show: run ? html`<a href=${elt.link(["run", run.id])}>${release.kind}</a>` : release.kind },
          release.user,
          { sort: release.tables, show: elt.number(release.tables) },
          { sort: release.of, show: elt.number(release.of) },
          { sort: release.views, show: elt.number(release.views) },
          release.because || "",
        ],
      };
    });
    return html`<div class="page-in"><div class="row" style="margin-bottom: 18px"><h1>Releases</h1><span class="quiet">what readers saw, and see</span></div>
      <div class="stack"><${elt.Card} title="Releases" more=${elt.number(releases.length)} plain>
        <${elt.List} heads=${[["Number", "num"], "", "Published", "Made by", "User", ["Tables moved", "num"], ["Tables", "num"], ["Views", "num"], ""]} rows=${rows} /></${elt.Card}></div></div>`;
  };
})();
