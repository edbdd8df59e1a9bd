"use strict";
(() => {
  const nonce = document.currentScript.nonce;
  const root = document.documentElement;
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const system = matchMedia("(prefers-color-scheme: dark)");
  const THEMES = ["auto", "light", "dark"];
  const NAMES = { auto: "Auto", light: "Light", dark: "Dark" };
  const SPOKEN = { auto: "as the system", light: "light", dark: "dark" };

  // ---- colours -------------------------------------------------------------------------------------------------
  const remembered = () => { try { return localStorage.getItem("thalweg-theme") || "auto"; } catch { return "auto"; } };
  const remember = (theme) => { try { localStorage.setItem("thalweg-theme", theme); } catch { /* a page without storage */ } };
  let theme = THEMES.includes(remembered()) ? remembered() : "auto";
  let printing = false;
  const paint = () => {
    const dark = !printing && (theme === "dark" || (theme === "auto" && system.matches));
    root.dataset.theme = dark ? "dark" : "light";
    const button = document.getElementById("theme");
    button.textContent = "◐ " + NAMES[theme];
    button.setAttribute("aria-label", "Colours: " + SPOKEN[theme]);
  };
  paint();

  /** A figure names colours of the style sheet; here they become what the style sheet says now. */
  const coloured = (value, styles) => {
    if (typeof value === "string") return value.startsWith("--") ? styles.getPropertyValue(value).trim() : value;
    if (Array.isArray(value)) return value.map((item) => coloured(item, styles));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, coloured(item, styles)]));
    }
    return value;
  };

  // ---- charts --------------------------------------------------------------------------------------------------
  const CONFIG = {
    displayModeBar: false, responsive: false, doubleClick: "reset",
  };
  const axis = (own) => ({
    automargin: true, gridcolor: "--line", linecolor: "--line", zerolinecolor: "--line", ticks: "", tickfont: { color: "--muted" },
    ...own, title: { standoff: 8, font: { color: "--muted", size: 12.5 }, ...(own || {}).title },
  });
  const dressed = (figure, node) => {
    const own = figure.layout;
    const narrow = node.clientWidth < 460;
    const layout = {
      font: { family: getComputedStyle(document.body).fontFamily, size: narrow ? 11 : 12.5, color: "--ink" },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", autosize: true, width: node.clientWidth, height: node.clientHeight,
      margin: { l: 12, r: 12, t: 10, b: 12 }, hovermode: "x unified", dragmode: "zoom",
      hoverlabel: { bgcolor: "--card", bordercolor: "--line", font: { color: "--ink" }, namelength: -1 },
      legend: { orientation: "h", x: 0, y: 1.02, xanchor: "left", yanchor: "bottom", font: { color: "--muted", size: narrow ? 10.5 : 12 } },
      ...own, xaxis: axis(own.xaxis), yaxis: axis(own.yaxis),
    };
    const styles = getComputedStyle(root);
    return [coloured(figure.data, styles), coloured(layout, styles)];
  };
  const nodes = Object.entries(figures).map(([key, figure]) => [document.getElementById("chart-" + key), figure]);
  const draw = () => Promise.all(nodes.map(([node, figure]) => window.Plotly.react(node, ...dressed(figure, node), CONFIG)));

  const say = (sentence) => {
    const notice = document.getElementById("notice");
    notice.textContent = sentence;
    notice.hidden = false;
    for (const [node] of nodes) node.hidden = true;
    root.dataset.charts = "none";
  };
  const start = async () => {
    if (!nodes.length) { root.dataset.charts = "drawn"; return; }
    if (!("DecompressionStream" in window)) {
      say("This browser is too old to unpack the charts (Chrome 80, Firefox 113 or Safari 16.4 can); the tables hold the numbers.");
      return;
    }
    const bytes = Uint8Array.from(atob(document.getElementById("plotly").textContent), (letter) => letter.charCodeAt(0));
    const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const library = document.createElement("script");
    library.nonce = nonce;
    library.textContent = await new Response(unpacked).text();
    document.head.append(library);
    await draw();
    root.dataset.charts = "drawn";
    const widths = new Map(nodes.map(([node]) => [node, node.clientWidth]));
    const watcher = new ResizeObserver((entries) => {
      for (const { target } of entries) {
        if (Math.abs(widths.get(target) - target.clientWidth) < 1 || !target.clientWidth) continue;
        widths.set(target, target.clientWidth);
        const figure = nodes.find(([node]) => node === target)[1];
        requestAnimationFrame(() => window.Plotly.react(target, ...dressed(figure, target), CONFIG));
      }
    });
    for (const [node] of nodes) watcher.observe(node);
  };
  const repaint = () => { paint(); if (window.Plotly) draw(); };
  document.getElementById("theme").addEventListener("click", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    remember(theme);
    repaint();
  });
  system.addEventListener("change", repaint);
  addEventListener("beforeprint", () => { printing = true; repaint(); });
  addEventListener("afterprint", () => { printing = false; repaint(); });

  // ---- tables that sort ----------------------------------------------------------------------------------------
  for (const button of document.querySelectorAll("thead button")) {
    button.addEventListener("click", () => {
      const head = button.closest("th");
      const column = [...head.parentNode.children].indexOf(head);
      const falling = head.getAttribute("aria-sort") === "ascending";
      for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const body = button.closest("table").tBodies[0];
      const key = (row) => {
        const cell = row.children[column];
        return "value" in cell.dataset ? Number(cell.dataset.value) : cell.textContent.trim();
      };
      const order = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true }));
      const rows = [...body.rows].sort((a, b) => order(key(a), key(b)) * (falling ? -1 : 1));
      body.append(...rows);
    });
  }
  for (const table of document.querySelectorAll("table")) {
    const first = table.tBodies[0].rows[0];
    if (first) [...first.children].forEach((cell, at) => cell.classList.contains("number") && table.tHead.rows[0].children[at].classList.add("number"));
  }
  start().catch((error) => say("The charts could not be drawn: " + error.message));
})();
