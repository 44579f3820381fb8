/** Draws the ruler and the scenes below it from a model; see Timeline.model(). */
import { draw, icon, ICONS, keep, make, set } from "./dom.js";
import { firstPx } from "./layout.js";
import { FPS } from "./words.js";

const HEIGHT = 64; // CSS px, as in track.css
const SLIM = 36; // CSS px below which a prompt is unreadable

/**
 * The extent of a scene in px frames: {begin, own, end}; its fade ends at `own`.
 *
 * In whole blocks this is what will be seen, otherwise what is typed.
 */
export function extents({ schedule: { scenes, plan }, snap, total }) {
  const begins = scenes.map((scene) => (snap ? firstPx(plan, scene.block) : scene.start));
  return scenes.map((scene, number) => {
    const [begin, end] = [begins[number], begins[number + 1] ?? Math.max(total, begins[number])];
    const fade = scene.mode === "cut" ? 0 : scene.fade;
    const own = snap ? firstPx(plan, scene.block + scene.fading) : begin + fade;
    return { begin, own: Math.min(Math.max(own, begin), end), end };
  });
}

export class Track {
  constructor(t) {
    this.t = t;
    this.ruler = make("div", { class: "cvt-ruler", "aria-hidden": "true", title: t("timeline.ruler") });
    this.grid = draw("g", { class: "cvt-grid" });
    this.shapes = draw("g");
    this.marks = draw("g");
    this.beyond = draw("rect", { class: "cvt-beyond", y: 0, height: HEIGHT });
    const picture = draw("svg", { class: "cvt-picture", "aria-hidden": "true" },
      this.shapes, this.grid, this.beyond, this.marks);
    this.clips = make("div", { class: "cvt-clips" });
    this.handles = make("div", { class: "cvt-clips" });
    this.lane = make("div", { class: "cvt-lane", role: "group", "aria-label": t("timeline.scenes") },
      picture, this.clips, this.handles);
    this.thumb = make("div", { class: "cvt-thumb" });
    this.bar = make("div", { class: "cvt-bar", "aria-hidden": "true" }, this.thumb);
    this.element = make("div", { class: "cvt-track" }, this.ruler, this.lane, this.bar);
  }

  render(model) {
    this.renderRuler(model);
    const scenes = extents(model);
    this.renderShapes(model, scenes);
    this.renderClips(model, scenes);
    this.renderHandles(model, scenes);
    const { axis } = model;
    const share = (px) => `${(100 * px) / axis.total}%`;
    this.thumb.style.cssText = `left:${share(axis.from)};width:${share(axis.seen)}`;
    this.bar.classList.toggle("cvt-whole", axis.zoom <= 1);
  }

  renderRuler({ axis, unit, schedule: { plan } }) {
    const ticks = axis.ticks(unit, plan);
    const marks = keep(this.ruler, ticks.length, () => make("span", { class: "cvt-tick" }));
    marks.forEach((mark, number) => {
      mark.style.left = `${axis.x(ticks[number].px)}px`;
      mark.textContent = axis.x(ticks[number].px) > axis.width - 24 ? "" : ticks[number].label;
    });
    const begins = axis.blocks(plan);
    keep(this.grid, begins.length, () => draw("line", { y1: 0, y2: HEIGHT })).forEach((line, number) =>
      set(line, { x1: round(axis.x(begins[number])), x2: round(axis.x(begins[number])) }));
  }

  /** Scenes as slanted shapes; the next scene covers each one while it fades in. */
  renderShapes({ axis, hues, selected, duration, schedule }, extents) {
    const shapes = keep(this.shapes, extents.length + 1, () => draw("polygon"));
    const lead = extents[0];
    set(shapes[0], { class: "cvt-shape cvt-lead", style: `--cvt-hue:${hues[0]}`,
      points: corners(axis.x(0), axis.x(0), axis.x(lead.begin)) });
    const marks = keep(this.marks, extents.length, () => draw("line", { y1: 1, y2: HEIGHT - 1 }));
    extents.forEach(({ begin, own, end }, number) => {
      const { mode, seen } = schedule.scenes[number];
      const covered = extents[number + 1]?.own ?? end;
      const chosen = number === selected ? " cvt-selected" : "";
      set(shapes[number + 1], { class: `cvt-shape${chosen}${seen ? "" : " cvt-unseen"}`,
        style: `--cvt-hue:${hues[number]}`,
        points: corners(axis.x(begin), axis.x(own), axis.x(Math.max(covered, end))) });
      const x = number && seen ? round(axis.x(own)) : -9;
      set(marks[number], { class: `cvt-mark cvt-${mode}`, x1: x, x2: x });
    });
    const x = duration === null ? axis.width : axis.x(duration);
    set(this.beyond, { x: Math.max(-2, x), width: Math.max(0, axis.width - Math.max(-2, x)) });
  }

