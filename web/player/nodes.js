/**
 * Puts players on nodes of the graph, as a widget that is never saved.
 *
 * Every node that makes a stream gets the widget when it is created, empty and without height,
 * because Vue nodes of older editors do not notice widgets that are added later.
 */
import { Player } from "./player.js";

const WIDGET = "causvid_live";
const MARGIN = 6;
const PADDING = 6; // as in player.css
const BARS = 60; // px of the player's controls and padding
const SMALLEST_STAGE = 72;
const LARGEST_STAGE = 400;
const KINDS = new Set([
  "CausVid_TextToVideo",
  "CausVid_ImageToVideo",
  "CausVid_VideoToVideo",
  "CausVid_ExtendVideo",
  "CausVid_RenderToVideo",
]);

const places = new WeakMap(); // node -> {holder, player, height}

/** The node of an execution id such as "12:7" (node 7 in subgraph node 12), or null. */
export function nodeAt(root, executionId) {
  let graph = root;
  let node = null;
  for (const id of String(executionId).split(":")) {
    node = graph?.getNodeById?.(id) ?? graph?.getNodeById?.(Number(id)) ?? null;
    graph = node?.subgraph;
  }
  return node;
}

/** Give a new node a place for a player, if it makes streams. */
export function prepare(node) {
  if (!KINDS.has(node.comfyClass) || places.has(node)) return;
  const holder = document.createElement("div");
  holder.className = "causvid-holder";
  holder.hidden = true;
  const place = { holder, player: null, height: 0 };
  places.set(node, place);
  const widget = node.addDOMWidget(WIDGET, "causvid_player", holder, {
    serialize: false,
    hideOnZoom: false,
    margin: MARGIN,
    getMinHeight: () => heightOf(place, node.size[0]),
    getMaxHeight: () => (place.player ? undefined : 0),
    getValue: () => "",
    setValue: () => {},
  });
  widget.serialize = false;

  const { onSerialize, onRemoved } = node;
  node.onSerialize = function (saved) {
    const result = onSerialize?.apply(this, arguments);
    if (place.player) saved.size = [saved.size[0], place.height]; // its size without the player
    // Editors match values to widgets by index; a widget that is not saved must not shift the rest.
    const own = this.widgets.indexOf(widget);
    if (saved.widgets_values?.length > own) saved.widgets_values.splice(own, 1);
    return result;
  };
  node.onRemoved = function () {
    empty(place);
    return onRemoved?.apply(this, arguments);
  };
}

/** Show a stream on a node, from its start unless the node shows it already. */
export function showOn(node, stream) {
  const place = places.get(node);
  if (!place) return;
  if (place.player) {
    place.player.show(stream);
    return;
  }
  place.player = new Player(stream);
  place.holder.append(place.player.root);
  place.holder.hidden = false;
  place.height = node.size[1];
  resize(node, place.height + heightOf(place, node.size[0]));
}

/** Remove the player from a node and restore the node's height. */
export function hideOn(node) {
  const place = places.get(node);
  if (!place?.player) return;
  empty(place);
  resize(node, place.height);
}

/** Height of the widget in px for a node's width: the whole picture, or 0 without a player. */
function heightOf(place, nodeWidth) {
  if (!place.player) return 0;
  const { width, height } = place.player.stream.facts;
  const stage = ((nodeWidth - 2 * (MARGIN + PADDING)) * height) / width;
  return Math.round(Math.min(LARGEST_STAGE, Math.max(SMALLEST_STAGE, stage))) + BARS + 2 * MARGIN;
}

function empty(place) {
  place.player?.destroy();
  place.player = null;
  place.holder.hidden = true;
}

/** Set the height of a canvas node; Vue nodes follow their content by themselves. */
function resize(node, height) {
  if (!LiteGraph.vueNodesMode) node.setSize([node.size[0], height]);
  node.setDirtyCanvas?.(true, true);
}
