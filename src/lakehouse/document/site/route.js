// Which page is shown? The part of the address after `#` says so, and can be kept and sent to others.
(function () {
  "use strict";
  const elt = window.elt;

  // `#/node/model.shop.orders/code?column=id` → { path: ["node", …], query: { column: "id" } }
  elt.route = () => {
    const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
    const decode = (text) => { try { return decodeURIComponent(text); } catch (error) { return text; } };
    return {
      path: path.split("/").filter(Boolean).map(decode),
      query: Object.fromEntries(new URLSearchParams(query || "")),
    };
  };

  elt.link = (path, query = {}) => {
    const said = Object.entries(query).filter(([, value]) => value != null && value !== "" && value !== false);
    const text = new URLSearchParams(said).toString();
    return `#/${path.map(encodeURIComponent).join("/")}${text ? `?${text}` : ""}`;
  };

  elt.go = (path, query) => { location.hash = elt.link(path, query); };

  // Changes what is asked for on the same page, without a new step to go back to.
  elt.put = (path, query) => {
    const hash = elt.link(path, query);
    if (hash === location.hash) return;
    history.replaceState(null, "", hash);
    dispatchEvent(new HashChangeEvent("hashchange"));
  };

  elt.linkTo = (node, tab, query) => elt.link(["node", node.id].concat(tab ? [tab] : []), query);
})();
