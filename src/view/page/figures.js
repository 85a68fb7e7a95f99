// Figures: the route of the selected update to each server beside the best possible one, its cost,
// and statistics of all updates.

/** From this number of arrivals on, their distribution is shown, too. */
const MANY = 12;

class Figures {
  constructor(app, trace, section) {
    Object.assign(this, { app, trace, section });
    this.way = el("div");
    section.replaceChildren(
      el("div", { class: "head" }, el("h2", { id: "figures-title" }, "Figures")),
      this.way,
      ...this.whole(),
    );
  }

  draw() {
    const update = this.app.selectionOf(this.trace)?.update;
    this.section.hidden = update === undefined && this.section.children.length <= 2;
    if (update === undefined) {
      this.way.replaceChildren();
      return;
    }
    const { trace } = this;
    const { name, arrivals, sends, missing } = trace.updates[update];
    const most = Math.max(...arrivals.map((arrival) => arrival.delay), 1);
    const rows = arrivals.map((arrival) => {
      const more = arrival.shortest !== null && arrival.hops > arrival.shortest;
      const from = arrival.via >= 0 ? trace.name(arrival.via) : "its client";
      return el("tr", {},
        el("th", { scope: "row" }, trace.name(arrival.lane)),
        el("td", { class: more ? "num more" : "num" }, `${arrival.hops}`, el("span", { class: "quiet" }, ` / ${arrival.shortest ?? "–"}`)),
        el("td", { class: "num" }, span(arrival.delay), el("span", { class: "quiet" }, ` / ${arrival.fastest === null ? "–" : span(arrival.fastest)}`)),
        el("td", {}, delayBar(arrival, most)),
        el("td", {}, `${from}${arrival.sync ? ", synchronised" : ""}`));
    });
    for (const [lane, why] of missing) {
      rows.push(el("tr", { class: "quiet" }, el("th", { scope: "row" }, trace.name(lane)),
        el("td", { class: "num" }, "–"), el("td", { class: "num" }, "–"), el("td"),
        el("td", {}, trace.texts[why])));
    }
    this.way.replaceChildren(
      el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `The way of ${name}` },
        label(el("table", { class: "table rows" },
          el("caption", {}, `Hops and delay of ${name}, each beside the least that was possible as the network was then`),
          head("Server", "Hops / least", "Delay / least", "Drawn", "From"), el("tbody", {}, rows)))),
      this.cost(sends, "This update"));
  }

  /** A bar of useful, duplicate and lost messages, beside the cost of a flood without faults. */
  cost([useful, duplicate, lost], title, updates = 1) {
    const all = useful + duplicate + lost;
    const flood = this.trace.raw.flood;
    const plain = flood === null || updates !== 1 ? "" : `; ${grouped(flood)} when nothing is wrong`;
    const piece = (kind, number, words) => number === 0 ? null : el("span", { class: `piece ${kind}`, "data-share": number }, `${grouped(number)} ${words}`);
    const bar = el("div", { class: "cost-bar", role: "img", "aria-label": `${grouped(useful)} useful, ${grouped(duplicate)} duplicate, ${grouped(lost)} never arrived` },
      piece("useful", useful, "useful"), piece("duplicate", duplicate, duplicate === 1 ? "duplicate" : "duplicates"), piece("lost", lost, "lost"));
    for (const child of bar.children) child.style.flexGrow = child.dataset.share;
    return el("div", { class: "cost" }, el("p", {}, `${title}: ${count(all, "message")} between servers${plain}`), all > 0 ? bar : null);
  }

  /** Statistics of all updates together. */
  whole() {
    const { trace } = this;
    const parts = [];
    if (trace.updates.length > 1) {
      const sums = [0, 1, 2].map((kind) => trace.updates.reduce((sum, update) => sum + update.sends[kind], 0));
      parts.push(this.cost(sums, `All ${grouped(trace.updates.length)} updates`, trace.updates.length));
    }
    const spread = trace.updates.flatMap((update) => update.arrivals.slice(1));
    if (spread.length >= MANY && trace.updates.length > 2) {
      const delays = spread.filter((arrival) => !arrival.sync).map((arrival) => arrival.delay).sort((a, b) => a - b);
      parts.push(histogram(delays));
      parts.push(hopsTable(spread));
    }
    const asked = [...trace.kind].filter((kind, event) => event > 0 && trace.kinds[kind] === "look-up").length;
    if (asked > 0) {
      const told = new Map();
      for (let event = 1; event <= trace.count; event++) {
        if (trace.kindOf(event) !== "places-told") continue;
        told.set(trace.words(event), (told.get(trace.words(event)) ?? 0) + 1);
      }
      const words = [...told].map(([answer, times]) => `${grouped(times)} × ${answerWords(answer)}`);
      parts.push(el("p", {}, `${count(asked, "look-up")} of places near a client${words.length > 0 ? "; answers of Places: " : ""}${words.join(", ")}.`));
    }
    return parts;
  }
}

