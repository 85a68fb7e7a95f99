// The page as a whole. It holds the shown trace, the selection, the watched server and the current
// time, and redraws the parts when one of these changes.
//
// Tests use `window.herdView`, which only reads, and does what a user could do:
//   ready           true once everything is drawn
//   opened          milliseconds from the start of this script until then
//   traces()        for each trace: { title, events, messages, updates, servers, faults }
//   counts()        the number of messages of the shown trace, by kind, and of those never arrived
//   drawn()         of the last drawing: visible messages, highlighted ones, strokes
//   select(i)       selects update i; selectMessage(m) message m; null selects nothing
//   selected()      { update } or { message } or { event } or null
//   lit()           the numbers of the highlighted events
//   litMessages()   the highlighted messages
//   messages()      each message: { sent, heard, from, to, class, update, hops }
//   place(m)        where message m is drawn: { x1, y1, x2, y2 } in pixels of the canvas
//   moveTo(ns), moveToEvent(n), step(n), stepFault(n), stepUpdate(n)
//   now()           { time, event }
//   memory(server)  its records: { client: { location, time, origin, skew, event, hops, via } };
//                   null while the server is down
//   links(server)   { neighbour: state }
//   waiting(server) { neighbour: clients }
//   view()          { from, to } in nanoseconds; zoom(factor), pan(pixels), fit()
//   frame()         draws the diagram and returns how many milliseconds it took
//   show(i), options({ fold, sync, heartbeats })

