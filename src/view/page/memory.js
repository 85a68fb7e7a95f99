// The records of one server at the current event, and what this event changed.

/** The maximum number of listed records. Others are counted, and the filter finds them. */
const MOST_RECORDS = 100;

class MemoryPanel {
  constructor(app, trace, section) {
    Object.assign(this, { app, trace });
    this.timelines = app.timelinesOf(trace);
    this.memories = new Memories(trace, this.timelines);
    this.choice = el("select", { id: "memory-server", onchange: () => app.watch(Number(this.choice.value)) },
      trace.servers.map((lane) => el("option", { value: lane }, trace.name(lane))));
    this.filter = el("input", { type: "search", id: "memory-filter", placeholder: "client", size: 12, oninput: () => this.draw() });
    this.state = el("dl", { class: "facts" });
    this.links = el("table", { class: "table rows" });
    this.records = el("table", { class: "table rows" });
    this.more = el("p", { class: "quiet" });
    section.replaceChildren(
      el("div", { class: "head" },
        el("h2", { id: "memory-title" }, "What a server holds"), this.when = el("p", { class: "quiet when" })),
      el("div", { class: "tools" },
        el("label", { for: "memory-server" }, "Server"), this.choice,
        trace.records.length > 8 ? [el("label", { for: "memory-filter" }, "Find"), this.filter] : null),
      this.state,
      el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Records" }, this.records), this.more,
      el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Links" }, this.links),
    );
    section.dataset.part = "memory";
  }

  draw() {
    const { app, trace, timelines } = this;
    const { event, watched: lane } = app;
    // While time plays, most frames show the same memory as the one before.
    const shown = `${event} ${lane} ${this.filter.value}`;
    if (lane < 0 || shown === this.shown) return;
    this.shown = shown;
    this.choice.value = lane;
    this.when.textContent = `at ${moment(trace.at[event])} s, after event ${event}`;
    const { held, waiting } = this.memories.of(lane, event);
    const skew = timelines.clockError(lane, event);
    const facts = [["State", timelines.stateWords(lane, event)]];
    if (timelines.running.get(lane).at(event)) {
      facts.push(["Runs since", `${moment(trace.at[timelines.running.get(lane).since(event)])} s`]);
      facts.push(["Clock", skew === 0 ? "right" : `wrong by ${skew < 0 ? "−" : "+"}${span(Math.abs(skew))}`]);
      facts.push(["Records", grouped(held.size)]);
    }
    this.state.replaceChildren(...facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
    this.drawRecords(held, event);
    this.drawLinks(lane, event, waiting);
  }

  drawRecords(held, event) {
    const { trace } = this;
    const wanted = this.filter.value.trim();
    const all = [...held].filter(([client]) => trace.texts[client].includes(wanted)).sort((a, b) => b[1].event - a[1].event);
    const shown = all.slice(0, MOST_RECORDS);
    const row = ([client, { record, event: taken, hops, via }]) => {
      const [, location, time, origin, skew] = trace.records[record][0].map((text) => trace.texts[text]);
      const from = via >= 0 ? trace.name(via) : "its client";
      return el("tr", { class: taken === event ? "fresh" : null, "data-client": trace.texts[client] },
        el("th", { scope: "row" }, trace.texts[client], taken === event ? el("b", { class: "tag" }, "new") : null),
        el("td", {}, location), el("td", {}, `${moment(trace.at[taken])} s, from ${from}${hops > 0 ? `, ${count(hops, "hop")}` : ""}`),
        el("td", {}, origin), el("td", {}, skew), el("td", {}, time));
    };
    this.records.replaceChildren(
      head("Client", "Place", "Taken in", "Told to", "Skew", "Its time"),
      el("tbody", {}, shown.length > 0 ? shown.map(row) : el("tr", {}, el("td", { colspan: 6, class: "quiet" }, wanted ? "no such record" : "no records"))));
    label(this.records);
    const more = all.length - shown.length;
    this.more.textContent = more > 0 ? `and ${grouped(more)} older: find them by their client` : "";
  }

  drawLinks(lane, event, waiting) {
    const { trace, timelines } = this;
    const running = timelines.running.get(lane).at(event);
    const underWay = this.memories.underWay(lane, event);
    const rows = timelines.linksOf.get(lane).map(({ peer }) => {
      const changes = timelines.ends.get(`${lane} ${peer}`);
      const state = LINK_WORDS[changes.at(event)];
      const waits = [...(waiting.get(peer) ?? [])].map((client) => trace.texts[client]);
      const words = waits.length > 3 ? `${waits.slice(0, 3).join(", ")} and ${grouped(waits.length - 3)} more` : waits.join(", ");
      return el("tr", { class: event > 0 && changes.since(event) === event ? "fresh" : null },
        el("th", { scope: "row" }, trace.name(peer)), el("td", {}, running ? state : "–"),
        el("td", {}, words || "nothing"), el("td", {}, grouped(underWay.get(peer) ?? 0)));
    });
    this.links.replaceChildren(head("Link to", "State", "Still to be told", "Messages on their way"), el("tbody", {}, rows));
    label(this.links);
  }
}

/** The header row of a table. */
function head(...titles) {
  return el("thead", {}, el("tr", {}, titles.map((title) => el("th", { scope: "col" }, title))));
}
