/**
 * The position of a player in a stream that may still grow. Plain numbers, no DOM.
 *
 * While frames are being made it follows them: at the newest frame it waits for more. After a seek
 * back it plays the frames made so far, and repeats them if `loop` is on.
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

  /** Whether it plays but must wait for frames. */
  get waiting() {
    return this.playing && this.following && this.stream.running && this.#atEnd();
  }

  /** Advance the time; returns whether the position changed. */
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

  /** Go to a position, limited to existing frames; at the newest frame it follows again. */
  seek(position) {
    this.position = Math.min(this.last, Math.max(this.stream.start, position));
    this.following = this.position >= this.last;
  }

  /** Go to the newest frame and follow new ones. */
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
