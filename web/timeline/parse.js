/**
 * Reads a prompt schedule's text into entries with their positions: the counterpart of
 * causvid_core/prompts/schedule_text.py. A test reads the same texts with both.
 */
import { add, compare, decimal, fraction, nearestFraction, parseDecimal, times } from "./fraction.js";
import { errorAt, readHead, short, ScheduleError } from "./head.js";
import { convert } from "./other_tools.js";
import {
  BAR, COMMENT, ESCAPED, FPS, isHeaded, isLikeTime, SCENE_SECONDS, trim, trimEnd, trimStart, WEIGHT,
} from "./words.js";

/**
 * {entries, marked, newline}. Throws ScheduleError at the first thing that cannot be read.
 *
 * An entry is {line, column, offset, end, below, indent, source, head, start, transition, mode,
 * prompts, body}: `offset` and `end` bound its line in the text, `below` begins the next line,
 * `body` [begin, end] bounds its prompt as typed; `source` is the line {number, text} up to its
 * comment, in which `indent`, head and the moments hold indices, see readHead().
 * marked is false for a text that is one prompt; if its entry has several lines, it has no body.
 */
export function parseSchedule(text, sceneSeconds = SCENE_SECONDS) {
  const lines = splitLines(text);
  if (!lines.length) throw new ScheduleError("no_prompt", {}, 1, 1);
  const other = convert(text, sceneSeconds);
  if (other) {
    const first = short(other.text.split("\n")[0]);
    throw new ScheduleError("other_tool", { tool: other.tool, text: first }, other.line, 1);
  }
  const marked = lines.some((line) => isHeaded(line.text)) ||
    lines.filter((line) => lacksColon(line.text)).length > 1;
  const newline = /\r\n?|\n/.exec(text)?.[0] ?? "\n";
  if (!marked) return { entries: [onePrompt(lines)], marked, newline };
  const entries = lines.map(readEntry);
  checkOrder(entries, sceneSeconds);
  return { entries, marked, newline };
}

/** A moment in px frames, or null for blocks, whose length is not known here. */
export function pxOf(moment) {
  if (moment.unit === "s" || moment.unit === "clock") return times(moment.amount, FPS);
  return moment.unit === "f" || !moment.amount.n ? moment.amount : null;
}

/** Px frames of a scene's default length. */
export const pxOfSeconds = (seconds) => times(nearestFraction(seconds), FPS);

/** A time as one types it: 3s, 1:05, 81f or 12b. */
export function formatMoment(moment) {
  if (moment.unit !== "clock") return decimal(moment.amount) + moment.unit;
  const minutes = moment.amount.n / moment.amount.d / 60n;
  const seconds = decimal(add(moment.amount, fraction(-60n * minutes)));
  const rest = seconds.split(".")[0].length === 2 ? seconds : `0${seconds}`;
  const [hours, over] = [minutes / 60n, minutes % 60n];
  return hours ? `${hours}:${String(over).padStart(2, "0")}:${rest}` : `${over}:${rest}`;
}

/** Lines that are neither blank nor comments; `text` is the part before the comment. */
function splitLines(text) {
  const lines = [];
  let offset = text.startsWith("\ufeff") ? 1 : 0;
  let number = 0;
  for (const found of text.slice(offset).matchAll(/([^\r\n]*)(\r\n?|\n|$)/g)) {
    number += 1;
    const typed = found[1];
    const comment = COMMENT.exec(typed);
    const kept = trimEnd(comment ? typed.slice(0, comment.index) : typed);
    const end = offset + typed.length;
    const below = end + found[2].length;
    if (kept) lines.push({ number, text: kept, offset, end, below });
    offset = below;
  }
  return lines;
}

const lacksColon = (text) => isLikeTime(text) && !matchWeight(text, 0);

function readEntry(line) {
  if (isHeaded(line.text)) {
    const head = readHead(line);
    const { start, transition, mode } = head;
    return entryOf(line, head, start, transition, mode, head.colon + 1);
  }
  if (lacksColon(line.text)) {
    throw errorAt("like_time", line, indentOf(line), { text: short(trim(line.text)) });
  }
  return entryOf(line, null, null, null, null, 0);
}

