/** What the connected nodes say about the stream that uses the schedule. */
import { PLAN } from "./layout.js";
import { FPS } from "./words.js";

/** Recipes with blocks of one latent frame, as causvid_core/stream/presets.py has them. */
export const FRAMEWISE = ["causal-forcing-framewise", "causal-forcing++-2step",
  "causal-forcing++-1step"];

/** The value of a node's widget, or undefined if it has none or it comes from another node. */
export function valueOf(node, name) {
  if (inputOf(node, name)?.link != null) return undefined;
  return node.widgets?.find((widget) => widget.name === name)?.value;
}

/** The input of a node with a name. */
export const inputOf = (node, name) => node.inputs?.find((input) => input.name === name);

/** The end of the longest stream that uses the schedule, in px frames; null if unknown. */
export function durationOf(node) {
  const lengths = consumersOf(node).map((consumer) => endOf(consumer)).filter((end) => end > 0);
  return lengths.length ? Math.max(...lengths) * FPS : null;
}

/** The block sizes of the nodes that use the schedule, as far as their widgets show them. */
export function planOf(node) {
  for (const consumer of consumersOf(node)) {
    const recipe = originOf(consumer, "recipe");
    if (recipe) return planOfRecipe(recipe);
    const model = originOf(consumer, "model");
    if (model && FRAMEWISE.includes(valueOf(model, "sampled_by"))) {
      return { framesPerBlock: 1, firstBlockFrames: 1 };
    }
  }
  return PLAN;
}

function planOfRecipe(node) {
  const preset = FRAMEWISE.includes(valueOf(node, "preset")) ? 1 : PLAN.framesPerBlock;
  const framesPerBlock = valueOf(node, "frames_per_block") || preset;
  const first = valueOf(node, "first_block_frames");
  return { framesPerBlock, firstBlockFrames: first > 0 ? first : framesPerBlock };
}

function consumersOf(node) {
  return node.graph ? node.getOutputNodes(0) ?? [] : [];
}

function originOf(node, name) {
  const slot = node.inputs?.findIndex((input) => input.name === name) ?? -1;
  return slot < 0 || !node.graph ? null : node.getInputNode(slot);
}

/** Seconds from the start of the stream to the end of a node's part; 0 if unknown. */
function endOf(node, seen = new Set()) {
  if (!node || seen.has(node)) return 0;
  seen.add(node);
  const own = valueOf(node, "seconds") ?? (valueOf(node, "minutes") ?? 0) * 60;
  return own > 0 ? own + endOf(originOf(node, "stream"), seen) : 0;
}
