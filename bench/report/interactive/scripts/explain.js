// What a value means: kind, unit, direction, interval, and the formula and source of its metric.
const aboutColumn = (column) => {
  const told = data.explanations[column.metric];
  return [
    h3(column.title),
    p(data.words[column.kind]),
    p(`${column.metric}; unit: ${column.unit || "none"}; ${data.words[column.better]}${column.derived ? `; made of ${column.derived}` : ""}`),
    ...(told ? told.paragraphs.map((text) => p(text)) : []),
  ];
};
const explain = (group, places, from) => {
  const dialog = one("#about");
  const columns = places.filter((place) => place !== null)
    .map((place) => (typeof place === "number" ? group.columns[place] : place));
  one("div", dialog).replaceChildren(...columns.flatMap(aboutColumn),
    faint(data.words.brackets));
  dialog.addEventListener("close", () => from.focus(), { once: true });
  dialog.showModal();
};
