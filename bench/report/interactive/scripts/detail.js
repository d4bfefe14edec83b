// Everything that is known of one network.
const scrolling = (label, ...children) =>
  make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${label}, scrolls sideways` }, ...children);
const headRow = (names) => thead(tr(...names.map((name) => make("th", { scope: "col" }, name))));
const nothing = (text) => text || "–";
const tableOf = (title, heads, rows) => scrolling(title, make("table", {}, headRow(heads),
  tbody(...rows.map(([name, ...texts]) => tr(make("th", { scope: "row" }, name), ...texts.map((text) => td(text)))))));

const MEANING = { change: "change", quality: "harm", pair: "harm", bound: "ratio", cost: "ratio" };
const valuesTable = (group, row, cell) => {
  const columns = cell.values.map((name) => group.byCell.get(`${cell.metric}|${cell.parameters}|${name}`)).filter(Boolean);
  const lines = columns.map((column) => {
    const gates = at(column.gates, row) || [];
    return tr(make("th", { scope: "row" }, column.title),
      td(nothing(at(column.reference, row))), td(nothing(at(column.own, row))), td(nothing(at(column.yardsticks, row))),
      td(small(`${MEANING[column.kind]} `),
        figure(nothing(at(column.harm, row)), at(column.harm_interval, row), at(column.mark, row))),
      td(figure(nothing(at(column.gap, row)), at(column.gap_interval, row), "")),
      td(nothing(at(column.seed_ratio, row))), td(nothing(at(column.p_value, row))),
      td(nothing(at(column.floor, row))),
      classed("td", "wrap", ...gates.map(([verdict, because]) =>
        classed("span", "gate", make("strong", { class: verdict }, verdict), `: ${because} `)),
      at(column.remarks, row)));
  });
  return scrolling(cell.title, classed("table", "values", headRow(data.words.heads), tbody(...lines)));
};

const cellOf = (group, row, cell) => {
  const told = data.explanations[cell.metric];
  const facts = [`${cell.n || 0} samples`, `${cell.seconds} s${cell.cached ? ", reused from the store" : ""}`,
    ...(cell.protocol || []).map(([name, text]) => `${name} ${text}`)];
  return make("section", { class: "cell", "data-metric": cell.metric },
    h3(cell.title, cell.status === "ok" ? null : classed("span", `without ${cell.status}`, ` ${cell.status}`)),
    faint(facts.join(" · ")),
    cell.reason ? p(cell.reason) : null,
    cell.values && cell.values.length ? valuesTable(group, row, cell) : null,
    ...(cell.tables || []).map((told) => details(summary(told.title), tableOf(told.title, told.heads, told.rows))),
    ...(cell.parity || []).map(([name, text]) => faint(`${name}: ${text}`)),
    told ? details(summary("What it measures"), ...told.paragraphs.map((text) => p(text))) : null,
    cell.pictures ? make("details", { open: true }, make("summary", {},
      cell.maps ? "Worst-preserved samples" : "Inputs on which the networks part"),
    faint(cell.maps ? data.words.maps : data.words.inputs),
    ...cell.pictures.map(([caption, source]) => make("figure", { class: "example" },
      make("img", { src: source, loading: "lazy", alt: `${cell.maps ? "Image, both maps and their difference of" : "Image and what was found of"} ${caption}` }),
      figcaption(caption)))) : null,
    cell.details ? details(summary("Diagnostics"), make("pre", { tabindex: "0" }, cell.details)) : null);
};

const fallOf = (fall) => make("figure", { class: "falls", "aria-label": fall.words },
  figcaption(`${fall.harm ? "harm" : "change"}: ${fall.title}`),
  ...fall.bars.map((bar, place) => make("div", { class: "fall" },
    make("span", {}, bar.stage, bar.largest ? classed("strong", "most", " ●") : null, classed("small", "place", ` ${bar.target}`)),
    draw("svg", { "aria-hidden": "true" },
      draw("line", { class: "one", x1: `${fall.zero}%`, y1: 0, x2: `${fall.zero}%`, y2: 26 }),
      bar.span ? draw("rect", { class: fall.harm ? (bar.back ? "repair" : "damage") : bar.back ? "back" : "away",
        x: `${bar.span[0]}%`, y: 6, width: `${bar.span[1]}%`, height: 14 }) : null,
      bar.interval ? draw("line", { class: "whisker", x1: `${bar.interval[0]}%`, y1: 13, x2: `${bar.interval[1]}%`, y2: 13 }) : null),
    make("span", {}, place ? bar.added : bar.total, place ? classed("small", "place total", `total ${bar.total}`) : null))));

const stagesOf = (stages) => !stages ? [] : [
  h3("Where it comes in: what each stage adds"),
  faint(data.words.stages),
  ...stages.falls.map(fallOf), ...stages.missing.map((text) => faint(text)),
  details(summary("Every value, stage by stage"), ...stages.tables.map((told) =>
    tableOf(`${told.metric} by stages`, [told.metric, ...told.stages], told.rows))),
];

const detailOf = (group, row) => {
  const told = group.rows;
  const print = group.small[row];
  const state = told.state[row];
  const nearer = group.pairs.filter((pair) => pair.near && pair.rows.includes(row));
  return [
    make("h2", { id: "detail-title", tabindex: "-1" }, told.label[row]),
    p(state === null ? data.words.reference
      : [make("strong", { class: state }, `${told.sign[row]} ${told.verdict[row]}`), `: ${told.reason[row]}`]),
    told.steps[row] ? faint(`Steps: ${told.steps[row]}`) : null,
    told.unreliable[row] ? classed("p", "doubt", strong("Potentially unreliable: "), told.unreliable[row]) : null,
    ...told.cautions[row].map((text) => classed("p", "doubt", strong("Caution: "), text)),
    state === null ? null : scrolling("Family headlines", make("table", {}, tbody(...group.families.map((item) =>
      tr(make("th", { scope: "row" }, item.family, block(item.title)),
        td(...familyLines(group, item, row))))))),
    ...stagesOf(print.stages),
    print.charts.length ? h3("Curves") : null,
    classed("div", "plots", ...print.charts.map(chartOf)),
    nearer.length ? h3("Beside other variants") : null,
    nearer.length ? ul(...nearer.map((pair) => li(`${pair.value}: ${pair.sentence}`))) : null,
    ...print.cells.map((cell) => cellOf(group, row, cell)),
  ].filter(Boolean);
};
