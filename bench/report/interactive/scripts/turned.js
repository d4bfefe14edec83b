// One value at a time: a row each run, a column each network that several runs have.
const turnedTable = (group, column, show) => {
  const runs = [...new Set(group.rows.run)];
  const places = new Map();
  group.rows.key.forEach((key, row) => {
    const network = `${group.rows.name[row]}\n${group.rows.place[row]}`;
    if (!places.has(network)) places.set(network, new Map());
    places.get(network).set(group.rows.run[row], row);
  });
  const networks = [...places].filter(([, rows]) => rows.size > 1);
  if (networks.length < 2) return null;
  return classed("table", "board", make("caption", {}, column.title, column.note ? small(` ${column.note}`) : null),
    thead(tr(make("th", { scope: "col" }, "run"), ...networks.map(([network]) => {
      const [name, place] = network.split("\n");
      return make("th", { scope: "col" }, name, block(place));
    }))),
    tbody(...runs.map((run) => tr(make("th", { scope: "row" }, run), ...networks.map(([, rows]) =>
      rows.has(run) ? valueCell(column, rows.get(run), show) : td(without("absent", "not in this run")))))));
};

const setUpTurned = (folded) => {
  const group = data.groups[Number(folded.dataset.group)];
  const holder = one("div", folded);
  const fill = () => {
    const column = group.columns[Number(one("select", folded).value)];
    const table = turnedTable(group, column, "value");
    one(".turned-table", folded).replaceChildren(...(table ? [scrolling(column.title, table)]
      : [p("No two runs have two networks in common.")]));
  };
  holder.append(label("Value ", make("select", { onchange: fill }, ...group.columns.map((column, place) =>
    new Option(column.name, place)))), make("div", { class: "turned-table" }));
  if (group.shown.length) one("select", folded).value = String(group.shown[0]);
  folded.addEventListener("toggle", () => { if (folded.open) fill(); });
  folded.hidden = false;
};
