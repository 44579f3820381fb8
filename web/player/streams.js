/**
 * The newest stream of every node of every workflow that this page has queued, bounded.
 *
 * They are kept apart from nodes, which the editor makes anew whenever a workflow is opened.
 */
import { FrameStream } from "./frames.js";

const MOST_STREAMS = 16;
const MOST_BYTES = 160 * 1024 * 1024;

export class Streams {
  #byPlace = new Map(); // the least lately fed first

  /** The stream that an event, or what the server tells of one, belongs to. */
  of(facts) {
    const place = `${facts.workflow_id ?? ""} ${facts.node_id}`;
    let stream = this.#byPlace.get(place);
    const another = !stream || stream.facts.prompt_id !== facts.prompt_id;
    // Another run within the same prompt, as lists of inputs make them, begins somewhere else.
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
