/**
 * The secret of this page, with which it fetches the frames of what it has queued, and its lock,
 * with which it queues. The lock is listed to everybody and tells nothing of the secret; see
 * nodes/host/live/pages.py.
 */
import { api } from "../../../scripts/api.js";

const ROUTE = "/causvid/live/secret";
const KEY = "causvid.page"; // in the tab's own storage, so that a reloaded page is the same page
const LOCK = "causvid_lock";

let asked = null;

/** Promise of {secret, lock}, or of null while the server does not give one. */
export function ownPage() {
  asked ??= remembered() ?? ask();
  return asked;
}

/** Let every prompt that this page queues carry the lock. */
export function markPrompts() {
  const fetchApi = api.fetchApi;
  api.fetchApi = async function (route, options, ...rest) {
    const queues = route === "/prompt" && options?.method === "POST";
    return fetchApi.call(this, route, queues ? await marked(options) : options, ...rest);
  };
}

async function marked(options) {
  const page = await ownPage();
  try {
    const body = JSON.parse(options.body);
    body.extra_data = { ...body.extra_data, [LOCK]: page.lock };
    return { ...options, body: JSON.stringify(body) };
  } catch {
    return options; // queued all the same, without frames
  }
}

function remembered() {
  try {
    const page = JSON.parse(sessionStorage.getItem(KEY));
    return page?.secret && page.lock ? Promise.resolve(page) : null;
  } catch {
    return null; // the browser keeps nothing
  }
}

async function ask() {
  try {
    const answer = await api.fetchApi(ROUTE, { cache: "no-store" });
    const page = await answer.json();
    if (!answer.ok) throw new Error(page.error);
    keep(page);
    return page;
  } catch {
    asked = null; // the next prompt asks again
    return null;
  }
}

function keep(page) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(page));
  } catch {
    // A reload will forget this page's streams.
  }
}
