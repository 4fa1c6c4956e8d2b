// The frame: bar, tree, page, keys.
(function () {
  "use strict";
  const elt = window.elt;
  const root = document.getElementById("app");
  if (!elt.docs || elt.docs.format !== 1) {
    root.textContent = elt.docs
      ? "These data were written by another version of elt: run `elt docs generate` again."
      : "The data of this page are not beside it: copy the folder `docs` together with index.html, or use static_index.html.";
    root.style.cssText = "padding: 3rem; max-width: 40rem; margin: auto";
    return;
  }
  const { html, hooks } = elt;
  const { about } = elt.docs;
  document.title = `${about.project} · docs`;

  const PAGES = [["Overview", [], ""], ["Lineage", ["lineage"], "lineage"], ["Runs", ["runs"], "runs"], ["Tests", ["tests"], "tests"], ["Releases", ["releases"], "releases"]];
  const KEYS = [
    ["/", "search"], ["j k", "down and up in the tree"], ["o, Enter", "open what is chosen"], ["h l", "close and open a folder"],
    ["g o", "overview"], ["g l", "lineage"], ["g r", "runs"], ["g t", "tests"], ["g e", "releases"],
    ["[ ]", "the tab before, and the next"], ["d", "light or dark"], ["Esc", "close, or go back from where one is"],
    ["← ↑ → ↓", "in the graph: from node to node"], ["f", "in the graph: neighbours of the node"], ["c", "in the graph: its columns"],
    ["+ − 0", "in the graph: nearer, farther, all of it"],
  ];

  const flipTheme = () => {
    const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    try { localStorage.setItem("elt-theme", theme); } catch (error) { /* a page from disk may have no storage */ }
  };

  const Page = ({ path, query }) => {
    const [first, second, third] = path;
    switch (first) {
      case undefined: return html`<${elt.HomePage} />`;
      case "node": {
        const node = elt.byId.get(second);
        return node ? html`<${elt.NodePage} key=${node.id} node=${node} tab=${third} query=${query} />` : html`<${Nowhere} what=${second} />`;
      }
      case "lineage": return html`<${elt.LineagePage} query=${query} />`;
      case "runs": return html`<${elt.RunsPage} query=${query} />`;
      case "run": return html`<${elt.RunPage} key=${second} id=${second} query=${query} />`;
      case "releases": return html`<${elt.ReleasesPage} query=${query} />`;
      case "tests": return html`<${elt.TestsPage} query=${query} />`;
      case "list": return html`<${elt.ListPage} by=${second} value=${third} />`;
      // dbt's addresses: #!/model/model.shop.orders
      case "!": {
        const node = elt.byId.get(third);
        return node ? html`<${elt.NodePage} key=${node.id} node=${node} query=${query} />` : html`<${elt.HomePage} />`;
      }
      default: return html`<${Nowhere} what=${path.join("/")} />`;
    }
  };
  const Nowhere = ({ what }) => html`<div class="page-in"><h1>Not here</h1><p class="quiet">There is no ${what} in this project any more, or there never was. <a href="#/">Overview</a></p></div>`;

  const Help = ({ close }) => html`<${elt.Sheet} label="Keys" close=${close}><div class="help" tabindex="0"><div class="row"><h2>Keys</h2>
    <button class="round push" aria-label="Close" onClick=${close}><${elt.Icon} sign="close" /></button></div>
    <dl>${KEYS.map(([keys, what]) => html`<dt>${keys.split(" ").map((key) => html`<kbd>${key}</kbd> `)}</dt><dd>${what}</dd>`)}</dl></div></${elt.Sheet}>`;

  const App = () => {
    const [route, setRoute] = hooks.useState(elt.route());
    const [over, setOver] = hooks.useState("");
    const [isTreeShown, showTree] = hooks.useState(false);
    const theme = elt.useTheme();
    const page = hooks.useRef(null);
    const { path, query } = route;
    const here = path[0] === "node" ? elt.byId.get(path[1]) : null;

    hooks.useEffect(() => {
      const changed = () => {
        setRoute(elt.route());
        showTree(false);
        setOver("");
      };
      addEventListener("hashchange", changed);
      elt.fillIndex();
      return () => removeEventListener("hashchange", changed);
    }, []);
    const place = path.slice(0, 2).join("/");
    hooks.useEffect(() => {
      page.current.scrollTop = 0;
      document.title = `${here ? here.title : (PAGES.find(([, , key]) => key === (path[0] || "")) || ["docs"])[0]} · ${about.project}`;
    }, [place]);

    hooks.useEffect(() => {
      let before = "";
      const onKeyDown = (event) => {
        const { key, target } = event;
        if ((event.ctrlKey || event.metaKey) && key.toLowerCase() === "k") {
          event.preventDefault();
          return setOver("search");
        }
        if (event.ctrlKey || event.metaKey || event.altKey) return undefined;
        if (target.matches && target.matches("input, textarea, select")) return undefined;
        if (document.querySelector("[role=dialog]")) return undefined;
        const went = before === "g" && { o: [], l: ["lineage"], r: ["runs"], t: ["tests"], e: ["releases"] }[key];
        before = key;
        if (went) { event.preventDefault(); return elt.go(went); }
        if (key === "/") { event.preventDefault(); return setOver("search"); }
        if (key === "?") return setOver("help");
        if (key === "d") return flipTheme();
        if (key === "Escape") { document.activeElement.blur(); return showTree(false); }
        if (key === "[" || key === "]") {
          const tabs = [...document.querySelectorAll(".tabs [role=tab]")];
          const at = tabs.findIndex((tab) => tab.getAttribute("aria-selected") === "true");
          const to = tabs[at + (key === "]" ? 1 : -1)];
          if (to) location.hash = to.getAttribute("href");
          return undefined;
        }
        if (["j", "k", "o", "h", "l"].includes(key) && elt.moveInTree && elt.moveInTree(key)) event.preventDefault();
        return undefined;
      };
      addEventListener("keydown", onKeyDown);
      return () => removeEventListener("keydown", onKeyDown);
    }, []);

    return html`<div class="frame">
      <a class="skip" href="#page" onClick=${(event) => { event.preventDefault(); page.current.focus(); }}>To the page</a>
      <header class="bar">
        <button class="round menu-button" aria-label="Tree" aria-expanded=${isTreeShown} onClick=${() => showTree(!isTreeShown)}><${elt.Icon} sign="menu" /></button>
        <a class="brand" href="#/"><svg width="26" height="26" viewBox="0 0 32 32" aria-hidden="true"><rect width="32" height="32" rx="8" fill="var(--accent)" /><path d="M8 10h10M8 16h16M8 22h7" stroke="var(--on-accent)" stroke-width="3" stroke-linecap="round" /></svg><span>${about.project}</span></a>
        <button class="seek" onClick=${() => setOver("search")} aria-label="Search" aria-keyshortcuts="/"><${elt.Icon} sign="search" /><span>Search …</span><kbd>/</kbd></button>
        <nav aria-label="Pages">${PAGES.map(([name, to, key]) => html`<a href=${elt.link(to)} aria-current=${(path[0] || "") === key ? "page" : undefined}>${name}</a>`)}</nav>
        <button class="round" aria-label=${theme === "dark" ? "Light" : "Dark"} title="Light or dark (d)" onClick=${flipTheme}><${elt.Icon} sign=${theme === "dark" ? "sun" : "moon"} /></button>
        <button class="round" aria-label="Keys" title="Keys (?)" onClick=${() => setOver("help")}><${elt.Icon} sign="question" /></button>
      </header>
      <aside class=${`side ${isTreeShown ? "shown" : ""}`} aria-label="Everything"><${elt.Tree} here=${here} />
        <div class="side-foot">written ${elt.ago(about.at)}${about.release ? ` of release ${about.release}` : ""}</div></aside>
      <main class=${`page ${path[0] === "lineage" ? "full" : ""}`} id="page" tabindex="-1" ref=${page}><${Page} path=${path} query=${query} /></main>
      ${over === "search" && html`<${elt.Search} close=${() => setOver("")} />`}
      ${over === "help" && html`<${Help} close=${() => setOver("")} />`}
    </div>`;
  };

  window.preact.render(html`<${App} />`, root);
})();
