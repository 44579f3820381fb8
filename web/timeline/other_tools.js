/**
 * Turns schedules of other tools into this project's text: the counterpart of
 * causvid_core/prompts/other_tools.py. A test converts the same texts with both.
 */
import { ScheduleError } from "./head.js";

const NUMBER = "[0-9]{1,9}(?:[.,][0-9]{1,9})?";
const CLOCK = "(?:[0-9]{1,9}:)?[0-9]{1,9}:[0-9]{2}(?:[.,][0-9]{1,9})?";
const UNIT = "(?:seconds?|secs?|s|frames?|fr|f)";
const TIME = `(?:${CLOCK}|${NUMBER}[ \\t]*${UNIT}?)`;
const TO = "[ \\t]*(?:-|\\u2013|\\u2014|to)[ \\t]*";
const RANGE = new RegExp(`^(?<open>[[(])?(?<start>${TIME})(?:${TO}(?<end>${TIME}))?(?<close>[\\])])?` +
  "(?<colon>[ \\t]*:)?[ \\t]*(?<text>[^\\n]*)$", "i");
const TAB = new RegExp(`^(?<start>${TIME})[ ]*\\t[ \\t]*(?<text>[^\\n]+)$`, "i");
const NUMBERED = /^(?<number>[0-9]{1,4})[.)][ \t]+(?<text>[^\n]+)$/;
const SCENE = new RegExp("^(?:scene|shot|clip|part|segment)[ \\t]*#?[0-9]{1,4}[ \\t]*" +
  "[:.\\u2013\\u2014-][ \\t]*(?<text>[^\\n]*)$", "i");
const CUE = new RegExp(`^(?<start>${CLOCK})[ \\t]*-->[ \\t]*${CLOCK}(?:[ \\t][^\\n]*)?$`);
const KEYFRAMES = /^[ \t\r\n]*\{?[ \t\r\n]*"[0-9]{1,9}"[ \t]*:/;
const KEYFRAME =
  /[ \t\r\n,{]*"(?<frame>[0-9]{1,9})"[ \t]*:[ \t]*"(?<text>(?:[^"\\]|\\[^\n])*)"[ \t]*/dy;
const REST = /^[ \t\r\n,}]*$/;
const TAG = /<\/?[A-Za-z][^<>]*>/g;

const TOOLS = [
  ["SRT, WebVTT", (lines) => lines.slice(0, 3).some(({ text }) => CUE.test(text)), subtitles],
  ["[0-3s]", (lines) => rangeOf(lines[0].text) !== null, ranges],
  ["tab", (lines) => lines.every(({ text }) => TAB.test(text)), columns],
  ["1. 2. 3.", isNumbered, (lines) =>
    lines.map(({ number, text }) => sceneOf(number, null, NUMBERED.exec(text).groups.text))],
  ["Scene 1:", (lines) => SCENE.test(lines[0].text), headed],
];

/**
 * {tool, line, text} of a schedule that another tool wrote, with its text as ours; null for one of
 * our own. Throws ScheduleError with the line that does not fit the tool's own format.
 */
export function convert(typed, sceneSeconds) {
  const text = typed.startsWith("\ufeff") ? typed.slice(1) : typed;
  const lines = text.split(/\r\n?|\n/)
    .map((line, index) => ({ number: index + 1, text: stripped(line) }))
    .filter((line) => line.text);
  if (!lines.length) return null;
  if (KEYFRAMES.test(text)) return converted("FizzNodes, Deforum", keyframes(text), sceneSeconds);
  for (const [tool, fits, read] of TOOLS) {
    if (fits(lines)) return converted(tool, read(lines), sceneSeconds);
  }
  return null;
}

