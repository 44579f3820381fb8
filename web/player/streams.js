/**
 * The newest stream of every node of every workflow that this page has queued, bounded.
 *
 * They are kept apart from the nodes, because the editor recreates those whenever a workflow opens.
 */
import { FrameStream } from "./frames.js";

const MOST_STREAMS = 16;
const MOST_BYTES = 160 * 1024 * 1024;

export class Streams {
  #byPlace = new Map(); // least recently updated first

  /** The stream of an event, or of a stream that the server lists. */
  of(facts) {
    const place = `${facts.workflow_id ?? ""} ${facts.node_id}`;
    let stream = this.#byPlace.get(place);
    const another = !stream || stream.facts.prompt_id !== facts.prompt_id;
    // A list of inputs runs a node several times within one prompt; each run is a new stream.
    if (another || (!stream.running && facts.state === "running")) stream = new FrameStream(facts);
    this.#byPlace.delete(place);
    this.#byPlace.set(place, stream);
    this.#bound(stream);
    return stream;
  }

  /** All of them. */
  all() {
    return [...this.#byPlace.values()];
  }

  /** Whether a stream is still one of them. */
  holds(stream) {
    return this.all().includes(stream);
  }

  #bound(newest) {
    let bytes = this.all().reduce((sum, stream) => sum + stream.bytes, 0);
    for (const [place, stream] of this.#byPlace) {
      if (stream === newest) return;
      if (this.#byPlace.size <= MOST_STREAMS && bytes <= MOST_BYTES) return;
      this.#byPlace.delete(place);
      bytes -= stream.bytes;
    }
  }
}
