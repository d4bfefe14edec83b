// Harm or gap against a cost: what Python drew first, drawn anew for another choice.
const COSTS = { "cost.file_bytes": "size", "cost.macs": "MACs", "cost.latency_median": "latency" };
const PLOT = { left: 62, right: 620, top: 16, bottom: 258 };

const pointsOf = (group, told, what, cost) => {
  const costs = group.byName.get(cost);
  const harm = told.harm === null ? null : group.columns[told.harm];
  if (!costs || (what === "harm" && !harm)) return [];
  const scale = what === "gap" ? 1 : harm.scale;
  return group.rows.key.map((key, row) => {
    const read = (name, other) => (what === "gap" ? at(told[name], row) : at(harm[other], row));
    const x = at(costs.number, row);
    const [y, low, high] = [read("gap_number", "estimate"), read("gap_low", "estimate_low"), read("gap_high", "estimate_high")]
      .map((end) => (end === "" ? null : end * scale));
    if (x === "" || y === null || group.rows.state[row] === null) return null;
    return { key, row, x, y, low, high, limit: what === "gap" && low === null && high !== null,
      hollow: told.family === "adversarial" && Boolean(group.rows.unreliable[row]) };
  }).filter(Boolean);
};
const frontOf = (points) => {
  let best = Infinity;
  return [...points].sort((a, b) => a.x - b.x || a.y - b.y)
    .filter((point) => !point.hollow && point.y < best && ((best = point.y), true));
};

const drawPareto = (figureElement) => {
  const group = data.groups[Number(figureElement.dataset.group)];
  const [family, what, cost] = parted(figureElement.dataset.choice, "|");
  const told = group.families.find((item) => item.family === family);
  const points = told ? pointsOf(group, told, what, cost) : [];
  const svg = one("svg", figureElement);
  const name = what === "gap" ? told.change_title : told.harm_title;
  one("figcaption", figureElement).textContent = `${capital(what)} of ${family} (${name}) against ${COSTS[cost]}`;
  if (points.length < 1) {
    svg.replaceChildren(draw("text", { x: 320, y: 140, "text-anchor": "middle" }, data.words.empty));
    one(".front-names span", figureElement).textContent = "–";
    return;
  }
  const ends = points.flatMap((point) => [point.y, point.low, point.high]).filter((end) => end !== null);
  const highest = Math.max(...points.map((point) => point.y));
  const most = highest > 0 ? Math.min(Math.max(...ends), highest * 1.5) : Math.max(...ends);
  const [xs, ys] = [ticksOf(0, Math.max(...points.map((point) => point.x))), ticksOf(Math.min(0, ...ends), most)];
  const [x, y] = axes(PLOT, xs, ys);
  const { run, label: labels } = group.rows;
  // runs are not ranked against each other
  const fronts = [...new Set(run)].map((name) => frontOf(points.filter((point) => run[point.row] === name)));
  const kept = fronts.flat();
  const named = ({ row }) => (fronts.length > 1 ? `${run[row]}: ${labels[row]}` : labels[row]);
  const unit = what === "gap" ? "" : group.columns[told.harm].unit;
  const costs = group.byName.get(cost);
  svg.replaceChildren(
    ...frame(PLOT, xs, ys, costs.unit ? `${COSTS[cost]} (${costs.unit})` : COSTS[cost]),
    draw("text", { x: 66, y: 12 }, `${what}: ${name}${unit ? ` (${unit})` : ""}`),
    ...fronts.map((front) => draw("polyline", { class: "front", points: front.map((point) => `${x(point.x)},${y(point.y)}`).join(" ") })),
    ...points.map((point) => {
      const [px, py] = [x(point.x), y(point.y)];
      const held = what === "gap" ? told : group.columns[told.harm];
      const words = `${named(point)}: ${what} ${at(held[what], point.row)} ${at(held[`${what}_interval`], point.row)}, ${at(costs.value, point.row)}`
        + (point.hollow ? `; potentially unreliable: ${group.rows.unreliable[point.row]}` : "");
      const shape = group.rows.control[point.row] ? draw("rect", { class: "point", x: px - 4.5, y: py - 4.5, width: 9, height: 9 })
        : point.limit ? draw("path", { class: "point", d: `M${px - 5} ${py - 4} h10 l-5 9 Z` })
          : draw("circle", { class: "point", cx: px, cy: py, r: 5 });
      const bar = point.low === null || point.high === null ? null : draw("line", { class: "whisker", x1: px, x2: px,
        y1: y(Math.max(point.low, ys[0])), y2: y(Math.min(point.high, ys[ys.length - 1])) });
      return draw("a", { href: `#open=${encodeURIComponent(point.key)}`,
        class: `dot${point.hollow ? " hollow" : ""}${kept.includes(point) ? " on-front" : ""}` }, draw("title", {}, words), bar, shape);
    }));
  const best = kept.map(named).join(", ");
  one(".front-names span", figureElement).textContent = best || "–";
  svg.setAttribute("aria-label", `${one("figcaption", figureElement).textContent}: ${points.length} networks; on the front: ${best}`);
};

const setUpPareto = (figureElement) => {
  const group = data.groups[Number(figureElement.dataset.group)];
  const choose = (name, words, options) => {
    const select = make("select", { name, onchange: () => {
      const chosen = ["family", "what", "cost"].map((word) => one(`select[name=${word}]`, tools).value);
      go({ pareto: joined(chosen, "|") });
    } }, ...options.map(([value, text]) => new Option(text, value)));
    return label(`${words} `, select);
  };
  const tools = one(".pareto-tools", figureElement);
  tools.append(choose("what", "Height", [["gap", "gap"], ["harm", "harm"]].slice(group.one_scale ? 0 : 1)),
    choose("family", "of", group.families.map((told) => [told.family, told.family])),
    choose("cost", "against", Object.entries(COSTS).filter(([name]) => group.byName.has(name))));
  tools.hidden = false;
  figureElement.dataset.first = figureElement.dataset.choice;
};
const setPareto = (figureElement) => {
  const tools = one(".pareto-tools", figureElement);
  const choose = (choice) => ["family", "what", "cost"].every((name, place) => {
    const select = one(`select[name=${name}]`, tools);
    select.value = parted(choice, "|")[place];
    return select.selectedIndex >= 0;
  });
  // a link, or another table of the page, may name what this one does not hold
  let wanted = view.pareto || figureElement.dataset.first;
  if (!choose(wanted)) choose(wanted = figureElement.dataset.first);
  if (figureElement.dataset.choice === wanted) return;
  figureElement.dataset.choice = wanted;
  drawPareto(figureElement);
};
