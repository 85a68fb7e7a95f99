// Compares two runs: which updates spread differently, and how.

/** The maximum number of updates in the table of differences. */
const MOST_DIFFERENT = 60;

/** The differences of each update between two traces; updates are matched by name. */
function differences(a, b) {
  const others = new Map(b.updates.map((update) => [update.name, update]));
  const found = [];
  let alike = 0;
  for (const update of a.updates) {
    const other = others.get(update.name);
    others.delete(update.name);
    const rows = other ? rowsOf(a, update, b, other) : [{ what: "", a: "there", b: "not there" }];
    if (rows.length > 0) found.push({ name: update.name, rows });
    else alike++;
  }
  for (const name of others.keys()) found.push({ name, rows: [{ what: "", a: "not there", b: "there" }] });
  return { alike, found };
}

function rowsOf(a, update, b, other) {
  const rows = [];
  const differ = (what, left, right) => {
    if (left !== right) rows.push({ what, a: left, b: right });
  };
  differ("at the server", update.fate, other.fate);
  const names = [...new Set([...a.servers.map((lane) => a.name(lane)), ...b.servers.map((lane) => b.name(lane))])];
  for (const name of names) {
    const [left, right] = [arrivalWords(a, update, name), arrivalWords(b, other, name)];
    differ(name, left, right);
  }
  const words = ([useful, duplicate, lost]) => `${grouped(useful)} useful, ${grouped(duplicate)} duplicate${lost > 0 ? `, ${grouped(lost)} lost` : ""}`;
  differ("messages", words(update.sends), words(other.sends));
  return rows;
}

function arrivalWords(trace, update, name) {
  const arrival = update.arrivals.find(({ lane }) => trace.name(lane) === name);
  if (!arrival) return "never";
  const via = arrival.via >= 0 ? ` from ${trace.name(arrival.via)}` : "";
  return `${count(arrival.hops, "hop")}, ${span(arrival.delay)}${via}${arrival.sync ? ", synchronised" : ""}`;
}

class Compare {
  constructor(app, trace, other, section) {
    Object.assign(this, { app, trace, other, section });
    const { alike, found } = differences(trace, other);
    const choose = el("select", { id: "compare-other", onchange: (event) => app.compareWith(Number(event.target.value)) },
      app.traces.filter((each) => each !== trace).map((each) => el("option", { value: each.index, selected: each === other }, app.runName(each))));
    const total = alike + found.length;
    const verdict = found.length === 0
      ? `All ${count(total, "update")} spread alike.`
      : `${grouped(found.length)} of ${count(total, "update")} spread otherwise; ${grouped(alike)} alike.`;
    const shown = found.slice(0, MOST_DIFFERENT);
    this.canvas = el("canvas", { tabindex: 0, role: "application", "aria-label": `Space-time diagram of ${app.runName(other)}` });
    const tip = el("div", { class: "tip", hidden: true });
    fill(section,
      el("div", { class: "head" }, el("h2", { id: "compare-title" }, "Compared"), el("p", { class: "quiet when" }, verdict)),
      el("div", { class: "tools" }, el("label", { for: "compare-other" }, `${app.runName(trace)}, with`), choose),
      el("div", { class: "canvas-box" }, this.canvas, tip),
      el("p", { class: "quiet" }, "A dashed ring around the hops: the server had it over other hops, or from another, than in the other run."),
      shown.length > 0 ? el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Differences" }, this.table(shown)) : null,
      found.length > shown.length ? el("p", { class: "quiet" }, `and ${grouped(found.length - shown.length)} more updates`) : null,
      this.inWords(),
    );
    section.dataset.different = found.length;
    section.hidden = false;
    this.diagram = new Diagram(app, other, this.canvas, false);
    new Gestures(this.diagram, tip, app);
  }

  /**
   * A link to all differences in words. Rust wrote them, and only they include answers, faults,
   * expectations, links and the records at the end.
   */
  inWords() {
    const [first, second] = [this.trace.index, this.other.index].sort((a, b) => a - b);
    const words = document.querySelector(`[data-differences="${first} ${second}"]`);
    if (!words) return null;
    const show = () => {
      words.open = true;
      words.scrollIntoView({ block: "start" });
      words.querySelector("summary").focus();
    };
    return el("p", { class: "more-words" }, button("Everything that differs, in words", "Everything that differs, in words", show));
  }

  table(found) {
    const rows = found.flatMap(({ name, rows: different }) => different.map((row, at) => el("tr", {},
      at === 0 ? el("th", { scope: "row", rowspan: different.length }, button(name, name, () => this.app.selectNamed(name), { class: "plain" })) : null,
      el("td", {}, row.what), el("td", {}, row.a), el("td", { class: "differs" }, "≠ ", row.b))));
    return el("table", { class: "table" },
      el("caption", {}, "What is different, update by update"),
      head("Update", "Where", this.app.runName(this.trace), this.app.runName(this.other)), el("tbody", {}, rows));
  }
}
