/**
 * The words and signs of a prompt schedule: the counterpart of causvid_core/prompts/entry_head.py
 * and causvid_core/stream/segment.py. A test compares them.
 */

export const MODES = ["carry", "recache", "flush", "cut"];
export const UNITS = {
  ...named("s", ["s", "sec", "secs", "second", "seconds"]),
  ...named("f", ["f", "fr", "frame", "frames", "px"]),
  ...named("b", ["b", "bl", "block", "blocks"]),
  ...named("clock", ["m", "min", "mins", "minute", "minutes"]),
};
/** Px frames per second. */
export const FPS = 16;
/** A scene without a time begins this many seconds after the scene before it. */
export const SCENE_SECONDS = 5;
/** The most digits that a number may have. */
export const DIGITS = 9;

// White space as Python defines it, which differs slightly from JavaScript's.
const SPACE = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const NUMBER = "(?:[0-9]+(?:[.,][0-9]+)?|[.,][0-9]+)";
const CLOCK = "[0-9]+(?::[0-9]+)+(?:[.,][0-9]+)?";
const NAMES = Object.keys(UNITS).sort((a, b) => b.length - a.length).join("|");
const MOMENT_PATTERN =
  `(?<sign>[-+]?)(?:(?<clock>${CLOCK})` +
  `|(?<prefix>${NAMES})?[${SPACE}]*(?<number>${NUMBER})` +
  `(?:[${SPACE}]*(?<unit>[\\p{L}\\p{Nl}\\p{No}]+))?)`;

export const MOMENT = new RegExp(MOMENT_PATTERN, "diuy");
export const COMMENT = new RegExp(`(?:^|(?<=[${SPACE}]))#`, "u");
export const WEIGHT = new RegExp(
  `[${SPACE}]*(?<number>[-+\\u2212]?${NUMBER})[${SPACE}]*[*\\xd7\\uff0a](?!\\*)`, "dy");
export const BAR = /(?<!\\)\|/g;
export const ESCAPED = /\\([#|])/g;

const HEADED = new RegExp(`^(?:[\\[~:]|${MOMENT_PATTERN}[${SPACE}]*(?:[\\[~]|:(?![0-9])))`, "iu");
const LIKE_TIME = new RegExp(`^[-+]?(?:${NAMES})?[${SPACE}]*[0-9]`, "iu");
const LEADING = new RegExp(`^[${SPACE}]+`, "u");
const TRAILING = new RegExp(`[${SPACE}]+$`, "u");
const OTHER_SIGNS = { "\u301c": "~", "\u223c": "~", "\u02dc": "~", "\u3010": "[", "\u3011": "]",
  "\u2212": "-", "\u2013": "-" };

/** Replace full-width and similar signs by the plain ones, one for one. */
export function plain(text) {
  return text.replace(/[\uff01-\uff5e\u301c\u223c\u02dc\u3010\u3011\u2212\u2013]/g, (sign) =>
    OTHER_SIGNS[sign] ?? String.fromCharCode(sign.charCodeAt(0) - 0xff00 + 0x20));
}

/** The unit that a word names, or undefined. The long s counts as an "s". */
export function unitOf(word) {
  const name = word.toLowerCase().replaceAll("\u017f", "s");
  return Object.hasOwn(UNITS, name) ? UNITS[name] : undefined;
}

export const trimStart = (text) => text.replace(LEADING, "");
export const trimEnd = (text) => text.replace(TRAILING, "");
export const trim = (text) => trimStart(trimEnd(text));

/** Whether a line begins with marks up to a colon, correct or not. */
export const isHeaded = (line) => HEADED.test(trimStart(plain(line)));
/** Whether a line begins like a time. */
export const isLikeTime = (line) => LIKE_TIME.test(trimStart(plain(line)));

function named(unit, names) {
  return Object.fromEntries(names.map((name) => [name, unit]));
}
