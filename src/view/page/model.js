// A trace as Rust wrote it (see src/view/model.rs), converted to typed arrays, with indices for
// drawing and for following causes. Events have the numbers that `herd run --all` prints, from 1
// on; row 0 is unused.

/** The maximum number of clients with lifelines of their own; more share one. */
const MOST_CLIENT_ROWS = 6;

class Trace {
  constructor(raw, index) {
    Object.assign(this, {
      index,
      raw,
      title: raw.title,
      lanes: raw.lanes,
      links: raw.links,
      texts: raw.texts,
      records: raw.records,
      updates: raw.updates.map((update) => readUpdate(update, raw.texts)),
      faults: raw.faults,
      judgements: raw.judgements,
      broken: raw.judgements.filter((judged) => !judged.held),
    });
    this.readEvents(raw.events);
    this.readMessages(raw.messages);
    this.findEffects();
    this.layRows();
  }

  readEvents(columns) {
    const count = columns.at.length;
    this.count = count;
    this.kinds = columns.kinds;
    this.at = new Float64Array(count + 1);
    this.who = new Int32Array(count + 1).fill(-1);
    this.cause = new Int32Array(count + 1);
    this.kind = new Uint8Array(count + 1);
    this.text = new Int32Array(count + 1);
    this.about = new Int32Array(count + 1).fill(-1);
    let now = 0;
    for (let row = 0; row < count; row++) {
      const event = row + 1;
      now += columns.at[row];
      this.at[event] = now;
      this.who[event] = columns.who[row];
      const back = columns.cause[row];
      this.cause[event] = back > 0 && back < event ? event - back : 0;
      this.kind[event] = columns.kind[row];
      this.text[event] = columns.text[row];
      this.about[event] = columns.about[row];
    }
    this.end = now;
  }

  readMessages(columns) {
    const count = columns.sent.length;
    this.messageCount = count;
    this.classes = columns.classes;
    this.sent = Int32Array.from(columns.sent);
    this.heard = new Int32Array(count);
    this.from = Int32Array.from(columns.from);
    this.to = Int32Array.from(columns.to);
    this.class = Uint8Array.from(columns.class);
    this.carries = Int32Array.from(columns.update);
    this.hops = Int32Array.from(columns.hops);
    this.bySync = new Set(columns.by_sync);
    this.begins = new Float64Array(count);
    this.ends = new Float64Array(count);
    /**
     * The latest end of all messages up to this one. It never decreases, so the messages that reach
     * into a stretch of time can be found by bisection.
     */
    this.latest = new Float64Array(count);
    this.ofSending = new Int32Array(this.count + 1).fill(-1);
    this.ofHearing = new Int32Array(this.count + 1).fill(-1);
    const taken = [];
    for (let m = 0; m < count; m++) {
      const later = columns.heard[m];
      this.heard[m] = later > 0 ? this.sent[m] + later : 0;
      this.begins[m] = this.at[this.sent[m]];
      this.ofSending[this.sent[m]] = m;
      if (this.heard[m] > 0) {
        this.ofHearing[this.heard[m]] = m;
        if (this.isBetweenServers(m)) taken.push(this.at[this.heard[m]] - this.begins[m]);
      }
    }
    taken.sort((a, b) => a - b);
    /**
     * The median delay of messages between servers, in nanoseconds: the measure of long and short
     * in this trace.
     */
    this.typical = Math.max(taken[taken.length >> 1] || 20e6, 1);
    let latest = 0;
    for (let m = 0; m < count; m++) {
      this.ends[m] = this.heard[m] > 0 ? this.at[this.heard[m]] : this.begins[m] + this.typical;
      latest = Math.max(latest, this.ends[m]);
      this.latest[m] = latest;
    }
    this.end = Math.max(this.end, 1);
  }

  /** The events that each event caused, as lists in one array. */
  findEffects() {
    this.firstEffect = new Int32Array(this.count + 2);
    for (let event = 1; event <= this.count; event++) this.firstEffect[this.cause[event] + 1]++;
    for (let event = 1; event <= this.count + 1; event++) this.firstEffect[event] += this.firstEffect[event - 1];
    this.effectList = new Int32Array(this.count);
    const next = this.firstEffect.slice();
    for (let event = 1; event <= this.count; event++) this.effectList[next[this.cause[event]]++] = event;
  }

