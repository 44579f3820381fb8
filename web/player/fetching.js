/** Fetches the frames of this page's streams; nobody else can, see secret.js. */
import { api } from "../../../scripts/api.js";
import { ownPage } from "./secret.js";

const ROUTE = "/causvid/live";
const HEADER = "CausVid-Secret";

/** This page's streams on the server, each as an event. */
export async function knownStreams() {
  const answer = await ask({});
  return answer?.streams ?? [];
}

/**
 * Fetch all frames that are there, and call `arrived` after every portion. Only one such request
 * per stream at a time.
 */
export async function catchUp(stream, arrived) {
  if (stream.fetching) return;
  stream.fetching = true;
  try {
    while (stream.behind) {
      const event = await ask({
        prompt_id: stream.facts.prompt_id, node_id: stream.facts.node_id, after: stream.newest,
      });
      if (!event?.frames?.length) return;
      stream.add(event);
      arrived();
    }
  } finally {
    stream.fetching = false;
  }
}

async function ask(query) {
  const page = await ownPage();
  if (!page) return null;
  try {
    const answer = await api.fetchApi(`${ROUTE}?${new URLSearchParams(query)}`, {
      headers: { [HEADER]: page.secret },
    });
    return answer.ok ? await answer.json() : null;
  } catch {
    return null; // the server is unreachable; the next event or reconnection asks again
  }
}
