"use strict";
(() => {
  const nonce = document.currentScript.nonce;
  const root = document.documentElement;
  let figures = JSON.parse(document.getElementById("figures").textContent);
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
      margin: { l: 12, r: 12, t: 10, b: 12 }, hovermode: "x unified", dragmode: "zoom", uirevision: "kept",
      hoverlabel: { bgcolor: "--card", bordercolor: "--line", font: { color: "--ink" }, namelength: -1 },
      legend: { orientation: "h", x: 0, y: 1.02, xanchor: "left", yanchor: "bottom", font: { color: "--muted", size: narrow ? 10.5 : 12 } },
      ...own, xaxis: axis(own.xaxis), yaxis: axis(own.yaxis),
    };
    const styles = getComputedStyle(root);
    return [coloured(figure.data, styles), coloured(layout, styles)];
  };
  const place = (key) => document.getElementById("chart-" + key);
  const widths = new WeakMap();
  const show = (key) => {
    widths.set(place(key), place(key).clientWidth);
    return window.Plotly.react(place(key), ...dressed(figures[key], place(key)), CONFIG);
  };
  const draw = () => Promise.all(Object.keys(figures).map(show));

  const say = (sentence) => {
    const notice = document.getElementById("notice");
    notice.textContent = sentence;
    notice.hidden = !sentence;
  };
  const without = (sentence) => {
    say(sentence);
    for (const key of Object.keys(figures)) place(key).hidden = true;
    root.dataset.charts = "none";
  };
  const watcher = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const width = target.clientWidth;
      if (!width || !target.isConnected || Math.abs((widths.get(target) ?? width) - width) < 1) continue;
      requestAnimationFrame(() => { if (widths.get(target) !== target.clientWidth) show(target.id.slice("chart-".length)); });
    }
  });
  const watch = (key) => watcher.observe(place(key));
  const start = async () => {
    if (!Object.keys(figures).length) { root.dataset.charts = "drawn"; return; }
    if (!("DecompressionStream" in window)) {
      without("This browser is too old to unpack the charts (Chrome 80, Firefox 113 or Safari 16.4 can); the tables hold the numbers.");
      return;
    }
    const bytes = Uint8Array.from(atob(document.getElementById("plotly").textContent), (letter) => letter.charCodeAt(0));
    const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const library = document.createElement("script");
    library.nonce = nonce;
    library.textContent = await new Response(unpacked).text();
    document.head.append(library);
    for (const key of Object.keys(figures)) {
      await show(key);
      await new Promise((resolve) => setTimeout(resolve)); // the reader may scroll and click between two charts
    }
    root.dataset.charts = "drawn";
    for (const key of Object.keys(figures)) watch(key);
  };
  const repaint = () => { paint(); if (window.Plotly) draw(); };
  document.getElementById("theme").addEventListener("click", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    remember(theme);
    repaint();
  });
  system.addEventListener("change", repaint);
  // Charts are drawn as wide as a sheet of A4 is between its margins: nobody tells a page how wide the paper is.
  const print = (now) => { printing = now; document.body.classList.toggle("printed", now); repaint(); };
  addEventListener("beforeprint", () => print(true));
  addEventListener("afterprint", () => print(false));

  // ---- tables that sort and can be searched ----------------------------------------------------------------------
  const order = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true }));
  /** Sorts a table by the column whose heading says so; what has no value comes last either way. */
  const sort = (table) => {
    const head = table.querySelector("thead th[aria-sort]");
    if (!head) return;
    const column = [...head.parentNode.children].indexOf(head);
    const sign = head.getAttribute("aria-sort") === "descending" ? -1 : 1;
    const key = (row) => {
      const cell = row.children[column];
      if ("value" in cell.dataset) return Number(cell.dataset.value);
      const words = cell.textContent.trim();
      return words === "–" || words === "" ? null : words;
    };
    const none = (value) => value === null || Number.isNaN(value);
    const rows = [...table.tBodies[0].rows].map((row) => [key(row), row]);
    rows.sort(([a], [b]) => (none(a) || none(b) ? none(a) - none(b) : order(a, b) * sign));
    table.tBodies[0].append(...rows.map(([, row]) => row));
  };
  const sift = (within, words) => {
    const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of within.querySelectorAll("tbody tr")) {
      const said = row.textContent.toLowerCase();
      row.hidden = !wanted.every((word) => said.includes(word));
    }
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("thead button");
    if (!button) return;
    const head = button.closest("th");
    const falling = head.getAttribute("aria-sort") === "ascending";
    for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", falling ? "descending" : "ascending");
    sort(button.closest("table"));
  });
  document.addEventListener("input", (event) => {
    if (event.target.id === "sift") sift(document, event.target.value);
  });

  // ---- the numbers of a chart as a table -----------------------------------------------------------------------------
  const MOST = 200;
  const plain = (words) => new DOMParser().parseFromString(String(words ?? ""), "text/html").body.textContent;
  const told = (value) => (typeof value === "number" ? Number(value.toPrecision(5)) : plain(value));
  const thin = (length) => {
    const every = Math.ceil(length / MOST);
    return [...Array(Math.ceil(length / every || 0)).keys()].map((at) => at * every);
  };
  /** One row a point; of a field of heights its lowest and highest, where it is too large to read. */
  const rowsOf = (trace) => {
    const name = plain(trace.name);
    if (trace.z) {
      const heights = trace.customdata?.length === trace.z.length ? trace.customdata : trace.z;
      const cells = [...heights].flatMap((row, i) => [...row].map((z, j) => [name, trace.x?.[j] ?? j, trace.y?.[i] ?? i, z]));
      const known = cells.filter((cell) => Number.isFinite(cell[3])).sort((a, b) => a[3] - b[3]);
      if (cells.length <= 2 * MOST || !known.length) return cells;
      return [["lowest", ...known[0].slice(1)], ["highest", ...known[known.length - 1].slice(1)]];
    }
    const length = Math.max(trace.x?.length ?? 0, trace.y?.length ?? 0);
    const point = (at) => (Array.isArray(trace.text) && trace.text[at] ? plain(`${trace.text[at]}`.replaceAll("<br>", ", ")) : name);
    return thin(length).map((at) => [point(at), trace.x?.[at] ?? at, trace.y?.[at]]).filter((row) => row[2] !== undefined && row[2] !== null);
  };
  const list = (details) => {
    details.querySelector(".scroll")?.remove();
    const figure = figures[details.id.slice("numbers-".length)];
    if (!details.open || !figure) return;
    const { xaxis, yaxis } = figure.layout;
    const rows = figure.data.filter((trace) => trace.hoverinfo !== "skip" || trace.showlegend !== false).flatMap(rowsOf);
    const deep = rows.some((row) => row.length > 3);
    const heads = ["", plain(xaxis?.title?.text) || "across", plain(yaxis?.title?.text) || "up", ...(deep ? ["value"] : [])];
    const table = document.createElement("table");
    const cell = (row, tag, words) => row.appendChild(Object.assign(document.createElement(tag), { textContent: words }));
    const top = table.createTHead().insertRow();
    for (const head of heads) cell(top, "th", head).scope = "col";
    const body = table.createTBody();
    for (const [first, ...others] of rows) {
      const row = body.insertRow();
      cell(row, "th", first).scope = "row";
      for (const value of others) cell(row, "td", told(value));
    }
    const box = Object.assign(document.createElement("div"), { className: "scroll", tabIndex: 0 });
    box.setAttribute("role", "region");
    box.setAttribute("aria-label", "Numbers of the chart");
    box.append(table);
    details.append(box);
  };
  document.addEventListener("toggle", (event) => {
    if (event.target.classList?.contains("numbers")) list(event.target);
  }, true);

  // ---- a page that is served follows its run -----------------------------------------------------------------------
  const named = (node) => (node.nodeType === Node.ELEMENT_NODE ? node.dataset.key || node.id : "");
  /** Makes one piece of the page like another, touching only what differs: focus, scrolling and charts stay. */
  const morph = (before, after) => {
    if (before.isEqualNode(after)) return;
    if (before.nodeType !== Node.ELEMENT_NODE) { before.nodeValue = after.nodeValue; return; }
    const chart = before.classList.contains("chart");
    for (const { name, value } of after.attributes) {
      if (!(chart && name === "class") && before.getAttribute(name) !== value) before.setAttribute(name, value);
    }
    if (chart || before.classList.contains("numbers")) return;
    for (const name of before.getAttributeNames()) if (!after.hasAttribute(name)) before.removeAttribute(name);
    const known = new Map([...before.children].filter(named).map((child) => [named(child), child]));
    let at = before.firstChild;
    for (const child of [...after.childNodes]) {
      const free = at && !named(at) ? at : null;
      const match = named(child) ? known.get(named(child)) : free;
      if (!match || match.nodeName !== child.nodeName) { before.insertBefore(document.importNode(child, true), at); continue; }
      if (match === at) at = at.nextSibling; else before.insertBefore(match, at);
      morph(match, child);
    }
    while (at) { const next = at.nextSibling; at.remove(); at = next; }
  };
  /** What the reader has done to the page is done to the new one first. */
  const keep = (fresh) => {
    const both = (what) => [...document.querySelectorAll(what)].map((node, at) => [node, fresh.querySelectorAll(what)[at]]);
    for (const [now, then] of both("#told details")) if (then) then.open = now.open;
    for (const [now, then] of both("#told table")) {
      if (!then || now.caption?.textContent !== then.caption?.textContent) continue;
      const heads = [...then.querySelectorAll("thead th")];
      [...now.querySelectorAll("thead th")].forEach((head, column) => {
        const way = head.getAttribute("aria-sort");
        if (way) heads[column]?.setAttribute("aria-sort", way); else heads[column]?.removeAttribute("aria-sort");
      });
      sort(then);
    }
    const words = document.getElementById("sift");
    if (words) sift(fresh, words.value);
  };
  const take = async (text) => {
    const fresh = new DOMParser().parseFromString(text, "text/html");
    const source = fresh.getElementById("figures");
    if (!source) { location.reload(); return; }
    const drawn = figures;
    figures = JSON.parse(source.textContent);
    const keys = Object.keys(figures);
    if (keys.length && !window.Plotly && root.dataset.charts === "drawn") { location.reload(); return; }
    keep(fresh);
    document.title = fresh.title;
    for (const part of ["#heading", "nav", "#told"]) morph(document.querySelector(part), fresh.querySelector(part));
    const every = fresh.documentElement.dataset.live;
    if (every) root.dataset.live = every; else delete root.dataset.live;
    for (const details of document.querySelectorAll("details.numbers[open]")) list(details);
    if (!window.Plotly) return;
    await Promise.all(keys.map((key) => {
      const ready = place(key).classList.contains("js-plotly-plot");
      if (!ready) watch(key);
      return ready && JSON.stringify(drawn[key]) === JSON.stringify(figures[key]) ? null : show(key);
    }));
  };
  const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
  const seen = () => new Promise((resolve) => {
    const look = () => {
      if (document.hidden) return;
      document.removeEventListener("visibilitychange", look);
      resolve();
    };
    document.addEventListener("visibilitychange", look);
    look();
  });
  const follow = async () => {
    let tag = "";
    while ("live" in root.dataset) {
      await pause(Number(root.dataset.live));
      await seen();
      try {
        const answer = await fetch(location.pathname + "?light", { headers: tag ? { "If-None-Match": tag } : {} });
        if (answer.ok) { tag = answer.headers.get("ETag") || ""; await take(await answer.text()); }
        if (!answer.ok && answer.status !== 304) say(`This page is no longer there: the server says ${answer.status}.`);
        else if (root.dataset.lost) say("");
        delete root.dataset.lost;
      } catch {
        root.dataset.lost = "yes";
        say("The server does not answer: the page shows what was last heard, and goes on asking.");
      }
    }
  };

  const drawn = start().catch((error) => without("The charts could not be drawn: " + error.message));
  drawn.then(follow);
  window.thalweg = {
    drawn,
    figure: (key) => figures[key],
    redraw: (key, figure) => {
      figures[key] = figure;
      list(document.getElementById("numbers-" + key));
      return show(key);
    },
  };
})();
