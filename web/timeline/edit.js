/**
 * Changes to a schedule's text. Each function takes a schedule and returns the schedule of the
 * changed text, in which only the necessary characters differ. It throws a Refusal if it cannot
 * make the change.
 */
import { blockOf } from "./layout.js";
import { checked, Refusal, rulingScene } from "./schedule.js";
import { trim, trimEnd, trimStart } from "./words.js";
import { newLength, newStart, rewriteLength, rewriteStart } from "./write.js";

/** Make scene `index` begin at a place. */
export function moveStart(schedule, index, place) {
  const { start, source } = schedule.entries[index];
  return typeStart(schedule, index, start
    ? rewriteStart(start, source.text, place, schedule.plan)
    : newStart(unitNear(schedule, index), place, schedule.plan));
}

/** Make scene `index` begin at a typed time, or follow the scene before it if that is empty. */
export function typeStart(schedule, index, typed) {
  const { start } = schedule.entries[index];
  return mark(schedule, index, "start", typed, start && [start.begin, start.end]);
}

/** Make scene `index` fade in over a length, which is `blocks` blocks. */
export function stretchFade(schedule, index, length, blocks) {
  const { transition, source } = schedule.entries[index];
  const unit = unitNear(schedule, index);
  return typeFade(schedule, index, transition
    ? rewriteLength(transition, source.text, length, blocks)
    : newLength(unit, length, blocks));
}

/** Make scene `index` fade in over a typed length, or over the node's default if that is empty. */
export function typeFade(schedule, index, typed) {
  const { transition, head } = schedule.entries[index];
  const sign = typed && !transition ? "~" : "";
  const begin = typed ? transition?.begin : head?.fadeBegin;
  return mark(schedule, index, "transition", sign + typed, transition && [begin, transition.end]);
}

/** Set the mode of scene `index`; null means the node's default. */
export function setMode(schedule, index, mode) {
  const { head } = schedule.entries[index];
  const place = head?.mode && [head.modeBegin + Number(Boolean(mode)),
    head.modeEnd - Number(Boolean(mode))];
  return mark(schedule, index, "mode", head?.mode || !mode ? mode ?? "" : `[${mode}]`, place);
}

/** Set the prompt of scene `index`, typed as in the text, on one line. */
export function setPrompt(schedule, index, typed) {
  const { body } = schedule.entries[index];
  if (!body) throw new Refusal("lines");
  const line = typed.replace(/\s*[\r\n]+\s*/g, " ").replace(/(^|\s)#/g, "$1\\#");
  return change(schedule, body[0], body[1], trim(line), index, "prompts");
}

/** Add a scene at a place, with the prompt that applies there; it needs a block of its own. */
export function addScene(schedule, place) {
  const { entries, scenes, text, newline, plan } = schedule;
  const ruling = rulingScene(schedule, place.px);
  const entry = entries[ruling];
  if (!entry.body) throw new Refusal("lines");
  const block = blockOf(plan, Math.floor(place.px));
  if (scenes.some((scene) => scene.block === block)) throw new Refusal("room");
  const begins = place.px < scenes[ruling].start;
  const typed = newStart(unitNear(schedule, ruling), place, plan);
  const line = `${typed}: ${text.slice(...entry.body)}`;
  const at = begins ? entry.offset : entry.end;
  const longer = splice(text, at, at, begins ? line + newline : newline + line);
  const index = begins ? ruling : ruling + 1;
  const expected = entries.toSpliced(index, 0, entry);
  return anchored(schedule, longer, expected, { index, part: "all" });
}

/** Remove the line of scene `index`, with its comment. */
export function removeScene(schedule, index) {
  const { entries, text } = schedule;
  if (entries.length === 1) throw new Refusal("last");
  const { offset, end, below } = entries[index];
  const open = below === end; // the last line: remove the newline before it instead
  const begin = open ? text.slice(0, offset).replace(/(\r\n?|\n)$/, "").length : offset;
  return anchored(schedule, splice(text, begin, below), entries.toSpliced(index, 1));
}

/** Add, change or remove one of the marks before the colon; place: where the mark is now. */
function mark(schedule, index, part, typed, place) {
  const entry = schedule.entries[index];
  if (!entry.body) throw new Refusal("lines");
  const { head, indent, offset, start, transition } = entry;
  let [begin, end, written] = [indent, indent, typed];
  if (place && typed) {
    [begin, end] = place;
  } else if (place) {
    [begin, end] = withSpaces(entry, place);
  } else if (!typed) {
    return schedule;
  } else if (!head) {
    written = `${typed}: `;
  } else if (part === "start" || (part === "transition" && !start)) {
    written = `${typed} `;
  } else {
    const known = part === "mode" ? [start, transition] : [start];
    begin = end = Math.max(...known.map((moment) => moment?.end ?? 0));
    written = ` ${typed}`;
  }
  return change(schedule, offset + begin, offset + end, written, index, part);
}

/** The range of a mark and its spaces; the range of the whole head if it holds only this mark. */
function withSpaces({ head, indent, source: { text } }, [begin, end]) {
  const [before, after] = [text.slice(indent, begin), text.slice(end, head.colon)];
  if (!trim(before) && !trim(after)) {
    const rest = text.slice(head.colon + 1);
    return [indent, text.length - trimStart(rest).length];
  }
  if (!trim(before)) return [begin, end + after.length - trimStart(after).length];
  return [begin - before.length + trimEnd(before).length, end];
}

function change(schedule, begin, end, written, index, part) {
  const text = splice(schedule.text, begin, end, written);
  if (text === schedule.text) return schedule;
  return checked(schedule, text, schedule.entries, { index, part });
}

/** Like checked(), but writes out the time of the first line if it would not be read as a scene. */
function anchored(schedule, text, expected, changed) {
  try {
    return checked(schedule, text, expected, changed);
  } catch (error) {
    const first = expected[0];
    if (!(error instanceof Refusal) || first.start) throw error;
    const at = text.indexOf(schedule.text.slice(first.offset, first.end));
    const typed = first.head ? "0 " : "0: ";
    const timed = splice(text, at + first.indent, at + first.indent, typed);
    return checked(schedule, timed, [{ ...first, start: ZERO }, ...expected.slice(1)], changed);
  }
}

const ZERO = { amount: { n: 0n, d: 1n }, unit: "s" };

/** The unit for a new mark: that of the last time before it. */
function unitNear({ entries }, index) {
  const { start } = entries.slice(0, index + 1).findLast((entry) => entry.start) ?? {};
  return start && start.unit !== "clock" ? start.unit : "s";
}

const splice = (text, begin, end, typed = "") => text.slice(0, begin) + typed + text.slice(end);
