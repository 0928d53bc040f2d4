// A trace of EM, half step by half step. A widget module: render({ model, el }) draws model.get("trace") into el.
// Texts of the trace are data: they become text nodes and attributes, never markup.

const SVG = "http://www.w3.org/2000/svg";
const MISSING = 65535; // a level that stands for no number
const FILM = 40; // frames that a print has, at most

// Elements

function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

function drawn(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function filled(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(key, value);
    else if (value !== null && value !== false) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

function table(head, rows, attributes = {}) {
  const cells = (row) => row.map((text, i) => (i ? element("td", {}, text) : element("th", { scope: "row" }, text)));
  return element(
    "table",
    attributes,
    element("thead", {}, element("tr", {}, ...head.map((text) => element("th", { scope: "col" }, text)))),
    element("tbody", {}, ...rows.map((row) => element("tr", {}, ...cells(row)))),
  );
}

function chooser(label, words, chosen, choose) {
  const options = words.map((text, i) => element("option", { value: i, selected: i === chosen }, text));
  const select = element("select", { change: (event) => choose(Number(event.target.value)) }, ...options);
  return element("label", { class: "chooser" }, element("span", {}, label), select);
}

// Numbers

const signed = (text) => text.replace(/(^|[\s(=])-(?=[\d.∞I])/g, "$1−");

function number(value) {
  return typeof value === "string" ? Number(value) : value; // "-Infinity"
}

function nats(given) {
  const value = number(given);
  if (value === null || value === undefined) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  return signed((Math.abs(value) < 5e-5 ? 0 : value).toFixed(4));
}

function gained(value) {
  if (value === null || value === undefined) return "–";
  const small = value !== 0 && Math.abs(value) < 1e-3;
  return signed(small ? value.toExponential(2) : nats(value));
}

function short(value) {
  return signed(String(Number(value.toPrecision(5))));
}

function unpack({ kind, shape, data, low, span }) {
  const bytes = Uint8Array.from(atob(data), (sign) => sign.charCodeAt(0));
  const level = (value) => (value === MISSING ? Number.NaN : low + (span * value) / (MISSING - 1));
  const values = {
    f4: () => Float64Array.from(new Float32Array(bytes.buffer)),
    u2: () => Float64Array.from(new Uint16Array(bytes.buffer), level),
    u1: () => Float64Array.from(bytes, (value) => value / 255),
  }[kind]();
  const place = (index) => index.reduce((sum, i, axis) => sum * shape[axis] + i, 0);
  return { shape, values, at: (...index) => values[place(index)] };
}

function ticks(low, high, count) {
  const raw = (high - low) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((one) => one >= raw * 0.999);
  const first = Math.ceil(low / step - 1e-9);
  const every = Array.from({ length: count + 2 }, (_, i) => (first + i) * step);
  const found = every.filter((value) => value <= high + 1e-9 * step);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return found.map((value) => {
    const plain = Math.abs(value) < 1e6 && digits < 11;
    return [value, signed(plain ? (value || 0).toFixed(digits) : value.toExponential(2))];
  });
}

function widened([low, high], share = 0.06) {
  const span = Math.max(high - low, 1e-12 * Math.abs(high)) || 1; // less is rounding
  return [low - share * span, high + share * span];
}

// Charts: an SVG with axes, and a part inside them that clips what is drawn.

function chart({ width, height, em, x, y, lowest = y[0], xName, yName, told, whole = false, bare = false }) {
  const marks = bare ? [] : ticks(...y, Math.max(2, Math.floor(height / (3.2 * em))));
  const wide = Math.max(1, ...marks.map(([, text]) => text.length));
  const left = bare ? 0.5 * em : (0.56 * wide + 0.8) * em;
  const top = yName ? 1.7 * em : 0.6 * em;
  const bottom = xName ? 2.9 * em : 1.6 * em;
  const inner = { width: width - left - 0.7 * em, height: height - top - bottom };
  const sx = (value) => ((value - x[0]) / (x[1] - x[0])) * inner.width;
  const sy = (value) => inner.height - ((value - y[0]) / (y[1] - y[0])) * inner.height;
  const svg = drawn("svg", { role: "img", "aria-label": told, width, height, viewBox: `0 0 ${width} ${height}` });
  const area = drawn("svg", { x: left, y: top, ...inner });
  const text = (words, px, py, anchor, kind) =>
    svg.append(drawn("text", { x: px, y: py, "text-anchor": anchor, class: kind }, words));
  for (const [value, words] of marks.filter(([at]) => at >= lowest)) {
    const py = top + sy(value);
    svg.append(drawn("line", { x1: left, x2: left + inner.width, y1: py, y2: py, class: "grid" }));
    text(words, left - 0.4 * em, py + 0.33 * em, "end", "tick");
  }
  let across = ticks(...x, Math.max(2, Math.floor(inner.width / (5.5 * em))));
  if (whole) across = across.filter(([value]) => Number.isInteger(value));
  for (const [value, words] of across) text(words, left + sx(value), top + inner.height + 1.2 * em, "middle", "tick");
  if (xName) text(clipped(xName), left + inner.width, height - 0.4 * em, "end", "axis");
  if (yName) text(clipped(yName), bare ? left : 0, 0.95 * em, "start", "axis");
  svg.append(area);
  return { svg, area, sx, sy, inner, em };
}

function clipped(text) {
  return text.length > 48 ? `${text.slice(0, 47)}…` : text;
}

function line(points, attributes) {
  const path = points
    .filter(([px, py]) => Number.isFinite(px) && Number.isFinite(py))
    .map(([px, py], i) => `${i ? "L" : "M"}${px.toFixed(2)} ${py.toFixed(2)}`);
  return drawn("path", { d: path.join(""), fill: "none", ...attributes });
}

function smooth(points, attributes) {
  const slope = points.map((_, i) => {
    const [before, after] = [points[Math.max(0, i - 1)], points[Math.min(points.length - 1, i + 1)]];
    return (after[1] - before[1]) / (after[0] - before[0] || 1);
  });
  let path = `M${points[0].join(" ")}`;
  for (let i = 1; i < points.length; i++) {
    const [[x0, y0], [x1, y1]] = [points[i - 1], points[i]];
    const third = (x1 - x0) / 3;
    const ends = [x0 + third, y0 + third * slope[i - 1], x1 - third, y1 - third * slope[i], x1, y1];
    path += `C${ends.map((value) => value.toFixed(2)).join(" ")}`;
  }
  return drawn("path", { d: path, fill: "none", ...attributes });
}

function polygon(corners) {
  return `M${corners.map((corner) => corner.map((value) => value.toFixed(2)).join(" ")).join("L")}Z`;
}

function regular(count, turn, inner = null) {
  return (px, py, r) => {
    const corners = [];
    for (let i = 0; i < count * (inner ? 2 : 1); i++) {
      const angle = turn + (2 * Math.PI * i) / (count * (inner ? 2 : 1));
      const radius = inner && i % 2 ? inner * r : r;
      corners.push([px + radius * Math.cos(angle), py + radius * Math.sin(angle)]);
    }
    return polygon(corners);
  };
}

// Of all marks the area is about the same. They are named as matplotlib names them.
const MARKS = {
  o: (px, py, r) => `M${px - r} ${py}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0Z`,
  s: (px, py, r) => regular(4, Math.PI / 4)(px, py, 1.25 * r),
  "^": (px, py, r) => regular(3, -Math.PI / 2)(px, py, 1.45 * r),
  D: (px, py, r) => regular(4, 0)(px, py, 1.3 * r),
  v: (px, py, r) => regular(3, Math.PI / 2)(px, py, 1.45 * r),
  P: (px, py, r) => regular(4, 0, 0.5)(px, py, 1.6 * r),
  X: (px, py, r) => regular(4, Math.PI / 4, 0.5)(px, py, 1.6 * r),
  "*": (px, py, r) => regular(5, -Math.PI / 2, 0.45)(px, py, 1.6 * r),
};
const DASHES = ["none", "7 3", "2 2.5", "9 3 2 3", "12 4", "4 4", "1 3"];

function looks(trace) {
  const of = (list, j) => list[j % list.length];
  const channels = trace.colours.map((hex) => [1, 3, 5].map((i) => Number.parseInt(hex.slice(i, i + 2), 16)));
  return {
    colour: (j) => of(trace.colours, j),
    mark: (j) => MARKS[of(trace.marks, j)],
    letter: (j) => of(trace.marks, j),
    dash: (j) => of(DASHES, j),
    mixed: (q) => {
      const sum = [0, 0, 0];
      q.forEach((share, j) => {
        of(channels, j).forEach((value, c) => {
          sum[c] += share * value;
        });
      });
      return `rgb(${sum.map(Math.round).join(" ")})`;
    },
  };
}

// The data space. Each kind gives a picture of a state at a size, and what the reader can choose.

function rowsOf(space, look) {
  const points = unpack(space.points);
  const q = space.q ? unpack(space.q) : null;
  const shapes = space.shapes ? shapesOf(space.shapes) : null;
  const truth = space.truth && space.kind !== "rug" ? shapesOf(space.truth) : null;
  const value = (column, standard) => space.middle[column] + space.half[column] * standard;
  const shares = (setting, n) => {
    const found = [];
    let left = 1;
    for (let j = 0; j < q.shape[2]; j++) {
      found.push(q.at(setting, n, j));
      left -= found[j];
    }
    return [...found, Math.max(0, left)];
  };
  return {
    count: points.shape[0],
    x: (n, column) => value(column, points.at(n, column)),
    ends: (column) => widened([value(column, -1), value(column, 1)], 0.1),
    shares,
    k: q ? q.shape[2] + 1 : shapes ? shapes.k : 1,
    look: (setting, n) => {
      if (!q || setting === null) return { mark: MARKS.o, kind: "unlabelled" };
      const mine = shares(setting, n);
      const best = mine.indexOf(Math.max(...mine));
      return { mark: look.mark(best), fill: look.mixed(mine), kind: "point" };
    },
    shapes,
    truth,
    centre: (shape, setting, j, column) => value(column, shape.centres.at(setting, j, column)),
    spread: (column) => space.half[column],
    labelled: q !== null,
  };
}

function shapesOf(packed) {
  const centres = unpack(packed.centres);
  return {
    centres,
    k: centres.shape[1],
    scales: packed.scales ? unpack(packed.scales) : null,
    radii: packed.radii ? unpack(packed.radii) : null,
  };
}

function planeSpace(trace, look) {
  const { space } = trace;
  const rows = rowsOf(space, look);
  const entry = (shape, setting, j, a, b) =>
    shape.scales.at(setting, j, (Math.max(a, b) * (Math.max(a, b) + 1)) / 2 + Math.min(a, b));

  // A circle mapped by the Cholesky factor of the 2 x 2 block, which is the exact marginal's.
  function ellipse(plot, shape, setting, j, [a, b], radius, attributes) {
    const l11 = Math.sqrt(entry(shape, setting, j, a, a));
    const l21 = entry(shape, setting, j, a, b) / l11;
    const l22 = Math.sqrt(Math.max(0, entry(shape, setting, j, b, b) - l21 * l21));
    const points = [];
    for (let i = 0; i <= 72; i++) {
      const [c, s] = [Math.cos((i * Math.PI) / 36), Math.sin((i * Math.PI) / 36)];
      const px = rows.centre(shape, setting, j, a) + rows.spread(a) * radius * l11 * c;
      const py = rows.centre(shape, setting, j, b) + rows.spread(b) * radius * (l21 * c + l22 * s);
      points.push([plot.sx(px), plot.sy(py)]);
    }
    return line(points, attributes);
  }

  function components(plot, state, pair) {
    const { shapes } = rows;
    const setting = state.frame.at;
    for (let j = 0; j < shapes.k; j++) {
      const path = [];
      for (let p = 0; p <= setting; p++)
        path.push(pair.map((column, axis) => (axis ? plot.sy : plot.sx)(rows.centre(shapes, p, j, column))));
      if (!path.at(-1).every(Number.isFinite)) continue;
      trace.masses.forEach((mass, i) => {
        if (!shapes.radii) return;
        const radius = shapes.radii.at(setting, 2 + i, j);
        const told = { stroke: look.colour(j), "stroke-width": 2, class: "ellipse", "data-mass": mass };
        plot.area.append(ellipse(plot, shapes, setting, j, pair, radius, told));
      });
      plot.area.append(line(path, { stroke: look.colour(j), class: "path" }));
      for (const [px, py] of path.slice(0, -1))
        plot.area.append(drawn("circle", { cx: px, cy: py, r: 0.14 * plot.em, fill: look.colour(j) }));
      const shape = look.mark(j)(...path.at(-1), 0.5 * plot.em);
      plot.area.append(drawn("path", { d: shape, fill: look.colour(j), class: "centre" }));
    }
  }

  function picture(state, size) {
    const pair = state.columns;
    const names = pair.map((column) => space.names[column]);
    const told = `Rows by ${names[0]} and ${names[1]}; the parameters are in the table below.`;
    const [x, y] = pair.map(rows.ends);
    const plot = chart({ ...size, x, y, xName: names[0], yName: names[1], told });
    for (let n = 0; n < rows.count; n++) {
      const [px, py] = [plot.sx(rows.x(n, pair[0])), plot.sy(rows.x(n, pair[1]))];
      if (!Number.isFinite(px) || !Number.isFinite(py)) continue;
      const { mark, fill, kind } = rows.look(state.frame.q, n);
      plot.area.append(drawn("path", { d: mark(px, py, 0.24 * size.em), fill: fill ?? null, class: kind }));
    }
    if (rows.truth)
      for (let j = 0; j < rows.truth.k; j++) {
        const [px, py] = [
          plot.sx(rows.centre(rows.truth, 0, j, pair[0])),
          plot.sy(rows.centre(rows.truth, 0, j, pair[1])),
        ];
        plot.area.append(drawn("path", { d: MARKS.X(px, py, 0.4 * size.em), class: "truth" }));
        if (rows.truth.radii)
          plot.area.append(ellipse(plot, rows.truth, 0, j, pair, rows.truth.radii.at(0, 3, j), { class: "true" }));
      }
    if (rows.shapes) components(plot, state, pair);
    return plot.svg;
  }
  return {
    picture,
    aspect: 0.78,
    k: rows.k,
    truth: rows.truth !== null,
    pairs: space.names,
    ellipses: !!rows.shapes?.radii,
  };
}

function rugSpace(trace, look) {
  const { space } = trace;
  const rows = rowsOf(space, look);
  const heights = unpack(space.heights);
  const truth = space.truth ? unpack(space.truth) : null;
  const [, count, k] = heights.shape;
  const grid = (i) => space.grid[0] + ((space.grid[1] - space.grid[0]) * i) / Math.max(1, count - 1);

  function bars(plot, state) {
    space.bars.forEach((height, i) => {
      const [from, to] = [plot.sx(space.edges[i]), plot.sx(space.edges[i + 1])];
      const room = space.discrete ? 0.12 * (to - from) : 0.5;
      const box = { x: from + room, y: plot.sy(height), width: Math.max(0.5, to - from - 2 * room) };
      plot.area.append(drawn("rect", { ...box, height: plot.sy(0) - plot.sy(height), class: "bar" }));
      const value = (space.edges[i] + space.edges[i + 1]) / 2;
      const n = space.discrete && state.frame.q !== null && rows.labelled ? firstAt(value) : -1;
      let floor = 0;
      for (const [j, share] of n < 0 ? [] : rows.shares(state.frame.q, n).entries()) {
        const y = plot.sy(floor + share * height);
        plot.area.append(drawn("rect", { ...box, y, height: plot.sy(floor) - y, fill: look.colour(j), opacity: 0.45 }));
        floor += share * height;
      }
    });
  }

  function firstAt(value) {
    for (let n = 0; n < rows.count; n++) if (Math.abs(rows.x(n, 0) - value) < 0.01) return n;
    return -1;
  }

  function picture(state, size) {
    const rug = space.discrete ? 0 : 0.12 * space.top;
    const told = `Densities of the components and their sum over ${space.names[0]}, and the rows below.`;
    const yName = space.discrete ? "probability" : "density";
    const y = [-rug, space.top];
    const plot = chart({ ...size, x: [space.low, space.high], y, xName: space.names[0], yName, told });
    bars(plot, state);
    if (!space.discrete)
      for (let n = 0; n < rows.count; n++) {
        const px = plot.sx(rows.x(n, 0));
        const { fill, kind } = rows.look(state.frame.q, n);
        const ends = { x1: px, x2: px, y1: plot.sy(-0.25 * rug), y2: plot.sy(-0.95 * rug) };
        if (Number.isFinite(px))
          plot.area.append(drawn("line", { ...ends, stroke: fill ?? null, class: `tick-${kind}` }));
      }
    const curve = (height) => Array.from({ length: count }, (_, i) => [plot.sx(grid(i)), plot.sy(height(i))]);
    const sum = (i) => {
      let total = 0;
      for (let j = 0; j < k; j++) total += heights.at(state.frame.at, i, j);
      return total;
    };
    if (truth)
      plot.area.append(
        line(
          curve((i) => truth.at(i)),
          { class: "true" },
        ),
      );
    plot.area.append(line(curve(sum), { class: "sum" }));
    for (let j = 0; j < k; j++) {
      const points = curve((i) => heights.at(state.frame.at, i, j));
      const dashed = { stroke: look.colour(j), "stroke-width": 2, "stroke-dasharray": look.dash(j) };
      plot.area.append(line(points, dashed));
      for (const [px, py] of space.discrete ? points : [])
        plot.area.append(drawn("path", { d: look.mark(j)(px, py, 0.25 * size.em), fill: look.colour(j) }));
    }
    return plot.svg;
  }
  return { picture, aspect: 0.7, k, truth: truth !== null, sum: true };
}

function stripSpace(trace, look) {
  const { space } = trace;
  const rows = rowsOf(space, look);

  function picture(state, size) {
    const column = state.columns[0];
    const [low, high] = rows.ends(column);
    const strip = rows.labelled ? 0.16 * (high - low) : 0;
    const told = `${space.names[column]} over time, and below it the probabilities of the states.`;
    const y = [low - strip, high];
    const lowest = low;
    const plot = chart({
      ...size,
      x: [-0.5, rows.count - 0.5],
      y,
      lowest,
      xName: "time",
      yName: space.names[column],
      told,
    });
    const path = [];
    for (let n = 0; n < rows.count; n++) path.push([plot.sx(n), plot.sy(rows.x(n, column))]);
    plot.area.append(line(path, { class: "series" }));
    if (rows.shapes) means(plot, state, column);
    for (let n = 0; n < rows.count; n++) {
      if (!path[n].every(Number.isFinite)) continue;
      const { mark, fill, kind } = rows.look(state.frame.q, n);
      plot.area.append(drawn("path", { d: mark(...path[n], 0.22 * size.em), fill: fill ?? null, class: kind }));
    }
    if (strip) states(plot, state, plot.sy(low - 0.25 * strip), plot.sy(low - strip));
    for (const end of space.ends.slice(0, -1)) {
      const px = plot.sx(end - 0.5);
      plot.area.append(drawn("line", { x1: px, x2: px, y1: 0, y2: plot.inner.height, class: "end" }));
    }
    return plot.svg;
  }

  function means(plot, state, column) {
    const { shapes } = rows;
    for (let j = 0; j < shapes.k; j++) {
      const centre = rows.centre(shapes, state.frame.at, j, column);
      if (shapes.radii) {
        const sd = Math.sqrt(shapes.scales.at(state.frame.at, j, (column * (column + 3)) / 2)) * rows.spread(column);
        const half = shapes.radii.at(state.frame.at, 0, j) * sd;
        const [top, bottom] = [plot.sy(centre + half), plot.sy(centre - half)];
        const box = { x: 0, width: plot.inner.width, y: top, height: bottom - top };
        plot.area.append(drawn("rect", { ...box, fill: look.colour(j), opacity: 0.12 }));
      }
      const look_ = { stroke: look.colour(j), "stroke-width": 2, "stroke-dasharray": look.dash(j) };
      plot.area.append(
        line(
          [
            [0, plot.sy(centre)],
            [plot.inner.width, plot.sy(centre)],
          ],
          look_,
        ),
      );
      if (rows.truth) {
        const py = plot.sy(rows.centre(rows.truth, 0, j, column));
        plot.area.append(
          line(
            [
              [0, py],
              [plot.inner.width, py],
            ],
            { class: "true" },
          ),
        );
      }
    }
  }

  function states(plot, state, top, bottom) {
    const box = { x: 0, y: top, width: plot.inner.width, height: bottom - top };
    if (state.frame.q === null) {
      plot.area.append(drawn("rect", { ...box, class: "bar" }));
      return;
    }
    const paths = Array.from({ length: rows.k }, () => "");
    const wide = plot.sx(1) - plot.sx(0);
    for (let n = 0; n < rows.count; n++) {
      let from = top;
      rows.shares(state.frame.q, n).forEach((share, j) => {
        const high = share * (bottom - top);
        if (high > 0.05)
          paths[j] +=
            `M${plot.sx(n - 0.5).toFixed(2)} ${from.toFixed(2)}h${(wide + 0.2).toFixed(2)}v${high.toFixed(2)}h${(-wide - 0.2).toFixed(2)}Z`;
        from += high;
      });
    }
    paths.forEach((d, j) => {
      plot.area.append(drawn("path", { d, fill: look.colour(j), class: "state" }));
    });
  }
  return { picture, aspect: 0.6, k: rows.k, truth: rows.truth !== null, columns: space.names };
}

function loadingsSpace(trace, look) {
  const { space } = trace;
  const loadings = unpack(space.loadings);
  const truth = space.truth ? unpack(space.truth) : null;
  const [, m, d] = loadings.shape;

  function picture(state, size) {
    return m > 1 ? arrows(state, size) : stems(state, size);
  }

  function arrows(state, size) {
    const [a, b] = state.columns;
    const told = `Loadings of ${d} columns on factors ${a} and ${b}, in standard deviations of the columns.`;
    const names = { xName: `factor ${a}`, yName: `factor ${b}` };
    const framed = (wide) => chart({ ...size, x: [-wide, wide], y: [-1.15, 1.15], ...names, told });
    const { inner } = framed(1);
    const plot = framed((1.15 * inner.width) / inner.height); // a circle is one
    const circle = Array.from({ length: 91 }, (_, i) => [Math.cos((i * Math.PI) / 45), Math.sin((i * Math.PI) / 45)]);
    const placed = ([px, py]) => [plot.sx(px), plot.sy(py)];
    plot.area.append(line(circle.map(placed), { class: "axisline" }));
    plot.area.append(
      line(
        [
          [-1, 0],
          [1, 0],
        ].map(placed),
        { class: "axisline" },
      ),
    );
    plot.area.append(
      line(
        [
          [0, -1],
          [0, 1],
        ].map(placed),
        { class: "axisline" },
      ),
    );
    const ends = Array.from({ length: d }, (_, i) => [
      loadings.at(state.frame.at, a, i),
      loadings.at(state.frame.at, b, i),
    ]);
    const order = [...ends.keys()].sort((i, j) => ends[j][1] - ends[i][1]);
    const lowest = { true: Number.NEGATIVE_INFINITY, false: Number.NEGATIVE_INFINITY };
    for (const i of order) {
      const [px, py] = placed(ends[i]);
      if (truth)
        plot.area.append(
          line(
            [
              [0, 0],
              [truth.at(a, i), truth.at(b, i)],
            ].map(placed),
            { class: "true" },
          ),
        );
      const way = Array.from({ length: state.frame.at + 1 }, (_, p) =>
        placed([loadings.at(p, a, i), loadings.at(p, b, i)]),
      );
      plot.area.append(line(way, { stroke: look.colour(i), class: "path" }));
      plot.area.append(line([placed([0, 0]), [px, py]], { stroke: look.colour(i), "stroke-width": 2 }));
      plot.area.append(
        drawn("path", { d: look.mark(i)(px, py, 0.35 * size.em), fill: look.colour(i), class: "centre" }),
      );
      const right = ends[i][0] >= 0;
      const at = Math.max(py, lowest[right] + 1.15 * size.em); // names that would lie on one another go below
      lowest[right] = at;
      const place = { x: px + (right ? 0.6 : -0.6) * size.em, y: at + 0.33 * size.em, class: "axis" };
      plot.area.append(drawn("text", { ...place, "text-anchor": right ? "start" : "end" }, clipped(space.names[i])));
    }
    return plot.svg;
  }

  function stems(state, size) {
    const told = `Loadings of ${d} columns on the factor, in standard deviations of the columns.`;
    const plot = chart({
      ...size,
      x: [-1.2, 1.2],
      y: [-0.5, d - 0.5],
      xName: "loading, in sds of the column",
      bare: true,
      told,
    });
    plot.area.append(
      line(
        [
          [plot.sx(0), 0],
          [plot.sx(0), plot.inner.height],
        ],
        { class: "axisline" },
      ),
    );
    for (let i = 0; i < d; i++) {
      const py = plot.sy(d - 1 - i);
      const px = plot.sx(loadings.at(state.frame.at, 0, i));
      if (truth)
        plot.area.append(drawn("path", { d: MARKS.X(plot.sx(truth.at(0, i)), py, 0.4 * size.em), class: "truth" }));
      plot.area.append(
        line(
          [
            [plot.sx(0), py],
            [px, py],
          ],
          { stroke: look.colour(i), "stroke-width": 3 },
        ),
      );
      plot.area.append(
        drawn("path", { d: look.mark(i)(px, py, 0.4 * size.em), fill: look.colour(i), class: "centre" }),
      );
      const right = px >= plot.sx(0);
      const place = { x: plot.sx(0) + (right ? -0.6 : 0.6) * size.em, y: py + 0.33 * size.em, class: "axis" };
      plot.area.append(drawn("text", { ...place, "text-anchor": right ? "end" : "start" }, clipped(space.names[i])));
    }
    return plot.svg;
  }
  return {
    picture,
    aspect: 0.8,
    k: 0,
    truth: truth !== null,
    pairs: m > 2 ? Array.from({ length: m }, (_, i) => `factor ${i}`) : null,
  };
}

const SPACES = { plane: planeSpace, rug: rugSpace, strip: stripSpace, loadings: loadingsSpace };

// The bound space: what both halves raise, or J, which they lower.

function boundSpace(trace) {
  const { books, frames } = trace;
  const prior = (i) => (books.prior ? books.prior[i] : 0);
  const raised = (name) => books[name]?.map((value, i) => (value === null ? null : number(value) + prior(i))) ?? null;
  const [evidence, bound] = [raised("l"), raised("A")];
  const added = books.prior ? " + log prior" : "";

  function span(columns, state) {
    const first = state.close ? Math.max(0, state.at - 4) : 0;
    const last = state.close ? state.at : frames.length - 1;
    const values = columns.flatMap((column) => column.slice(first, last + 1)).filter(Number.isFinite);
    const x = [frames[first].index - 0.6, frames[last].index + 0.6];
    return { x, y: widened(values.length ? [Math.min(...values), Math.max(...values)] : [0, 1], 0.08), first };
  }

  function marks(plot, column, state, name) {
    for (let i = 0; i <= state.at; i++) {
      if (!Number.isFinite(column[i])) continue;
      const kind = frames[i].kind === "E" ? "E" : "M";
      const radius = (i === state.at ? 0.46 : Math.min(0.3, 9 / frames.length)) * plot.em;
      const mark = (kind === "E" ? MARKS.o : MARKS.s)(plot.sx(frames[i].index), plot.sy(column[i]), radius);
      const told = { d: mark, fill: trace.halves[kind], class: i === state.at ? "mark now" : "mark" };
      plot.area.append(drawn("path", { ...told, "data-book": name, "data-frame": frames[i].index }));
    }
  }

  function gaps(plot, state) {
    for (let i = 0; i <= state.at; i++) {
      if (!Number.isFinite(evidence[i]) || !Number.isFinite(bound[i])) continue;
      const px = plot.sx(frames[i].index);
      const ends = { x1: px, x2: px, y1: plot.sy(evidence[i]), y2: plot.sy(bound[i]) };
      plot.area.append(drawn("line", { ...ends, class: i === state.at ? "gap now" : "gap" }));
    }
  }

  const until = (column, state, plot) =>
    column
      .slice(0, state.at + 1)
      .map((value, i) => [plot.sx(frames[i].index), value === null ? Number.NaN : plot.sy(value)]);

  function picture(state, size) {
    if (trace.hard) return distortion(state, size);
    const columns = evidence ? [evidence, bound] : [bound];
    const told = `The log likelihood and the bound A after each half step, up to half step ${state.frame.index}.`;
    const { x, y } = span(columns, state);
    const plot = chart({ ...size, x, y, xName: "half step", yName: `nats${added}`, told, whole: true });
    if (evidence) {
      gaps(plot, state);
      plot.area.append(line(until(evidence, state, plot), { class: "evidence" }));
      const [px, py] = [plot.sx(state.frame.index), plot.sy(evidence[state.at])];
      const ends = { x1: px - 0.6 * plot.em, x2: px + 0.6 * plot.em, y1: py, y2: py };
      plot.area.append(drawn("line", { ...ends, class: "evidence now" }));
    }
    plot.area.append(line(until(bound, state, plot), { class: "course" }));
    marks(plot, bound, state, "A");
    return plot.svg;
  }

  function distortion(state, size) {
    const { x, y } = span([books.J], state);
    const told = `J after each assignment and each refit, up to half step ${state.frame.index}.`;
    const plot = chart({ ...size, x, y, xName: "half step", yName: "J", told, whole: true });
    plot.area.append(line(until(books.J, state, plot), { class: "course" }));
    marks(plot, books.J, state, "J");
    return plot.svg;
  }

  function book(name, state, size) {
    const column = books[name].map(number);
    const { x, y } = span([column], state);
    const told = `${name} after each half step, up to half step ${state.frame.index}.`;
    const plot = chart({
      ...size,
      x,
      y,
      yName: { Q: "Q, the expected log joint", H: "H, the entropy of q" }[name],
      told,
      whole: true,
    });
    plot.area.append(line(until(column, state, plot), { class: "course" }));
    marks(plot, column, state, name);
    return plot.svg;
  }
  return { picture, book, evidence: evidence !== null, added };
}

// The tangent picture.

function tangentSpace(trace) {
  function curve(state) {
    const found = state.frame.q === null ? null : trace.tangents.curves[state.frame.q]?.[state.line];
    if (!found) return null;
    const [here, height, apart, low, high, at, bottom, rise, data] = found;
    return { here, height, apart, low, high, at, bottom, rise, data };
  }

  function picture(state, size) {
    const found = curve(state);
    if (!found) return null;
    const { here, height, apart, low, high, at, bottom, rise, data } = found;
    const x = [here + low, here + high];
    const y = widened([height + bottom, height + bottom + rise], 0.06);
    const name = trace.tangents.lines[state.line].words;
    const told = `The log likelihood, and A under it, along a line: ${name}.`;
    const plot = chart({ ...size, x, y, xName: name, yName: "nats", told });
    const levels = unpack({ kind: "u2", shape: [], data, low: bottom, span: rise }).values;
    const up = [...levels].map((value) => plot.sy(height + value));
    const [above, under] = [up.slice(0, up.length / 2), up.slice(up.length / 2)];
    const across = above.map((_, i) => {
      const place = i < at ? low - (low * i) / at : (high * (i - at)) / Math.max(1, above.length - 1 - at);
      return plot.sx(here + place);
    });
    const paired = (heights) => across.map((px, i) => [px, heights[i]]);
    plot.area.append(line([...paired(above), ...paired(under).reverse()], { class: "between" }));
    plot.area.append(smooth(paired(above), { class: "evidence" }));
    plot.area.append(smooth(paired(under), { class: "under", stroke: trace.halves.E }));
    const [px, py] = [plot.sx(here), plot.sy(height - apart)];
    plot.area.append(
      line(
        [
          [px, py],
          [px, plot.inner.height],
        ],
        { class: "drop" },
      ),
    );
    plot.area.append(drawn("path", { d: MARKS.o(px, py, 0.42 * size.em), fill: trace.halves.E, class: "mark now" }));
    if (trace.tangents.lines[state.line].name === "next" && state.frame.kind === "M") {
      const end = plot.sx(1);
      const next = across.findIndex((value) => value >= end - 0.5);
      if (next > 0) {
        const t = (end - across[next - 1]) / (across[next] - across[next - 1]);
        const height = under[next - 1] + t * (under[next] - under[next - 1]);
        plot.area.append(
          line(
            [
              [end, height],
              [end, plot.inner.height],
            ],
            { class: "drop" },
          ),
        );
        plot.area.append(
          drawn("path", { d: MARKS.s(end, height, 0.42 * size.em), fill: trace.halves.M, class: "mark now" }),
        );
      }
    }
    return plot.svg;
  }

  function told(state) {
    const found = curve(state);
    if (state.frame.q === null) return "There is no q yet, and so no A: the first E half gives both.";
    if (!found) return "No curve: there is no next M half, or nothing to move on this line.";
    const at = `At ${short(found.here)}, where q was made, the two`;
    if (Math.abs(found.apart) >= 5e-5)
      return `${at} are ${nats(found.apart)} nats apart, for q is not the posterior: A may rise where the log likelihood falls.`;
    return `${at} touch. Elsewhere A is below: whatever raises A from there raises the log likelihood.`;
  }
  return { picture, told, apart: (state) => curve(state)?.apart ?? null };
}

// The split of the evidence, for the run's q and for one of the reader's own.

function splitSpace(trace) {
  const { books } = trace;

  function own(state) {
    const at = (name) => number(books[name]?.[state.at] ?? null);
    return at("Q") === null ? null : { l: at("l"), Q: at("Q"), H: at("H") };
  }

  function other(state) {
    if (state.q === 0) return null;
    const found = trace.splits[state.q - 1].books[state.frame.at];
    return found ? { l: number(books.l?.[state.at] ?? null), Q: number(found[0]), H: number(found[1]) } : null;
  }

  function columns(state) {
    const chosen = other(state);
    const list = [["q of the run", own(state)]];
    if (state.q) list.push([`q: ${trace.splits[state.q - 1].name}`, chosen]);
    return list;
  }

  function ledger(state) {
    const list = columns(state);
    const row = (name, value) => [name, ...list.map(([, one]) => (one ? nats(value(one)) : "–"))];
    const rows = [row("Q", (one) => one.Q), row("H", (one) => one.H), row("A = Q + H", (one) => one.Q + one.H)];
    if (books.l)
      rows.push(
        row("KL", (one) => one.l - one.Q - one.H),
        ["log likelihood", ...list.map(() => nats(books.l[state.at]))],
      );
    return table(["nats", ...list.map(([name]) => name)], rows, { class: "ledger" });
  }

  function picture(state, size) {
    const list = columns(state).filter(([, one]) => one && Number.isFinite(one.Q) && Number.isFinite(one.l ?? one.Q));
    if (!list.length || !books.l) return null;
    const l = list[0][1].l;
    const floor = Math.min(...list.map(([, one]) => Math.min(one.Q, one.Q + one.H)));
    const roof = Math.max(l, ...list.map(([, one]) => Math.max(one.Q, one.Q + one.H)));
    const y = [floor - 0.35 * (roof - floor || 1), roof + 0.1 * (roof - floor || 1)];
    const told = "Q, H and KL one upon the other: whatever q is, together they reach the log likelihood.";
    const plot = chart({ ...size, x: [-0.6, list.length - 0.4], y, yName: "nats", told, across: [] });
    plot.svg.querySelectorAll(".tick[text-anchor=middle]").forEach((text) => {
      text.remove();
    });
    list.forEach(([name, one], i) => {
      const part = (from, to, kind) => {
        const [top, bottom] = [plot.sy(Math.max(from, to)), plot.sy(Math.min(from, to))];
        const box = { x: plot.sx(i - 0.28), width: plot.sx(0.56) - plot.sx(0), y: top, height: bottom - top };
        plot.area.append(drawn("rect", { ...box, class: `part-${kind}` }));
        if (bottom - top > 1.3 * size.em)
          plot.area.append(
            drawn(
              "text",
              { x: plot.sx(i), y: (top + bottom) / 2 + 0.35 * size.em, "text-anchor": "middle", class: "part" },
              kind,
            ),
          );
      };
      part(y[0], one.Q, "Q");
      part(one.Q, one.Q + one.H, "H");
      part(one.Q + one.H, one.l, "KL");
      const place = { x: plot.sx(i) + size.width - plot.inner.width - 0.7 * size.em, y: size.height - 0.4 * size.em };
      plot.svg.append(drawn("text", { ...place, "text-anchor": "middle", class: "axis" }, clipped(name)));
    });
    plot.area.append(
      line(
        [
          [0, plot.sy(l)],
          [plot.inner.width, plot.sy(l)],
        ],
        { class: "level" },
      ),
    );
    return plot.svg;
  }
  const words = (state) => (state.q ? trace.splits[state.q - 1].words : "");
  return { picture, ledger, words };
}

// The page

function render({ model, el }) {
  let stop = page(model.get("trace"), el, model.get("alone") === true);
  const again = () => {
    stop();
    stop = page(model.get("trace"), el, model.get("alone") === true);
  };
  model.on?.("change:trace", again);
  return () => {
    stop();
    model.off?.("change:trace", again);
  };
}

function page(trace, el, alone) {
  const { frames, books } = trace;
  const look = looks(trace);
  const space = SPACES[trace.space.kind]?.(trace, look) ?? null;
  const bound = boundSpace(trace);
  const tangent = trace.tangents.lines.length ? tangentSpace(trace) : null;
  const split = splitSpace(trace);
  const questions = new Map(Object.entries(trace.questions).map(([at, text]) => [Number(at), text]));
  const answered = new Set();
  const state = { at: 0, q: 0, line: 0, columns: [0, 1], close: false, frame: frames[0] };

  const title = ({ index, kind }) => {
    if (kind === "start") return "The start";
    const halves = trace.hard ? { E: "Assignment", M: "Refit" } : { E: "E half", M: "M half" };
    return `${halves[kind]} of step ${Math.floor(index / 2)}`;
  };
  const pending = () => [...questions.keys()].filter((at) => !answered.has(at)).sort((a, b) => a - b)[0];
  const limit = () => (pending() ?? frames.length) - 1;

  // What stands on the page

  const icons = {
    first: "M5 4v16M19 4L8 12l11 8z",
    back: "M17 4L6 12l11 8z",
    next: "M7 4l11 8L7 20z",
    last: "M19 4v16M5 4l11 8L5 20z",
  };
  const button = (words, icon, act) => {
    const sign = drawn(
      "svg",
      { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" },
      drawn("path", { d: icons[icon] }),
    );
    return element("button", { type: "button", "aria-label": words, title: words, click: act }, sign);
  };
  const slider = element("input", {
    type: "range",
    min: 0,
    max: frames.length - 1,
    step: 1,
    "aria-label": "Half step",
  });
  const where = element("p", { class: "where" });
  const told = element("p", { class: "told" });
  const why = element("p", { class: "why" });
  const name = element("h2", {});
  const caption = element(
    "section",
    { class: "caption", "aria-live": "polite", "aria-atomic": "true" },
    name,
    told,
    why,
  );
  const asked = element("p", {});
  const answer = element("button", { type: "button", click: reveal }, "Show what happens");
  const question = element(
    "section",
    { class: "question", "aria-label": "A question before the next half step" },
    asked,
    answer,
  );
  const values = element("div", {
    class: "scroll",
    tabindex: 0,
    role: "region",
    "aria-label": "Table of the parameters",
  });
  const numbers = element("div", {
    class: "scroll",
    tabindex: 0,
    role: "region",
    "aria-label": "Table of all half steps",
  });
  const film = element("section", { class: "film", "aria-hidden": "true" });
  const panels = [dataPanel(), boundPanel(), tangentPanel(), splitPanel()].filter(Boolean);

  el.replaceChildren(
    element(
      "header",
      {},
      element("h1", {}, "EM, half step by half step"),
      element("p", { class: "model" }, trace.title),
      element("p", { class: "heading" }, trace.heading),
    ),
    element(
      "nav",
      { class: "controls", "aria-label": "Half steps" },
      button("First half step", "first", () => go(0)),
      button("Back", "back", () => go(state.at - 1)),
      slider,
      button("Next", "next", () => go(state.at + 1)),
      button("Last half step", "last", () => go(frames.length - 1)),
      where,
    ),
    caption,
    question,
    element("div", { class: "panels" }, ...panels.map(({ node }) => node)),
    element("section", { class: "parameters" }, element("h2", {}, "Parameters"), values),
    element("details", { class: "numbers" }, element("summary", {}, "All numbers"), numbers),
    film,
    trace.notes.length ? element("ul", { class: "notes" }, ...trace.notes.map((note) => element("li", {}, note))) : "",
  );
  el.classList.add("latentem-page");
  el.style.setProperty("--e", trace.halves.E);
  el.style.setProperty("--m", trace.halves.M);
  el.classList.toggle("big", alone && new URLSearchParams(location.search).has("big"));

  function panel(kind, words, choices, fill) {
    const figure = element("div", { class: "figure" });
    const foot = element("div", { class: "foot" });
    const head = element("div", { class: "head" }, element("h2", {}, words), ...choices);
    return { node: element("section", { class: `panel ${kind}` }, head, figure, foot), draw: () => fill(figure, foot) };
  }

  function size(figure, aspect, most = 40, share = 0.4) {
    const em = Number.parseFloat(getComputedStyle(figure).fontSize);
    const width = Math.max(15 * em, figure.clientWidth || 40 * em);
    const high = el.classList.contains("big") ? Math.max(12 * em, share * window.innerHeight) : most * em;
    return { width, height: Math.round(Math.min(aspect * width, most * em, high)), em };
  }

  function dataPanel() {
    if (!space) return null;
    const choices = [];
    const choose = (axis) => (i) => {
      if (state.columns[1 - axis] === i) state.columns[1 - axis] = state.columns[axis];
      state.columns[axis] = i;
      draw();
    };
    const names = space.pairs ?? space.columns;
    if (names && names.length > (space.pairs ? 2 : 1)) {
      choices.push(chooser(space.pairs ? "across" : "column", names, 0, choose(0)));
      if (space.pairs) choices.push(chooser("up", names, 1, choose(1)));
    }
    const words = trace.space.kind === "loadings" ? "Loadings" : "Data";
    return panel("data", words, choices, (figure, foot) => {
      figure.replaceChildren(space.picture(state, size(figure, space.aspect, 34, 0.5)));
      foot.replaceChildren(legend());
    });
  }

  function legend() {
    const item = (attributes, words) =>
      element(
        "li",
        {},
        drawn("svg", { class: "key", viewBox: "-8 -8 16 16", "aria-hidden": "true" }, drawn("path", attributes)),
        words,
      );
    const list = [];
    for (let j = 0; j < space.k; j++)
      list.push(item({ d: look.mark(j)(0, 0, 4.5), fill: look.colour(j) }, `${trace.noun} ${j}`));
    if (space.sum) list.push(item({ d: "M-8 0H8", class: "sum" }, "their sum"));
    if (space.truth) list.push(item({ d: "M-8 0H8", class: "true" }, "truth"));
    if (space.ellipses)
      list.push(element("li", {}, `ellipses hold ${trace.masses.map((mass) => `${100 * mass} %`).join(" and ")}`));
    return element("ul", { class: "legend" }, ...list);
  }

  function boundPanel() {
    const close = element("input", { type: "checkbox", change: (event) => set("close", event.target.checked) });
    const level = bound.evidence ? "The bound under the log likelihood" : "The bound";
    const heading = trace.hard ? "J, which both halves lower" : level;
    const choice = element("label", { class: "chooser" }, close, element("span", {}, "close up"));
    return panel("bound", heading, [choice], (figure, foot) => {
      figure.replaceChildren(bound.picture(state, size(figure, 0.5, 20)));
      const key = (kind, words) =>
        element("li", {}, element("span", { class: `key ${kind}`, "aria-hidden": "true" }), words);
      const halves = trace.hard ? ["after an assignment", "after a refit"] : ["A after an E half", "A after an M half"];
      const list = [key("E", halves[0]), key("M", halves[1])];
      if (bound.evidence && !trace.hard) list.push(key("l", "log likelihood"), key("KL", "KL, the gap"));
      const pair = element("div", { class: "pair" });
      foot.replaceChildren(element("ul", { class: "legend" }, ...list), pair);
      if (trace.hard) return;
      for (const book of ["Q", "H"]) {
        const half = element("div", { class: "figure" });
        pair.append(half);
        half.append(bound.book(book, state, size(half, 0.42, 11)));
      }
    });
  }

  function tangentPanel() {
    if (!tangent) return null;
    const words = trace.tangents.lines.map((one) => one.words);
    const choice = chooser("along", words, 0, (i) => set("line", i));
    return panel(
      "tangent",
      trace.exact ? "A touches the log likelihood" : "A under the log likelihood",
      [choice],
      (figure, foot) => {
        const picture = tangent.picture(state, size(figure, 0.55, 22));
        const text = element("p", { class: "words" }, tangent.told(state));
        const key = (kind, words_) =>
          element("li", {}, element("span", { class: `key ${kind}`, "aria-hidden": "true" }), words_);
        figure.replaceChildren(picture ?? element("p", { class: "empty" }, "No picture here."));
        foot.replaceChildren(element("ul", { class: "legend" }, key("l", "log likelihood"), key("A", "A(·, q)")), text);
      },
    );
  }

  function splitPanel() {
    if (trace.hard && !trace.splits.length) return null;
    const words = ["that of the run", ...trace.splits.map((one) => one.name)];
    const choice = chooser("q", words, 0, (i) => set("q", i));
    return panel(
      "split",
      bound.evidence ? "The log likelihood, split by q" : "The bound, split into Q and H",
      [choice],
      (figure, foot) => {
        const picture = split.picture(state, size(figure, 0.5, 20));
        figure.replaceChildren(picture ?? "");
        foot.replaceChildren(split.ledger(state), element("p", { class: "words" }, split.words(state)));
      },
    );
  }

  // What changes

  function set(key, value) {
    state[key] = value;
    draw();
  }

  function go(wanted) {
    const at = Math.min(Math.max(0, wanted), limit());
    state.at = at;
    state.frame = frames[at];
    show();
    if (wanted > limit() && limit() < frames.length - 1) answer.focus();
  }

  function reveal() {
    answered.add(pending());
    go(state.at + 1);
    slider.focus();
  }

  function show() {
    const { frame } = state;
    const level = trace.hard
      ? `J ${number(books.J[state.at]) === null ? "–" : short(books.J[state.at])}`
      : `A ${nats(books.A[state.at])}`;
    slider.value = state.at;
    slider.setAttribute("aria-valuetext", `half step ${frame.index}, ${title(frame)}, ${level}`);
    where.textContent = `${frame.index} of ${frames.at(-1).index}`;
    name.textContent = title(frame);
    name.className = frame.kind;
    told.textContent = signed(frame.told);
    why.textContent = trace.reasons[frame.why];
    const open = questions.get(state.at + 1);
    question.hidden = open === undefined || answered.has(state.at + 1);
    asked.textContent = open ?? "";
    const [head, ...rows] = trace.parameters[frame.at];
    values.replaceChildren(
      table(
        head,
        rows.map((row) => row.map(signed)),
      ),
    );
    numbers.replaceChildren(allNumbers());
    if (alone && location.origin !== "null") history.replaceState(null, "", `#${frame.index}`);
    draw();
  }

  function allNumbers() {
    const words = { l: "log likelihood", gain: "gain", prior: "log prior", objective: "objective", J: "J" };
    const shown = ["l", "A", "KL", "Q", "H", "prior", "objective", "J", "gain"].filter((key) => books[key]);
    const rows = frames
      .slice(0, limit() + 1)
      .map((frame, i) => [
        String(frame.index),
        title(frame),
        ...shown.map((key) => (key === "gain" ? gained : nats)(books[key][i])),
      ]);
    const found = table(["half step", "what", ...shown.map((key) => words[key] ?? key)], rows);
    found.tBodies[0].rows[state.at].setAttribute("aria-current", "step");
    return found;
  }

  function draw() {
    for (const one of panels) one.draw();
  }

  // How it is asked

  const keys = {
    ArrowRight: () => go(state.at + 1),
    ArrowLeft: () => go(state.at - 1),
    Home: () => go(0),
    End: () => go(frames.length - 1),
  };
  function key(event) {
    const busy = event.target.closest?.("select, input, summary, .scroll");
    if (event.altKey || event.ctrlKey || event.metaKey || !keys[event.key] || (busy && busy !== slider)) return;
    event.preventDefault();
    keys[event.key]();
  }

  function opened() {
    const at = frames.findIndex((frame) => `#${frame.index}` === location.hash);
    if (at >= 0) go(at);
    return at >= 0;
  }

  function filmstrip() {
    const last = limit();
    const every = Array.from({ length: Math.min(FILM, last + 1) }, (_, i) =>
      Math.round((i * last) / Math.max(1, Math.min(FILM, last + 1) - 1)),
    );
    const cards = every.map((at) => {
      const then = { ...state, at, frame: frames[at] };
      const pictures = [
        space?.picture(then, { width: 310, height: 220, em: 9 }),
        bound.picture(then, { width: 310, height: 130, em: 9 }),
      ];
      const words = element("p", {}, signed(frames[at].told));
      return element("article", {}, element("h3", {}, `${frames[at].index}. ${title(frames[at])}`), ...pictures, words);
    });
    film.replaceChildren(...cards);
  }

  const unfilm = () => film.replaceChildren();
  let width = 0;
  const resized = new ResizeObserver(() => {
    if (el.clientWidth === width) return;
    width = el.clientWidth;
    requestAnimationFrame(draw);
  });
  const keyed = alone ? document : el;
  slider.addEventListener("input", () => go(Number(slider.value)));
  keyed.addEventListener("keydown", key);
  window.addEventListener("beforeprint", filmstrip);
  window.addEventListener("afterprint", unfilm);
  if (alone) window.addEventListener("hashchange", opened);
  resized.observe(el);
  if (!alone || !opened()) show();
  return () => {
    keyed.removeEventListener("keydown", key);
    window.removeEventListener("beforeprint", filmstrip);
    window.removeEventListener("afterprint", unfilm);
    window.removeEventListener("hashchange", opened);
    resized.disconnect();
  };
}

export default { render };