function entryOf(line, head, start, transition, mode, bodyBegin) {
  const typed = line.text.slice(bodyBegin);
  const prompts = readParts(typed, [{ from: 0, line, column: bodyBegin }]);
  const begin = line.offset + line.text.length - trimStart(typed).length;
  const { number, offset, end, below } = line;
  const indent = indentOf(line);
  return { line: number, column: [...line.text.slice(0, indent)].length + 1, offset, end, below,
    indent, source: line, head, start, transition, mode, prompts,
    body: [begin, line.offset + line.text.length] };
}

/** All lines as one prompt. */
function onePrompt(lines) {
  let joined = "";
  const places = [];
  for (const line of lines) {
    joined += joined ? " " : "";
    places.push({ from: joined.length, line, column: indentOf(line) });
    joined += trim(line.text);
  }
  const prompts = readParts(joined, places);
  const [first, last] = [lines[0], lines.at(-1)];
  const body = lines.length > 1 ? null :
    [first.offset + indentOf(first), first.offset + first.text.length];
  return { line: 1, column: 1, offset: first.offset, end: last.end, below: last.below,
    indent: indentOf(first), source: first, head: null, start: null, transition: null, mode: null, prompts, body };
}

/** Texts and weights of `a | 0.3 * b`; `places` maps the body's pieces to the text. */
function readParts(body, places) {
  const error = (key, offset, text = "") => {
    const place = places.findLast(({ from }) => from <= offset);
    return errorAt(key, place.line, place.column + offset - place.from, { text });
  };
  const parts = [];
  const spans = spansOf(body);
  for (const [start, end] of spans) {
    let weight = fraction(1n);
    let textStart = start;
    const found = matchWeight(body.slice(0, end), start);
    if (found) {
      const typed = found.groups.number;
      textStart = start + found[0].length;
      weight = typed.length < 20 ? parseDecimal(typed.replace("\u2212", "-")) : fraction(0n);
      const [at] = found.indices.groups.number;
      if (weight.n <= 0n) throw error("weight_low", at, short(typed));
      if (spans.length === 1 && weight.n !== weight.d) throw error("weight_alone", at, short(typed));
    }
    const text = trim(body.slice(textStart, end));
    if (!text) {
      const at = Math.min(start, Math.max(body.length - 1, 0));
      throw error(spans.length > 1 ? "bar_empty" : "empty", at);
    }
    parts.push({ text: text.replace(ESCAPED, "$1"), weight });
  }
  return parts;
}

/** Ranges [begin, end] of the parts between unescaped bars. */
function spansOf(body) {
  const bars = [...body.matchAll(BAR)].map((bar) => bar.index);
  return [...bars, body.length].map((end, number) => [number ? bars[number - 1] + 1 : 0, end]);
}

/** Throw ScheduleError unless times rise, as far as this can be checked without a recipe. */
function checkOrder(entries, sceneSeconds) {
  const latest = {};
  let position = null;
  entries.forEach((entry, number) => {
    const known = {};
    if (!entry.start && number) {
      if (position) position = add(position, pxOfSeconds(sceneSeconds));
    } else {
      const start = entry.start ?? { amount: fraction(0n), unit: "s" };
      position = pxOf(start);
      if (start.unit === "b" || !start.amount.n) known.b = start.amount;
    }
    if (position) known.px = position;
    for (const [unit, value] of Object.entries(known)) {
      const before = latest[unit];
      const order = before ? compare(value, before.value) : 1;
      if (order <= 0) throw orderError(entry, order === 0, before.entry);
      latest[unit] = { value, entry };
    }
  });
}

function orderError(entry, same, before) {
  const key = `${same ? "same_time" : "earlier"}${before.start ? "" : "_untimed"}`;
  const text = entry.start ? formatMoment(entry.start) : "";
  return new ScheduleError(key, { text, before: before.line }, entry.line, entry.column);
}

function matchWeight(text, index) {
  WEIGHT.lastIndex = index;
  return WEIGHT.exec(text);
}

const indentOf = (line) => line.text.length - trimStart(line.text).length;
