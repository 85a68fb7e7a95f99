// Folds quiet stretches of time. A stretch without visible events that is much longer than a
// message's delay gets a small fixed width and a label with its duration. Busy stretches keep one
// scale, so slopes can be compared.

/** Quiet stretches longer than this number of typical delays are folded. */
const QUIET = 6;

class Fold {
  /** `busy` are [from, to] stretches in which something happens; `folding` is whether to fold at all. */
  constructor(trace, busy, folding) {
    const { typical, end } = trace;
    const pad = typical * 0.8;
    const from = 0;
    const to = Math.max(end, typical);
    this.from = from;
    this.to = to;
    const merged = [];
    busy.sort((a, b) => a[0] - b[0]);
    for (const [begin, finish] of busy) {
      const stretch = [clamp(begin - pad, from, to), clamp(finish + pad, from, to)];
      const last = merged[merged.length - 1];
      if (last && stretch[0] <= last[1] + typical * QUIET) last[1] = Math.max(last[1], stretch[1]);
      else merged.push(stretch);
    }
    this.parts = folding && merged.length > 0 ? this.cut(merged, typical) : [part(from, to, 0, to - from, false)];
    this.width = this.parts[this.parts.length - 1].w1;
  }

  cut(merged, typical) {
    const parts = [];
    const busy = merged.reduce((sum, [begin, finish]) => sum + finish - begin, 0);
    const quiet = merged.length + 1;
    // Folded stretches take at most about a third of the width together.
    const room = Math.max(Math.min(typical, (busy * 0.5) / quiet), (busy * 0.2) / quiet, 1);
    let at = this.from;
    let width = 0;
    const add = (to, folded) => {
      const wide = folded ? Math.min(room, to - at) : to - at;
      if (to > at) parts.push(part(at, to, width, width + wide, folded && wide < to - at));
      width += to > at ? wide : 0;
      at = Math.max(at, to);
    };
    for (const [begin, finish] of merged) {
      add(begin, true);
      add(finish, false);
    }
    add(this.to, true);
    return parts;
  }

  /** The position of a time. */
  place(time) {
    const { parts } = this;
    const index = firstWhere(parts.length, (at) => parts[at].t1 >= time);
    const found = parts[Math.min(index, parts.length - 1)];
    return found.w0 + ((time - found.t0) * (found.w1 - found.w0)) / (found.t1 - found.t0);
  }

  /** The time at a position. */
  time(place) {
    const { parts } = this;
    const index = firstWhere(parts.length, (at) => parts[at].w1 >= place);
    const found = parts[Math.min(index, parts.length - 1)];
    return found.t0 + ((place - found.w0) * (found.t1 - found.t0)) / (found.w1 - found.w0);
  }
}

function part(t0, t1, w0, w1, folded) {
  return { t0, t1, w0, w1, folded };
}

/** The stretches of a trace with visible events. */
function busyStretches(trace, shows) {
  const busy = [];
  for (let m = 0; m < trace.messageCount; m++) {
    if (!shows(m)) continue;
    const [begin, end] = [trace.begins[m], trace.heard[m] > 0 ? trace.ends[m] : trace.begins[m]];
    // Only the ends of a message count if it takes long: nothing happens in between.
    if (end - begin <= trace.typical * QUIET) busy.push([begin, end]);
    else busy.push([begin, begin], [end, end]);
  }
  for (const fault of trace.faults) {
    busy.push([fault.from, fault.from]);
    if (fault.to !== null) busy.push([fault.to, fault.to]);
  }
  return busy;
}
