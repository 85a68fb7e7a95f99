// The space-time diagram: horizontal lifelines, and messages that slope from the moment of sending
// to that of arrival. The cost of drawing depends on what is visible: visible messages are found by
// bisection, and adjacent ones are drawn as one band.

/** With more visible messages than this, adjacent ones are drawn as bands, without arrowheads. */
const DENSE = 1500;
/** With more visible faults than this, only long ones get labels. */
const MOST_NAMED = 14;
/** The maximum distance of adjacent messages, in pixels. */
const SAME = 2.5;

/** In a herd of more servers, duplicates are faint, so that useful messages stand out. */
const LARGE = 16;

class Diagram {
  constructor(app, trace, canvas, follows) {
    Object.assign(this, { app, trace, canvas, follows });
    this.context = canvas.getContext("2d");
    this.timelines = app.timelinesOf(trace);
    this.drawn = { messages: 0, lit: 0, strokes: 0 };
    this.hover = -1;
    this.focus = -1;
    this.view = new View(this.makeFold());
    this.draw = onceAFrame(() => this.drawNow());
  }

  makeFold() {
    return new Fold(this.trace, busyStretches(this.trace, (m) => this.shows(m)), this.app.options.fold);
  }

  refold() {
    this.view.refold(this.makeFold());
    this.draw();
  }

  /** Whether the options show messages of this kind. */
  shows(message) {
    const kind = this.trace.classOf(message);
    const { options } = this.app;
    if (kind === "sync") return options.sync;
    if (kind === "heartbeat") return options.heartbeats;
    return true;
  }

  selection() {
    return this.app.selectionOf(this.trace);
  }

  resize() {
    const width = this.canvas.parentElement.clientWidth;
    if (width === 0) return;
    const rows = this.trace.rows.length;
    const narrow = width < 560;
    this.font = narrow ? 11 : 12.5;
    this.context.font = font(this.font, 600);
    const names = this.trace.rows.map((row) => this.context.measureText(row.name).width);
    this.gutter = clamp(Math.max(...names, 30) + 20, 54, narrow ? 92 : 150);
    this.top = 30;
    this.spacing = clamp(Math.round((narrow ? 300 : 340) / rows), 20, narrow ? 52 : 60);
    const height = this.top + rows * this.spacing + 12;
    const sharp = Math.max(window.devicePixelRatio || 1, this.app.printing ? 2 : 1);
    this.canvas.width = Math.round(width * sharp);
    this.canvas.height = Math.round(height * sharp);
    this.canvas.style.height = `${height}px`;
    Object.assign(this, { width, height, sharp });
    this.view.left = this.gutter;
    this.view.pixels = Math.max(width - this.gutter - 12, 10);
    this.right = this.gutter + this.view.pixels;
    this.drawNow();
  }

  y(row) {
    return this.top + (row + 0.55) * this.spacing;
  }

  yOf(lane) {
    return this.y(lane >= 0 ? this.trace.rowOf[lane] : -1);
  }

  drawNow() {
    if (!this.width) return;
    const { context } = this;
    this.colors = this.app.colors;
    context.setTransform(this.sharp, 0, 0, this.sharp, 0, 0);
    context.fillStyle = this.colors.paper;
    context.fillRect(0, 0, this.width, this.height);
    context.save();
    context.beginPath();
    context.rect(this.gutter - 4, 0, this.width - this.gutter + 4, this.height);
    context.clip();
    this.drawTicks();
    this.drawLifelines();
    this.drawMessages();
    this.drawArrivals();
    this.drawFaultLabels();
    this.drawCursor();
    context.restore();
    this.drawNames();
  }

  drawTicks() {
    const { context, view, colors } = this;
    const scale = (view.w1 - view.w0) / view.pixels;
    const least = scale * 84;
    const power = 10 ** Math.floor(Math.log10(least));
    const step = [1, 2, 5, 10].map((times) => times * power).find((size) => size >= least);
    context.font = font(11);
    context.textAlign = "center";
    context.lineWidth = 1;
    let free = -Infinity;
    for (const { t0, t1, w0, w1, folded } of view.fold.parts) {
      if (w1 < view.w0 || w0 > view.w1) continue;
      if (folded) {
        this.drawBreak(t0, t1);
        continue;
      }
      const [from, to] = view.times();
      const last = Math.min(t1, to);
      let isTold = false;
      for (let at = Math.ceil(Math.max(t0, from) / step) * step; at <= last; at += step) {
        const x = view.x(at);
        context.strokeStyle = colors.line;
        context.beginPath();
        context.moveTo(x, this.top - 6);
        context.lineTo(x, this.height);
        context.stroke();
        free = this.drawTime(at, clamp(Math.ceil(-Math.log10(step / 1e9)), 0, 9), free);
        isTold = true;
      }
      // A short part between two folds may contain no round time.
      if (!isTold) free = this.drawTime((Math.max(t0, from) + last) / 2, 2, free);
    }
  }

