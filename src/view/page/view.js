// The visible stretch of folded time, and the conversion of its positions to pixels.

class View {
  constructor(fold) {
    this.left = 0;
    this.pixels = 800;
    this.refold(fold);
  }

  /** Changes the folding. The visible times stay, unless the whole run was visible. */
  refold(fold) {
    const times = this.fold && !this.isWhole() ? [this.fold.time(this.w0), this.fold.time(this.w1)] : null;
    this.fold = fold;
    this.w0 = 0;
    this.w1 = fold.width;
    if (times) this.show(fold.place(times[0]), fold.place(times[1]));
  }

  isWhole() {
    return this.w0 <= 0 && this.w1 >= this.fold.width;
  }

  /** Shows the positions from w0 to w1, as far as they are in the run. */
  show(w0, w1) {
    const whole = this.fold.width;
    const wide = clamp(w1 - w0, Math.min(whole, 1000), whole);
    const middle = (w0 + w1) / 2;
    this.w0 = clamp(middle - wide / 2, 0, whole - wide);
    this.w1 = this.w0 + wide;
  }

  fit() {
    this.show(0, this.fold.width);
  }

  /** Shows a stretch of time with a margin on both sides. */
  showTimes(from, to, least) {
    const [w0, w1] = [this.fold.place(from), this.fold.place(to)];
    const room = Math.max((w1 - w0) * 0.12, (least - (w1 - w0)) / 2, 0);
    this.show(w0 - room, w1 + room);
  }

  /** Zooms, and keeps the position at pixel x. */
  zoom(factor, x = this.left + this.pixels / 2) {
    const at = this.placeAt(x);
    const wide = clamp((this.w1 - this.w0) * factor, Math.min(this.fold.width, 1000), this.fold.width);
    const share = (x - this.left) / this.pixels;
    this.show(at - wide * share, at - wide * share + wide);
  }

  pan(pixels) {
    const by = (pixels * (this.w1 - this.w0)) / this.pixels;
    this.show(this.w0 + by, this.w1 + by);
  }

  /** Pans so that a time is visible. */
  reveal(time) {
    const place = this.fold.place(time);
    const wide = this.w1 - this.w0;
    if (place < this.w0 + wide * 0.02 || place > this.w1 - wide * 0.02) this.show(place - wide / 2, place + wide / 2);
  }

  x(time) {
    return this.left + ((this.fold.place(time) - this.w0) * this.pixels) / (this.w1 - this.w0);
  }

  placeAt(x) {
    return this.w0 + ((x - this.left) * (this.w1 - this.w0)) / this.pixels;
  }

  timeAt(x) {
    return this.fold.time(clamp(this.placeAt(x), 0, this.fold.width));
  }

  /** The first and the last visible time. */
  times() {
    return [this.fold.time(this.w0), this.fold.time(this.w1)];
  }
}