/** Prompts between bars as scenes, as WanVideoWrapper reads them; null for any other text. */
export function splitAtBars(typed, sceneSeconds) {
  const plain = typed.replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, "").replace(/^\ufeff/, "");
  const parts = plain.split("|").map((part) => part.replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, ""));
  if (parts.length < 2 || parts.includes("") || /[\\#:~[\]*\u00d7\uff0a]/.test(plain)) return null;
  return written(parts.map((part) => sceneOf(1, null, part)), sceneSeconds);
}

function converted(tool, scenes, sceneSeconds) {
  const found = scenes.filter((scene) => scene.text);
  if (!found.length) throw new ScheduleError("no_prompt", {}, 1, 1);
  return { tool, line: found[0].line, text: written(found, sceneSeconds) };
}

function written(scenes, sceneSeconds) {
  return scenes.map((scene, number) => {
    const start = scene.start ?? `${decimal(sceneSeconds * number)}s`;
    const text = scene.text.replace(/[ \t\r\n]+/g, " ").replace(/^ +| +$/g, "")
      .replaceAll("|", "\\|").replace(/(^| )#/g, "$1\\#");
    return `${start}: ${text}`;
  }).join("\n");
}

function keyframes(text) {
  const scenes = [];
  let at = 0;
  while (at < text.length && !REST.test(text.slice(at))) {
    KEYFRAME.lastIndex = at;
    const found = KEYFRAME.exec(text);
    if (!found) {
      let begin = at;
      while (begin < text.length - 1 && " \t\r\n,{".includes(text[begin])) begin += 1;
      throw misfit("FizzNodes, Deforum", lineAt(text, begin), '"12": "a red circle",');
    }
    at = KEYFRAME.lastIndex;
    const { frame, text: prompt } = found.groups;
    const plain = prompt.replace(/\\(?:u([0-9a-fA-F]{4})|([^]))/g, (all, code, sign) =>
      code ? String.fromCharCode(parseInt(code, 16)) : "nrt".includes(sign) ? " " : sign)
      .replace(/\p{Surrogate}/gu, "\ufffd"); // those without a partner
    scenes.push(sceneOf(lineAt(text, found.indices.groups.frame[0]), `${BigInt(frame)}f`,
      plain.split("--neg")[0]));
  }
  return scenes;
}

const lineAt = (text, index) => text.slice(0, index).split("\n").length;

function subtitles(lines) {
  const cues = lines.flatMap((line, index) => (CUE.test(line.text) ? [index] : []));
  return cues.map((index, number) => {
    const last = number + 1 === cues.length;
    const body = lines.slice(index + 1, last ? lines.length : cues[number + 1]).map((l) => l.text);
    if (!last && body.length > 1 && /^[0-9]{1,9}$/.test(body.at(-1))) body.pop();
    const { start } = CUE.exec(lines[index].text).groups;
    return sceneOf(lines[index].number, timeOf(start, ""), body.join(" ").replace(TAG, ""));
  });
}

function rangeOf(line) {
  const found = RANGE.exec(line)?.groups;
  if (!found?.text || Boolean(found.open) !== Boolean(found.close)) return null;
  const clocks = found.start.includes(":") && Boolean(found.end?.includes(":"));
  return found.open || (found.end && (found.colon || clocks)) ? found : null;
}

function ranges(lines) {
  return lines.map(({ number, text }) => {
    const found = rangeOf(text);
    if (!found) throw misfit("[0-3s]", number, "[3-6s] a red circle");
    return sceneOf(number, timeOf(found.start, found.end ?? ""), found.text);
  });
}

function columns(lines) {
  return lines.map(({ number, text }) => {
    const found = TAB.exec(text).groups;
    return sceneOf(number, timeOf(found.start, ""), found.text);
  });
}

function isNumbered(lines) {
  const numbers = lines.map(({ text }) => Number(NUMBERED.exec(text)?.groups.number ?? NaN));
  return lines.length > 1 && [0, 1].includes(numbers[0]) &&
    numbers.every((number, index) => number === numbers[0] + index);
}

/** A heading may stand above the scene's text, which may take several lines. */
function headed(lines) {
  const scenes = [];
  for (const { number, text } of lines) {
    const found = SCENE.exec(text)?.groups;
    if (found) scenes.push(sceneOf(number, null, found.text));
    else scenes.at(-1).text += ` ${text}`;
  }
  return scenes.map((scene) => sceneOf(scene.line, null, stripped(scene.text)));
}

/** A time in our own words; one without a unit has that of the end of its range. */
function timeOf(typed, end) {
  if (typed.includes(":")) {
    const fields = typed.replace(",", ".").split(":");
    return `${decimal(fields.reduce((seconds, field) => seconds * 60 + Number(field), 0))}s`;
  }
  const [number] = new RegExp(`^${NUMBER}`).exec(typed);
  const unit = stripped(typed.slice(number.length)) ||
    end.replace(new RegExp(`${NUMBER}[ \\t]*`, "g"), "");
  return decimal(Number(number.replace(",", "."))) + (/^f/i.test(unit) ? "f" : "s");
}

const decimal = (value) => String(Math.round(value * 1e9) / 1e9);
const stripped = (text) => text.replace(/^[ \t]+|[ \t]+$/g, "");
const sceneOf = (line, start, text) => ({ line, start, text });

function misfit(tool, line, expected) {
  return new ScheduleError("other_misfit", { tool, expected }, line, 1);
}