  /** Writes a time above its position, unless that is left of `free`; returns the new `free`. */
  drawTime(at, decimals, free) {
    const { context, view, colors } = this;
    const [x, label] = [view.x(at), `${(at / 1e9).toFixed(decimals)} s`];
    const half = context.measureText(label).width / 2;
    if (x - half < Math.max(free, this.gutter) || x + half > this.width) return free;
    context.fillStyle = colors.soft;
    context.fillText(label, x, 14);
    return x + half + 8;
  }

  /** Draws a folded stretch as a gap with torn edges. */
  drawBreak(t0, t1) {
    const { context, view, colors } = this;
    const [x0, x1] = [view.x(t0), view.x(t1)];
    context.fillStyle = colors.ground;
    context.fillRect(x0, this.top - 6, x1 - x0, this.height);
    if (x1 - x0 < 10) return;
    context.strokeStyle = colors.soft;
    context.setLineDash([3, 3]);
    for (const x of [x0, x1]) {
      context.beginPath();
      for (let y = this.top - 6; y < this.height; y += 12) {
        context.lineTo(x, y);
        context.lineTo(x + (((y - this.top + 6) / 12) % 2 ? 4 : -4), y + 6);
      }
      context.stroke();
    }
    context.setLineDash([]);
    const [left, right] = [Math.max(x0, this.gutter), Math.min(x1, this.width)];
    const middle = (left + right) / 2;
    const label = span(t1 - t0);
    context.fillStyle = colors.soft;
    if (right - left > context.measureText(label).width + 12) {
      context.fillText(label, middle, this.top + 6);
      context.fillText("quiet", middle, this.top + 19);
    } else if (right - left > 22) {
      context.save();
      context.translate(middle + 4, this.top + 4);
      context.rotate(-Math.PI / 2);
      context.textAlign = "right";
      context.fillText(`${label} quiet`, 0, 0);
      context.restore();
    }
  }

  drawLifelines() {
    const { context, trace, colors } = this;
    for (let row = 0; row < trace.rows.length; row++) {
      const y = this.y(row);
      const { kind, lane } = trace.rows[row];
      if (kind === "server") {
        this.drawServer(lane, y);
        continue;
      }
      context.strokeStyle = colors.line;
      context.lineWidth = 1.5;
      context.beginPath();
      context.moveTo(this.gutter, y);
      context.lineTo(this.right, y);
      context.stroke();
    }
    for (const fault of trace.faults) {
      if (fault.pairs.length > 0) this.drawCut(fault);
    }
    const update = this.selection()?.update;
    if (update !== undefined) this.drawHolding(update);
  }

  /** A server's lifeline: solid while in sync, dashed while not, hatched while down. */
  drawServer(lane, y) {
    const { context, trace, timelines, colors, view } = this;
    const [from, to] = view.times();
    const changes = [timelines.running, timelines.behind].flatMap((all) => all.get(lane).events);
    const moments = [0, ...changes.map((event) => trace.at[event]), Infinity].sort((a, b) => a - b);
    const band = this.spacing * 0.3;
    for (let at = 0; at + 1 < moments.length; at++) {
      const [t0, t1] = [Math.max(moments[at], from), Math.min(moments[at + 1], to)];
      if (t1 <= t0) continue;
      const event = trace.eventAt(moments[at]);
      const [x0, x1] = [view.x(t0), view.x(t1)];
      if (!timelines.running.get(lane).at(event)) continue;
      context.strokeStyle = colors.soft;
      context.lineWidth = 1.5;
      context.setLineDash(timelines.behind.get(lane).at(event) ? [3, 4] : []);
      context.beginPath();
      context.moveTo(x0, y);
      context.lineTo(x1, y);
      context.stroke();
      context.setLineDash([]);
    }
    for (const fault of trace.faults) {
      if (fault.pairs.length > 0 || fault.lanes[0] !== lane) continue;
      this.drawBand(fault, y, fault.kind === "skewed" ? band * 0.55 : band);
    }
  }

