/** Where a drag or a key moves a scene or the end of its fade; null means that it stays. */
import { blockOf, firstPx } from "./layout.js";
import { blocksFor, roomFor } from "./schedule.js";
import { FPS } from "./words.js";
import { blockLength, blockStart, placeOf } from "./write.js";

const STEPS = [0.01, 0.05, 0.1, 0.25, 0.5, 1]; // seconds

/** The step in seconds of a drag that ignores blocks: a few CSS px of an axis. */
export function stepOf(axis) {
  return STEPS.find((step) => step * FPS * axis.scale >= 3) ?? 1;
}

/** The block whose start is nearest to a px frame. */
export function nearestBlock(plan, px) {
  const block = blockOf(plan, Math.max(0, Math.floor(px)));
  const closer = firstPx(plan, block + 1) - px < px - firstPx(plan, block);
  return block + Number(closer);
}

/** A start at a block, or as near to it as the neighbouring scenes allow. */
export function startAtBlock(schedule, index, block) {
  const { first, last } = blocksFor(schedule, index);
  const found = Math.min(Math.max(block, first), last);
  if (found === schedule.scenes[index].block || found < first) return null;
  return blockStart(firstPx(schedule.plan, found));
}

/** A start at a px frame in steps of seconds, or as near as the neighbouring scenes allow. */
export function startAtTime(schedule, index, px, step) {
  const { after, before } = roomFor(schedule, index);
  const [least, most] = [after + 1, before - 1];
  if (least > most) return null;
  const place = rounded(Math.min(Math.max(px, least), most), step, least, most);
  return place.px === schedule.scenes[index].start ? null : place;
}

/** {length, blocks} of a fade over whole blocks; the scene keeps one block of its own. */
export function fadeOfBlocks(schedule, index, blocks) {
  const { scenes, plan } = schedule;
  const scene = scenes[index];
  const following = scenes[index + 1]?.block ?? Infinity;
  const found = Math.min(Math.max(0, blocks), following - scene.block - 1);
  if (found === scene.fading) return null;
  const px = found ? firstPx(plan, scene.block + found) - Math.floor(scene.start) : 0;
  return { length: blockLength(px), blocks: found };
}

/** {length, blocks} of a fade over px frames in steps of seconds. */
export function fadeOfTime(schedule, index, px, step) {
  const { scenes, plan } = schedule;
  const scene = scenes[index];
  const most = (scenes[index + 1]?.start ?? Infinity) - scene.start;
  const length = rounded(Math.min(Math.max(0, px), most), step, 0, most);
  if (length.px === scene.fade) return null;
  return { length, blocks: nearestBlock(plan, scene.start + length.px) - scene.block };
}

/** The place nearest to a px frame in steps of seconds, or the px frame if that is out of range. */
function rounded(px, step, least, most) {
  const seconds = Math.round(px / FPS / step) * step;
  const inside = seconds * FPS >= least && seconds * FPS <= most;
  return inside ? placeOf(seconds * FPS, seconds) : placeOf(px);
}
