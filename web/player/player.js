/** One node's player: a stream, the position in it, and its elements. */
import { Bitmaps } from "./bitmaps.js";
import { Playback } from "./playback.js";
import { buildView } from "./view.js";
import { describe } from "./words.js";

const AHEAD = 4; // frames to decode ahead
const LONGEST_TICK = 0.25; // seconds; a page that was asleep does not skip frames

export class Player {
  #bitmaps = new Bitmaps();
  #drawn = null; // the compressed frame on the canvas
  #frame = 0; // id of requestAnimationFrame, 0 while idle
  #then = 0;
  #seen = true;
  #observer;
  #changed = () => this.#update();

  constructor(stream) {
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.playback = new Playback(stream, { playing: !still });
    this.view = buildView({
      toggle: () => this.#act(() => this.playback.toggle()),
      loop: () => this.#act(() => { this.playback.loop = !this.playback.loop; }),
      follow: () => this.#act(() => this.playback.follow()),
      seek: (px) => this.#act(() => this.playback.seek(px)),
      key: (event) => this.#key(event),
    });
    this.root = this.view.root;
    this.#observer = new IntersectionObserver((entries) => {
      this.#seen = entries.at(-1).isIntersecting;
      this.#update();
    });
    this.#observer.observe(this.root);
    this.stream = stream;
    stream.addEventListener("change", this.#changed);
    this.#update();
  }

  /** Play another run's stream, from its start. */
  show(stream) {
    if (stream === this.stream) return;
    this.stream.removeEventListener("change", this.#changed);
    this.#bitmaps.close();
    this.#bitmaps = new Bitmaps();
    this.stream = stream;
    const { loop } = this.playback;
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.playback = new Playback(stream, { playing: !still, loop });
    stream.addEventListener("change", this.#changed);
    this.#update();
  }

  /** Free everything. */
  destroy() {
    cancelAnimationFrame(this.#frame);
    this.#observer.disconnect();
    this.stream.removeEventListener("change", this.#changed);
    this.#bitmaps.close();
    this.root.remove();
  }

  #act(change) {
    change();
    this.#update();
  }

  #update() {
    this.#say();
    this.#draw();
    const moves = this.playback.playing && !this.playback.waiting && this.#seen;
    if (moves && !this.#frame && this.stream.px.length) {
      this.#then = performance.now();
      this.#frame = requestAnimationFrame((now) => this.#tick(now));
    }
  }

  #tick(now) {
    this.#frame = 0;
    const passed = Math.min(LONGEST_TICK, Math.max(0, (now - this.#then) / 1000));
    this.#then = now;
    if (this.playback.advance(passed)) {
      this.#say();
      this.#draw();
    }
    if (!this.playback.playing || this.playback.waiting || !this.#seen) {
      this.#say();
      return;
    }
    this.#frame = requestAnimationFrame((next) => this.#tick(next));
  }

  #draw() {
    const index = this.stream.indexAt(this.playback.position);
    if (index < 0) return;
    const blob = this.stream.images[index];
    if (blob !== this.#drawn) {
      const bitmap = this.#bitmaps.get(blob, () => this.#draw());
      if (bitmap) {
        this.view.draw(bitmap);
        this.#drawn = blob;
      }
    }
    if (!this.playback.playing) return;
    for (const next of this.stream.images.slice(index + 1, index + 1 + AHEAD)) {
      this.#bitmaps.prepare(next);
    }
  }

  #say() {
    const { stream, playback } = this;
    const position = Math.min(playback.last, Math.floor(playback.position));
    this.view.say({
      ...describe(stream, position),
      position,
      aspect: `${stream.facts.width} / ${stream.facts.height}`,
      start: stream.start,
      end: stream.end,
      last: playback.last,
      playing: playback.playing,
      loop: playback.loop,
      following: playback.following,
      waiting: playback.waiting,
      running: stream.running,
      state: stream.facts.state,
    });
  }

  /** Space: play or pause. Arrows: one frame, with Shift one second. Home, End: the two ends. */
  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { playback, stream } = this;
    const far = event.shiftKey ? stream.facts.fps : 1;
    const at = Math.floor(playback.position);
    const go = (px) => () => { playback.playing = false; playback.seek(px); };
    const actions = {
      " ": event.target.tagName === "BUTTON" ? null : () => playback.toggle(),
      ArrowLeft: go(at - far),
      ArrowRight: go(at + far),
      Home: go(stream.start),
      End: stream.running ? () => playback.follow() : go(playback.last),
    };
    if (!(event.key in actions)) return;
    event.stopPropagation();
    if (!actions[event.key]) return;
    event.preventDefault();
    this.#act(actions[event.key]);
  }
}
