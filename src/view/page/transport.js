// The controls of time: a slider, steps, and playing.

/** How long a typical message is visible in flight at the default speed, in seconds. */
const USUAL = 0.8;
const SPEEDS = [0.1, 0.25, 0.5, 1, 2, 5, 20, 100];

class Transport {
  constructor(app, trace, section) {
    Object.assign(this, { app, trace });
    this.playing = false;
    this.slider = el("input", { type: "range", min: 0, max: 2000, step: 1, id: "time", "aria-label": "Time", oninput: () => this.slid() });
    this.sign = button("▶ Play", "Play or pause", () => this.toggle(), { class: "play" });
    this.speed = el("select", { id: "speed" }, SPEEDS.map((times) =>
      el("option", { value: times, selected: times === 1 }, `${span(trace.typical)} in ${Number((USUAL / times).toPrecision(2))} s`)));
    this.line = el("p", { class: "at-hand", role: "status", "aria-live": "polite", id: "at-hand" });
    const faults = trace.faults.length > 0;
    section.replaceChildren(
      el("div", { class: "tools" },
        button("Start", "To the beginning", () => app.moveTo(0), { class: "to-start" }),
        button("‹ event", "Event before", () => app.step(-1)),
        this.sign,
        button("event ›", "Next event", () => app.step(1)),
        faults ? button("fault ›", "Next fault", () => app.stepFault(1)) : null,
        trace.updates.length > 1 ? button("update ›", "Next update", () => app.stepUpdate(1)) : null,
        el("label", { for: "speed" }, "Speed"), this.speed, this.slider),
      this.line);
    section.hidden = false;
  }

  slid() {
    const { fold } = this.app.diagram.view;
    this.app.moveTo(fold.time((Number(this.slider.value) / 2000) * fold.width));
  }

  draw() {
    const { app, trace } = this;
    const { fold } = app.diagram.view;
    this.slider.value = Math.round((fold.place(clamp(app.time, 0, fold.to)) / fold.width) * 2000);
    this.slider.setAttribute("aria-valuetext", `${about(app.time)} seconds`);
    // While time plays, a screen reader would announce every event.
    this.line.setAttribute("aria-live", this.playing ? "off" : "polite");
    // Between two steps the earlier one is shown.
    const steps = firstWhere(app.steps.length, (index) => app.steps[index] > app.event);
    const event = app.steps[steps - 1] ?? 0;
    const [cameUp, howItWas] = trace.raw.came_up;
    const told = event === cameUp ? howItWas : eventWords(trace, event);
    const words = event > 0 ? `${moment(trace.at[event])} s  ·  ${told}` : "0 s  ·  before anything happened";
    if (this.line.textContent !== words) this.line.textContent = words;
    this.line.dataset.event = app.event;
    this.sign.textContent = this.playing ? "Pause" : "▶ Play";
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  play() {
    const { app, trace } = this;
    const selected = app.selectionOf(trace);
    const spread = selected?.update !== undefined ? trace.spreadOf(selected.update) : null;
    const atItsEnd = spread && app.time >= spread.flood && app.time <= spread.to + trace.typical;
    if (app.time >= trace.end || (atItsEnd && !app.moved)) app.moveTo(spread ? Math.max(spread.from - trace.typical * 0.5, 0) : 0);
    this.playing = true;
    this.last = null;
    requestAnimationFrame((now) => this.tick(now));
    app.drawTime();
  }

  pause() {
    this.playing = false;
    this.app.drawTime();
  }

  tick(now) {
    if (!this.playing) return;
    const { app, trace } = this;
    const { view } = app.diagram;
    const passed = this.last === null ? 0 : Math.min(now - this.last, 100) / 1000;
    this.last = now;
    const rate = (trace.typical / USUAL) * Number(this.speed.value);
    const place = view.fold.place(app.time) + rate * passed;
    if (place >= view.fold.width) {
      app.moveTo(view.fold.to);
      this.pause();
      return;
    }
    app.moveTo(view.fold.time(place), true);
    requestAnimationFrame((next) => this.tick(next));
  }
}
