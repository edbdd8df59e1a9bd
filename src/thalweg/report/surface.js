(() => {
  "use strict";
  const { drawn, figure, redraw } = window.thalweg;
  const SECONDS = 7; // of a whole walk
  const survey = SURVEY;
  const byId = (id) => document.getElementById(id);
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const [paths, losses] = ["paths", "losses"].map(figure);
  const ground = paths.data.length;

  const first = () => ({
    start: [...survey.start], steps: survey.steps, at: survey.steps, playing: false,
    rules: survey.rules.map((rule) => ({ on: true, numbers: { ...rule.numbers } })),
  });
  let now = first();

  // ---- walking -------------------------------------------------------------------------------------------------
  const walk = ({ program }, numbers, start, steps) => {
    const weights = [...start], memory = program.begin(weights, numbers);
    const x = [start[0]], y = [start[1]], loss = [survey.value(...start)];
    for (let step = 1; step <= steps; step++) {
      const slopes = survey.slopes(...weights);
      if (survey.noise) $normal(survey.seed, step).forEach((push, way) => { slopes[way] += survey.noise * push; });
      program.step(weights, slopes, numbers, memory);
      x.push(weights[0]); y.push(weights[1]); loss.push(survey.value(...weights));
    }
    return { x, y, loss };
  };
  const [left, right] = paths.layout.xaxis.range, [low, high] = paths.layout.yaxis.range;

  /** Up to where a path can be drawn: a path that flies off is cut far outside the picture. */
  const near = (x, y) => Math.abs(x - left) < 40 * (right - left) && Math.abs(y - low) < 40 * (high - low);
  const visible = ({ x, y }) => {
    const gone = x.findIndex((_, at) => !near(x[at], y[at]));
    return gone < 0 ? x.length : gone;
  };
  const arrived = (loss) => {
    if (survey.lowest === null) return null;
    let at = loss.length;
    while (at > 0 && loss[at - 1] - survey.lowest <= 1e-3) at--;
    return at < loss.length ? at : null;
  };

  // ---- drawing -------------------------------------------------------------------------------------------------
  const colour = (rule) => `--rule-${survey.shades[rule] % survey.colours}`;
  const DASHES = ["solid", "dash", "dot", "dashdot"];
  const dash = (rule) => DASHES[Math.floor(survey.shades[rule] / survey.colours) % DASHES.length];
  const CURVES = { type: "scatter", mode: "lines" };
  const halo = () => ({
    ...CURVES, x: [], y: [], hoverinfo: "skip", showlegend: false, line: { color: "--card", width: 5.5 }, opacity: 0.65,
  });
  const trail = (rule) => ({
    type: "scatter", mode: "lines+markers", name: survey.rules[rule].name, x: [], y: [],
    line: { color: colour(rule), width: 2.4, dash: dash(rule) }, marker: { color: colour(rule), size: 4.5 },
    hovertemplate: `${survey.rules[rule].name}, step %{pointNumber}<br>x %{x:.4g}, y %{y:.4g}<extra></extra>`,
  });
  const heads = (size) => ({
    type: "scatter", mode: "markers", x: [], y: [], hoverinfo: "skip", showlegend: false,
    marker: { color: survey.rules.map((_, rule) => colour(rule)), size, line: { color: "--card", width: 2 } },
  });
  const origin = {
    type: "scatter", mode: "markers", x: [], y: [], hovertemplate: "start<extra></extra>", showlegend: false,
    marker: { symbol: "circle-open", size: 13, color: "--ink", line: { width: 2 } },
  };
  const every = survey.rules.map((_, rule) => rule);
  paths.data.push(...every.map(halo), ...every.map(trail), origin, heads(12));
  losses.data.push(
    ...every.map((rule) => ({
      ...CURVES, name: survey.rules[rule].name, x: [], y: [], line: { color: colour(rule), width: 2, dash: dash(rule) },
      hovertemplate: "%{y:.3g}",
    })),
    heads(9),
  );
  const count = every.length;
  const curve = (loss) => {
    const held = (value) => Math.abs(value) < 1e100; // an axis has no room for more
    if (survey.lowest === null) return loss.map((value) => (held(value) ? value : null));
    const least = Math.max(loss[0] - survey.lowest, 1e-12) * 1e-10;
    return loss.map((value) => (held(value) ? Math.max(value - survey.lowest, least) : null));
  };
  const legend = (rule) => {
    const { lr } = now.rules[rule].numbers;
    return survey.rules[rule].name + (lr === undefined ? "" : `, α ${digits(lr)}`);
  };
  const chips = every.map((rule) => {
    const chip = document.createElement("li"), line = document.createElement("i");
    line.style.borderTop = `3px ${{ solid: "solid", dash: "dashed" }[dash(rule)] ?? "dotted"} var(${colour(rule)})`;
    chip.append(line, "");
    return chip;
  });
  const list = document.createElement("ul");
  list.className = "chips";
  list.append(...chips);
  byId("chart-paths").before(list);
  /** Puts the step that is shown into both figures. */
  const place = () => {
    const headed = { x: [], y: [] }, marked = { x: [], y: [] };
    now.rules.forEach(({ on, walked, shown, heights }, rule) => {
      const end = on ? Math.min(now.at + 1, shown) : 0;
      const x = walked.x.slice(0, end), y = walked.y.slice(0, end);
      Object.assign(paths.data[ground + rule], { x, y });
      Object.assign(paths.data[ground + count + rule], { x, y, name: legend(rule) });
      chips[rule].lastChild.data = legend(rule);
      chips[rule].hidden = !on;
      const here = on && now.at < shown;
      headed.x.push(here ? walked.x[now.at] : null); headed.y.push(here ? walked.y[now.at] : null);
      marked.x.push(on ? now.at : null); marked.y.push(on ? heights[now.at] : null);
      Object.assign(losses.data[rule], { x: on ? heights.map((_, at) => at) : [], y: on ? heights : [] });
    });
    Object.assign(origin, { x: [now.start[0]], y: [now.start[1]] });
    Object.assign(paths.data[ground + 2 * count + 1], headed);
    Object.assign(losses.data[count], marked);
    byId("step").value = `${now.at} of ${now.steps}`;
    byId("at").max = now.steps;
    byId("at").value = now.at;
  };
  let ready = false, waiting = false;
  const moving = [...every.keys(), ...every.map((rule) => count + rule), 2 * count, 2 * count + 1].map((at) => ground + at);
  const update = (key, all, traces, layout) => {
    if (byId(`numbers-${key}`)?.open) return redraw(key, all); // with its table
    const told = (name) => traces.map((at) => all.data[at][name]);
    return window.Plotly.update(byId(`chart-${key}`), { x: told("x"), y: told("y"), name: told("name") }, layout, traces);
  };
  /** Draws what is shown now, once for each frame of the screen however often it changes. */
  const show = () => {
    place();
    if (!ready || waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      update("paths", paths, moving, {});
      const { xaxis, yaxis } = losses.layout;
      update("losses", losses, [...losses.data.keys()], { "xaxis.range": xaxis.range, ...(yaxis.dtick && { "yaxis.dtick": yaxis.dtick }) });
    });
  };

  // ---- what the equations say ----------------------------------------------------------------------------------
  const digits = (value) => {
    if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "∞" : "−∞";
    const size = Math.abs(value);
    const said = size && (size < 1e-3 || size >= 1e5) ? value.toExponential(2).replace(/\.?0+e/, "e").replace("e+", "e") : String(Number(value.toPrecision(4)));
    return said.replaceAll("-", "−");
  };
  /** The spectral radius, ‖M^n‖^(1/n) with n = 2⁴⁰ by squaring. */
  const radius = (matrix) => {
    let grown = 0, power = matrix;
    const largest = (m) => Math.max(...m.flat().map(Math.abs));
    for (let time = 0; time < 40; time++) {
      const size = largest(power);
      if (!(size > 0)) return size;
      const unit = power.map((row) => row.map((value) => value / size));
      power = unit.map((row) => unit.map((_, column) => row.reduce((sum, value, at) => sum + value * unit[at][column], 0)));
      grown = 2 * (grown + Math.log(size));
    }
    return Math.exp((grown + Math.log(largest(power))) / 2 ** 40);
  };
  const curvatures = (x, y) => {
    const small = 1e-5 * (right - left), slopes = survey.slopes;
    const along = (way) => (slopes(x + small, y)[way] - slopes(x - small, y)[way]) / (2 * small);
    const a = along(0), b = along(1), d = (slopes(x, y + small)[1] - slopes(x, y - small)[1]) / (2 * small), middle = (a + d) / 2, half = Math.hypot((a - d) / 2, b);
    return [middle - half, middle + half];
  };
  const PROBE = 400; // steps of a walk that asks whether a rate is stable
  /** The largest stable rate, by bisection of walks: the same question as `measured_limit` asks in Python. */
  const measure = ({ program, linear }, numbers, start) => {
    const [x, y] = start.map((value, way) => value - survey.centre[way]), [a, b, d] = survey.hessian;
    const height = (x, y) => (a * x * x + 2 * b * x * y + d * y * y) / 2;
    const stable = (lr) => {
      const weights = [x, y], given = { ...numbers, lr }, memory = program.begin(weights, given), top = height(x, y);
      let early = 0, late = 0;
      for (let step = 1; step <= PROBE; step++) {
        program.step(weights, [a * weights[0] + b * weights[1], b * weights[0] + d * weights[1]], given, memory);
        const away = Math.hypot(...weights);
        if (!Number.isFinite(away) || (!linear && height(...weights) > top)) return false;
        if (step >= PROBE / 4 && step < PROBE / 2) early = Math.max(early, away);
        if (step > (3 * PROBE) / 4) late = Math.max(late, away);
      }
      return !linear || late <= early;
    };
    let below = 1, above = 1;
    if (stable(1)) { do { below = above; above *= 4; if (above > 1e9) return null; } while (stable(above)); }
    else { do { above = below; below /= 4; if (below < 1e-9) return null; } while (!stable(below)); }
    while (above / below > 1.0005) {
      const middle = Math.sqrt(below * above);
      if (stable(middle)) below = middle; else above = middle;
    }
    return Math.sqrt(below * above);
  };
  const measured = (rule) => {
    const kept = now.rules[rule], key = JSON.stringify([now.start, { ...kept.numbers, lr: 0 }]);
    if (kept.key !== key) Object.assign(kept, { key, measured: measure(survey.rules[rule], kept.numbers, now.start) });
    return kept.measured;
  };
  const strong = (words, mark) => {
    const node = document.createElement("strong");
    if (mark) node.className = mark;
    node.textContent = words;
    return node;
  };
  const readout = (rule) => {
    const { limit, matrix, words, linear } = survey.rules[rule];
    const found = survey.centre && "lr" in now.rules[rule].numbers ? measured(rule) : null;
    const checked = found === null ? "" : ` Measured here: ${digits(found)}.`;
    const { numbers, walked } = now.rules[rule];
    const field = document.querySelector(`[data-rule="${rule}"]`), gauge = field.querySelector(".gauge");
    const said = [];
    const end = walked.loss.at(-1), when = arrived(walked.loss);
    said.push("Loss after ", strong(`${now.steps} steps: ${digits(end)}`), when === null ? ". " : `, within 0.001 of the lowest from step ${when} on. `);
    const everywhere = survey.curvatures !== null, spot = survey.minimum ?? now.start;
    const [least, most] = everywhere ? survey.curvatures : curvatures(...spot);
    gauge.hidden = !(limit && most > 0);
    if (!gauge.hidden) {
      const bound = limit(numbers, most), share = numbers.lr / bound;
      gauge.className = "gauge" + (share > 1 ? " beyond" : share > 0.9 ? " near" : "");
      gauge.firstElementChild.style.width = `${Math.min(100, 100 * share)}%`;
      const at = everywhere ? `λ = ${digits(most)}` : `λ = ${digits(most)}, the largest curvature ${survey.minimum ? "at the lowest point" : "at the start"}`;
      if (share > 1) said.push(strong(`Beyond the limit, α = ${digits(bound)}`, "beyond"), ` (${words}, ${at}).${checked}`);
      else said.push("Stable up to ", strong(`α = ${digits(bound)}`), ` (${words}, ${at}); this is ${Number((100 * share).toPrecision(2))} % of it.${checked}`);
    } else if (!linear) {
      said.push("Not linear in the gradient: no fixed limit.");
      if (found !== null) said.push(" Measured here: above ", strong(`α = ${digits(found)}`), " a step climbs higher than the start.");
    }
    if (matrix && everywhere && least > 0) {
      const factor = Math.max(...survey.curvatures.map((curvature) => radius(matrix(numbers, curvature))));
      said.push(factor > 1 + 1e-9 ? ` In the long run a step stretches the distance by ` : ` In the long run a step shrinks the distance by `, strong(digits(factor)), ".");
    } else if (matrix && least < 0) {
      said.push(` Along the negative curvature, ${digits(least)}, every rate leads away.`);
    }
    field.querySelector(".readout").replaceChildren(...said);
    field.classList.toggle("off", !now.rules[rule].on);
  };
  const vital = () => {
    const on = now.rules.map(({ on, walked }, rule) => ({ on, end: walked.loss.at(-1), name: survey.rules[rule].name })).filter(({ on, end }) => on && Number.isFinite(end));
    on.sort((a, b) => a.end - b.end);
    byId("vital").textContent = on.length ? `Lowest after ${now.steps} steps: ${on[0].name}, at ${digits(on[0].end)}.` : "No walk stays finite.";
  };
  const command = () => {
    const quoted = (words) => (/^[\w.,=-]+$/.test(words) ? words : `'${words.replaceAll("'", "'\\''")}'`);
    const on = every.filter((rule) => now.rules[rule].on);
    const words = ["thalweg surface", quoted(survey.source), "--rules", on.map((rule) => survey.rules[rule].name).join(",")];
    for (const rule of on) {
      for (const [name, value] of Object.entries(now.rules[rule].numbers)) {
        if (name === "lr" || value !== survey.rules[rule].numbers[name] || survey.rules[rule].given?.includes(name)) words.push("--set", `${survey.rules[rule].name}.${name}=${value}`);
      }
    }
    words.push(`--start=${now.start.join(",")}`, "--steps", now.steps);
    if (survey.noise) words.push("--noise", survey.noise, "--seed", survey.seed);
    byId("command").textContent = words.join(" ");
  };

  // ---- what the reader does ------------------------------------------------------------------------------------
  const recompute = (which = every) => {
    for (const rule of which) {
      const walked = walk(survey.rules[rule], now.rules[rule].numbers, now.start, now.steps);
      Object.assign(now.rules[rule], { walked, shown: visible(walked), heights: curve(walked.loss) });
      readout(rule);
    }
    vital();
    command();
    losses.layout.xaxis.range = [0, 1.03 * now.steps];
    if (survey.lowest !== null) {
      const all = now.rules.flatMap(({ heights }) => heights).filter((value) => value > 0);
      const decades = Math.log10(Math.max(...all) / Math.min(...all));
      losses.layout.yaxis.dtick = Math.max(1, Math.ceil(decades / 6));
    }
  };
  const halt = () => { now.playing = false; byId("play").textContent = "Play"; };
  const settle = () => { halt(); show(); };
  const play = () => {
    if (now.at >= now.steps) now.at = 0;
    now.playing = true;
    byId("play").textContent = "Pause";
    show();
    const from = now.at, began = performance.now();
    const tick = (time) => {
      if (!now.playing) return;
      const at = Math.min(now.steps, from + Math.floor(Math.max(0, time - began) / 1000 * now.steps / SECONDS));
      if (at !== now.at) { now.at = at; show(); }
      if (now.at < now.steps) requestAnimationFrame(tick); else settle();
    };
    requestAnimationFrame(tick);
  };
  const step = (by) => { now.at = Math.min(now.steps, Math.max(0, now.at + by)); settle(); };
  byId("play").addEventListener("click", () => (now.playing ? settle() : play()));
  byId("back").addEventListener("click", () => step(-1));
  byId("on").addEventListener("click", () => step(1));
  byId("at").addEventListener("input", ({ target }) => { halt(); now.at = Number(target.value); show(); });
  const begin = (x, y) => {
    if (near(x, y) && Number.isFinite(survey.value(x, y))) {
      now.start = [x, y];
      recompute();
      settle();
    }
    [byId("x").value, byId("y").value] = now.start;
  };
  for (const id of ["x", "y"]) byId(id).addEventListener("change", () => begin(byId("x").valueAsNumber, byId("y").valueAsNumber));
  byId("steps").addEventListener("change", ({ target }) => {
    now.steps = Math.min(2000, Math.max(1, Math.round(Number(target.value)) || survey.steps));
    target.value = now.at = now.steps;
    recompute();
    settle();
  });
  const SCALES = {
    log: [(value) => Math.log10(value), (at) => 10 ** at],
    share: [(value) => -Math.log10(Math.max(1 - value, 1e-6)), (at) => 1 - 10 ** -at],
    linear: [(value) => value, (at) => at],
  };
  const rounded = (value, scale) => (scale === "share" ? 1 - Number((1 - value).toPrecision(3)) : Number(value.toPrecision(3)));
  const fields = [...document.querySelectorAll("[data-rule]")];
  fields.forEach((field, rule) => {
    field.querySelector("[type=checkbox]").addEventListener("change", ({ target }) => {
      now.rules[rule].on = target.checked;
      readout(rule); vital(); command(); settle();
    });
    for (const line of field.querySelectorAll("[data-name]")) {
      const { name, scale } = line.dataset, [slider, exact] = line.querySelectorAll("input");
      const take = (value) => {
        now.rules[rule].numbers[name] = value;
        now.at = now.steps;
        recompute([rule]);
        settle();
      };
      slider.addEventListener("input", () => {
        const value = Number(rounded(SCALES[scale][1](Number(slider.value)), scale).toPrecision(12));
        exact.value = value;
        take(value);
      });
      exact.addEventListener("change", () => {
        const value = exact.value.trim() === "" ? NaN : Number(exact.value);
        if (!Number.isFinite(value)) { exact.value = now.rules[rule].numbers[name]; return; }
        slider.value = SCALES[scale][0](value);
        take(value);
      });
    }
  });
  byId("reset").addEventListener("click", () => {
    halt();
    now = first();
    [byId("x").value, byId("y").value, byId("steps").value] = [...now.start, now.steps];
    fields.forEach((field, rule) => {
      field.querySelector("[type=checkbox]").checked = true;
      for (const line of field.querySelectorAll("[data-name]")) {
        const [slider, exact] = line.querySelectorAll("input");
        exact.value = now.rules[rule].numbers[line.dataset.name];
        slider.value = SCALES[line.dataset.scale][0](Number(exact.value));
      }
    });
    recompute();
    settle();
  });
  byId("copy").addEventListener("click", async ({ target }) => {
    try { await navigator.clipboard.writeText(byId("command").textContent); target.textContent = "Copied"; } catch { getSelection().selectAllChildren(byId("command")); }
  });

  recompute();
  if (!still.matches) now.at = 0;
  place();
  drawn.then(() => {
    if (!window.Plotly) return;
    ready = true;
    show();
    byId("chart-paths").on("plotly_click", ({ points: [{ x, y }] }) => {
      const neat = [x, y].map((value) => Number(value.toPrecision(3)));
      begin(...neat);
      if (!still.matches) { now.at = 0; play(); }
    });
    if (!still.matches) play();
  });
})();
