// A map of the herd: servers and links at the current time, and the messages in flight.

/** The maximum number of messages in flight that are shown. */
const MOST_UNDER_WAY = 150;
/** With more messages in flight than this, only highlighted ones are shown if there are any. */
const CROWDED = 40;

class HerdPicture {
  constructor(app, trace, section) {
    Object.assign(this, { app, trace });
    this.timelines = app.timelinesOf(trace);
    const count = trace.servers.length;
    const links = trace.links.map(([a, b]) => [trace.servers.indexOf(a), trace.servers.indexOf(b)]);
    // The map of a large herd is in portrait format, because the diagram beside it is tall.
    this.small = count > LARGE;
    [this.width, this.height] = this.small ? [420, 640] : [420, 320];
    const [sides, ends] = this.small ? [22, 26] : [56, 44];
    const box = [this.width - 2 * sides, this.height - 2 * ends];
    const places = layOut(count, links).map(([x, y]) => (this.small ? [y * box[0], x * box[1]] : [x * box[0], y * box[1]]));
    const apart = spreadApart(places, this.small ? 40 : 70, box);
    this.points = new Map(apart.map(([x, y], at) => [trace.servers[at], [sides + x, ends + y]]));
    this.picture = svg("svg", { viewBox: `0 0 ${this.width} ${this.height}`, role: "group", "aria-label": "The herd as a picture" });
    this.build();
    section.replaceChildren(
      el("div", { class: "head" }, el("h2", { id: "herd-title" }, "The herd"), this.when = el("p", { class: "quiet when" })),
      this.picture,
      this.legend(),
    );
  }

  legend() {
    return el("ul", { class: "legend", "aria-label": "What the picture shows" },
      el("li", {}, el("i", { class: "dot has" }, "2"), "has the update, after so many hops"),
      el("li", {}, el("i", { class: "dot" }), "does not have it"),
      el("li", {}, el("i", { class: "dot down" }, "✕"), "down"),
      el("li", {}, el("i", { class: "rule useful" }), "brought the update as news"),
      el("li", {}, sample("duplicate"), "went there in vain: a duplicate"),
      el("li", {}, el("i", { class: "rule" }), "link in sync"),
      el("li", {}, el("i", { class: "rule up" }), "up, not in sync"),
      el("li", {}, el("i", { class: "rule gone" }), "link down"),
    );
  }

  build() {
    const lines = svg("g");
    this.links = this.trace.links.map(([a, b, latency]) => {
      const [[x1, y1], [x2, y2]] = [this.points.get(a), this.points.get(b)];
      const line = svg("line", { x1, y1, x2, y2 });
      const way = svg("line", { x1, y1, x2, y2, class: "way" });
      const turn = (Math.atan2(y2 - y1, x2 - x1) * 180) / Math.PI;
      const chevron = svg("path", { d: "M-5 -7L4 0L-5 7" });
      // Duplicates have an arrow for each direction beside the link, where they do not hide its
      // route.
      const vain = [this.beside([x1, y1], [x2, y2]), this.beside([x2, y2], [x1, y1])];
      const sign = svg("text", { x: (x1 + x2) / 2, y: (y1 + y2) / 2 + 4, class: "sign", "text-anchor": "middle" });
      const title = svg("title");
      lines.append(svg("g", {}, title, line, way, chevron, vain, sign));
      const middle = `translate(${(x1 + x2) / 2} ${(y1 + y2) / 2})`;
      return { a, b, latency, line, way, chevron, vain, sign, title, turns: [`${middle} rotate(${turn})`, `${middle} rotate(${turn + 180})`] };
    });
    this.dots = svg("g", { "aria-hidden": "true" });
    const nodes = svg("g");
    // Signs are hidden from screen readers, since the node's label says the same.
    const marks = svg("g", { "aria-hidden": "true", class: "marks" });
    const radius = this.small ? 9 : 17;
    this.nodes = new Map(this.trace.servers.map((lane) => {
      const [x, y] = this.points.get(lane);
      const disc = svg("circle", { cx: x, cy: y, r: radius });
      const mark = svg("text", { x, y: y + (this.small ? 4 : 5.5), "text-anchor": "middle", class: "mark" });
      // Names in the top row are above their discs, where no link crosses them.
      const below = y > this.height * 0.2;
      const name = svg("text", { x, y: below ? y + radius + (this.small ? 11 : 15) : y - radius - 7, "text-anchor": "middle", class: "name" });
      name.textContent = this.trace.name(lane);
      const node = svg("g", {
        class: "node", tabindex: 0, role: "button",
        onclick: () => this.app.watch(lane),
        onkeydown: (event) => {
          if (event.key !== "Enter" && event.key !== " ") return;
          event.preventDefault();
          event.stopPropagation();
          this.app.watch(lane);
        },
      }, disc, name);
      nodes.append(node);
      marks.append(mark);
      return [lane, { node, mark, name, radius }];
    }));
    this.picture.classList.toggle("small", this.small);
    this.picture.append(lines, this.dots, nodes, marks);
  }