  drawBand(fault, y, half) {
    const { context, view, colors } = this;
    const [from, to] = view.times();
    const end = fault.to === null ? Infinity : fault.to;
    if (end < from || fault.from > to) return;
    const x0 = view.x(Math.max(fault.from, from));
    const x1 = end >= to ? this.right : Math.max(view.x(end), x0 + 3);
    context.globalAlpha = 0.13;
    context.fillStyle = colors.fault;
    context.fillRect(x0, y - half, x1 - x0, half * 2);
    context.globalAlpha = 0.5;
    context.strokeStyle = colors.fault;
    context.lineWidth = 1;
    if (fault.kind === "down") hatch(context, x0, y - half, x1 - x0, half * 2, 7);
    if (fault.kind === "frozen") {
      context.beginPath();
      for (let x = x0 + 3; x < x1; x += 5) {
        context.moveTo(x, y - half);
        context.lineTo(x, y + half);
      }
      context.stroke();
    }
    context.globalAlpha = 0.8;
    context.strokeRect(x0, y - half, x1 - x0, half * 2);
    context.globalAlpha = 1;
  }

  /** A fault of links: thin bands along the affected lifelines, connected at both ends. */
  drawCut(fault) {
    const { context, view, colors } = this;
    const [from, to] = view.times();
    const end = fault.to === null ? Infinity : fault.to;
    if (end < from || fault.from > to) return;
    for (const lane of fault.lanes) this.drawBand({ ...fault, kind: "thin" }, this.yOf(lane), 4);
    const ys = fault.lanes.map((lane) => this.yOf(lane));
    context.strokeStyle = colors.fault;
    context.lineWidth = 1.2;
    context.setLineDash([4, 3]);
    for (const at of [fault.from, end]) {
      if (at < from || at > to) continue;
      context.beginPath();
      context.moveTo(view.x(at), Math.min(...ys));
      context.lineTo(view.x(at), Math.max(...ys));
      context.stroke();
    }
    context.setLineDash([]);
  }

  drawFaultLabels() {
    const { context, trace, view, colors } = this;
    const [from, to] = view.times();
    const free = new Map();
    context.font = font(11, 600);
    context.textAlign = "left";
    const inSight = trace.faults.filter((fault) => (fault.to ?? Infinity) >= from && fault.from <= to && fault.lanes.length > 0);
    for (const fault of inSight) {
      const end = fault.to ?? Infinity;
      // With many faults, only those with room for it get labels.
      if (inSight.length > MOST_NAMED && view.x(Math.min(end, to)) - view.x(Math.max(fault.from, from)) < 60) continue;
      const x = Math.max(view.x(Math.max(fault.from, from)), this.gutter) + 4;
      const top = Math.min(...fault.lanes.map((lane) => this.yOf(lane)));
      const y = fault.pairs.length > 0 ? top - 8 : top - this.spacing * 0.3 - 3;
      const key = Math.round(y / 10);
      const until = Math.max(view.x(Math.min(end, to)), x + 90);
      const label = fitted(context, fault.label, Math.min(until, this.width) - x);
      if (label === "" || x < (free.get(key) ?? -Infinity)) continue;
      const wide = context.measureText(label).width;
      free.set(key, x + wide + 6);
      context.fillStyle = colors.paper;
      context.globalAlpha = 0.85;
      context.fillRect(x - 2, y - 11, wide + 4, 14);
      context.globalAlpha = 1;
      context.fillStyle = colors.fault;
      context.fillText(label, x, y);
    }
  }

  /** Highlights each lifeline while its server holds the selected update. */
  drawHolding(update) {
    const { context, trace, timelines, colors, view } = this;
    const [from, to] = view.times();
    context.strokeStyle = colors.useful;
    context.lineWidth = 5;
    context.globalAlpha = 0.4;
    for (const { lane, event } of trace.updates[update].arrivals) {
      if (lane < 0) continue;
      const running = timelines.running.get(lane);
      const next = running.events.find((change) => change > event);
      const [t0, t1] = [trace.at[event], next === undefined ? Infinity : trace.at[next]];
      if (t1 < from || t0 > to) continue;
      context.beginPath();
      context.moveTo(view.x(Math.max(t0, from)), this.yOf(lane));
      context.lineTo(t1 >= to ? this.right : view.x(t1), this.yOf(lane));
      context.stroke();
    }
    context.globalAlpha = 1;
  }

