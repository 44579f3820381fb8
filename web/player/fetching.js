/** Fetches frames that this page missed, before a reload or because it was too slow. */
import { api } from "../../../scripts/api.js";

const ROUTE = "/causvid/live";

/** This client's streams on the server, each as an event without frames. */
export async function knownStreams() {
  const answer = await ask({});
  return answer?.streams ?? [];
}

/** Fetch all missing frames after px frame `after`; only one such request per stream at a time. */
export async function catchUp(stream, after) {
  if (stream.fetching) return;
  stream.fetching = true;
  try {
    for (let from = after; ; ) {
      const event = await ask({
        prompt_id: stream.facts.prompt_id, node_id: stream.facts.node_id, after: from,
      });
      if (!event?.frames?.length) return;
      stream.add(event);
      from = event.frames.at(-1).px_frame;
    }
  } finally {
    stream.fetching = false;
  }
}

async function ask(query) {
  const parameters = new URLSearchParams({ client_id: api.clientId ?? "", ...query });
  try {
    const answer = await api.fetchApi(`${ROUTE}?${parameters}`);
    return answer.ok ? await answer.json() : null;
  } catch {
    return null; // the server is unreachable; the next event or reconnection asks again
  }
}
