"use strict";
(() => {
  const table = document.querySelector("#leaderboard");
  if (!table) return;
  const body = table.tBodies[table.tBodies.length - 1];
  const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];

  const keyOf = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.sort === undefined ? null : cell.dataset.sort;
  };
  const compare = (first, second) => {
    const [a, b] = [Number(first), Number(second)];
    return Number.isNaN(a) || Number.isNaN(b) ? first.localeCompare(second) : a - b;
  };
  const sortBy = (column, direction) => {
    const rows = [...body.rows];
    const keys = new Map(rows.map((row) => [row, keyOf(row, column)]));
    rows.sort((one, other) => {
      const [a, b] = [keys.get(one), keys.get(other)];
      if (a === null || b === null) return (a === null) - (b === null);  // what is missing stays last
      return direction * compare(a, b);
    });
    body.append(...rows);
  };

  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const ascending = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((each) => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      sortBy(column, ascending ? 1 : -1);
    });
  });

  const tools = document.querySelector("#tools");
  const [words, state, count] = [tools.querySelector("input"), tools.querySelector("select"), tools.querySelector("output")];
  const apply = () => {
    const wanted = words.value.trim().toLowerCase();
    let shown = 0;
    document.querySelectorAll("[data-label]").forEach((item) => {
      const fits = item.dataset.label.toLowerCase().includes(wanted) && (!state.value || item.dataset.state === state.value);
      item.hidden = !fits;
      if (fits && item.parentNode === body) shown += 1;
    });
    count.textContent = `${shown} of ${body.rows.length} shown`;
  };
  words.addEventListener("input", apply);
  state.addEventListener("change", apply);
  tools.hidden = false;
  apply();

  const unfold = () => {
    const target = document.getElementById(location.hash.slice(1));
    if (target && target.tagName === "DETAILS") target.open = true;
  };
  window.addEventListener("hashchange", unfold);
  unfold();
})();
