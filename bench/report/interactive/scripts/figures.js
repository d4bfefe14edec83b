// One cell of a table, as the page's own first screen writes it.
const PLAIN = ["number", "limit", "range"];

const without = (status, text, reason) => make("span", { class: `without ${status}`, title: reason || null }, text);
const figure = (text, interval, mark) => [
  make("span", { class: `figure ${mark}`, title: mark ? data.meanings[mark] : null },
    mark ? `${text} ${data.signs[mark]}` : text),
  interval ? classed("span", "interval", ` ${interval}`) : null,
];

// what a column shows of a row: {text, interval, mark, number, low, high}; no text where there is no figure
const shownOf = (column, row, show) => {
  if (show === "gap") {
    return { text: at(column.gap, row), interval: at(column.gap_interval, row), mark: "",
      number: at(column.gap_number, row), low: at(column.gap_low, row), high: at(column.gap_high, row) };
  }
  if (show === "harm") {
    return { text: at(column.harm, row), interval: at(column.harm_interval, row), mark: at(column.mark, row),
      number: [column.estimate, column.estimate_high, column.estimate_low].map((ends) => at(ends, row)).find((end) => end !== "") ?? "", low: at(column.estimate_low, row), high: at(column.estimate_high, row) };
  }
  return { text: at(column.value, row), interval: at(column.interval, row), mark: "",
    number: at(column.number, row), low: at(column.low, row), high: at(column.high, row) };
};

const valueCell = (column, row, show) => {
  const status = at(column.status, row);
  if (!PLAIN.includes(status)) return td(without(status, at(column.value, row), at(column.reason, row)));
  const shown = shownOf(column, row, show);
  if (show !== "value") {
    if (shown.text && shown.text !== "–") return td(figure(shown.text, shown.interval, shown.mark));
    const reason = at(column.remarks, row) || at(column.reason, row);
    return td(make("span", { class: "nothing", title: reason || null }, "–"));
  }
  const change = column.kind === "change";
  const own = figure(shown.text || "–", shown.interval, change ? at(column.mark, row) : "");
  if (change) return td(own);
  const harm = shownOf(column, row, "harm");
  return td(classed("span", "line", own),
    harm.text && harm.text !== "–"
      ? classed("span", "line against", figure(harm.text, harm.interval, harm.mark)) : null);
};

// a family without its strip: lines of text
const familyLines = (group, told, row) => {
  const lines = [];
  const put = (word, column, show) => {
    const status = at(column.status, row);
    const shown = shownOf(column, row, show);
    lines.push(classed("span", "line", small(`${word} `),
      PLAIN.includes(status) ? figure(shown.text || "–", shown.interval, shown.mark)
        : without(status, at(column.value, row), at(column.reason, row))));
  };
  if (told.harm !== null) put("harm", group.columns[told.harm], "harm");
  if (told.gap && told.gap[row]) {
    const missing = told.gap[row] === "–";
    lines.push(classed("span", "line", small("gap "), missing
      ? without("null", "no figure", told.reason[row])
      : figure(told.gap[row], at(told.gap_interval, row), at(told.gap_mark, row))));
    if (at(told.gap_mark, row) === "alarm" && at(told.alarm_words, row)) {
      lines.push(classed("span", "line alarm", small(told.alarm_words[row])));
    }
  } else if (told.change !== null) put("change", group.columns[told.change], "harm");
  return lines;
};
