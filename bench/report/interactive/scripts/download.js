// The rows that are shown, with every value and its numbers, as files.
const FIGURES = ["number", "low", "high", "estimate", "estimate_low", "estimate_high", "gap_number", "gap_low", "gap_high", "rank_low", "rank_high", "status"];
const FILE_NAMES = { number: "", estimate: ".harm", estimate_low: ".harm_low", estimate_high: ".harm_high", gap_number: ".gap" };
// an upper limit is no gap: it stands in gap_high alone
const given = (column, item, row) =>
  (item === "gap_number" && at(column.gap_low, row) === "" && at(column.gap_high, row) !== "" ? "" : at(column[item], row));

// spreadsheets compute what begins so
const quoted = (item) => {
  let text = String(item);
  if (typeof item === "string" && /^[=+\-@\t\r]/.test(text)) text = `'${text}`;
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};
const save = (name, type, text) => {
  const link = make("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
};
const shownRows = () => tables.flatMap(({ group, table }) => every("tr[data-row]", table)
  .filter((line) => !line.hidden).map((line) => [group, Number(line.dataset.row)]));

const csvText = () => {
  const columns = new Map();
  for (const column of data.groups.flatMap((group) => group.columns)) {
    columns.set(column.name, new Set([...(columns.get(column.name) || []), ...FIGURES.filter((name) => column[name])]));
  }
  const heads = [...columns].flatMap(([name, held]) => FIGURES.filter((item) => held.has(item))
    .map((item) => [name, item, `${name}${FILE_NAMES[item] ?? `.${item}`}`]));
  const lines = shownRows().map(([group, row]) => [group.rows.run[row], group.rows.name[row], group.rows.place[row],
    group.rows.verdict[row], ...heads.map(([name, item]) => given(group.byName.get(name) || {}, item, row))]);
  return [["run", "variant", "target", "verdict", ...heads.map(([, , head]) => head)], ...lines]
    .map((line) => line.map(quoted).join(",")).join("\n") + "\n";
};
const jsonText = () => JSON.stringify(shownRows().map(([group, row]) => ({
  run: group.rows.run[row], variant: group.rows.name[row], target: group.rows.place[row], verdict: group.rows.verdict[row],
  values: Object.fromEntries(group.columns.map((column) => [column.name, Object.fromEntries(FIGURES
    .filter((item) => given(column, item, row) !== "").map((item) => [item, column[item][row]]))])),
})), null, 1);
