// Two networks side by side.
let picked = [];
const pick = (key, on) => {
  picked = on ? [...picked, key] : picked.filter((other) => other !== key);
  while (picked.length > 2) picked.shift();
  for (const { rows, group } of tables) {
    for (const [row, line] of rows) one("input.pick", line).checked = picked.includes(group.rows.key[row]);
  }
  const button = one("#compare-button");
  button.disabled = picked.length !== 2;
  button.textContent = picked.length === 1 ? "Compare: pick one more" : "Compare two";
};
const find = (key) => {
  for (const group of data.groups) {
    const row = group.rows.key.indexOf(key);
    if (row >= 0) return { group, row };
  }
  return null;
};

const comparisonOf = (first, second) => {
  const [one, other] = [first, second].map(({ group, row }) => ({ group, row, told: group.rows }));
  const name = ({ told, row }) => told.label[row];
  const names = [one, other].map((side) => (one.told.run[one.row] === other.told.run[other.row]
    ? name(side) : `${side.told.run[side.row]}: ${name(side)}`));
  const apart = one.group !== other.group;
  const pairs = apart ? [] : one.group.pairs.filter((pair) => pair.rows.includes(one.row) && pair.rows.includes(other.row));
  // gaps are on the yardsticks of one suite, and mean nothing beside another's
  const scaled = !apart && one.group.one_scale;
  const shows = [["own value", "value"], ["change or harm", "harm"], ["gap", "gap"]].slice(0, scaled ? 3 : 2);
  const columns = one.group.columns.filter((column) => other.group.byName.has(column.name));
  const lines = columns.map((column) => {
    const theirs = other.group.byName.get(column.name);
    const cells = shows.flatMap(([, show]) => [[column, one.row], [theirs, other.row]].map(([held, row]) => {
      const told = shownOf(held, row, show);
      if (show === "value" || PLAIN.includes(at(held.status, row))) {
        return td(figure(nothing(told.text), told.interval, told.mark));
      }
      return td("–");
    }));
    return tr(make("th", { scope: "row" }, column.title, block(column.metric)), ...cells);
  });
  return [
    make("h2", { id: "detail-title", tabindex: "-1" }, `${names[0]} beside ${names[1]}`),
    apart ? classed("p", "doubt", strong(data.words.apart_head),
      data.words.apart) : null,
    h3("Paired, on the same samples; 95 % intervals of this pair by itself"),
    pairs.length ? ul(...pairs.map((pair) => li(`${pair.value}: ${pair.sentence}`)))
      : faint(one.told.run[one.row] === other.told.run[other.row]
        ? data.words.neighbours
        : data.words.unpaired),
    h3("Every value"),
    scrolling("Both networks", classed("table", "values compare", thead(tr(make("th", { scope: "col" }, "value"),
      ...shows.flatMap(([word]) => names.map((text) => make("th", { scope: "col" }, text, block(word)))))),
    tbody(...lines))),
  ].filter(Boolean);
};