  /** Draws the visible messages by kind: dim ones first, then highlighted ones. */
  drawMessages() {
    const { trace, view } = this;
    const [from, to] = view.times();
    const [first, last] = trace.between(from, to);
    const lit = this.selection()?.lit;
    const groups = new Map();
    let inSight = 0;
    this.drawn = { messages: 0, lit: 0, strokes: 0 };
    for (let m = first; m < last; m++) {
      if (trace.ends[m] < from || trace.to[m] < 0 || !this.shows(m)) continue;
      inSight++;
      const isLit = lit !== undefined && trace.isLit(lit, m);
      if (isLit) this.drawn.lit++;
      const key = (isLit ? 16 : 0) + trace.class[m];
      const group = groups.get(key);
      if (group) group.push(m);
      else groups.set(key, [m]);
    }
    this.drawn.messages = inSight;
    for (const key of [...groups.keys()].sort((a, b) => a - b)) {
      const isLit = key >= 16;
      this.drawGroup(groups.get(key), trace.classes[key % 16], isLit, this.drawn.lit > 0, inSight > DENSE);
    }
    for (const m of new Set([this.hover, this.focus])) {
      if (m >= first && m < last) this.drawGroup([m], trace.classOf(m), true, false, false, 2);
    }
  }

  drawGroup(messages, kind, isLit, someAreLit, dense, more = 0) {
    const { context, trace, colors } = this;
    const look = LOOKS[kind];
    context.strokeStyle = context.fillStyle = colors[look.color];
    context.lineWidth = look.width + more;
    const faint = kind === "duplicate" && trace.servers.length > LARGE ? 0.4 : 1;
    context.globalAlpha = (someAreLit && !isLit ? 0.4 : 1) * faint;
    if (dense && messages.length > DENSE / 10) {
      this.drawDense(messages, (someAreLit && !isLit ? 0.55 : 1) * faint);
      return;
    }
    this.drawn.strokes += messages.length;
    const slopes = messages.map((m) => this.slope(m));
    context.setLineDash(look.dash);
    context.beginPath();
    for (const [x1, y1, x2, y2] of slopes) {
      context.moveTo(x1, y1);
      context.lineTo(x2, y2);
    }
    context.stroke();
    context.setLineDash([]);
    const size = clamp(this.spacing / 6, 5, 9) + more;
    slopes.forEach(([x1, y1, x2, y2], at) => {
      const head = trace.heard[messages[at]] === 0 ? "cross" : look.head;
      if (x2 > this.gutter - 10 && x2 < this.width + 10) drawHead(context, head, x1, y1, x2, y2, size);
    });
    context.globalAlpha = 1;
  }

  /** A message's line as [x1, y1, x2, y2]. The line of a lost message ends on its way. */
  slope(message) {
    const { trace, view } = this;
    const [y1, y2] = [this.yOf(trace.from[message]), this.yOf(trace.to[message])];
    const [x1, x2] = [view.x(trace.begins[message]), view.x(trace.ends[message])];
    if (trace.heard[message] > 0) return [x1, y1, x2, y2];
    return [x1, y1, x1 + Math.min((x2 - x1) * 0.6, 60), y1 + (y2 - y1) * 0.6];
  }

  /** Draws adjacent messages as one slanted band, and a message without neighbours as a line. */
  drawDense(messages, alpha) {
    const { context, trace } = this;
    const [bands, lines] = [new Path2D(), new Path2D()];
    const draw = ([a1, a2, b1, b2, y1, y2]) => {
      this.drawn.strokes++;
      const path = b1 - a1 < 1 ? lines : bands;
      path.moveTo(a1, y1);
      path.lineTo(a2, y2);
      if (path === lines) return;
      path.lineTo(b2, y2);
      path.lineTo(b1, y1);
      path.closePath();
    };
    const runs = new Map();
    for (const m of messages) {
      const [x1, y1, x2, y2] = this.slope(m);
      const way = trace.rowOf[trace.from[m]] * trace.rows.length + trace.rowOf[trace.to[m]];
      const run = runs.get(way);
      if (run && x1 - run[2] <= SAME && Math.abs(x2 - run[3]) <= SAME * 3 && y2 === run[5]) {
        run[2] = x1;
        run[3] = Math.max(run[3], x2);
        continue;
      }
      if (run) draw(run);
      runs.set(way, [x1, x2, x1, x2, y1, y2]);
    }
    for (const run of runs.values()) draw(run);
    context.globalAlpha = alpha * 0.75;
    context.stroke(lines);
    context.globalAlpha = alpha * 0.5;
    context.fill(bands);
    context.globalAlpha = 1;
  }

