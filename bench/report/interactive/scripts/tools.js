// The line of controls above the tables.
const setUpTools = () => {
  const form = one("#tools");
  const unique = (read) => [...new Set(data.groups.flatMap(read))].sort();
  const options = { target: unique((group) => group.rows.target), step: unique((group) => group.rows.uses.flat()),
    family: unique((group) => group.columns.map((column) => column.family)) };
  for (const [name, texts] of Object.entries(options)) form[name].append(...texts.map((text) => new Option(text, text)));
  for (const name of ["state", "target", "step", "family", "show"]) {
    form[name].addEventListener("change", () => go({ [name]: form[name].value, ...(name === "show" ? { columns: "" } : {}) }));
  }
  form.text.addEventListener("input", () => go({ text: form.text.value }));
  form.addEventListener("submit", (event) => event.preventDefault());
  one("#compare-button").addEventListener("click", () => go({ compare: joined(picked, ","), open: "" }, true));
  one("#csv").addEventListener("click", () => save("leaderboard.csv", "text/csv", csvText()));
  one("#json").addEventListener("click", () => save("leaderboard.json", "application/json", jsonText()));
  setUpPicker();
  form.hidden = false;
};

const setUpPicker = () => {
  const names = new Map(data.groups.flatMap((group) => [...group.byName]));
  const families = [...new Set([...names.values()].map((column) => column.family))];
  const choose = () => {
    const chosen = every("#picker input:checked").map((box) => box.value);
    const show = view.show && view.show !== "headline" ? view.show : "value";
    go({ columns: joined(chosen, ","), show });
  };
  one("#picker div").append(...families.map((family) => make("fieldset", {}, make("legend", {}, family),
    ...[...names.values()].filter((column) => column.family === family).map((column) => make("label", {},
      make("input", { type: "checkbox", value: column.name, onchange: choose }), ` ${column.title}`,
      small(` ${column.metric}`))))));
};

const setTools = (shown) => {
  const form = one("#tools");
  for (const name of ["text", "state", "target", "step", "family"]) if (form[name].value !== view[name]) form[name].value = view[name];
  form.show.value = view.show || tables[0]?.table.dataset.view || "value";
  const chosen = new Set(view.columns ? parted(view.columns, ",") : tables.flatMap(({ group }) =>
    group.shown.map((place) => group.columns[place].name)));
  for (const box of every("#picker input")) box.checked = chosen.has(box.value);
  const all = data.groups.reduce((sum, group) => sum + group.rows.state.filter((state) => state !== null).length, 0);
  one("output", form).textContent = `${shown} of ${all} shown`;
};
