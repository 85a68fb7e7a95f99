// How messages look. Kinds differ in line, head and width, never in colour alone.

const LOOKS = {
  useful: { color: "useful", width: 2.2, dash: [], head: "full", words: "an update that was news" },
  duplicate: { color: "duplicate", width: 1.7, dash: [7, 4], head: "open", words: "a duplicate: known already" },
  lost: { color: "lost", width: 1.7, dash: [2, 4], head: "cross", words: "never arrived" },
  request: { color: "client", width: 1.3, dash: [], head: "small", words: "a client asks or reports" },
  answer: { color: "client", width: 1.3, dash: [5, 3], head: "small", words: "an answer to a client" },
  places: { color: "places", width: 1.5, dash: [], head: "diamond", words: "to and from Places" },
  sync: { color: "sync", width: 1.1, dash: [9, 3, 2, 3], head: "open", words: "greeting and comparing of notes" },
  heartbeat: { color: "beat", width: 1, dash: [1, 4], head: "none", words: "a sign of life" },
};

/** The page's colours, to be read again when the theme changes. */
function readColors() {
  const style = getComputedStyle(document.documentElement);
  const names = ["paper", "ground", "ink", "soft", "line", "useful", "duplicate", "lost", "client", "places", "sync",
    "beat", "fault", "mark"];
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif";
const font = (size, weight = 400) => `${weight} ${size}px ${FONT}`;

/** Draws the head of an arrow from (x1, y1) to (x2, y2). */
function drawHead(context, head, x1, y1, x2, y2, size) {
  const angle = Math.atan2(y2 - y1, x2 - x1);
  const back = (turn, length) => [x2 - Math.cos(angle + turn) * length, y2 - Math.sin(angle + turn) * length];
  context.beginPath();
  if (head === "full" || head === "small") {
    const length = head === "full" ? size * 1.25 : size * 0.85;
    context.moveTo(x2, y2);
    context.lineTo(...back(0.4, length));
    context.lineTo(...back(-0.4, length));
    context.closePath();
    context.fill();
  } else if (head === "open") {
    context.moveTo(...back(0.5, size));
    context.lineTo(x2, y2);
    context.lineTo(...back(-0.5, size));
    context.stroke();
  } else if (head === "diamond") {
    context.moveTo(x2, y2);
    context.lineTo(...back(0.5, size * 0.7));
    context.lineTo(...back(0, size * 1.2));
    context.lineTo(...back(-0.5, size * 0.7));
    context.closePath();
    context.fill();
  } else if (head === "cross") {
    const arm = size * 0.5;
    context.moveTo(x2 - arm, y2 - arm);
    context.lineTo(x2 + arm, y2 + arm);
    context.moveTo(x2 - arm, y2 + arm);
    context.lineTo(x2 + arm, y2 - arm);
    context.stroke();
  }
}

/** Draws slanted lines over a rectangle, which mark a fault without colour. */
function hatch(context, x, y, width, height, gap) {
  context.save();
  context.beginPath();
  context.rect(x, y, width, height);
  context.clip();
  context.beginPath();
  const first = Math.floor((x - height) / gap) * gap;
  for (let at = first; at < x + width; at += gap) {
    context.moveTo(at, y + height);
    context.lineTo(at + height, y);
  }
  context.stroke();
  context.restore();
}

/** The text, cut with … if it is wider than `width`; empty if not even one letter fits. */
function fitted(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  const letters = [...text];
  const fits = (length) => context.measureText(`${letters.slice(0, length).join("")}…`).width <= width;
  const length = firstWhere(letters.length, (at) => !fits(at + 1));
  return length > 1 ? `${letters.slice(0, length).join("")}…` : "";
}

/** A sample of an arrow for the legend. */
function sample(look) {
  const { color, width, dash, head } = LOOKS[look];
  const picture = svg("svg", { width: 44, height: 14, viewBox: "0 0 44 14", "aria-hidden": "true", class: `c-${color}` });
  const line = svg("path", {
    d: `M2 7H${head === "none" ? 42 : 34}`, fill: "none", stroke: "currentColor", "stroke-width": width,
    "stroke-dasharray": dash.join(" ") || null,
  });
  const heads = {
    full: svg("path", { d: "M42 7L31 2.5V11.5Z", fill: "currentColor" }),
    small: svg("path", { d: "M42 7L34 4V10Z", fill: "currentColor" }),
    open: svg("path", { d: "M34 2.5L42 7L34 11.5", fill: "none", stroke: "currentColor", "stroke-width": 1.6 }),
    diamond: svg("path", { d: "M42 7L37 3.5L32 7L37 10.5Z", fill: "currentColor" }),
    cross: svg("path", { d: "M33 3L41 11M33 11L41 3", stroke: "currentColor", "stroke-width": 1.6 }),
  };
  picture.append(line);
  if (heads[head]) picture.append(heads[head]);
  return picture;
}
