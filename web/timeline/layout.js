/**
 * Lays the scenes of a schedule out in px frames and blocks: the counterpart of
 * causvid_core/prompts/entries.py. A test compares the two.
 */
import { add, ceil, compare, floor, fraction, nearestFraction, times, toNumber } from "./fraction.js";
import { ScheduleError } from "./head.js";
import { pxOf, pxOfSeconds } from "./parse.js";
import { FPS, SCENE_SECONDS } from "./words.js";

const TIME_SCALE = 4; // px frames of a latent frame; the very first latent frame is one px frame

/** Latent frames of a block, as most checkpoints have them. */
export const PLAN = Object.freeze({ framesPerBlock: 3, firstBlockFrames: 3 });
/** The node's defaults for scenes without marks of their own; transition and scene in seconds. */
export const DEFAULTS = Object.freeze({ mode: "carry", transition: 0, scene: SCENE_SECONDS });

/** First px frame, counted from 0, that a block makes. */
export function firstPx(plan, block) {
  if (block <= 0) return 0;
  return (plan.firstBlockFrames + (block - 1) * plan.framesPerBlock - 1) * TIME_SCALE + 1;
}

/** The block that makes a px frame, counted from 0. */
export function blockOf(plan, pxFrame) {
  const latentFrames = Math.ceil(pxFrame / TIME_SCALE) + 1;
  return Math.max(0, Math.ceil((latentFrames - plan.firstBlockFrames) / plan.framesPerBlock));
}

/**
 * The scenes of a schedule, one per entry.
 *
 * A scene is {start, fade, block, fading, seen, mode}: its start and the length of its fade, in px
 * frames as typed; its first block and the number of fading blocks; whether any block shows it; its
 * mode. Throws ScheduleError if scenes timed in blocks and in seconds are not in order.
 */
export function layOut(entries, plan = PLAN, defaults = DEFAULTS) {
  const starts = startsOf(entries, plan, defaults);
  const blocks = starts.map((start) => blockOf(plan, floor(start)));
  let earlier = false;
  return entries.map((entry, number) => {
    const [block, following] = [blocks[number], blocks[number + 1]];
    const seen = following !== block;
    const mode = entry.mode ?? defaults.mode;
    const length = entry.transition ?? { amount: nearestFraction(defaults.transition), unit: "s" };
    const fades = seen && earlier && mode !== "cut";
    const asked = fades ? fadingOf(length, floor(starts[number]), plan) : 0;
    const room = following === undefined ? asked : following - block - 1;
    earlier ||= seen;
    return { start: toNumber(starts[number]), block, seen, mode, fading: Math.min(asked, room),
      fade: number ? lengthPx(length, block, starts[number], plan) : 0 };
  });
}

/** First px frame of every entry, as fractions. */
function startsOf(entries, plan, defaults) {
  const starts = [];
  entries.forEach((entry, number) => {
    const before = starts.at(-1);
    let start = fraction(0n);
    if (entry.start) start = pxOf(entry.start) ?? whole(firstPx(plan, floor(entry.start.amount)));
    else if (before) start = add(before, pxOfSeconds(defaults.scene));
    if (before && compare(start, before) <= 0) {
      const values = { size: plan.framesPerBlock, frame: floor(start), previous: floor(before),
        before: entries[number - 1].line };
      throw new ScheduleError("order", values, entry.line, entry.column);
    }
    starts.push(start);
  });
  return starts;
}

/** The number of blocks that a fade from px frame `start` touches. */
function fadingOf(length, start, plan) {
  if (length.unit === "b") return floor(length.amount);
  const pxFrames = ceil(pxOf(length));
  return pxFrames ? blockOf(plan, start + pxFrames - 1) - blockOf(plan, start) + 1 : 0;
}

/** The length of a fade in px frames; a fade in blocks ends where its last block ends. */
function lengthPx(length, block, start, plan) {
  if (length.unit !== "b") return toNumber(pxOf(length));
  const blocks = floor(length.amount);
  return blocks ? firstPx(plan, block + blocks) - toNumber(start) : 0;
}

const whole = (number) => times(fraction(1n), number);

/** Seconds of px frames. */
export const secondsOf = (pxFrames) => pxFrames / FPS;
