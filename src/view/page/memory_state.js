// The state of a server at a moment, by replaying its own events since it last started. These are
// at most some thousands, so no state is cached.

class Memories {
  constructor(trace, timelines) {
    this.trace = trace;
    this.timelines = timelines;
    const counts = new Map(trace.servers.map((lane) => [lane, 0]));
    this.own = new Map(trace.servers.map((lane) => [lane, []]));
    for (let event = 1; event <= trace.count; event++) {
      if (counts.has(trace.who[event])) this.own.get(trace.who[event]).push(event);
    }
  }

  /**
   * The state of a server after an event. `held`: by client, the record, the event of accepting it,
   * its hops and sender. `waiting`: by neighbour, the clients whose newest record the server has
   * yet to send.
   */
  of(lane, event) {
    const held = new Map();
    const waiting = new Map();
    const { trace } = this;
    if (!this.timelines.running.get(lane).at(event)) return { held, waiting };
    const starts = this.timelines.started.get(lane);
    const start = starts[firstWhere(starts.length, (index) => starts[index] > event) - 1];
    const own = this.own.get(lane);
    for (let at = firstWhere(own.length, (index) => own[index] >= start); at < own.length && own[at] <= event; at++) {
      const now = own[at];
      const client = trace.about[now] >= 0 ? trace.records[trace.about[now]]?.[0][0] : undefined;
      switch (trace.kindOf(now)) {
        case "accepted": {
          const from = this.teller(now);
          const hops = from.message >= 0 && from.lane >= 0 ? trace.hops[from.message] : 0;
          held.set(client, { record: trace.about[now], event: now, hops, via: from.lane });
          waiting.get(from.lane)?.delete(client);
          for (const [peer, clients] of waiting) if (peer !== from.lane) clients.add(client);
          break;
        }
        case "ignored": waiting.get(this.teller(now).lane)?.delete(client); break;
        case "expired": held.delete(client); break;
        case "link-up": waiting.set(trace.about[now], new Set()); break;
        case "link-down": waiting.delete(trace.about[now]); break;
        case "line-out": this.told(now, waiting); break;
      }
    }
    return { held, waiting };
  }

  /** The message that caused an event, and the neighbour that sent it; -1 for a client. */
  teller(event) {
    const message = this.trace.ofHearing[this.trace.cause[event]];
    const lane = message >= 0 ? this.trace.from[message] : -1;
    return { message, lane: this.trace.isServer(lane) ? lane : -1 };
  }

  told(event, waiting) {
    const { trace } = this;
    const message = trace.ofSending[event];
    const clients = message >= 0 ? waiting.get(trace.to[message]) : undefined;
    if (!clients || clients.size === 0) return;
    const [verb, , , client] = trace.words(event).split(" ");
    if (verb !== "AT") return;
    for (const waits of clients) if (trace.texts[waits] === client) clients.delete(waits);
  }

  /** The number of messages from a server to each neighbour that are in flight after an event. */
  underWay(lane, event) {
    const { trace } = this;
    const counts = new Map();
    const now = trace.at[event];
    const [first, last] = trace.between(now, now);
    for (let m = first; m < last; m++) {
      if (trace.from[m] !== lane || trace.sent[m] > event || trace.heard[m] <= event) continue;
      counts.set(trace.to[m], (counts.get(trace.to[m]) || 0) + 1);
    }
    return counts;
  }
}
