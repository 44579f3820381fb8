/** Buttons above the track, and a summary of the selected scene. */
import { icon, ICONS, make, set } from "./dom.js";
import { FPS } from "./words.js";

export class Toolbar {
  constructor(t, timeline) {
    this.t = t;
    const button = (name, path, act) => {
      const label = t(`timeline.button.${name}`);
      const made = make("button", { class: "cvt-button", type: "button", title: label,
        "aria-label": label, "data-button": name }, icon(path));
      made.addEventListener("click", act);
      return made;
    };
    this.add = button("add", ICONS.add, () => timeline.add());
    this.remove = button("remove", ICONS.remove, () => timeline.remove());
    this.snap = button("snap", ICONS.blocks, () => timeline.toggleSnap());
    this.unit = button("unit", "", () => timeline.nextUnit());
    this.unit.classList.add("cvt-words");
    this.views = [button("zoom_out", ICONS.zoom_out, () => timeline.zoom(1 / 1.5)),
      button("fit", ICONS.fit, () => timeline.fit()),
      button("zoom_in", ICONS.zoom_in, () => timeline.zoom(1.5))];
    this.status = make("span", { class: "cvt-status" });
    this.element = make("div", { class: "cvt-toolbar", role: "toolbar",
      "aria-label": t("timeline.toolbar") },
    this.add, this.remove, this.status, this.unit, this.snap, ...this.views);
  }

  render({ schedule, selected, snap, unit, track, duration, axis }) {
    const single = !schedule || schedule.entries.length === 1;
    set(this.snap, { "aria-pressed": String(snap) });
    this.unit.textContent = this.t(`timeline.unit.${unit}`);
    for (const button of [this.add, this.unit, this.snap, ...this.views]) button.disabled = !schedule;
    this.remove.disabled = single;
    this.views[0].disabled = this.views[1].disabled = !schedule || axis.zoom <= 1;
    if (!schedule) {
      this.status.textContent = "";
      return;
    }
    const parts = [this.t("timeline.position", { number: selected + 1,
      count: schedule.entries.length }), track.told(schedule, selected)];
    const { start } = schedule.scenes[selected];
    if (duration !== null && start >= duration) {
      parts.push(this.t("timeline.too_late", { seconds: Math.round((duration / FPS) * 10) / 10 }));
    }
    this.status.textContent = parts.join(" \u00b7 ");
    this.status.title = this.status.textContent;
  }
}
