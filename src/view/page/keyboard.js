// Keys that work anywhere on the page except in fields where text is typed or a value chosen.

const KEYS = [
  ["Space", "play or pause", (app) => app.transport.toggle()],
  ["→", "next event", (app) => app.step(1), "ArrowRight"],
  ["←", "event before", (app) => app.step(-1), "ArrowLeft"],
  ["u", "next update", (app) => app.stepUpdate(1)],
  ["U", "update before", (app) => app.stepUpdate(-1)],
  ["f", "next fault", (app) => app.stepFault(1)],
  ["F", "fault before", (app) => app.stepFault(-1)],
  ["+", "zoom in", (app) => app.zoom(0.6)],
  ["−", "zoom out", (app) => app.zoom(1 / 0.6), "-"],
  ["0", "show the whole run", (app) => app.fit()],
  ["z", "zoom to what is selected", (app) => app.zoomToSelection()],
  ["s", "the memory of the next server", (app) => app.watchNext()],
  ["Esc", "select nothing", (app) => app.select(app.trace, null), "Escape"],
];

function listenToKeys(app) {
  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.defaultPrevented) return;
    if (event.target.closest("input, select, textarea, summary, button, a, pre")) {
      if (event.key !== "Escape" && (event.key === " " || event.key.startsWith("Arrow") || event.target.closest("input, select, textarea"))) return;
    }
    const found = KEYS.find(([sign, , , key]) => (key ?? (sign === "Space" ? " " : sign)) === event.key);
    if (!found) return;
    event.preventDefault();
    found[2](app);
  });
}

function drawKeys(section) {
  section.replaceChildren(
    el("h2", { id: "keys-title" }, "Keys"),
    el("ul", { class: "keys" }, KEYS.map(([sign, words]) => el("li", {}, el("kbd", {}, sign), words))),
    el("p", { class: "quiet" }, "In the diagram: ← and → go from message to message, Enter lights what belongs to one; Ctrl with the wheel, or two fingers, zoom."),
  );
  section.hidden = false;
}
