// Helpers to build elements. Text from a trace enters the page by textContent and setAttribute
// alone: nothing in the page parses it as HTML.

const byId = (id) => document.getElementById(id);

/** An element with attributes and children; a child that is a string is text. `on…` attributes are listeners. */
function el(tag, attributes = {}, ...children) {
  return dressed(document.createElement(tag), attributes, children);
}

/** An SVG element with attributes and children, as `el` makes for HTML. */
function svg(tag, attributes = {}, ...children) {
  return dressed(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

/** Replaces the children of an element; null, undefined and false are left out. */
function fill(element, ...children) {
  element.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
}

function dressed(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** A button. If its text is only a sign, `label` is its name for screen readers. */
function button(sign, label, action, attributes = {}) {
  const named = sign === label ? {} : /[a-z]/i.test(sign) ? { title: label } : { "aria-label": label, title: label };
  return el("button", { type: "button", onclick: action, ...named, ...attributes }, sign);
}

/** Copies each column's title to its cells, for narrow screens, where cells are stacked. */
function label(table) {
  const titles = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
  for (const row of table.tBodies[0].rows) {
    for (const cell of row.cells) if (cell.tagName === "TD" && cell.colSpan === 1) cell.dataset.label = titles[cell.cellIndex];
  }
  return table;
}

/** Seconds since the beginning: three decimals if they are exact, otherwise up to nine. */
function moment(nanos) {
  const seconds = nanos / 1e9;
  return nanos % 1e6 === 0 ? seconds.toFixed(3) : seconds.toFixed(9).replace(/0+$/, "");
}

/** Seconds since the beginning, rounded to the millisecond, for moments between events. */
const about = (nanos) => (nanos / 1e9).toFixed(3);

/** A duration with its unit, to three significant digits. */
function span(nanos) {
  if (nanos === 0) return "0s";
  const short = (value) => String(Number(value.toPrecision(3)));
  if (nanos >= 1e9) return `${short(nanos / 1e9)}s`;
  if (nanos >= 1e6) return `${short(nanos / 1e6)}ms`;
  if (nanos >= 1e3) return `${short(nanos / 1e3)}µs`;
  return `${short(nanos)}ns`;
}

/** A number with a comma between groups of three digits, as in all reports. */
const grouped = (number) => number.toLocaleString("en");
const count = (number, thing) => `${grouped(number)} ${thing}${number === 1 ? "" : "s"}`;
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/**
 * The first index in `0..length` for which `holds` is true, by bisection: `holds` must be false
 * before that index and true from it on.
 */
function firstWhere(length, holds) {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Returns a function that calls `draw` once before the next frame, however often it is called. */
function onceAFrame(draw) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      draw();
    });
  };
}
