/**
 * The frames of one run of a node, as the server sent them: compressed, sorted, bounded.
 *
 * A frame is shown from its px frame until the next one. Positions count px frames of the whole
 * stream; this run makes those from `start` to `end`.
 */

const MOST_BYTES = 64 * 1024 * 1024;

export class FrameStream extends EventTarget {
  #spacing = 1; // px frames between frames after thinning

  constructor(facts) {
    super();
    this.facts = facts;
    this.px = [];
    this.images = [];
    this.bytes = 0;
    this.reached = facts.start_px_frame;
  }

  /** First px frame of this run. */
  get start() {
    return this.facts.start_px_frame;
  }

  /** Px frame after the last one that this run is expected to make. */
  get end() {
    return Math.max(this.facts.end_px_frame, this.reached);
  }

  /** Px frame of the newest picture, or -1. */
  get newest() {
    return this.px.at(-1) ?? -1;
  }

  /** Whether the server has frames that are not here. */
  get behind() {
    return this.facts.newest_px_frame > this.newest;
  }

  get running() {
    return this.facts.state === "running";
  }

  /** Add the facts of a server event, or frames with them; dispatches "change". */
  add(event) {
    const { frames, image_type: type, ...facts } = event;
    const older = facts.block < this.facts.block || !this.running;
    if (!older) this.facts = facts;
    for (const frame of frames ?? []) this.#insert(frame.px_frame, toBlob(frame.image, type));
    if (this.px.length) this.reached = Math.max(this.reached, this.newest + 1);
    if (this.px.length && facts.newest_px_frame <= this.newest) {
      this.reached = Math.max(this.reached, facts.next_px_frame);
    }
    if (this.bytes > MOST_BYTES) this.#thin(MOST_BYTES / 2);
    this.dispatchEvent(new Event("change"));
  }

  /** Mark it as stopped, because the server no longer knows it. */
  endEarly() {
    this.facts = { ...this.facts, state: "stopped" };
    this.dispatchEvent(new Event("change"));
  }

  /** Index of the frame to show at a position; -1 if there are no frames. */
  indexAt(position) {
    let low = 0;
    let high = this.px.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.px[middle] <= position) low = middle + 1;
      else high = middle;
    }
    return this.px.length ? Math.max(0, low - 1) : -1;
  }

  #insert(px, blob) {
    const index = this.indexAt(px);
    if (index >= 0 && this.px[index] === px) return;
    const place = index < 0 || this.px[index] > px ? 0 : index + 1;
    this.px.splice(place, 0, px);
    this.images.splice(place, 0, blob);
    this.bytes += blob.size;
  }

  /** Drop frames, evenly over the whole length, until the rest fits. */
  #thin(mostBytes) {
    while (this.bytes > mostBytes && this.px.length > 2) {
      const newest = this.px.length - 1;
      const kept = [0];
      for (let i = 1; i < newest; i++) {
        if (this.px[i] - this.px[kept.at(-1)] >= this.#spacing) kept.push(i);
      }
      kept.push(newest);
      if (kept.length === this.px.length) this.#spacing *= 2;
      this.px = kept.map((index) => this.px[index]);
      this.images = kept.map((index) => this.images[index]);
      this.bytes = this.images.reduce((sum, blob) => sum + blob.size, 0);
    }
  }
}

function toBlob(base64, type) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return new Blob([bytes], { type });
}
