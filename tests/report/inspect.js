// What is wrong with the page that is open, as sentences; the argument says what to look at.
const complaints = [];
const expect = (right, sentence) => { if (!right) complaints.push(sentence); };
const all = (what, within = document) => [...within.querySelectorAll(what)];
const words = (node) => node.textContent.trim().slice(0, 60);
const shown = (node) => node.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true });

const structure = () => {
  const levels = all("h1, h2, h3, h4, h5, h6").filter(shown).map((node) => Number(node.localName[1]));
  expect(levels.filter((level) => level === 1).length === 1, "there is not one heading of the first level");
  levels.slice(1).forEach((level, at) => expect(level - levels[at] <= 1, `a heading of level ${level} follows one of ${levels[at]}`));
  expect(document.documentElement.lang === "en", "the page does not say its language");
  const skip = document.querySelector("a");
  expect(skip.classList.contains("skip"), "the first link is not the one that skips to the content");
  for (const link of all("a[href^='#']")) expect(document.querySelector(link.getAttribute("href")), `${link.getAttribute("href")} leads nowhere`);
  const ids = all("[id]").map((node) => node.id);
  ids.filter((id, at) => ids.indexOf(id) !== at).forEach((id) => expect(false, `the id ${id} is there twice`));
  for (const node of all("button, input, select, textarea")) {
    const name = node.getAttribute("aria-label") || node.textContent.trim() || [...(node.labels || [])].map(words).join("");
    expect(name, `a ${node.localName} has no name`);
  }
  for (const svg of all("svg").filter((node) => !node.closest(".chart, #js-plotly-tester"))) {
    expect(svg.getAttribute("aria-hidden") || svg.getAttribute("aria-label"), "a picture is neither named nor hidden from readers");
  }
};

const charts = () => {
  for (const key of Object.keys(JSON.parse(document.getElementById("figures").textContent))) {
    const node = document.getElementById("chart-" + key);
    expect(node?.querySelector(".plot-container"), `the chart ${key} is not drawn`);
    if (!node) continue;
    expect(node.getAttribute("aria-label"), `the chart ${key} has no name`);
    const caption = document.getElementById(node.getAttribute("aria-describedby"));
    expect(caption && words(caption).length > 15, `the chart ${key} does not say what to see`);
    expect(node.data?.some((trace) => trace.hoverinfo !== "skip"), `the chart ${key} has no numbers on hover`);
    const numbers = document.getElementById("numbers-" + key);
    expect(numbers, `the chart ${key} has no numbers to read`);
    const edge = node.getBoundingClientRect().right + 1;
    for (const svg of all(".main-svg", node)) expect(svg.getBoundingClientRect().right <= edge, `the chart ${key} is wider than its place`);
  }
};

const open = () => { for (const details of all("details.numbers")) details.open = true; };

const numbers = () => {
  for (const details of all("details.numbers")) {
    expect(all("tbody tr", details).length, `the chart of ${details.id} gives no numbers`);
    expect(!all("td", details).some((cell) => /^(undefined|NaN|null|\[object.*)$/.test(cell.textContent)), `${details.id} has a hole`);
    details.open = details === document.querySelector("details.numbers");
  }
};

const width = () => {
  const root = document.documentElement;
  expect(root.scrollWidth <= innerWidth, `the page is ${root.scrollWidth} pixels wide, the window ${innerWidth}`);
  for (const node of all("body *").filter((node) => !node.closest(".chart, .scroll, pre, svg") && shown(node) && !node.matches(".skip"))) {
    const box = node.getBoundingClientRect();
    expect(box.right <= innerWidth + 1 || box.width === 0, `${node.localName}.${node.className} ends at ${Math.round(box.right)}: ${words(node)}`);
  }
};

// WCAG 2.2, 1.4.3: 4.5 : 1 for text, 3 : 1 for large text
const contrast = () => {
  const parse = (colour) => {
    const canvas = parse.canvas ||= new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, ground) => [0, 1, 2].map((k) => top[k] * top[3] + ground[k] * (1 - top[3]));
  const light = (colour) => {
    const [r, g, b] = colour.map((part) => { const x = part / 255; return x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (node) => {
    const layers = [];
    for (let at = node; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour[3] > 0) layers.push(colour);
      if (colour[3] === 1) break;
    }
    return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255]);
  };
  const faint = (node) => { let all = 1; for (let at = node; at; at = at.parentElement) all *= Number(getComputedStyle(at).opacity); return all; };
  const seen = new Set();
  for (const node of all("body *")) {
    if (![...node.childNodes].some((child) => child.nodeType === Node.TEXT_NODE && child.textContent.trim())) continue;
    if (!shown(node) || node.closest("script, style, noscript, .skip, title, .chart:has(.hm) .annotation-text")) continue;
    const style = getComputedStyle(node);
    const below = node.closest(".chart") ? ground(node.closest(".card") || node) : ground(node);
    const ink = parse(node instanceof SVGElement ? style.fill : style.color);
    ink[3] *= faint(node);
    const [a, b] = [light(over(ink, below)), light(below)].sort((x, y) => y - x);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const ratio = (a + 0.05) / (b + 0.05);
    const where = `${node.localName}.${node.getAttribute("class") || ""} in ${node.closest(".chart, section, header, footer")?.id || "page"}`;
    if (ratio < (large ? 3 : 4.5) && !seen.has(where)) {
      seen.add(where);
      complaints.push(`contrast ${ratio.toFixed(2)} of ${where}: ${words(node)}`);
    }
  }
};

const still = () => {
  expect(getComputedStyle(document.documentElement).scrollBehavior === "auto", "the page scrolls smoothly for those who want no motion");
  expect(document.getAnimations().length === 0, "something moves for those who want no motion");
};

const paper = () => {
  for (const what of ["nav", "#theme", ".skip", "details.numbers:not([open]) > summary"]) {
    expect(!all(what).some(shown), `${what} is printed`);
  }
  for (const node of all(".chart")) expect(node.clientWidth > 100 && node.clientHeight > 50, `${node.id} is not printed`);
  for (const node of all(".scroll")) expect(node.scrollHeight <= node.clientHeight + 2, `a table is cut on paper: ${words(node)}`);
};

// a sheet of A4 has 182 mm between its margins, 96 pixels to the inch
const printed = () => {
  const sheet = 182 / 25.4 * 96 + 1;
  for (const node of all(".chart")) {
    expect(node.getBoundingClientRect().right <= sheet, `${node.id} is wider than the paper`);
    for (const svg of all(".main-svg", node)) expect(svg.clientWidth <= node.clientWidth + 1, `${node.id} is cut on paper`);
  }
};

const alone = () => {
  const asked = performance.getEntriesByType("resource").map((one) => one.name).filter((name) => !/^(data|blob):/.test(name));
  expect(asked.length === 0, `the page asks for ${asked.join(", ")}`);
};

const looks = { structure, charts, open, numbers, width, contrast, still, paper, printed, alone };
for (const what of arguments) looks[what]();
return complaints;