  /** Marks where each server accepted the selected update, with the number of hops. */
  drawArrivals() {
    const selected = this.selection();
    if (selected?.update === undefined) return;
    const { context, trace, view, colors } = this;
    context.font = font(11, 700);
    context.textAlign = "center";
    for (const arrival of trace.updates[selected.update].arrivals) {
      const { lane, event, hops } = arrival;
      if (lane < 0) continue;
      const [x, y] = [view.x(trace.at[event]), this.yOf(lane)];
      const radius = clamp(this.spacing / 6, 7, 9.5);
      context.fillStyle = colors.useful;
      context.beginPath();
      context.arc(x + radius * 0.6, y, radius, 0, 7);
      context.fill();
      context.strokeStyle = colors.paper;
      context.lineWidth = 1.5;
      context.stroke();
      context.fillStyle = colors.paper;
      context.fillText(String(hops), x + radius * 0.6, y + 4);
      if (!this.app.isOtherwise(trace, selected.update, arrival)) continue;
      context.strokeStyle = colors.duplicate;
      context.lineWidth = 2;
      context.setLineDash([4, 2]);
      context.beginPath();
      context.arc(x + radius * 0.6, y, radius + 4, 0, 7);
      context.stroke();
      context.setLineDash([]);
    }
  }

  drawCursor() {
    if (!this.follows) return;
    const { context, view, colors } = this;
    const x = view.x(this.app.time);
    if (x < this.gutter - 4 || x > this.width) return;
    context.strokeStyle = context.fillStyle = colors.mark;
    context.lineWidth = 1.5;
    context.beginPath();
    context.moveTo(x, this.top - 10);
    context.lineTo(x, this.height);
    context.stroke();
    context.beginPath();
    context.moveTo(x - 6, this.top - 12);
    context.lineTo(x + 6, this.top - 12);
    context.lineTo(x, this.top - 3);
    context.fill();
  }

  drawNames() {
    const { context, trace, colors } = this;
    context.textAlign = "right";
    trace.rows.forEach((row, index) => {
      context.font = font(this.font, row.kind === "server" ? 600 : 400);
      context.fillStyle = row.kind === "server" ? colors.ink : colors.soft;
      context.fillText(fitted(context, row.name, this.gutter - 14), this.gutter - 10, this.y(index) + 4);
    });
  }

  /** The message nearest to a pixel, or -1 if none is near. */
  messageAt(x, y) {
    const { trace, view } = this;
    const [from, to] = [view.timeAt(x - 300), view.timeAt(x + 300)];
    const [first, last] = trace.between(from, to);
    const lit = this.selection()?.lit;
    let best = -1;
    let least = 8;
    for (let m = first; m < last; m++) {
      if (trace.to[m] < 0 || !this.shows(m)) continue;
      const [y1, y2] = [this.yOf(trace.from[m]), this.yOf(trace.to[m])];
      if (y < Math.min(y1, y2) - 8 || y > Math.max(y1, y2) + 8) continue;
      const [x1, x2] = [view.x(trace.begins[m]), view.x(trace.ends[m])];
      const far = distance(x, y, x1, y1, x2, y2) - (lit && trace.isLit(lit, m) ? 1.5 : 0);
      if (far < least) [best, least] = [m, far];
    }
    return best;
  }
}

/** The distance of a point from a line segment. */
function distance(x, y, x1, y1, x2, y2) {
  const [dx, dy] = [x2 - x1, y2 - y1];
  const share = clamp(((x - x1) * dx + (y - y1) * dy) / (dx * dx + dy * dy || 1), 0, 1);
  return Math.hypot(x - x1 - share * dx, y - y1 - share * dy);
}
