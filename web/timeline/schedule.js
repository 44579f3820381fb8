/** A schedule as the timeline holds it: its text, what was read in it, and what may be changed. */
import { ScheduleError } from "./head.js";
import { blockOf, DEFAULTS, layOut, PLAN } from "./layout.js";
import { parseSchedule } from "./parse.js";

/** A change that is not made; key names the text that says why. */
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

/** Which scene makes a px frame: the last that has begun, else the first. */
export function rulingScene({ scenes }, px) {
  return Math.max(0, scenes.findLastIndex((scene) => scene.start <= px));
}

/**
 * Between which px frames, both excluded, a scene may begin: after the one before, and so that it
 * and those without a time, which follow it, begin before the next one with a time.
 */
export function roomFor({ entries, scenes }, index) {
  const after = index ? scenes[index - 1].start : -1;
  const next = entries.findIndex((entry, number) => number > index && entry.start);
  if (next < 0) return { after, before: Infinity };
  return { after, before: scenes[next].start - scenes[next - 1].start + scenes[index].start };
}

/** The same in blocks, both included, so that every scene is seen. */
export function blocksFor(schedule, index) {
  const { after, before } = roomFor(schedule, index);
  const first = index ? blockOf(schedule.plan, Math.floor(after)) + 1 : 0;
  if (before === Infinity) return { first, last: Infinity };
  return { first, last: blockOf(schedule.plan, Math.ceil(before)) - 1 };
}

/**
 * The schedule of a changed text, if it says what was meant and nothing else.
 *
 * before: the entries that are expected, in order, of which `changed` is {index, part}: an entry
 * that is new, or one whose start, transition, mode or prompts differ. Throws Refusal.
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

/** What of an entry's part has a meaning, wherever it stands. */
function written(part) {
  if (part === null || typeof part === "string") return part;
  const parts = Array.isArray(part) ? part : [part];
  return parts.map(({ text, weight, amount, unit }) => {
    const value = weight ?? amount;
    return `${value.n}/${value.d} ${text ?? unit}`;
  }).join("|");
}
