// Lines over numbers: every curve of the page.
const BOX = { width: 360, height: 236, left: 52, right: 348, top: 14, bottom: 178 };

const ticksOf = (least, most) => {
  const span = Math.max(most - least, Math.abs(most) * 1e-3, 1e-9);
  const power = 10 ** Math.floor(Math.log10(span / 4));
  const step = [1, 2, 5, 10].map((times) => power * times).find((size) => span / size <= 5);
  const first = Math.floor(least / step + 1e-9);
  const last = Math.max(Math.ceil(most / step - 1e-9), first + 1);
  return Array.from({ length: last - first + 1 }, (_, place) => Number(((first + place) * step).toPrecision(12)));
};
const short = (number) => {
  for (const [step, size, name] of [[1e9, 1e9, "G"], [1e6, 1e6, "M"], [1e4, 1e3, "k"]]) {
    if (Math.abs(number) >= step) return `${Number((number / size).toPrecision(4))}${name}`;
  }
  return String(Number(number.toPrecision(4)));
};
const axis = (ticks, start, end) => (number) =>
  start + ((end - start) * (number - ticks[0])) / (ticks[ticks.length - 1] - ticks[0]);

const axes = (box, xs, ys) => [axis(xs, box.left, box.right), axis(ys, box.bottom, box.top)];
const frame = (box, xs, ys, title) => {
  const { left, right, top, bottom } = box;
  const [x, y] = axes(box, xs, ys);
  const text = (place, anchor, words) => draw("text", { ...place, "text-anchor": anchor }, words);
  const line = (kind, x1, y1, x2, y2) => draw("line", { class: kind, x1, y1, x2, y2 });
  return [line("track", left, bottom, right, bottom), line("track", left, top, left, bottom),
    ...xs.map((tick) => text({ x: x(tick), y: bottom + 16 }, "middle", short(tick))),
    ...ys.flatMap((tick) => [text({ x: left - 6, y: y(tick) + 4 }, "end", short(tick)), line("grid", left, y(tick), right, y(tick))]),
    text({ x: (left + right) / 2, y: bottom + 36 }, "middle", title)];
};

const chartOf = (told) => {
  const { width, height, left } = BOX;
  const known = (items) => items.filter((item) => item !== null && item !== undefined);
  const xs = known(told.lines.flatMap((line) => line.x));
  const ys = known(told.lines.flatMap((line) => [...line.y, ...(line.low || []), ...(line.high || [])]));
  if (!xs.length || !ys.length) return null;
  const [xTicks, yTicks] = [ticksOf(Math.min(...xs), Math.max(...xs)), ticksOf(Math.min(0, ...ys), Math.max(...ys))];
  const [x, y] = axes(BOX, xTicks, yTicks);
  const parts = frame(BOX, xTicks, yTicks, told.x);
  if (told.diagonal) {
    const [low, high] = [Math.max(xTicks[0], yTicks[0]), Math.min(xTicks[xTicks.length - 1], yTicks[yTicks.length - 1])];
    if (low < high) parts.push(draw("line", { class: "one", x1: x(low), y1: y(low), x2: x(high), y2: y(high) }));
  }
  told.lines.forEach((line) => {
    const points = line.x.map((at, place) => [at, line.y[place], place]).filter(([, height]) => height !== null);
    const kind = line.name === "reference" ? "before" : "after";
    points.forEach(([at, , place]) => {
      const [low, high] = [line.low && line.low[place], line.high && line.high[place]];
      if (line.low && low !== null && high !== null) {
        parts.push(draw("line", { class: `whisker ${kind}`, x1: x(at), y1: y(low), x2: x(at), y2: y(high) }));
      }
    });
    parts.push(draw("polyline", { class: `curve ${kind}`, points: points.map(([at, height]) => `${x(at)},${y(height)}`).join(" ") }));
    parts.push(...points.map(([at, height, place]) => draw("circle", { class: `point ${kind}`, cx: x(at), cy: y(height), r: 2.5 },
      draw("title", {}, `${line.name}: ${line.names ? line.names[place] : `${told.x} ${short(at)}`}, ${told.y} ${short(height)}`))));
  });
  const key = told.lines.map((line, place) => {
    const kind = line.name === "reference" ? "before" : "after";
    const from = left + 4 + place * 130;
    return [draw("line", { class: `curve ${kind}`, x1: from, y1: height - 8, x2: from + 22, y2: height - 8 }),
      draw("text", { x: from + 27, y: height - 4 }, line.name)];
  });
  return classed("figure", "card chart", figcaption(told.title), small(told.y),
    draw("svg", { class: "plot", viewBox: `0 0 ${width} ${height}`, role: "img",
      "aria-label": `${told.title}: ${told.y} by ${told.x}; each point tells its figures` }, ...parts, ...key.flat()));
};