  /** Assigns a lifeline to each lane: clients above the servers, Places below. */
  layRows() {
    const of = (kind) => this.lanes.map((lane, index) => ({ ...lane, index })).filter((lane) => lane.kind === kind);
    const clients = of("client");
    this.servers = of("server").map((lane) => lane.index);
    this.clientCount = clients.length;
    this.rowOf = new Int32Array(this.lanes.length).fill(-1);
    this.rows = [];
    const add = (name, kind, lanes) => {
      for (const lane of lanes) this.rowOf[lane] = this.rows.length;
      this.rows.push({ name, kind, lane: lanes[0] });
    };
    if (clients.length > MOST_CLIENT_ROWS) {
      add(count(clients.length, "client"), "client", clients.map((lane) => lane.index));
    } else {
      for (const lane of clients) add(lane.name, "client", [lane.index]);
    }
    for (const lane of of("server")) add(lane.name, "server", [lane.index]);
    for (const lane of of("places")) add("Places", "places", [lane.index]);
  }

  name(lane) {
    return lane >= 0 && lane < this.lanes.length ? this.lanes[lane].name : "somebody";
  }

  kindOf(event) {
    return this.kinds[this.kind[event]];
  }

  /** An event's words, with the name of its record in place of the placeholder. */
  words(event) {
    const words = this.texts[this.text[event]];
    return words.includes("\u0001") ? words.replace("\u0001", () => this.recordName(this.about[event])) : words;
  }

  recordName(index) {
    if (index < 0 || index >= this.records.length) return "something";
    const [[client, , time], update] = this.records[index];
    return update >= 0 ? this.updates[update].name : `${this.texts[client]} of ${this.texts[time]}`;
  }

  /** The update that an expectation or one of its events is about; -1 for none. */
  updateOf(judged) {
    if (judged.update !== null) return judged.update;
    for (const event of judged.events) {
      const message = Math.max(this.ofSending[event] ?? -1, this.ofHearing[event] ?? -1);
      if (message >= 0 && this.carries[message] >= 0) return this.carries[message];
      const ofRecord = ["accepted", "ignored", "expired"].includes(this.kindOf(event)) ? this.records[this.about[event]]?.[1] : undefined;
      if (ofRecord >= 0) return ofRecord;
    }
    return -1;
  }

  classOf(message) {
    return this.classes[this.class[message]];
  }

  isServer(lane) {
    return lane >= 0 && this.lanes[lane].kind === "server";
  }

  isBetweenServers(message) {
    return this.isServer(this.from[message]) && this.isServer(this.to[message]);
  }

  /** The last event at or before a time; 0 before the first. */
  eventAt(time) {
    return firstWhere(this.count, (row) => this.at[row + 1] > time);
  }

  /** A range of messages that includes all that are in flight at some time from `from` to `to`. */
  between(from, to) {
    const first = firstWhere(this.messageCount, (m) => this.latest[m] >= from);
    const last = firstWhere(this.messageCount, (m) => this.begins[m] > to);
    return [first, last];
  }

  /** Marks all causes and effects of these events with 1. */
  related(events) {
    const lit = new Uint8Array(this.count + 1);
    for (const event of events) {
      for (let back = event; back > 0 && !lit[back]; back = this.cause[back]) lit[back] = 1;
    }
    const open = [...events];
    while (open.length > 0) {
      const event = open.pop();
      lit[event] = 1;
      for (let at = this.firstEffect[event]; at < this.firstEffect[event + 1]; at++) open.push(this.effectList[at]);
    }
    return lit;
  }

  isLit(lit, message) {
    return lit[this.sent[message]] === 1 && (this.heard[message] === 0 || lit[this.heard[message]] === 1);
  }

  /**
   * Times of an update: when it begins (`from`), when the last server accepts it (`to`), and when
   * the last message of its flood arrives (`flood`).
   */
  spreadOf(update) {
    const { sent, arrivals } = this.updates[update];
    const events = [sent, ...arrivals.map((arrival) => arrival.event)].filter((event) => event > 0);
    if (events.length === 0) return null;
    const times = events.map((event) => this.at[event]);
    const flood = arrivals.filter((arrival) => !arrival.sync).map((arrival) => this.at[arrival.event]);
    for (const m of this.carriersOf(update)) if (this.heard[m] > 0 && !this.bySync.has(m)) flood.push(this.ends[m]);
    return { from: Math.min(...times), to: Math.max(...times), flood: Math.max(...flood, times[0]) };
  }

  /** The messages between servers that carry an update. */
  carriersOf(update) {
    if (this.carried?.update !== update) {
      const messages = [];
      for (let m = 0; m < this.messageCount; m++) if (this.carries[m] === update && this.isBetweenServers(m)) messages.push(m);
      this.carried = { update, messages };
    }
    return this.carried.messages;
  }
}

/** An update with its sentences as texts and its arrivals as objects. */
function readUpdate(update, texts) {
  const arrivals = update.arrivals.map(([[lane, event, hops, via, sync], delay, shortest, fastest]) =>
    ({ lane, event, hops, via, sync, delay, shortest, fastest }));
  return { ...update, arrivals, sentences: update.sentences.map((sentence) => texts[sentence]) };
}
