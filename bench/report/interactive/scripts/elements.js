// Elements from texts: nothing is ever parsed as HTML.
const SVG = "http://www.w3.org/2000/svg";

const fill = (element, attributes, children) => {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
};
const make = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const draw = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
const [td, small, tr, p, h3, tbody, summary, thead, strong, label, figcaption, details, ul, li] =
  "td small tr p h3 tbody summary thead strong label figcaption details ul li".split(" ")
    .map((tag) => (...children) => make(tag, {}, ...children));
const classed = (tag, name, ...children) => make(tag, { class: name }, ...children);
const faint = (...children) => classed("p", "faint", ...children);
const block = (...children) => classed("small", "block", ...children);
const one = (selector, within) => (within || document).querySelector(selector);
const every = (selector, within) => [...(within || document).querySelectorAll(selector)];
const at = (items, place) => (items && items[place] !== null && items[place] !== undefined ? items[place] : "");
const capital = (text) => text[0].toUpperCase() + text.slice(1);
