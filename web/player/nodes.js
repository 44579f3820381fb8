/** Players on nodes of the graph: found by execution id, shown as a widget that is never saved. */
import { Player } from "./player.js";

const WIDGET = "causvid_live";
const MARGIN = 6;
const PADDING = 6; // as in player.css
const BARS = 58; // px of the player's controls
const SMALLEST_STAGE = 72;
const LARGEST_STAGE = 400;

const players = new WeakMap(); // node -> {player, widget, height}

/** The node behind an execution id such as "12:7", node 7 within subgraph node 12; null if none. */
export function nodeAt(root, executionId) {
  let graph = root;
  let node = null;
  for (const id of String(executionId).split(":")) {
    node = graph?.getNodeById?.(id) ?? graph?.getNodeById?.(Number(id)) ?? null;
    graph = node?.subgraph;
  }
  return node;
}

/** Show a stream on a node, from its start unless it is shown there already. */
export function showOn(node, stream) {
  const shown = players.get(node);
  if (shown) shown.player.show(stream);
  else add(node, stream);
}

/** Take the player off a node; it gets back the height it had. */
export function hideOn(node) {
  const shown = players.get(node);
  if (!shown) return;
  forget(node);
  node.removeWidget(shown.widget);
  node.setSize([node.size[0], shown.height]);
  node.setDirtyCanvas?.(true, true);
}

function add(node, stream) {
  const player = new Player(stream);
  const height = node.size[1];
  const stage = stageHeight(node.size[0] - 2 * (MARGIN + PADDING), stream.facts);
  const widget = node.addDOMWidget(WIDGET, "causvid_player", player.root, {
    serialize: false,
    hideOnZoom: false,
    margin: MARGIN,
    getMinHeight: () => SMALLEST_STAGE + BARS + 2 * MARGIN,
    getValue: () => "",
    setValue: () => {},
  });
  widget.serialize = false;
  placeBeforePreview(node, widget);
  players.set(node, { player, widget, height });
  prepare(node);
  // Nodes that are elements grow by themselves.
  if (!LiteGraph.vueNodesMode) {
    node.setSize([node.size[0], height + stage + BARS + 2 * MARGIN]);
  }
  node.setDirtyCanvas?.(true, true);
}

/** Above the editor's own still picture, which is not saved either. */
function placeBeforePreview(node, widget) {
  const preview = node.widgets.findIndex((other) => other.name.startsWith("$$canvas-image"));
  const own = node.widgets.indexOf(widget);
  if (preview < 0 || own < preview) return;
  node.widgets.splice(own, 1);
  node.widgets.splice(preview, 0, widget);
}

/** Chain what a node calls when it is saved and removed; once for each node. */
function prepare(node) {
  if (node.causvidPlayer) return;
  Object.defineProperty(node, "causvidPlayer", { value: true }); // not enumerable: never saved
  const { onSerialize, onRemoved } = node;
  node.onSerialize = function (saved) {
    const result = onSerialize?.apply(this, arguments);
    const shown = players.get(this);
    if (shown) saved.size = [saved.size[0], shown.height];
    return result;
  };
  node.onRemoved = function () {
    forget(this);
    return onRemoved?.apply(this, arguments);
  };
}

function forget(node) {
  players.get(node)?.player.destroy();
  players.delete(node);
}

function stageHeight(width, facts) {
  const wanted = (width * facts.height) / facts.width;
  return Math.round(Math.min(LARGEST_STAGE, Math.max(SMALLEST_STAGE, wanted)));
}
