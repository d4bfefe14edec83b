// The page's data, and what is shown of it.
let data = null;

const rankOf = (group, row, sort) => {
  const [kind, name, show] = parted(sort, "|");
  if (kind !== "value" && kind !== "family") return "";
  const told = kind === "family" ? group.families.find((item) => item.family === name) : null;
  const column = told ? group.columns[show === "harm" ? told.harm : told.change] : group.byName.get(name);
  return column && (show !== "value" || column.kind === "change") ? at(column.rank, row) : "";
};

const inflate = async (text) => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
};

let opened = "";
const showDetail = () => {
  const wanted = view.open ? `open ${view.open}` : view.compare ? `compare ${view.compare}` : "";
  if (wanted === opened) return;
  const before = opened;
  opened = wanted;
  const places = (view.open ? [view.open] : parted(view.compare, ",")).map(find);
  const known = places.every(Boolean) && (view.open || places.length === 2);
  const detail = one("#detail");
  document.body.classList.toggle("detailed", Boolean(wanted));
  detail.hidden = !wanted;
  if (!wanted) {
    const link = every("a.to-detail").find((item) => before === `open ${new URLSearchParams(item.hash.slice(1)).get("open")}`);
    (link || one("#compare-button")).focus();
    return;
  }
  const content = !known ? [make("h2", { id: "detail-title", tabindex: "-1" }, "Not on this board"), p(data.words.unknown)]
    : view.open ? detailOf(places[0].group, places[0].row) : comparisonOf(places[0], places[1]);
  one("div", detail).replaceChildren(...content);
  window.scrollTo(0, 0);
  one("#detail-title").focus();
};

const refresh = () => {
  let shown = 0;
  for (const entry of tables) {
    setColumns(entry);
    setOrder(entry);
    shown += setFilter(entry);
  }
  setTools(shown);
  every("figure.pareto").forEach(setPareto);
  showDetail();
};

const start = async () => {
  data = await inflate(one("#data").textContent);
  for (const group of data.groups) {
    group.byName = new Map(group.columns.map((column) => [column.name, column]));
    group.byCell = new Map(group.columns.map((column) => [`${column.metric}|${column.parameters}|${column.value_name}`, column]));
  }
  every("table.leaderboard").forEach(setUpTable);
  tables.forEach((entry) => setHeads(entry, "value"));
  setUpTools();
  every("figure.pareto").forEach(setUpPareto);
  every("details.turned").forEach(setUpTurned);
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#open=']");
    if (!link) return;
    event.preventDefault();
    go({ open: new URLSearchParams((link.getAttribute("href")).slice(1)).get("open"), compare: "" }, true);
  });
  const back = () => go({ open: "", compare: "" }, true);
  one("#back").addEventListener("click", back);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && opened && !one("#about").open) back();
  });
  window.addEventListener("popstate", () => { readAddress(); refresh(); });
  window.addEventListener("hashchange", () => { readAddress(); refresh(); });
  readAddress();
  refresh();
  document.documentElement.dataset.ready = "yes";
};
start();
