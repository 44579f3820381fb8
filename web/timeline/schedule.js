/** A schedule in the timeline: its text, its entries and scenes, and which changes are possible. */
import { ScheduleError } from "./head.js";
import { blockOf, DEFAULTS, layOut, PLAN } from "./layout.js";
import { parseSchedule } from "./parse.js";

/** Thrown if a change cannot be made; key names the text that says why. */
export class Refusal extends Error {
  constructor(key, values = {}) {
    super(key);
    Object.assign(this, { key, values });
  }
}

/**
 * {text, entries, scenes, marked, newline, plan, defaults}; see parseSchedule() and layOut().
 * Throws ScheduleError.
 */
export function readSchedule(text, { plan = PLAN, defaults = DEFAULTS } = {}) {
  const script = parseSchedule(text, defaults.scene);
  return { text, ...script, scenes: layOut(script.entries, plan, defaults), plan, defaults };
}

/** The scene that covers a px frame: the last one that has begun, or the first. */
export function rulingScene({ scenes }, px) {
  return Math.max(0, scenes.findLastIndex((scene) => scene.start <= px));
}

/**
 * The px frames {after, before}, both excluded, between which a scene may begin: after the scene
 * before it, and early enough that it and the untimed scenes which follow it begin before the next
 * timed scene.
 */
export function roomFor({ entries, scenes }, index) {
  const after = index ? scenes[index - 1].start : -1;
  const next = entries.findIndex((entry, number) => number > index && entry.start);
  if (next < 0) return { after, before: Infinity };
  return { after, before: scenes[next].start - scenes[next - 1].start + scenes[index].start };
}

/** The same in blocks {first, last}, both included, so that every scene is seen. */
export function blocksFor(schedule, index) {
  const { after, before } = roomFor(schedule, index);
  const first = index ? blockOf(schedule.plan, Math.floor(after)) + 1 : 0;
  if (before === Infinity) return { first, last: Infinity };
  return { first, last: blockOf(schedule.plan, Math.ceil(before)) - 1 };
}

/**
 * The schedule of a changed text, if only the intended change happened.
 *
 * before: the expected entries, in order. changed: {index, part}, the entry that is new ("all") or
 * whose start, transition, mode or prompts differ. Throws Refusal.
 */
export function checked(schedule, text, before, changed = {}) {
  let after;
  try {
    after = readSchedule(text, schedule);
  } catch (error) {
    if (!(error instanceof ScheduleError)) throw error;
    throw new Refusal("unreadable", { error });
  }
  const same = after.entries.length === before.length && before.every((entry, number) => {
    const found = after.entries[number];
    const mine = number === changed.index;
    return ["start", "transition", "mode", "prompts"].every((part) =>
      (mine && (changed.part === part || changed.part === "all")) ||
      written(entry[part]) === written(found[part]));
  });
  if (!same) throw new Refusal("meaning");
  return after;
}

/** The meaning of a part of an entry, without its position. */
function written(part) {
  if (part === null || typeof part === "string") return part;
  const parts = Array.isArray(part) ? part : [part];
  return parts.map(({ text, weight, amount, unit }) => {
    const value = weight ?? amount;
    return `${value.n}/${value.d} ${text ?? unit}`;
  }).join("|");
}