/** An answer of Places without the verb with which its event's words begin. */
function answerWords(words) {
  return words.replace(/^(answers|has an answer) with /, "").replace(/, and (.*)$/, " ($1)");
}

/** A delay as a bar, with a tick at the shortest possible delay. */
function delayBar({ delay, fastest }, most) {
  const wide = (value) => (120 * value) / most;
  return svg("svg", { width: 128, height: 12, viewBox: "0 0 128 12", "aria-hidden": "true", class: "delay" },
    svg("rect", { x: 0, y: 3, width: Math.max(wide(delay), 1), height: 6, rx: 2, class: "bar" }),
    fastest === null ? null : svg("path", { d: `M${wide(fastest) + 0.75} 0V12`, class: "least" }));
}

/** A histogram of the arrivals' delays. */
function histogram(delays) {
  const most = delays[delays.length - 1];
  const bins = new Array(24).fill(0);
  for (const delay of delays) bins[Math.min(Math.floor((delay / (most || 1)) * bins.length), bins.length - 1)]++;
  const tallest = Math.max(...bins);
  const at = (part) => delays[Math.min(Math.floor(delays.length * part), delays.length - 1)];
  const bars = bins.map((number, index) => {
    const height = number === 0 ? 0 : Math.max((number / tallest) * 80, 1.5);
    const bar = svg("rect", { x: index * 14 + 1, y: 84 - height, width: 12, height, class: "bar" });
    bar.append(svg("title", {}, `${span((most * index) / bins.length)} to ${span((most * (index + 1)) / bins.length)}: ${grouped(number)}`));
    return bar;
  });
  const words = `Half of ${count(delays.length, "arrival")} by the flood took up to ${span(at(0.5))}, nine in ten up to ${span(at(0.9))}, the slowest ${span(most)}.`;
  return el("figure", {},
    svg("svg", { viewBox: "0 0 338 102", role: "img", "aria-label": words, class: "histogram" }, bars,
      svg("path", { d: "M0 84.5H338", class: "axis" }),
      svg("text", { x: 0, y: 98 }, "0"), svg("text", { x: 338, y: 98, "text-anchor": "end" }, span(most))),
    el("figcaption", {}, words));
}

function hopsTable(spread) {
  const flood = spread.filter((arrival) => !arrival.sync);
  const most = Math.max(...flood.map((arrival) => arrival.hops), 0);
  const rows = [];
  for (let hops = 1; hops <= Math.min(most, 20); hops++) {
    const number = flood.filter((arrival) => arrival.hops === hops).length;
    const least = flood.filter((arrival) => arrival.hops === hops && arrival.shortest === hops).length;
    rows.push(el("tr", {}, el("th", { scope: "row" }, String(hops)), el("td", { class: "num" }, grouped(number)), el("td", { class: "num" }, grouped(least))));
  }
  const synced = spread.length - flood.length;
  return el("div", {}, el("table", { class: "table" },
    el("caption", {}, `Arrivals by hops${synced > 0 ? `; ${grouped(synced)} more came by synchronisation` : ""}`),
    head("Hops", "Arrivals", "of them on a shortest way"), el("tbody", {}, rows)));
}
