/**
 * The live player: shows every block of a stream on its node as soon as it is made.
 *
 * The server sends `causvid.frames` to the page that queued the run, which then fetches the frames;
 * see nodes/host/live.
 */
import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";
import { loadTexts, t } from "../shared/i18n.js";
import { catchUp, knownStreams } from "./fetching.js";
import { hideOn, nodeAt, prepare, showOn } from "./nodes.js";
import { markPrompts } from "./secret.js";
import { Streams } from "./streams.js";

const SETTING = "CausVid.LiveFrames"; // also read by nodes/host/live/client.py
const streams = new Streams();

app.registerExtension({
  name: "causvidstream.player",
  settings: [
    {
      id: SETTING,
      category: ["CausVid", "Live", "Frames"],
      name: t("player.setting"),
      tooltip: t("player.setting_tooltip"),
      type: "boolean",
      defaultValue: true,
      onChange: (on) => placeAll(on),
    },
  ],
  init: loadTexts,
  setup() {
    markPrompts();
    api.addEventListener("causvid.frames", (event) => receive(event.detail));
    api.addEventListener("reconnected", recover);
    recover();
  },
  nodeCreated: (node) => prepare(node),
  afterConfigureGraph: () => placeAll(),
});

function receive(facts) {
  if (!enabled()) return;
  const stream = streams.of(facts);
  stream.add(facts);
  return catchUp(stream, () => { if (streams.holds(stream)) place(stream); });
}

/** Ask for the frames that this page had before a reload, or missed while it was disconnected. */
async function recover() {
  if (!enabled()) return;
  const known = await knownStreams();
  for (const facts of known) await receive(facts);
  const still = new Set(known.map((facts) => facts.prompt_id));
  for (const stream of streams.all()) {
    if (stream.running && !still.has(stream.facts.prompt_id)) stream.endEarly();
  }
}

function placeAll(on = enabled()) {
  for (const stream of streams.all()) place(stream, on);
}

/** Show a stream on its node, if its workflow is open and it has frames. */
function place(stream, on = enabled()) {
  const { workflow_id: workflow, node_id: id } = stream.facts;
  const root = app.rootGraph ?? app.graph;
  if (!root || (workflow && String(root.id) !== workflow)) return;
  const node = nodeAt(root, id);
  if (!node) return;
  if (!on) hideOn(node);
  else if (stream.px.length) showOn(node, stream);
}

function enabled() {
  return app.extensionManager?.setting?.get(SETTING) ?? true;
}