class App {
  constructor(raw) {
    this.traces = raw.map((each, index) => new Trace(each, index));
    this.known = new Map();
    this.options = { fold: true, sync: false, heartbeats: false };
    this.sections = Object.fromEntries(["glance", "update", "diagram", "herd", "transport", "compare", "memory", "figures", "expectations", "keys"]
      .map((id) => [id, byId(id)]));
    this.themeButton = button("◐", "Light or dark", () => this.turn(), { class: "theme" });
    this.drawTime = onceAFrame(() => this.drawTimeNow());
    this.colors = readColors();
    this.other = this.traces.length > 1 ? 1 : -1;
    this.show(0);
    drawKeys(this.sections.keys);
    listenToKeys(this);
    new ResizeObserver(onceAFrame(() => this.resize())).observe(byId("page"));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.recolor());
    addEventListener("beforeprint", () => this.print(true));
    addEventListener("afterprint", () => this.print(false));
  }

  timelinesOf(trace) {
    if (!this.known.has(trace)) this.known.set(trace, new Timelines(trace));
    return this.known.get(trace);
  }

  runName(trace) {
    const { source, seed } = trace.raw;
    const twice = this.traces.filter((each) => each.raw.source === source).length > 1;
    return `${"ABCDEFGHIJKLMNOPQRSTUVWXYZ"[trace.index] ?? trace.index + 1} ${source.split("/").pop()}${twice ? `, seed ${seed}` : ""}`;
  }

  /** Shows the trace with this index, as it is first opened. */
  show(index) {
    this.transport?.pause();
    this.trace = this.traces[index];
    const { trace, sections } = this;
    this.selected = trace.updates.length > 0 ? { update: this.firstUpdate() } : null;
    this.lastUpdate = this.selected?.update ?? -1;
    this.lit = new Map();
    this.time = 0;
    this.event = 0;
    this.moved = false;
    this.watched = trace.servers[0] ?? -1;
    document.title = `${trace.title} – herd view`;
    drawGlance(this, sections.glance);
    this.card = new UpdateCard(this, trace, sections.update);
    this.buildDiagram();
    this.picture = new HerdPicture(this, trace, sections.herd);
    this.transport = new Transport(this, trace, sections.transport);
    this.memory = new MemoryPanel(this, trace, sections.memory);
    this.figures = new Figures(this, trace, sections.figures);
    drawExpectations(this, sections.expectations);
    for (const name of ["diagram", "herd", "memory", "figures"]) sections[name].hidden = false;
    this.findSteps();
    if (this.other === index) this.other = index === 0 ? 1 : 0;
    if (this.traces.length > 1) this.comparison = new Compare(this, trace, this.traces[this.other], sections.compare);
    this.resize();
    this.begin();
  }

  /**
   * The update to select first: one of a failed expectation, otherwise one that spread, otherwise
   * any.
   */
  firstUpdate() {
    const broken = this.trace.broken.map((judged) => this.trace.updateOf(judged)).find((update) => update >= 0);
    if (broken !== undefined) return broken;
    const spread = this.trace.updates.findIndex((update) => update.arrivals.length > 0);
    return Math.max(spread, 0);
  }

  buildDiagram() {
    const { trace, options } = this;
    const canvas = el("canvas", {
      tabindex: 0, role: "application", "aria-roledescription": "space-time diagram", "aria-describedby": "diagram-help",
      "aria-label": `Space-time diagram of ${trace.title}: ${count(trace.messageCount, "message")} between ${trace.rows.map((row) => row.name).join(", ")}`,
    });
    const tip = el("div", { class: "tip", hidden: true });
    this.spoken = el("p", { class: "unseen", role: "status", "aria-live": "polite" });
    const check = (name, label) => el("label", { class: "check" },
      el("input", { type: "checkbox", checked: options[name], onchange: (event) => this.setOptions({ [name]: event.target.checked }), "data-option": name }), label);
    const kinds = ["useful", "duplicate", "lost", "request", "answer", "places", "sync", "heartbeat"];
    this.legendOf = new Map(kinds.map((kind) => [kind, el("li", {}, sample(kind), LOOKS[kind].words)]));
    this.sections.diagram.replaceChildren(
      el("div", { class: "head" }, el("h2", { id: "diagram-title" }, this.traces.length > 1 ? `Who told whom, when: ${this.runName(trace)}` : "Who told whom, when"),
        el("div", { class: "tools" },
          button("−", "Zoom out", () => this.zoom(1 / 0.6)), button("+", "Zoom in", () => this.zoom(0.6)), button("Whole run", "Whole run", () => this.fit()),
          check("fold", "fold quiet stretches"), check("sync", "synchronisation"), check("heartbeats", "signs of life"))),
      el("div", { class: "canvas-box" }, canvas, tip),
      el("ul", { class: "legend", "aria-label": "What the lines mean" }, [...this.legendOf.values()],
        el("li", {}, el("i", { class: "dot has" }, "1"), "has the update, after so many hops")),
      el("p", { class: "unseen", id: "diagram-help" }, "Time runs from left to right. Arrow keys go from message to message, Enter lights what belongs to one. The story in words below tells the same."),
      this.spoken,
    );
    this.diagram = new Diagram(this, trace, canvas, true);
    new Gestures(this.diagram, tip, this);
  }

  drawLegend() {
    const there = new Set();
    for (let m = 0; m < this.trace.messageCount; m++) {
      if (!this.diagram.shows(m)) continue;
      there.add(this.trace.heard[m] > 0 ? this.trace.classOf(m) : "lost");
    }
    for (const [kind, item] of this.legendOf) item.hidden = !there.has(kind);
  }

  /**
   * Moves to the moment at which the selected update has spread. A long run is zoomed to its
   * spread.
   */
  begin() {
    const spread = this.selected ? this.trace.spreadOf(this.selected.update) : null;
    this.drawLegend();
    if (spread) {
      const crowded = this.trace.messageCount > 600 || this.diagram.width < 560;
      if (crowded) this.diagram.view.showTimes(spread.from, spread.flood, this.trace.typical * 5);
      this.moveToEvent(this.trace.eventAt(spread.flood), false);
      this.moved = false;
    }
    this.drawAll();
  }

  resize() {
    this.diagram.resize();
    this.comparison?.diagram.resize();
  }

  drawAll() {
    this.card.draw();
    this.figures.draw();
    this.diagram.draw();
    this.comparison?.diagram.draw();
    this.drawTime();
  }

  drawTimeNow() {
    this.picture.draw();
    this.memory.draw();
    this.transport.draw();
    this.diagram.drawNow();
  }

  // The selection.

  /** `what` is { update }, { message }, { event } or null. `jump` moves the diagram and the time there. */
  select(trace, what, jump = false) {
    if (trace !== this.trace) {
      // A message of the other run selects the update that it carries, in both runs.
      const update = what?.message !== undefined ? trace.carries[what.message] : what?.update ?? -1;
      if (update >= 0) this.selectNamed(trace.updates[update].name);
      return;
    }
    this.selected = what;
    this.lit = new Map();
    if (what?.update !== undefined) this.lastUpdate = what.update;
    if (jump && what?.update !== undefined) {
      const spread = trace.spreadOf(what.update);
      if (spread) {
        this.moveTo(spread.flood);
        const { view } = this.diagram;
        if (!view.isWhole() || trace.messageCount > 600) view.showTimes(spread.from, spread.flood, Math.min(trace.typical * 5, view.w1 - view.w0));
        this.moved = false;
      }
    }
    this.drawAll();
  }

  selectNamed(name) {
    const update = this.trace.updates.findIndex((each) => each.name === name);
    if (update >= 0) this.select(this.trace, { update }, true);
  }

  selectLastUpdate() {
    if (this.lastUpdate >= 0) this.select(this.trace, { update: this.lastUpdate });
  }

  /** The selection in a trace, with the events that it highlights. */
  selectionOf(trace) {
    if (!this.selected) return null;
    if (!this.lit.has(trace)) this.lit.set(trace, this.selectionIn(trace));
    return this.lit.get(trace);
  }

  selectionIn(trace) {
    let what = this.selected;
    if (trace !== this.trace) {
      const name = this.trace.updates[what.update]?.name;
      const update = trace.updates.findIndex((each) => each.name === name);
      if (update < 0) return null;
      what = { update };
    }
    let events = [what.event];
    if (what.update !== undefined) {
      const { sent, arrivals } = trace.updates[what.update];
      events = sent > 0 ? [sent] : arrivals.slice(0, 1).map((arrival) => arrival.event);
      // Synchronisation has causes of its own, so these are added.
      events.push(...arrivals.filter((arrival) => arrival.sync).flatMap(({ event }) => [event, trace.cause[event], trace.cause[trace.cause[event]]].filter((each) => each > 0)));
    } else if (what.message !== undefined) {
      events = [trace.sent[what.message]];
    }
    return { ...what, lit: trace.related(events) };
  }

  showEvent(event) {
    this.moveToEvent(event, true);
    const { trace } = this;
    const message = trace.ofSending[event] >= 0 ? trace.ofSending[event] : trace.ofHearing[event];
    this.select(trace, message >= 0 ? { message } : { event });
    this.sections.diagram.scrollIntoView({ block: "nearest" });
  }

  watch(lane) {
    this.watched = lane;
    this.drawTime();
  }

  watchNext() {
    const { servers } = this.trace;
    this.watch(servers[(servers.indexOf(this.watched) + 1) % servers.length]);
  }

  // The current time.

  moveTo(time, quietly = false) {
    this.time = clamp(time, 0, this.diagram.view.fold.to);
    this.event = this.trace.eventAt(this.time);
    this.moved = true;
    if (quietly) this.diagram.view.reveal(this.time);
    this.drawTime();
  }

  moveToEvent(event, reveal = true) {
    this.event = clamp(event, 0, this.trace.count);
    this.time = this.trace.at[this.event];
    this.moved = true;
    if (reveal) this.diagram.view.reveal(this.time);
    this.drawTime();
  }

  /**
   * The events at which steps stop: all but hidden ones and the opening and closing of connections.
   * The herd's start is one step.
   */
  findSteps() {
    const { trace, diagram } = this;
    const silent = new Set(["opened", "closed", "affected", "chose"]);
    this.steps = [];
    for (let event = Math.max(trace.raw.came_up[0], 1); event <= trace.count; event++) {
      if (silent.has(trace.kindOf(event))) continue;
      const message = Math.max(trace.ofSending[event], trace.ofHearing[event]);
      if (message < 0 || diagram.shows(message)) this.steps.push(event);
    }
  }

  step(by) {
    this.transport.pause();
    const { steps } = this;
    const at = by > 0 ? firstWhere(steps.length, (index) => steps[index] > this.event) : firstWhere(steps.length, (index) => steps[index] >= this.event) - 1;
    if (at >= 0 && at < steps.length) this.moveToEvent(steps[at]);
  }

  stepFault(by) {
    const events = this.trace.faults.map((fault) => fault.event).sort((a, b) => a - b);
    const next = by > 0 ? events.find((event) => event > this.event) : events.reverse().find((event) => event < this.event);
    if (next === undefined) this.say("no further fault");
    else this.moveToEvent(next);
  }

  stepUpdate(by) {
    const { updates } = this.trace;
    const next = clamp((this.selected?.update ?? this.lastUpdate) + by, 0, updates.length - 1);
    if (updates.length > 0) this.select(this.trace, { update: next }, true);
  }

  // The visible part of the diagram.

  zoom(factor) {
    const { view } = this.diagram;
    const x = view.x(this.time);
    view.zoom(factor, x > view.left && x < view.left + view.pixels ? x : undefined);
    this.diagram.draw();
  }

  fit() {
    this.diagram.view.fit();
    this.diagram.draw();
  }

  zoomToSelection() {
    const selected = this.selectionOf(this.trace);
    if (!selected) return;
    const { trace } = this;
    const spread = selected.update !== undefined ? trace.spreadOf(selected.update) : null;
    const message = selected.message;
    const times = spread ? [spread.from, spread.flood] : message !== undefined ? [trace.begins[message], trace.ends[message]] : [trace.at[selected.event], trace.at[selected.event]];
    this.diagram.view.showTimes(times[0], times[1], trace.typical * 2);
    this.diagram.draw();
  }

  setOptions(options) {
    Object.assign(this.options, options);
    for (const box of this.sections.diagram.querySelectorAll("[data-option]")) box.checked = this.options[box.dataset.option];
    this.diagram.refold();
    this.comparison?.diagram.refold();
    this.findSteps();
    this.drawLegend();
    this.drawTime();
  }

  /**
   * Whether an update reached a server by other hops, or from another neighbour, than in the
   * compared run.
   */
  isOtherwise(trace, update, { lane, hops, via }) {
    if (!this.comparison) return false;
    const other = trace === this.trace ? this.comparison.other : this.trace;
    const same = other.updates.find((each) => each.name === trace.updates[update].name);
    const there = same?.arrivals.find((arrival) => other.name(arrival.lane) === trace.name(lane));
    return !there || there.hops !== hops || other.name(there.via) !== trace.name(via);
  }

  compareWith(index) {
    this.other = index;
    this.comparison = new Compare(this, this.trace, this.traces[index], this.sections.compare);
    this.resize();
    byId("compare-other").focus();
  }

  // The appearance.

  turn() {
    const root = document.documentElement;
    const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = isDark ? "light" : "dark";
    this.recolor();
  }

  recolor() {
    this.colors = readColors();
    this.drawAll();
  }

  /** For printing, uses the light theme and unfolds the stories; afterwards restores both. */
  print(begins) {
    const root = document.documentElement;
    this.printing = begins;
    if (begins) {
      this.before = { theme: root.dataset.theme, closed: [...document.querySelectorAll("details.story:not([open])")] };
      root.dataset.theme = "light";
    } else if (this.before.theme) root.dataset.theme = this.before.theme;
    else delete root.dataset.theme;
    for (const details of this.before.closed) details.open = begins;
    this.colors = readColors();
    this.resize();
  }

  /** Announces something to screen readers. */
  say(words) {
    this.spoken.textContent = words;
  }
}

