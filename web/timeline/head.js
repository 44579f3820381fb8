/**
 * Reads what is before the colon of a scene: its time, fade and mode, and the position of each.
 * The counterpart of causvid_core/prompts/entry_head.py.
 */
import { add, fraction, parseDecimal, times } from "./fraction.js";
import { DIGITS, MODES, MOMENT, plain, trim, trimStart, unitOf } from "./words.js";

/**
 * A schedule that cannot be read: key and values select and complete a sentence of
 * shared/schedule_errors.js.
 */
export class ScheduleError extends Error {
  constructor(key, values, line, column) {
    super(key);
    Object.assign(this, { key, values, line, column });
  }
}

/**
 * An error at an index of a line {number, text}. Columns count characters from 1; indices count
 * UTF-16 units.
 */
export function errorAt(key, line, index, values = {}) {
  return new ScheduleError(key, values, line.number, [...line.text.slice(0, index)].length + 1);
}

/** A text for a message, cut to at most 40 characters. */
export function short(text) {
  const characters = [...text];
  return characters.length <= 40 ? text : `${characters.slice(0, 37).join("")}...`;
}

/**
 * Reads the head of a line that has one.
 *
 * {start, transition: {amount, unit, begin, end, ...} | null, fadeBegin, mode, modeBegin, modeEnd,
 * colon}: indices in the line. A moment also says how it is typed: `digits` is [begin, end] of its
 * number, `minutes` is true if it counts minutes. Throws ScheduleError.
 */
export function readHead(line) {
  return new Reader(line).read();
}

class Reader {
  constructor(line) {
    this.line = line;
    this.plain = plain(line.text);
    this.at = 0;
  }

  read() {
    const head = { start: null, transition: null, fadeBegin: null, mode: null, modeBegin: null,
      modeEnd: null, colon: null };
    let sign;
    while ((sign = this.next())) {
      const begin = this.at;
      if (sign === ":") break;
      if (sign === "~") {
        if (head.transition) throw this.error("twice_fade", begin);
        this.at += 1;
        this.next();
        head.transition = this.moment("length");
        head.fadeBegin = begin;
      } else if (sign === "[") {
        if (head.mode) throw this.error("twice_mode", begin);
        head.mode = this.mode();
        [head.modeBegin, head.modeEnd] = [begin, this.at];
      } else if (!head.start && !head.transition && !head.mode) {
        head.start = this.moment("time");
      } else {
        throw this.error("no_colon", begin);
      }
    }
    if (!sign) throw this.error("prompt_missing", this.at);
    if (!head.start && !head.transition && !head.mode) {
      throw this.error("nothing_before", this.at);
    }
    head.colon = this.at;
    return head;
  }

  /** The next sign that is not a space, without consuming it; "" at the end. */
  next() {
    const rest = this.plain.slice(this.at);
    this.at += rest.length - trimStart(rest).length;
    return this.plain.slice(this.at, this.at + 1);
  }

  mode() {
    const [begin, end] = [this.at, this.plain.indexOf("]", this.at)];
    if (end < 0) throw this.error("bracket_open", begin);
    const mode = trim(this.plain.slice(begin + 1, end)).toLowerCase();
    if (!MODES.includes(mode)) {
      throw this.error("not_mode", begin, end + 1);
    }
    this.at = end + 1;
    return mode;
  }

  moment(expected) {
    const begin = this.at;
    MOMENT.lastIndex = begin;
    const found = MOMENT.exec(this.plain);
    if (!found) throw this.error(`not_${expected}`, begin);
    this.at = begin + found[0].length;
    const { sign, clock, prefix, number, unit: suffix } = found.groups;
    if (sign === "-") throw this.error(`negative_${expected}`, begin);
    if (sign) throw this.error(`plus_${expected}`, begin);
    if (found[0].match(/[0-9]+/g).some((digits) => digits.length > DIGITS)) {
      throw this.error("long_number", begin, this.at);
    }
    const place = { begin, end: this.at, minutes: false };
    if (clock) return { ...place, unit: "clock", amount: this.clock(clock, begin),
      digits: found.indices.groups.clock };
    if (suffix && (prefix || !unitOf(suffix))) {
      throw this.error(prefix ? "two_units" : "not_unit", ...found.indices.groups.unit);
    }
    const unit = unitOf(prefix || suffix || "s");
    const amount = times(parseDecimal(number), unit === "clock" ? 60 : 1);
    if ((unit === "f" || unit === "b") && amount.d !== 1n) {
      throw this.error(unit === "f" ? "part_frames" : "part_blocks", begin, this.at);
    }
    return { ...place, unit, amount, minutes: unit === "clock",
      digits: found.indices.groups.number };
  }

  /** Seconds of minutes:seconds or hours:minutes:seconds. */
  clock(typed, begin) {
    const fields = typed.replace(",", ".").split(":");
    const later = fields.slice(1).map((field) => field.split(".")[0]);
    if (fields.length > 3 || later.some((field) => field.length !== 2 || Number(field) > 59)) {
      throw this.error("not_clock", begin, this.at);
    }
    return fields.reduce((sum, field) => add(times(sum, 60), parseDecimal(field)), fraction(0n));
  }

  /** An error about the text between two indices of the line. */
  error(key, begin, end = begin) {
    const text = short(trim(this.line.text.slice(begin, end)));
    const modes = MODES.map((mode) => `[${mode}]`).join(", ");
    return errorAt(key, this.line, begin, { text, modes, digits: DIGITS });
  }
}
