// The states of servers and links at any moment: for each a list of changes, searched by bisection.
// So the cost for a moment hardly depends on the length of the run.

const DOWN = 0;
const UP = 1;
const SYNCHRONISED = 2;
const LINK_WORDS = ["down", "up, not synchronised", "synchronised"];

/** A value that changes at events. */
class Changes {
  constructor(first) {
    this.events = [0];
    this.values = [first];
  }

  set(event, value) {
    const last = this.values.length - 1;
    if (this.values[last] === value) return;
    this.events.push(event);
    this.values.push(value);
  }

  at(event) {
    return this.values[firstWhere(this.events.length, (index) => this.events[index] > event) - 1];
  }

  /** The event of the last change up to this one. */
  since(event) {
    return this.events[firstWhere(this.events.length, (index) => this.events[index] > event) - 1];
  }
}

class Timelines {
  constructor(trace) {
    this.trace = trace;
    const forServers = (first) => new Map(trace.servers.map((lane) => [lane, new Changes(first)]));
    this.running = forServers(false);
    /**
     * Whether a server runs, but has no synchronised link, or one that is up and not yet
     * synchronised.
     */
    this.behind = forServers(false);
    this.started = new Map(trace.servers.map((lane) => [lane, []]));
    this.ends = new Map();
    this.linksOf = new Map(trace.servers.map((lane) => [lane, []]));
    trace.links.forEach(([a, b], link) => {
      for (const [from, to] of [[a, b], [b, a]]) {
        this.ends.set(`${from} ${to}`, new Changes(DOWN));
        this.linksOf.get(from).push({ link, peer: to });
      }
    });
    this.clocks = new Map(trace.raw.clocks.map(([event, by, drift]) => [event, { by, drift }]));
    for (let event = 1; event <= trace.count; event++) this.learn(event);
  }

  learn(event) {
    const lane = this.trace.who[event];
    if (!this.running.has(lane)) return;
    switch (this.trace.kindOf(event)) {
      case "started":
        this.running.get(lane).set(event, true);
        this.started.get(lane).push(event);
        this.forget(event, lane);
        break;
      case "crashed":
      case "powered-off":
      case "stopped":
        this.running.get(lane).set(event, false);
        this.forget(event, lane);
        break;
      case "link-up": this.link(event, lane, UP); break;
      case "link-down": this.link(event, lane, DOWN); break;
      case "synchronised": this.link(event, lane, SYNCHRONISED); break;
    }
  }

  forget(event, lane) {
    for (const { peer } of this.linksOf.get(lane)) this.ends.get(`${lane} ${peer}`).set(event, DOWN);
    this.judge(event, lane);
  }

  link(event, lane, state) {
    const end = this.ends.get(`${lane} ${this.trace.about[event]}`);
    if (!end) return;
    end.set(event, state);
    this.judge(event, lane);
  }

  judge(event, lane) {
    const links = this.linksOf.get(lane);
    const states = links.map(({ peer }) => this.ends.get(`${lane} ${peer}`).at(event));
    const inTouch = states.some((state) => state === SYNCHRONISED) && !states.includes(UP);
    this.behind.get(lane).set(event, this.running.get(lane).at(event) && links.length > 0 && !inTouch);
  }

  /** The state of a link at one of its ends. */
  endState(lane, peer, event) {
    return this.ends.get(`${lane} ${peer}`).at(event);
  }

  /** The state of a link: the worse of its two ends. */
  linkState(link, event) {
    const [a, b] = this.trace.links[link];
    return Math.min(this.endState(a, b, event), this.endState(b, a, event));
  }

  /** The faults in force after an event. */
  faultsAt(event) {
    return this.trace.faults.filter((fault) => fault.event <= event && (fault.end === null || event < fault.end));
  }

  /** The fault of this kind that a server has after an event, if it has one. */
  faultOf(lane, kind, event) {
    return this.faultsAt(event).find((fault) => fault.kind === kind && fault.pairs.length === 0 && fault.lanes[0] === lane);
  }

  /** A server's state in a few words. */
  stateWords(lane, event) {
    if (!this.running.get(lane).at(event)) return this.started.get(lane)[0] <= event ? "down" : "not started yet";
    const words = [];
    if (this.faultOf(lane, "frozen", event)) words.push("standing still");
    if (this.faultOf(lane, "disk", event)) words.push("disk at fault");
    if (this.faultOf(lane, "refusing", event)) words.push("refusing connections");
    if (this.behind.get(lane).at(event)) words.push("not in sync");
    return words.length > 0 ? `up, ${words.join(", ")}` : "up";
  }

  /** The error of a server's clock at an event, in nanoseconds. */
  clockError(lane, event) {
    const fault = this.faultOf(lane, "skewed", event);
    if (!fault) return 0;
    const { by, drift } = this.clocks.get(fault.event);
    return by + (drift * (this.trace.at[event] - fault.from)) / 1e9;
  }
}
