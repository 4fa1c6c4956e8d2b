// How do numbers change over time?
(function () {
  "use strict";
  const elt = window.elt;
  const { html, hooks } = elt;

  elt.color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // Redraws when the theme is another one.
  elt.useTheme = () => {
    const [theme, setTheme] = hooks.useState(document.documentElement.dataset.theme);
    hooks.useEffect(() => {
      const seen = new MutationObserver(() => setTheme(document.documentElement.dataset.theme));
      seen.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
      return () => seen.disconnect();
    }, []);
    return theme;
  };

  // `points`: [time in ms, value, colour name], the oldest first. `write` writes a value.
  // `form`: "bars" stand for what happened then, "steps" for how it was from then on.
  elt.Chart = ({ points, name, write, form, onPick }) => {
    const box = hooks.useRef(null);
    const theme = elt.useTheme();
    hooks.useEffect(() => {
      const uPlot = window.uPlot;
      const color = elt.color;
      const values = points.map(([, value]) => value);
      // By order, not by the clock: a night without runs is no gap, ten runs in a minute are not one line.
      const xs = points.map((_, at) => at);
      const grid = { stroke: color("--line"), width: 1 };
      const axis = { stroke: color("--faint"), grid, ticks: { show: false }, font: `11px ${color("--font")}` };
      const label = (at) => (Number.isInteger(at) && points[at] ? elt.instant(points[at][0]).slice(5) : "");
      const accent = color("--accent");
      const series = form === "bars"
        ? {
          label: name, width: 0, fill: accent,
          paths: uPlot.paths.bars({
            size: [0.72, 44], radius: 0.18,
            disp: { fill: { unit: 3, values: () => points.map(([, , tone]) => (tone ? color(tone) : accent)) } },
          }),
          points: { show: false },
        }
        : { label: name, stroke: accent, width: 2, fill: `color-mix(in srgb, ${accent} 12%, transparent)`, paths: uPlot.paths.stepped({ align: 1 }), points: { show: points.length < 40, size: 6, fill: accent } };
      series.value = (_, value) => (value == null ? "" : write(value));
      const options = {
        width: Math.max(200, box.current.clientWidth), height: 190,
        scales: { x: { time: false, range: [-0.6, Math.max(points.length - 0.4, 0.6)] }, y: { range: (_, low, high) => [0, high > 0 ? high * 1.08 : 1] } },
        axes: [
          { ...axis, grid: { show: false }, size: 26, space: 90, incrs: [1, 2, 5, 10, 20, 50, 100], values: (_, splits) => splits.map(label) },
          { ...axis, size: 64, values: (_, splits) => splits.map((value) => write(value)) },
        ],
        series: [{ label: "When", value: (_, at) => (points[at] ? elt.instant(points[at][0]) : "") }, series],
        legend: { live: true },
        cursor: { y: false, points: { show: form !== "bars" } },
        padding: [10, 12, 0, 4],
      };
      const chart = new uPlot(options, [xs, values], box.current);
      const click = () => { if (onPick && chart.cursor.idx != null) onPick(chart.cursor.idx); };
      chart.over.addEventListener("click", click);
      if (onPick) chart.over.style.cursor = "pointer";
      const seen = new ResizeObserver(() => {
        const width = box.current && box.current.clientWidth;
        if (width && Math.abs(width - chart.width) > 1) chart.setSize({ width, height: 190 });
      });
      seen.observe(box.current);
      return () => { seen.disconnect(); chart.destroy(); };
    }, [points, theme, form]);
    const last = points[points.length - 1];
    return html`<div class="chart" ref=${box} role="img" aria-label=${`${name} over time; last: ${last ? write(last[1]) : "none"}`} />`;
  };
})();
