// The tables of the board: columns, order and filters of what the page holds.
const tables = [];

const setUpTable = (table) => {
  const group = data.groups[Number(table.dataset.group)];
  const rows = new Map(every("tr[data-row]", table).map((line) => [Number(line.dataset.row), line]));
  const first = { heads: [...table.tHead.rows[0].cells], cells: new Map() };
  for (const [row, line] of rows) first.cells.set(row, [...line.cells]);
  for (const [row, line] of rows) {
    const name = `${group.rows.run[row]}: ${group.rows.label[row]}`;
    const box = make("input", { type: "checkbox", class: "pick", "aria-label": `Pick ${name} for comparison`,
      onchange: () => pick(group.rows.key[row], box.checked) });
    line.cells[0].prepend(box);
  }
  tables.push({ table, group, rows, first, shown: "first" });
};

// which columns stand there beside name and verdict: [{column, show, head}]
const wantedColumns = (group) => {
  const names = view.columns ? parted(view.columns, ",") : null;
  const mine = names
    ? names.map((name) => group.byName.get(name)).filter(Boolean)
    : [...new Set([...group.shown.map((place) => group.columns[place]), ...group.columns.filter((column) => column.gated)])];
  return mine.filter((column) => !view.family || column.family === view.family);
};

const headOf = (column, show) => make("th", { scope: "col", "data-column": `value:${column.name}`, "data-show": show },
  classed("span", "name", column.title), column.note ? small(column.note) : null,
  show === "value" ? null : small(data.words[`${show}_${column.kind}`] || data.words[show]));

const familyHead = (told) => make("th", { scope: "col", "data-column": `family:${told.family}` },
  classed("span", "name", told.family), small(told.title),
  told.harm_title ? small(`harm: ${told.harm_title}`) : null,
  told.change_title ? small(`${told.gap ? `gap (0 same, 1 ${told.at_one})` : "change"}: ${told.change_title}`) : null);

const setColumns = (entry) => {
  const { table, group, rows, first } = entry;
  const started = table.dataset.view;
  const show = view.show || started;
  const plain = show === started && !view.columns && !view.family;
  const signature = plain ? "first" : [show, view.columns, view.family].join("|");
  if (entry.shown === signature) return;
  entry.shown = signature;
  const head = table.tHead.rows[0];
  if (plain) {
    head.replaceChildren(...first.heads);
    for (const [row, line] of rows) line.replaceChildren(...first.cells.get(row));
  } else {
    const figures = (column, shows) => [headOf(column, shows), (row) => valueCell(column, row, shows)];
    const families = group.families.filter((item) => !view.family || item.family === view.family);
    const made = show !== "headline" ? wantedColumns(group).map((column) => figures(column, show)) : [
      ...families.map((item) => [familyHead(item), (row) => td(group.rows.state[row] !== null ? familyLines(group, item, row)
        : item.harm === null ? "–" : at(group.columns[item.harm].value, row))]),
      ...(view.family ? [] : group.costs.map((place) => figures(group.columns[place], "value")))];
    head.replaceChildren(...first.heads.slice(0, 2), ...made.map(([cell]) => cell));
    for (const [row, line] of rows) line.replaceChildren(...first.cells.get(row).slice(0, 2), ...made.map(([, cell]) => cell(row)));
  }
  every("tr.run th", table).forEach((cell) => { cell.colSpan = head.cells.length; });
  setHeads(entry, show);
};

// what a click on a head sorts by: [[what, words]]
const sortsOf = (entry, head, show) => {
  const [kind, ...rest] = head.dataset.column.split(":");
  const name = rest.join(":");
  if (kind !== "family") return [[joined(name ? [kind, name, head.dataset.show || "value"] : [kind], "|"), ""]];
  const told = entry.group.families.find((item) => item.family === name);
  const sorts = [];
  if (told.harm !== null) sorts.push([joined([kind, name, "harm"], "|"), "by harm"]);
  if (told.gap_number) sorts.push([joined([kind, name, "gap"], "|"), "by gap"]);
  else if (told.change !== null) sorts.push([joined([kind, name, "change"], "|"), "by change"]);
  return sorts;
};

const setHeads = (entry, show) => {
  for (const head of entry.table.tHead.rows[0].cells) {
    if (head.dataset.ready) continue;
    head.dataset.ready = "yes";
    const column = entry.group.byName.get(head.dataset.column.replace(/^value:/, ""));
    const sorts = sortsOf(entry, head, show);
    const title = one(".name", head) || head.firstChild;
    const button = ([sort, words]) => make("button", { type: "button", class: "sort", "data-sort": sort,
      onclick: () => go({ sort, down: view.sort === sort && !view.down ? "1" : "" }) }, words || title.textContent);
    if (sorts.length === 1 && !sorts[0][1]) title.replaceWith(classed("span", "name", button(sorts[0])));
    else head.append(classed("span", "sorts", ...sorts.map(button)));
    const family = head.dataset.column.startsWith("family:")
      ? entry.group.families.find((item) => `family:${item.family}` === head.dataset.column) : null;
    const about = column || (family && entry.group.columns[family.harm === null ? family.change : family.harm]);
    if (about) head.append(make("button", { type: "button", class: "what", "aria-label": `What ${about.title} means`,
      onclick: (event) => explain(entry.group, family ? [family.harm, family.change] : [about], event.currentTarget) }, "i"));
  }
};

const setOrder = (entry) => {
  const { table, group, rows } = entry;
  for (const head of table.tHead.rows[0].cells) head.removeAttribute("aria-sort");
  for (const button of every("button.sort", table.tHead)) {
    const mine = button.dataset.sort === view.sort;
    button.classList.toggle("up", mine && !view.down);
    button.classList.toggle("down", mine && Boolean(view.down));
    if (mine) button.closest("th").setAttribute("aria-sort", view.down ? "descending" : "ascending");
  }
  for (const body of table.tBodies) {
    const mine = [...rows.keys()].filter((row) => rows.get(row).parentNode === body);
    const references = mine.filter((row) => group.rows.state[row] === null).sort((a, b) => a - b);
    const variants = mine.filter((row) => group.rows.state[row] !== null).sort((a, b) => a - b);
    const order = view.sort ? ordered(group, variants, view.sort, view.down) : variants;
    const wanted = [...references, ...order].map((row) => rows.get(row));
    const now = [...body.rows].filter((line) => line.dataset.row !== undefined);
    if (wanted.some((line, place) => line !== now[place])) body.append(...wanted);
    showRanks(entry, mine);
  }
};

const showRanks = ({ group, rows, first }, mine) => {
  for (const row of mine) {
    const head = first.cells.get(row)[0];
    every(".rank", head).forEach((item) => item.remove());
    const rank = rankOf(group, row, view.sort);
    if (rank) head.append(classed("span", "rank", rank));
  }
};

const setFilter = (entry) => {
  const { group, rows } = entry;
  const words = view.text.trim().toLowerCase();
  let shown = 0;
  for (const [row, line] of rows) {
    const text = ["run", "label", "steps", "because"].map((name) => group.rows[name][row]).join(" ").toLowerCase();
    const state = group.rows.state[row];
    const fits = (!words || text.includes(words)) && (!view.target || group.rows.target[row] === view.target)
      && (!view.state || state === view.state) && (!view.step || group.rows.uses[row].includes(view.step));
    line.hidden = state === null ? Boolean(view.target) && group.rows.target[row] !== view.target : !fits;
    if (state !== null && fits) shown += 1;
  }
  return shown;
};