/** The interface for tests that is described above. */
function forTests(app, begun) {
  const named = (lane) => (lane >= 0 ? app.trace.name(lane) : null);
  const laneOf = (name) => app.trace.servers.find((lane) => app.trace.name(lane) === name);
  const message = (m) => ({
    sent: app.trace.sent[m], heard: app.trace.heard[m], from: named(app.trace.from[m]), to: named(app.trace.to[m]),
    class: app.trace.classOf(m), update: app.trace.carries[m], hops: app.trace.hops[m],
  });
  /** Draws at once, so that a test need not wait for the next frame. */
  const atOnce = (act) => (...given) => {
    act(...given);
    app.drawTimeNow();
  };
  const all = () => [...app.trace.sent.keys()];
  return Object.freeze({
    ready: true,
    opened: performance.now() - begun,
    traces: () => app.traces.map((trace) => ({
      title: trace.title, events: trace.count, messages: trace.messageCount, updates: trace.updates.length,
      servers: trace.servers.map((lane) => trace.name(lane)), faults: trace.faults.length,
    })),
    counts: () => {
      const counts = { unheard: 0 };
      for (const m of all()) {
        const kind = app.trace.classOf(m);
        counts[kind] = (counts[kind] ?? 0) + 1;
        if (app.trace.heard[m] === 0) counts.unheard++;
      }
      return counts;
    },
    drawn: () => {
      app.diagram.drawNow();
      return { ...app.diagram.drawn };
    },
    select: atOnce((update) => app.select(app.trace, update === null ? null : { update }, true)),
    selectMessage: atOnce((m) => app.select(app.trace, { message: m })),
    selected: () => app.selected && { ...app.selected },
    lit: () => {
      const lit = app.selectionOf(app.trace)?.lit;
      return lit ? [...lit.keys()].filter((event) => lit[event] === 1) : [];
    },
    litMessages: () => {
      const lit = app.selectionOf(app.trace)?.lit;
      return lit ? all().filter((m) => app.trace.isLit(lit, m)) : [];
    },
    messages: () => all().map(message),
    place: (m) => {
      const { diagram, trace } = app;
      return { x1: diagram.view.x(trace.begins[m]), y1: diagram.yOf(trace.from[m]), x2: diagram.view.x(trace.ends[m]), y2: diagram.yOf(trace.to[m]) };
    },
    moveTo: atOnce((time) => app.moveTo(time)),
    moveToEvent: atOnce((event) => app.moveToEvent(event)),
    step: atOnce((by) => app.step(by)),
    stepFault: atOnce((by) => app.stepFault(by)),
    stepUpdate: atOnce((by) => app.stepUpdate(by)),
    now: () => ({ time: app.time, event: app.event }),
    memory: (server) => {
      const lane = laneOf(server);
      if (!app.memory.timelines.running.get(lane).at(app.event)) return null;
      const { held } = app.memory.memories.of(lane, app.event);
      return Object.fromEntries([...held].map(([client, { record, event, hops, via }]) => {
        const [, location, time, origin, skew] = app.trace.records[record][0].map((text) => app.trace.texts[text]);
        return [app.trace.texts[client], { location, time, origin, skew, event, hops, via: named(via) }];
      }));
    },
    links: (server) => Object.fromEntries(app.memory.timelines.linksOf.get(laneOf(server)).map(({ peer }) =>
      [named(peer), LINK_WORDS[app.memory.timelines.endState(laneOf(server), peer, app.event)]])),
    waiting: (server) => Object.fromEntries([...app.memory.memories.of(laneOf(server), app.event).waiting].map(([peer, clients]) =>
      [named(peer), [...clients].map((client) => app.trace.texts[client])])),
    view: () => {
      const [from, to] = app.diagram.view.times();
      return { from, to };
    },
    zoom: (factor) => app.zoom(factor),
    pan: (pixels) => {
      app.diagram.view.pan(pixels);
      app.diagram.draw();
    },
    fit: () => app.fit(),
    frame: () => {
      const before = performance.now();
      app.diagram.drawNow();
      return performance.now() - before;
    },
    show: (index) => app.show(index),
    options: (options) => app.setOptions(options),
  });
}

const begun = performance.now();
const app = new App(JSON.parse(byId("model").textContent));
app.drawTimeNow();
window.herdView = forTests(app, begun);
document.documentElement.dataset.ready = "true";
