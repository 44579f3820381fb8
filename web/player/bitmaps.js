/** A few decoded frames of one stream; frames that leave are freed at once. */

const MOST = 24;

export class Bitmaps {
  #decoded = new Map(); // blob -> ImageBitmap, least lately used first
  #decoding = new Map(); // blob -> promise
  #broken = new WeakSet(); // blobs that are not pictures; the frame before them stays on screen
  #closed = false;

  /** The bitmap of a compressed frame if it is decoded; else null, and `then` is called later. */
  get(blob, then) {
    const bitmap = this.#decoded.get(blob);
    if (bitmap) {
      this.#decoded.delete(blob);
      this.#decoded.set(blob, bitmap);
      return bitmap;
    }
    if (!this.#broken.has(blob)) this.#decode(blob).then(then);
    return null;
  }

  /** Decode ahead of time. */
  prepare(blob) {
    if (!this.#decoded.has(blob)) this.#decode(blob);
  }

  /** Free everything; nothing can be decoded afterwards. */
  close() {
    this.#closed = true;
    for (const bitmap of this.#decoded.values()) bitmap.close();
    this.#decoded.clear();
  }

  #decode(blob) {
    if (!this.#decoding.has(blob)) {
      const work = createImageBitmap(blob)
        .then((bitmap) => this.#keep(blob, bitmap))
        .catch(() => this.#broken.add(blob))
        .finally(() => this.#decoding.delete(blob));
      this.#decoding.set(blob, work);
    }
    return this.#decoding.get(blob);
  }

  #keep(blob, bitmap) {
    if (this.#closed) {
      bitmap.close();
      return;
    }
    this.#decoded.set(blob, bitmap);
    while (this.#decoded.size > MOST) {
      const [oldest, unused] = this.#decoded.entries().next().value;
      unused.close();
      this.#decoded.delete(oldest);
    }
  }
}
