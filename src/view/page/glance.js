// The head of the page: title, verdict and command; the selected update in sentences; expectations.

/** The maximum number of failed expectations at the top; all of them are below. */
const MOST_AT_TOP = 2;

function drawGlance(app, header) {
  const { trace } = app;
  const { raw } = trace;
  const held = raw.broken === 0;
  const verdict = el("a", { class: held ? "verdict held" : "verdict broken", href: "#expectations" },
    held ? `✓ PASSED, ${count(raw.judgements.length, "expectation")}` : `✕ FAILED, ${grouped(raw.broken)} of ${count(raw.judgements.length, "expectation")}`);
  const latencies = [...new Set(raw.links.map((link) => link[2]))];
  const facts = [
    `herd ${raw.herd}: ${count(trace.servers.length, "server")}, ${count(trace.links.length, "link")}${latencies.length === 1 ? `, ${latencies[0]} each` : ""}`,
    `seed ${raw.seed}`, count(trace.count, "event"), count(trace.messageCount, "message"),
  ];
  const copied = el("span", { class: "quiet", role: "status" });
  const copy = button("Copy", "Copy the command", async () => {
    try {
      await navigator.clipboard.writeText(raw.command);
      copied.textContent = "copied";
    } catch {
      getSelection().selectAllChildren(command);
      copied.textContent = "selected: copy it";
    }
  });
  const command = el("code", {}, raw.command);
  const runs = app.traces.length > 1
    ? el("p", { class: "tools" }, el("label", { for: "run" }, "Run"), el("select", { id: "run", onchange: (event) => app.show(Number(event.target.value)) },
      app.traces.map((each) => el("option", { value: each.index, selected: each === trace }, `${app.runName(each)}: ${each.title}`))))
    : null;
  header.replaceChildren(
    el("div", { class: "title-line" }, el("h1", {}, trace.title), verdict, app.themeButton),
    ...[brokenInShort(app), raw.about ? el("p", { class: "about" }, raw.about) : null, runs].filter(Boolean),
    el("div", { class: "facts-line" }, facts.map((fact) => el("span", {}, fact)),
      raw.command ? el("span", { class: "command" }, "run it again: ", command, " ", copy, " ", copied) : null),
  );
}

/** The first failed expectations, above everything else; null if all passed. */
function brokenInShort({ trace }) {
  const { broken } = trace;
  if (broken.length === 0) return null;
  const short = (text) => (text.length > 160 ? `${text.slice(0, 159)}…` : text);
  const more = broken.length - MOST_AT_TOP;
  return el("ul", { class: "broken-short", "aria-label": "What failed" },
    broken.slice(0, MOST_AT_TOP).map(({ about, expected, actual }) => el("li", {}, el("strong", {}, `✕ ${short(about)}`),
      el("span", {}, ` — expected ${short(expected)}; came ${short(actual)}`))),
    more > 0 ? el("li", {}, el("a", { href: "#expectations" }, `and ${grouped(more)} more`)) : null);
}

/** The selected update in sentences, and a list to choose another. */
class UpdateCard {
  constructor(app, trace, section) {
    Object.assign(this, { app, trace, section });
    this.choice = el("select", { id: "update-choice", onchange: () => app.select(trace, { update: Number(this.choice.value) }, true) },
      trace.updates.map((update, index) => el("option", { value: index }, update.name)));
    this.words = el("div", { class: "sentences", "aria-live": "polite" });
    const several = trace.updates.length > 1;
    section.replaceChildren(
      el("div", { class: "head" },
        this.title = el("h2", { id: "update-title" }),
        el("div", { class: "tools" },
          several ? el("label", { for: "update-choice" }, `One of ${grouped(trace.updates.length)}:`) : null,
          several ? this.choice : null,
          several ? button("‹", "Update before", () => app.stepUpdate(-1)) : null,
          several ? button("›", "Next update", () => app.stepUpdate(1)) : null,
          button("Zoom to it", "Zoom to it", () => app.zoomToSelection()))),
      this.words,
    );
    section.hidden = trace.updates.length === 0;
  }

  draw() {
    const selected = this.app.selectionOf(this.trace);
    if (selected?.update !== undefined) {
      this.choice.value = selected.update;
      this.title.textContent = `What became of ${this.trace.updates[selected.update].name}`;
      const [first, ...rest] = this.trace.updates[selected.update].sentences;
      this.words.replaceChildren(el("p", { class: "first" }, first), el("p", {}, rest.join(" ")));
      return;
    }
    this.title.textContent = "What is selected";
    if (selected?.message !== undefined) {
      this.words.replaceChildren(
        el("p", { class: "first" }, messageWords(this.trace, selected.message)),
        el("p", {}, "Lit is everything that caused it and everything that it caused. ",
          button("Back to the update", "Back to the update", () => this.app.selectLastUpdate(), { class: "plain" })));
    } else if (selected?.event !== undefined) {
      this.words.replaceChildren(el("p", { class: "first" }, eventWords(this.trace, selected.event)),
        el("p", {}, "Lit is everything that caused it and everything that it caused."));
    } else {
      this.words.replaceChildren(el("p", {}, "Nothing is selected: all messages are shown alike."));
    }
  }
}

/** The expectations: failed ones with the events that show the failure, passed ones folded. */
function drawExpectations(app, section) {
  const { trace } = app;
  const { broken } = trace;
  const held = trace.judgements.filter((judged) => judged.held);
  const show = (judged) => {
    const links = judged.events.slice(0, 8).map((event) => button(`event ${event}`, `Show event ${event}`, () => app.showEvent(event)));
    if (links.length === 0 && judged.update !== null) links.push(button("show the update", "Show the update", () => app.select(trace, { update: judged.update }, true)));
    return links;
  };
  section.replaceChildren(
    el("h2", { id: "expectations-title" }, "Expectations"),
    ...broken.map((judged) => el("div", { class: "broken-one" },
      el("p", {}, el("strong", {}, "✕ FAILED  "), judged.about, judged.place ? el("span", { class: "quiet" }, ` (at ${judged.place})`) : null),
      el("dl", { class: "facts" },
        el("div", {}, el("dt", {}, "Expected"), el("dd", {}, judged.expected)), el("div", {}, el("dt", {}, "Came"), el("dd", {}, judged.actual))),
      el("p", { class: "tools" }, show(judged)))),
    el("details", { open: broken.length === 0 && held.length <= 12 },
      el("summary", {}, `✓ ${grouped(held.length)} passed`),
      el("ul", { class: "held-list" }, held.slice(0, 400).map((judged) => el("li", {}, el("span", {}, judged.about),
        judged.invariant ? null : el("span", { class: "quiet" }, `: ${judged.actual.slice(0, 160)}`)))),
      held.length > 400 ? el("p", { class: "quiet" }, `and ${grouped(held.length - 400)} more`) : null),
    ...(trace.raw.without.length > 0 ? [el("p", { class: "quiet" }, `Not judged: ${trace.raw.without.join(", ")}`)] : []),
  );
  section.hidden = trace.judgements.length === 0;
}
