/**
 * Where a player stands in a stream that may still grow. Plain numbers, no DOM.
 *
 * While frames are made it follows: at the end of what exists it waits for more. Whoever goes back
 * leaves that, and what exists so far is played, again and again if `loop` is on.
 */
export class Playback {
  constructor(stream, { playing = true, loop = true } = {}) {
    this.stream = stream;
    this.position = stream.start;
    this.playing = playing;
    this.loop = loop;
    this.following = true;
  }

  /** Last position that has a frame. */
  get last() {
    return Math.max(this.stream.start, this.stream.reached - 1);
  }

  /** Whether it plays, but has to wait for frames. */
  get waiting() {
    return this.playing && this.following && this.stream.running && this.#atEnd();
  }

  /** Let time pass; returns whether the position changed. */
  advance(seconds) {
    if (!this.playing || !this.stream.px.length) return false;
    const before = this.position;
    const reached = this.stream.reached;
    this.position += seconds * this.stream.facts.fps;
    if (this.position >= reached) this.#reachEnd(reached);
    return Math.floor(before) !== Math.floor(this.position);
  }

  toggle() {
    if (!this.playing && !this.stream.running && !this.loop && this.#atEnd()) {
      this.position = this.stream.start;
    }
    this.playing = !this.playing;
  }

  /** Go to a position, as far as frames exist; at the newest one it follows again. */
  seek(position) {
    this.position = Math.min(this.last, Math.max(this.stream.start, position));
    this.following = this.position >= this.last;
  }

  /** Go to the newest frame and stay there while more are made. */
  follow() {
    this.seek(this.last);
    this.playing = true;
  }

  #atEnd() {
    return this.position >= this.last;
  }

  #reachEnd(reached) {
    if (this.stream.running && (this.following || !this.loop)) {
      this.following = true;
      this.position = Math.max(this.stream.start, reached - 0.001);
    } else if (this.loop) {
      this.position = this.stream.start;
    } else {
      this.position = this.last;
      this.playing = false;
    }
  }
}