  renderClips({ axis, hues, selected, schedule }, extents) {
    const clips = keep(this.clips, extents.length, () => newClip());
    clips.forEach((clip, number) => {
      const { begin, own, end } = extents[number];
      const entry = schedule.entries[number];
      const scene = schedule.scenes[number];
      const [left, right] = [axis.x(begin), axis.x(end)];
      const fade = axis.x(own) - left;
      const inset = Math.max(0, -left, (right - left - fade < SLIM ? fade / 2 : fade) - 2);
      clip.style.cssText = `left:${left}px;width:${Math.max(right - left, 7)}px;` +
        `--cvt-hue:${hues[number]};--cvt-inset:${inset}px`;
      const classes = ["cvt-clip", number === selected && "cvt-selected",
        right - left - inset < SLIM && "cvt-slim", !scene.seen && "cvt-unseen"];
      set(clip, { "data-scene": number, class: classes.filter(Boolean).join(" "),
        "aria-label": this.t("timeline.scene", { number: number + 1, count: extents.length,
          text: promptOf(schedule, entry) }),
        "aria-valuemin": 0, "aria-valuemax": seconds(axis.total), "aria-valuenow": seconds(begin),
        "aria-valuetext": this.told(schedule, number), title: this.tip(schedule, number),
        "aria-current": number === selected ? "true" : null });
      const [prompt, mode, time] = clip.querySelectorAll("[data-part]");
      prompt.textContent = promptOf(schedule, entry);
      const shown = number && (scene.mode !== "carry" || entry.mode);
      set(mode, { class: `cvt-mode${entry.mode ? "" : " cvt-default"}`, hidden: !shown });
      if (mode.dataset.mode !== scene.mode) {
        mode.replaceChildren(icon(ICONS[scene.mode]), make("span", {}, scene.mode));
        mode.dataset.mode = scene.mode;
      }
      time.textContent = entry.start || !number ? typedStart(entry) : this.t("timeline.follows");
    });
  }

  renderHandles({ axis, selected, schedule }, extents) {
    const handles = keep(this.handles, extents.length, () => make("div", { class: "cvt-fade",
      role: "slider", "aria-orientation": "horizontal", "aria-valuemin": 0 }));
    handles.forEach((handle, number) => {
      const scene = schedule.scenes[number];
      const usable = number > 0 && scene.seen && scene.mode !== "cut" && schedule.marked;
      const { begin, own, end } = extents[number];
      handle.style.left = `${axis.x(own)}px`;
      set(handle, { "data-fade": number, hidden: !usable,
        tabindex: number === selected ? 0 : -1, title: this.t("timeline.fade_tip"),
        class: number === selected ? "cvt-fade cvt-selected" : "cvt-fade",
        "aria-label": this.t("timeline.fade_of", { number: number + 1 }),
        "aria-valuemax": seconds(end - begin), "aria-valuenow": seconds(own - begin),
        "aria-valuetext": this.fadeTold(scene) });
    });
  }

  /** A sentence that describes a scene. */
  told(schedule, number) {
    const { t } = this;
    const scene = schedule.scenes[number];
    if (!scene.seen) return t("timeline.unseen");
    const px = firstPx(schedule.plan, scene.block);
    const parts = [t("timeline.begins", { seconds: seconds(px), block: scene.block })];
    if (scene.fading) parts.push(this.fadeTold(scene));
    if (number) parts.push(t(`timeline.mode.${scene.mode}`));
    return parts.join(", ");
  }

  fadeTold(scene) {
    const key = ["none", "one"][scene.fading] ?? "many";
    return this.t(`timeline.fading.${key}`, { count: scene.fading });
  }

  tip(schedule, number) {
    return `${promptOf(schedule, schedule.entries[number])}\n${this.told(schedule, number)}`;
  }
}

/** A scene's prompt as typed. */
export function promptOf({ text }, entry) {
  if (entry.body) return text.slice(...entry.body);
  return entry.prompts.map((prompt) => prompt.text).join(" | ");
}

/** A scene's time as typed. */
export const typedStart = ({ start, source }) =>
  (start ? source.text.slice(start.begin, start.end) : "");

/** A scene's fade as typed, without its sign. */
export const typedFade = ({ transition, source }) =>
  (transition ? source.text.slice(transition.begin, transition.end) : "");

/** Seconds of px frames, to hundredths. */
export const seconds = (px) => Math.round((px / FPS) * 100) / 100;

function newClip() {
  return make("div", { role: "slider", tabindex: 0, "aria-orientation": "horizontal",
    "aria-keyshortcuts": "ArrowLeft ArrowRight ArrowUp ArrowDown Enter Delete A" },
  make("span", { class: "cvt-prompt", "data-part": "prompt" }),
  make("span", { class: "cvt-foot" },
    make("span", { "data-part": "mode" }), make("span", { class: "cvt-time", "data-part": "time" })));
}

function corners(begin, own, end) {
  const [low, top, left, right] = [HEIGHT - 2, 2, round(begin), round(Math.max(end - 1.5, begin))];
  const slant = Math.min(round(own), right);
  return `${left},${low} ${slant},${top} ${right},${top} ${right},${low}`;
}

const round = (x) => Math.round(x * 10) / 10;
