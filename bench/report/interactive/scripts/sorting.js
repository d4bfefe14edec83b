// Rows are moved, never made anew; each run by itself, its reference first, what has no number last.
const ORDER = { ship: 0, open: 1, error: 2, stop: 3 };

const keyOf = (group, row, sort) => {
  const [kind, ...rest] = parted(sort, "|");
  const name = rest[0];
  const show = rest[1];
  if (kind === "name") return group.rows.label[row].toLowerCase();
  if (kind === "verdict") return ORDER[group.rows.state[row]];
  if (kind === "family") {
    const told = group.families.find((item) => item.family === name);
    if (!told) return "";
    if (show === "gap") return at(told.gap_number, row);
    const column = group.columns[show === "change" ? told.change : told.harm];
    return column ? shownOf(column, row, "harm").number : "";
  }
  const column = group.byName.get(name);
  return column ? shownOf(column, row, show).number : "";
};
const familyOf = (group, sort) => {
  const [kind, name] = parted(sort, "|");
  if (kind === "family") return name;
  const column = kind === "value" ? group.byName.get(name) : null;
  return column ? column.family : "";
};
// the order of rows; a variant whose robustness may only seem so never wins a sort by robustness
const ordered = (group, rows, sort, down) => {
  const robust = familyOf(group, sort) === "adversarial";
  const keys = new Map(rows.map((row) => [row, keyOf(group, row, sort)]));
  const rank = (row) => (keys.get(row) === "" ? 2 : robust && group.rows.unreliable[row] ? 1 : 0);
  return [...rows].sort((one, other) => {
    if (rank(one) !== rank(other)) return rank(one) - rank(other);
    const [a, b] = [keys.get(one), keys.get(other)];
    if (rank(one) === 2 || a === b) return one - other;
    return (a < b ? -1 : 1) * (down ? -1 : 1);
  });
};
