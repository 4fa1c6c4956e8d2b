// How is SQL shown? Highlighted, with numbers, and with what it refers to as links.
(function () {
  "use strict";
  const elt = window.elt;
  const { html, hooks } = elt;
  const Prism = window.Prism;

  // SQL with Jinja in it. What is in braces is taken first: it may be anywhere, in texts too.
  const inside = {
    delimiter: { pattern: /^\{[{%][-+]?|[-+]?[%}]\}$/, alias: "punctuation" },
    string: { pattern: /'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"/, greedy: true },
    tag: /^(\s*)(?:if|elif|else|endif|for|endfor|set|endset|macro|endmacro|call|endcall|do|test|endtest|snapshot|endsnapshot|materialization|endmaterialization|docs|enddocs|filter|endfilter|raw|endraw)\b/,
    keyword: /\b(?:if|elif|else|for|in|is|not|and|or|set|true|false|none|True|False|None)\b/,
    function: /\b[a-zA-Z_]\w*(?=\s*\()/,
    number: /\b\d+(?:\.\d+)?\b/,
  };
  Prism.languages.jinjasql = Prism.languages.extend("sql", {});
  Prism.languages.insertBefore("jinjasql", "comment", {
    "jinja-comment": { pattern: /\{#[\s\S]*?#\}/, greedy: true, alias: "comment" },
    jinja: { pattern: /\{\{[\s\S]*?\}\}|\{%[\s\S]*?%\}/, greedy: true, inside },
  });

  const escaped = (text) => text.replace(/[&<>"]/g, (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[sign]);

  // A text longer than this is shown as it is: nobody reads that much in colours.
  const LONGEST = 400000;

  elt.highlighted = (text, node) => {
    if (text.length > LONGEST) return escaped(text);
    let made = Prism.highlight(text, Prism.languages.jinjasql, "jinjasql");
    // What a template refers to leads there.
    const known = new Map();
    for (const at of (node && node.parents) || []) {
      const one = elt.docs.nodes[at];
      known.set(one.kind === "source" ? one.title : one.name, one);
    }
    const quoted = `<span class="token string">(?:'|&quot;|")([^<]*?)(?:'|&quot;|")</span>`;
    const comma = `(<span class="token punctuation">,</span>|,)`;
    const link = (one, text) => `<a href="${escaped(elt.linkTo(one))}">${text}</a>`;
    made = made.replace(new RegExp(`(<span class="token function">source</span>[^<]*?(?:<[^>]*>)?\\(?(?:</span>)?\\s*)${quoted}\\s*${comma}\\s*${quoted}`, "g"), (all, before, source, between, table) => {
      const one = known.get(`${source}.${table}`);
      return one ? link(one, all) : all;
    });
    made = made.replace(new RegExp(`(<span class="token function">ref</span>[^<]*?(?:<[^>]*>)?\\(?(?:</span>)?\\s*)${quoted}`, "g"), (all, before, name) => {
      const one = known.get(name);
      return one ? link(one, all) : all;
    });
    return made;
  };

  elt.Code = ({ text, node }) => {
    const made = hooks.useMemo(() => elt.highlighted(text, node), [text, node]);
    const lines = text.split("\n").length;
    const numbers = hooks.useMemo(() => Array.from({ length: lines }, (_, at) => at + 1).join("\n"), [lines]);
    return html`<div class="code" tabindex="0" role="region" aria-label="SQL">
      <div class="code-lines"><div class="code-numbers" aria-hidden="true">${numbers}</div>
      <code class="code-text" dangerouslySetInnerHTML=${{ __html: made }} /></div>
    </div>`;
  };

  // The SQL of a node: what is written, what came of it.
  elt.NodeCode = ({ node }) => {
    const [code, setCode] = hooks.useState(null);
    const [wrong, setWrong] = hooks.useState("");
    const [shown, setShown] = hooks.useState(0);
    hooks.useEffect(() => {
      let isHere = true;
      setCode(null);
      setWrong("");
      elt.codeOf(node).then((code) => isHere && setCode(code), (error) => isHere && setWrong(error.message));
      return () => { isHere = false; };
    }, [node]);
    if (wrong) return html`<div class="alert bad" role="alert">${wrong}; copy the folder docs together with the page.</div>`;
    if (!code) return html`<div class="card-none">Reading …</div>`;
    if (!code.length) return html`<div class="card-none">There is no SQL to show.</div>`;
    const views = code.length > 1 ? [["Written", code[0]], ["Compiled", code[1]]].filter(([, text]) => text) : [["", code[0]]];
    const at = Math.min(shown, views.length - 1);
    return html`<section class="card" aria-label="SQL">
      <header>
        ${views.length > 1
          ? html`<div class="segments" role="tablist">${views.map(([name], one) => html`
              <button role="tab" aria-selected=${one === at} onClick=${() => setShown(one)}>${name}</button>`)}</div>`
          : html`<h2>${node.kind === "macro" ? "Macro" : code.length === 1 ? "Written, and compiled to the same" : "SQL"}</h2>`}
        <span class="push mono">${node.path}</span>
        <${elt.Copy} text=${() => views[at][1]} />
      </header>
      <${elt.Code} text=${views[at][1]} node=${node} />
    </section>`;
  };
})();
