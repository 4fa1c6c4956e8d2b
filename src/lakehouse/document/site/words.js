// How are numbers, times and sizes written?
(function () {
  "use strict";
  const elt = window.elt;
  const plain = new Intl.NumberFormat("en");
  const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

  elt.number = (value) => (value == null ? "–" : plain.format(value));
  elt.compact = (value) => (value == null ? "–" : value < 10000 ? plain.format(value) : short.format(value));
  elt.many = (count, one, many = `${one}s`) => `${plain.format(count)} ${count === 1 ? one : many}`;

  elt.bytes = (value) => {
    if (value == null) return "–";
    const units = ["B", "kB", "MB", "GB", "TB", "PB"];
    let at = 0;
    while (value >= 1000 && at < units.length - 1) { value /= 1000; at++; }
    return `${value >= 100 || at === 0 ? Math.round(value) : value.toFixed(1)} ${units[at]}`;
  };

  elt.seconds = (value) => {
    if (value == null) return "–";
    if (value === 0) return "0 s";
    if (value < 0.0995) return `${Math.max(1, Math.round(value * 1000))} ms`;
    if (value < 59.95) return `${value.toFixed(value < 9.95 ? 2 : 1)} s`;
    const whole = Math.round(value);
    if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
    return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  };

  elt.instant = (time) => {
    const at = new Date(time);
    if (isNaN(at)) return "–";
    const two = (value) => String(value).padStart(2, "0");
    return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}`;
  };

  elt.ago = (time) => {
    const passed = (Date.now() - new Date(time)) / 1000;
    if (isNaN(passed)) return "–";
    const steps = [[60, 1, "second"], [3600, 60, "minute"], [86400, 3600, "hour"], [86400 * 60, 86400, "day"], [Infinity, 86400 * 30.44, "month"]];
    const [, unit, name] = steps.find(([limit]) => Math.abs(passed) < limit);
    if (passed < 20 && passed > -60) return "just now";
    return `${elt.many(Math.max(1, Math.round(passed / unit)), name)} ago`;
  };

  // What a status is called where people read it.
  elt.statusWord = (status) => ({
    success: "built", pass: "passed", fail: "failed", error: "error", warn: "warned", skipped: "skipped",
    "partial success": "partly built", "runtime error": "error",
  })[status] || status;

  elt.kindWord = (kind) => kind.replace("_", " ");

  // A value of a setting, in a line.
  elt.inLine = (value) => {
    if (value == null) return "–";
    if (typeof value !== "object") return String(value);
    if (Array.isArray(value) && value.every((one) => typeof one !== "object")) return value.join(", ");
    return JSON.stringify(value);
  };
})();
