// What the page shows is what its address says: a link leads another person to the same view.
const NAMES = ["show", "sort", "down", "text", "state", "target", "step", "family", "columns", "open", "compare", "pareto"];
let view = {};
// names may hold what parts them
const joined = (names, mark) => names.map((name) => name.replace(/[%,|]/g, encodeURIComponent)).join(mark);
const parted = (text, mark) => (text ? text.split(mark).map(decodedName) : []);
const decodedName = (name) => {
  try { return decodeURIComponent(name); } catch { return name; }
};

const readAddress = () => {
  const given = new URLSearchParams(location.hash.slice(1));
  view = Object.fromEntries(NAMES.map((name) => [name, given.get(name) || ""]));
};
const addressOf = (wanted) => {
  const given = new URLSearchParams();
  for (const [name, value] of Object.entries(wanted)) if (value) given.set(name, value);
  return `#${given.toString()}`;
};
// `step`: one that the browser's back button undoes
const go = (changes, step) => {
  view = { ...view, ...changes };
  // a frame within a notebook has no address of its own
  if (location.protocol !== "about:") history[step ? "pushState" : "replaceState"](null, "", addressOf(view));
  refresh();
};