  /** A dashed arrow from one server to another, to the right of the link, between their discs. */
  beside([x1, y1], [x2, y2]) {
    const far = Math.hypot(x2 - x1, y2 - y1) || 1;
    const [dx, dy] = [(x2 - x1) / far, (y2 - y1) / far];
    const [aside, free, head] = this.small ? [4, 12, 5] : [9, 23, 8];
    const at = (along, across) => `${(x1 + dx * along - dy * across).toFixed(1)} ${(y1 + dy * along + dx * across).toFixed(1)}`;
    const end = Math.max(far - free, free + head);
    return svg("g", { class: "vain" },
      svg("path", { class: "dashes", d: `M${at(free, aside)}L${at(end, aside)}` }),
      svg("path", { d: `M${at(end - head, aside - head * 0.6)}L${at(end, aside)}L${at(end - head, aside + head * 0.6)}` }));
  }

  draw() {
    const { app, trace } = this;
    const event = app.event;
    const faults = this.timelines.faultsAt(event);
    const selected = app.selectionOf(trace);
    const update = selected?.update;
    this.when.textContent = `at ${about(app.time)} s`;
    this.drawServers(event, update);
    this.drawLinks(event, update, faults);
    this.drawUnderWay();
  }

  drawServers(event, update) {
    const { app, trace, timelines } = this;
    const arrivals = update === undefined ? [] : trace.updates[update].arrivals;
    for (const [lane, { node, mark }] of this.nodes) {
      const running = timelines.running.get(lane).at(event);
      const start = timelines.running.get(lane).since(event);
      const has = running ? arrivals.filter((arrival) => arrival.lane === lane && arrival.event <= event && arrival.event > start)[0] : undefined;
      const frozen = Boolean(timelines.faultOf(lane, "frozen", event));
      const state = timelines.stateWords(lane, event);
      const behind = timelines.behind.get(lane).at(event);
      node.setAttribute("class", `node${running ? "" : " down"}${has ? " has" : ""}${frozen ? " frozen" : ""}${behind ? " behind" : ""}${app.watched === lane ? " watched" : ""}`);
      mark.setAttribute("class", `mark${running ? "" : " down"}${has ? " has" : ""}${frozen ? " frozen" : ""}`);
      mark.textContent = !running ? "✕" : frozen ? "‖" : has ? String(has.hops) : "";
      const holds = update === undefined ? "" : has ? `, has ${trace.updates[update].name} after ${count(has.hops, "hop")}` : `, does not have ${trace.updates[update].name}`;
      node.setAttribute("aria-label", `${trace.name(lane)}: ${state}${holds}. Shows its memory.`);
    }
  }

