/** The player's texts about its stream, in the editor's language. */
import { t, language } from "../shared/i18n.js";

/** Texts for a stream at a position: time, stats, details, and the text for screen readers. */
export function describe(stream, position) {
  const { facts } = stream;
  const fps = facts.fps;
  const number = (value, digits) =>
    value.toLocaleString(language(), { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const rate = facts.generation_fps;
  const first = facts.first_frame_seconds;
  const known = {
    done: facts.block + 1,
    blocks: facts.blocks,
    fps: rate == null ? "" : number(rate, rate < 10 ? 1 : 0),
    seconds: first == null ? "" : number(first, first < 10 ? 1 : 0),
  };
  const parts = [t("player.blocks", known)];
  if (rate != null) parts.push(t("player.fps", known));
  if (first != null) parts.push(t("player.first", known));
  return {
    time: `${clock(position / fps)} / ${clock(stream.end / fps)}`,
    stats: parts.join(" · "),
    details: [
      t("player.blocks_long", known),
      rate == null ? "" : t("player.fps_long", known),
      first == null ? "" : t("player.first_long", known),
      facts.state === "stopped" ? t("player.stopped") : "",
    ].filter(Boolean).join("\n"),
    spoken: t("player.spoken", {
      seconds: number(position / fps, 1),
      all: number(stream.end / fps, 1),
    }),
  };
}

/** Seconds as 0:04.2, or 1:02:03 for an hour and more, without tenths. */
function clock(seconds) {
  const tenths = Math.floor(seconds * 10 + 1e-6);
  const whole = Math.floor(tenths / 10);
  const two = (value) => String(value).padStart(2, "0");
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  if (hours) return `${hours}:${two(minutes)}:${two(rest)}`;
  return `${minutes}:${two(rest)}.${tenths % 10}`;
}
