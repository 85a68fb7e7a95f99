// Gestures on the diagram: drag, wheel, pinch, hover, click, and keys while it has the focus.

class Gestures {
  constructor(diagram, tip, app) {
    Object.assign(this, { diagram, tip, app });
    this.fingers = new Map();
    this.moved = 0;
    const { canvas } = diagram;
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", (event) => this.up(event));
    canvas.addEventListener("pointercancel", (event) => this.fingers.delete(event.pointerId));
    canvas.addEventListener("pointerleave", () => this.hover(-1));
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("blur", () => this.focus(-1));
  }

  place(event) {
    const box = this.diagram.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  /**
   * The wheel alone scrolls the page. Sideways it pans the diagram; with Ctrl or ⌘ (or a pinch) it
   * zooms.
   */
  wheel(event) {
    const { view } = this.diagram;
    if (event.ctrlKey || event.metaKey) view.zoom(Math.exp(clamp(event.deltaY, -60, 60) / 120), this.place(event)[0]);
    else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) view.pan(event.deltaX || event.deltaY);
    else return;
    event.preventDefault();
    this.diagram.draw();
  }

  down(event) {
    if (this.fingers.size === 0) this.moved = 0;
    this.fingers.set(event.pointerId, [event.clientX, event.clientY]);
    this.diagram.canvas.setPointerCapture(event.pointerId);
  }

  move(event) {
    const before = this.fingers.get(event.pointerId);
    if (!before) {
      const message = this.diagram.messageAt(...this.place(event));
      this.hover(message, event);
      return;
    }
    const now = [event.clientX, event.clientY];
    this.moved += Math.abs(now[0] - before[0]) + Math.abs(now[1] - before[1]);
    const others = [...this.fingers].filter(([id]) => id !== event.pointerId);
    const { view } = this.diagram;
    if (others.length === 0) {
      view.pan(before[0] - now[0]);
    } else {
      const other = others[0][1][0];
      const [wide, wider] = [Math.abs(before[0] - other), Math.abs(now[0] - other)];
      const box = this.diagram.canvas.getBoundingClientRect();
      if (wide > 8 && wider > 8) view.zoom(wide / wider, (now[0] + other) / 2 - box.left);
    }
    this.fingers.set(event.pointerId, now);
    this.diagram.draw();
  }

  up(event) {
    this.fingers.delete(event.pointerId);
    if (this.moved > 6) return;
    const [x, y] = this.place(event);
    const message = this.diagram.messageAt(x, y);
    const { trace, view } = this.diagram;
    if (message >= 0) {
      this.app.select(trace, { message });
      if (event.pointerType !== "mouse") this.hover(message, event);
    } else if (x > this.diagram.gutter) {
      this.hover(-1);
      if (this.diagram.follows) this.app.moveTo(view.timeAt(x));
    }
  }

  hover(message, event) {
    const { diagram, tip } = this;
    if (diagram.hover !== message) {
      diagram.hover = message;
      diagram.canvas.style.cursor = message >= 0 ? "pointer" : "";
      diagram.draw();
    }
    tip.hidden = message < 0;
    if (message < 0) return;
    tip.replaceChildren(...describeMessage(diagram.trace, message));
    const box = diagram.canvas.parentElement.getBoundingClientRect();
    const x = clamp(event.clientX - box.left + 14, 4, Math.max(box.width - tip.offsetWidth - 4, 4));
    const below = event.clientY - box.top + 18;
    const above = event.clientY - box.top - tip.offsetHeight - 12;
    tip.style.left = `${x}px`;
    tip.style.top = `${below + tip.offsetHeight > box.height && above > 0 ? above : below}px`;
  }

  /** Arrow keys move from message to message; Enter selects the focused message. */
  key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const steps = { ArrowRight: 1, ArrowLeft: -1 };
    const { diagram } = this;
    if (event.shiftKey && event.key in steps) {
      diagram.view.pan(steps[event.key] * 80);
      diagram.draw();
    } else if (event.key in steps) {
      this.focus(this.next(steps[event.key]));
    } else if ((event.key === "Enter" || event.key === " ") && diagram.focus >= 0) {
      this.app.select(diagram.trace, { message: diagram.focus });
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  /** The next visible message; only highlighted ones count if something is selected. */
  next(step) {
    const { diagram } = this;
    const { trace } = diagram;
    const lit = diagram.selection()?.lit;
    const begin = diagram.focus >= 0 ? diagram.focus : trace.between(this.app.time, this.app.time)[0] - step;
    for (let m = begin + step; m >= 0 && m < trace.messageCount; m += step) {
      if (diagram.shows(m) && (!lit || trace.isLit(lit, m))) return m;
    }
    return diagram.focus;
  }

  focus(message) {
    const { diagram } = this;
    if (diagram.focus === message) return;
    diagram.focus = message;
    if (message >= 0) {
      diagram.view.reveal(diagram.trace.begins[message]);
      this.app.moveToEvent(diagram.trace.heard[message] || diagram.trace.sent[message], false);
      this.app.say(messageWords(diagram.trace, message));
    }
    diagram.draw();
  }
}

/** A message as one sentence. */
function messageWords(trace, message) {
  const look = LOOKS[trace.classOf(message)];
  const delay = trace.heard[message] > 0 ? `takes ${span(trace.ends[message] - trace.begins[message])}` : "never arrived";
  const hops = trace.hops[message] > 0 ? `, hop ${trace.hops[message]}` : "";
  const from = trace.name(trace.from[message]);
  return `${from} → ${trace.name(trace.to[message])}: ${look.words}${hops}, ${delay}. ${trace.words(trace.sent[message])}`;
}

/** A message as the lines of its tooltip, with its cause. */
function describeMessage(trace, message) {
  const sent = trace.sent[message];
  const heard = trace.heard[message];
  const kind = trace.classOf(message);
  const update = trace.carries[message];
  const lines = [
    el("strong", {}, `${trace.name(trace.from[message])} → ${trace.name(trace.to[message])}`),
    el("span", { class: "tip-kind" }, sample(kind), LOOKS[kind].words, trace.bySync.has(message) ? ", by synchronisation" : ""),
    el("code", {}, trace.words(sent)),
  ];
  if (update >= 0) {
    const hop = trace.hops[message] > 0 ? `, hop ${trace.hops[message]}` : "";
    lines.push(el("span", {}, `update ${trace.updates[update].name}${hop}`));
  }
  const when = heard > 0
    ? `sent ${moment(trace.begins[message])} s, there after ${span(trace.ends[message] - trace.begins[message])}`
    : `sent ${moment(trace.begins[message])} s, never arrived`;
  lines.push(el("span", {}, when));
  const cause = trace.cause[sent];
  if (cause > 0) lines.push(el("span", { class: "quiet" }, `because ${eventWords(trace, cause)}`));
  return lines;
}

/** An event as one sentence. */
function eventWords(trace, event) {
  const who = trace.who[event] >= 0 ? trace.name(trace.who[event]) : "";
  const kind = trace.kindOf(event);
  if (kind === "line-in" || kind === "line-out") {
    const message = kind === "line-in" ? trace.ofHearing[event] : trace.ofSending[event];
    const other = message < 0 ? "somebody" : trace.name(kind === "line-in" ? trace.from[message] : trace.to[message]);
    return kind === "line-in" ? `${who} hears from ${other}: ${trace.words(event)}` : `${who} tells ${other}: ${trace.words(event)}`;
  }
  return `${who} ${trace.words(event)}`;
}