  drawLinks(event, update, faults) {
    const { timelines, trace } = this;
    const { news, vain: inVain } = this.waysOf(update, event);
    const pairs = faults.flatMap((fault) => fault.pairs.map(([a, b]) => ({ a, b, kind: fault.kind })));
    this.links.forEach((link, index) => {
      const { a, b, line, way, chevron, vain, sign, title } = link;
      const state = timelines.linkState(index, event);
      const wrong = pairs.filter((pair) => (pair.a === a && pair.b === b) || (pair.a === b && pair.b === a));
      const isCut = wrong.some((pair) => pair.kind === "cut");
      const isSlow = wrong.some((pair) => pair.kind === "slow");
      const isImpaired = wrong.some((pair) => pair.kind === "impaired");
      line.setAttribute("class", `link s${state}${isCut ? " cut" : ""}`);
      sign.textContent = isCut ? "✂" : isSlow ? "slow" : isImpaired ? "impaired" : "";
      const from = news.get(index);
      const kind = from === undefined ? "" : "useful";
      way.setAttribute("class", `way ${kind}`);
      chevron.setAttribute("class", `chevron ${kind}`);
      chevron.setAttribute("transform", link.turns[from === b ? 1 : 0]);
      const wasted = [[a, b], [b, a]].map(([one, other]) => inVain.get(`${one} ${other}`) ?? 0);
      vain.forEach((arrow, way) => arrow.classList.toggle("went", wasted[way] > 0));
      const told = [
        from === undefined ? "" : `; ${trace.name(from)} told what was news`,
        ...wasted.map((times, way) => (times === 0 ? "" : `; ${trace.name(way === 0 ? a : b)} told what was known, ${count(times, "time")}`)),
      ];
      const words = `${trace.name(a)} and ${trace.name(b)}: ${LINK_WORDS[state]}${isCut ? ", cut" : ""}${isSlow ? ", slow" : ""}${isImpaired ? ", impaired" : ""}, ${link.latency}${told.join("")}`;
      title.textContent = words;
    });
  }

  /**
   * The links on which the selected update first reached a server, each with the sender; and the
   * number of its duplicates from each server to another.
   */
  waysOf(update, event) {
    const [news, vain] = [new Map(), new Map()];
    if (update === undefined) return { news, vain };
    const { trace } = this;
    for (const message of trace.carriersOf(update)) {
      if (trace.heard[message] === 0 || trace.heard[message] > event) continue;
      const [from, to] = [trace.from[message], trace.to[message]];
      if (trace.classOf(message) !== "useful") {
        vain.set(`${from} ${to}`, (vain.get(`${from} ${to}`) ?? 0) + 1);
        continue;
      }
      const index = trace.links.findIndex(([a, b]) => (a === from && b === to) || (b === from && a === to));
      if (index >= 0) news.set(index, from);
    }
    return { news, vain };
  }

  drawUnderWay() {
    const { app, trace } = this;
    const now = app.time;
    const [first, last] = trace.between(now, now);
    const selected = app.selectionOf(trace);
    const dots = [];
    for (let m = first; m < last && dots.length < MOST_UNDER_WAY; m++) {
      if (trace.ends[m] < now || !app.diagram.shows(m) || (trace.ends[m] === now && trace.begins[m] < now)) continue;
      const ends = this.endsOf(m);
      if (!ends) continue;
      const [[x1, y1], [x2, y2]] = ends;
      const part = (now - trace.begins[m]) / (trace.ends[m] - trace.begins[m] || 1);
      const kind = trace.heard[m] === 0 ? "lost" : trace.classOf(m);
      const faint = selected?.lit && !trace.isLit(selected.lit, m);
      if (faint && last - first > CROWDED) continue;
      dots.push(this.dot(kind, x1 + (x2 - x1) * part, y1 + (y2 - y1) * part, faint));
    }
    this.dots.replaceChildren(...dots);
  }

  dot(kind, x, y, faint) {
    const shape = kind === "duplicate"
      ? svg("rect", { x: x - 4.5, y: y - 4.5, width: 9, height: 9, transform: `rotate(45 ${x} ${y})` })
      : kind === "lost" ? svg("path", { d: `M${x - 4} ${y - 4}l8 8m0 -8l-8 8` }) : svg("circle", { cx: x, cy: y, r: kind === "useful" ? 6 : 4 });
    shape.setAttribute("class", `under-way ${kind}${faint ? " faint" : ""}`);
    return shape;
  }

  /** The two ends of a message. Clients and Places are outside the map, beside the server. */
  endsOf(message) {
    const { trace } = this;
    const [from, to] = [this.points.get(trace.from[message]), this.points.get(trace.to[message])];
    if (from && to) return [from, to];
    const server = from ?? to;
    if (!server) return null;
    const [dx, dy] = [server[0] - this.width / 2, server[1] - this.height / 2];
    const far = Math.hypot(dx, dy) || 1;
    const outside = [server[0] + (dx / far) * 48, server[1] + (dy / far) * 48];
    return from ? [from, outside] : [outside, to];
  }
}
