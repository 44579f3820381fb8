/**
 * Writes times and lengths in the style of those they replace: 3,5 sec stays in seconds with a
 * comma, f81 in frames, 1:05 a clock time, full-width digits full-width.
 */
import { blockOf } from "./layout.js";
import { FPS } from "./words.js";

/** A place on the time axis: px frames, and the seconds to write if times are typed in seconds. */
export function placeOf(px, seconds = px / FPS) {
  return { px: Math.max(0, px), seconds: Math.max(0, seconds) };
}

/** The start of a block. Seconds round up to tenths, which never leave the block. */
export function blockStart(px) {
  return placeOf(px, Math.ceil((px / FPS) * 10 - 1e-9) / 10);
}

/**
 * The length of whole blocks. Seconds round down to tenths (to hundredths if the tenths are 0), so
 * that no further block begins.
 */
export function blockLength(px) {
  const down = (steps) => Math.floor((px / FPS) * steps + 1e-9) / steps;
  return placeOf(px, down(10) || down(100));
}

/** The text of a start that replaces `moment` in the line `source`. */
export function rewriteStart(moment, source, place, plan) {
  return rewrite(moment, source, place, blockOf(plan, Math.round(place.px)));
}

/** The same for the length of a fade, which is `blocks` blocks if it is typed in blocks. */
export function rewriteLength(moment, source, place, blocks) {
  return rewrite(moment, source, place, blocks);
}

/** A new start, such as "3s", in one of the units "s", "clock", "f" and "b". */
export function newStart(unit, place, plan) {
  if (unit === "b") return `${blockOf(plan, Math.round(place.px))}b`;
  return newLength(unit, place);
}

/** A new length, such as "1s", or "2b" for `blocks` blocks. */
export function newLength(unit, place, blocks) {
  if (unit === "b") return `${blocks}b`;
  if (unit === "f") return `${Math.round(place.px)}f`;
  return `${number(place.seconds)}s`;
}

function rewrite(moment, source, place, blocks) {
  const typed = source.slice(moment.begin, moment.end);
  const [begin, end] = moment.digits.map((index) => index - moment.begin);
  const old = typed.slice(begin, end);
  const put = (text) => typed.slice(0, begin) + inSigns(text, old) + typed.slice(end);
  if (moment.unit === "b") return put(String(blocks));
  if (moment.unit === "f") return put(String(Math.round(place.px)));
  if (moment.unit === "s") return put(number(place.seconds));
  if (!moment.minutes) return put(clock(place.seconds, old));
  const minutes = place.seconds / 60;
  const short = Math.abs(minutes * 100 - Math.round(minutes * 100)) < 1e-9;
  return short ? put(number(minutes)) : clock(place.seconds, "0:00");
}

/** Minutes and seconds, with hours and leading zeros as in the old clock time. */
function clock(seconds, old) {
  const fields = old.replace(/[\uff1a]/g, ":").split(":");
  const hundredths = Math.round(seconds * 100);
  const minutes = Math.floor(hundredths / 6000);
  const rest = number((hundredths - minutes * 6000) / 100);
  const last = /^\d(\.|$)/.test(rest) ? `0${rest}` : rest;
  const width = fields[0].length;
  if (fields.length === 2) return `${String(minutes).padStart(width, "0")}:${last}`;
  const hours = String(Math.floor(minutes / 60)).padStart(width, "0");
  return `${hours}:${String(minutes % 60).padStart(2, "0")}:${last}`;
}

/** A decimal with up to two places. */
function number(value) {
  return String(Math.round(value * 100) / 100);
}

/** Digits and signs in the style of the old text. */
function inSigns(text, old) {
  const comma = /[,\uff0c]/.test(old) ? text.replace(".", ",") : text;
  if (!/[\uff10-\uff19]/.test(old)) return comma;
  return comma.replace(/[!-~]/g, (sign) => String.fromCharCode(sign.charCodeAt(0) + 0xfee0));
}
