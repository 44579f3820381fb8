/** Mouse, pen, touch and keys on the track. */
import { set } from "./dom.js";
import { moveStart, stretchFade } from "./edit.js";
import { firstPx } from "./layout.js";
import { fadeOfBlocks, fadeOfTime, nearestBlock, startAtBlock, startAtTime, stepOf } from "./places.js";
import { Refusal } from "./schedule.js";
import { extents } from "./track.js";
import { FPS } from "./words.js";

const SLACK = 3; // CSS px that a press may move before it becomes a drag

export class Gestures {
  constructor(timeline) {
    this.timeline = timeline;
    this.drag = null;
    this.pressed = null; // what the pointer last went down on; its capture hides this from clicks
    this.repeating = false;
    const { lane, ruler, bar, element } = timeline.track;
    for (const part of [lane, ruler, bar]) {
      part.addEventListener("pointerdown", (event) => this.press(event, part));
    }
    element.addEventListener("pointermove", (event) => this.move(event));
    element.addEventListener("pointerup", (event) => this.release(event));
    element.addEventListener("pointercancel", () => this.cancel());
    element.addEventListener("lostpointercapture", () => this.cancel());
    element.addEventListener("dblclick", (event) => this.doubleClick(event));
    lane.addEventListener("focusin", (event) => this.focus(event));
    lane.addEventListener("keydown", (event) => this.key(event));
    lane.addEventListener("keyup", () => this.keyUp());
    // Vue nodes leave the wheel to an element with this attribute.
    const working = (on) => set(timeline.element, { "data-capture-wheel": on ? "true" : null });
    timeline.element.addEventListener("focusin", () => working(true));
    timeline.element.addEventListener("focusout", () => working(false));
    timeline.element.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    for (const name of ["pointerdown", "pointermove", "pointerup"]) {
      timeline.element.addEventListener(name, (event) => timeline.host.pointer(event));
    }
  }

  /** CSS px from the lane's left edge, at any zoom of the canvas. */
  x(event) {
    const { lane } = this.timeline.track;
    const box = lane.getBoundingClientRect();
    return ((event.clientX - box.left) * lane.clientWidth) / box.width;
  }

  pxAt(event) {
    return this.timeline.axis.px(this.x(event));
  }

  press(event, part) {
    this.pressed = event.target;
    this.timeline.fields.settle(); // before another scene is selected
    if (event.button !== 0 || !this.timeline.schedule || this.drag) return;
    const { track, axis, schedule } = this.timeline;
    const scene = event.target.closest("[data-scene]")?.dataset.scene;
    const fade = event.target.closest("[data-fade]")?.dataset.fade;
    const index = Number(scene ?? fade ?? -1);
    const kind = fade ? "fade" : scene ? "start" : part === track.bar ? "bar" : "pan";
    const shape = index < 0 ? null : extents(this.timeline.model())[index];
    this.drag = { kind, index, schedule, x: this.x(event), from: axis.from, moved: false,
      px: fade ? shape.own : shape?.begin, pointer: event.pointerId };
    if (index >= 0) this.timeline.select(index);
    track.element.setPointerCapture(event.pointerId);
  }

  move(event) {
    const { drag, timeline } = this;
    if (!drag || event.pointerId !== drag.pointer) return;
    const far = this.x(event) - drag.x;
    if (!drag.moved && Math.abs(far) < SLACK) return;
    if (drag.kind === "pan" || drag.kind === "bar") {
      const { axis } = timeline;
      drag.moved = true;
      axis.from = drag.from;
      axis.pan(drag.kind === "pan" ? -far / axis.scale : (far / axis.width) * axis.total);
      timeline.render();
      return;
    }
    if (!drag.moved) {
      drag.moved = true;
      timeline.hold(true);
      timeline.host.begin();
    }
    const px = drag.px + far / timeline.axis.scale;
    this.preview(this.dragged(drag, px, timeline.snap !== event.altKey));
  }

  /** The schedule after a drag to a px frame. */
  dragged({ kind, index, schedule }, px, snap) {
    const { plan, scenes } = schedule;
    const step = stepOf(this.timeline.axis);
    try {
      if (kind === "start") {
        const place = snap ? startAtBlock(schedule, index, nearestBlock(plan, px))
          : startAtTime(schedule, index, px, step);
        return place ? moveStart(schedule, index, place) : schedule;
      }
      const fade = snap
        ? fadeOfBlocks(schedule, index, nearestBlock(plan, px) - scenes[index].block)
        : fadeOfTime(schedule, index, px - scenes[index].start, step);
      return fade ? stretchFade(schedule, index, fade.length, fade.blocks) : schedule;
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return null;
    }
  }

  preview(schedule) {
    if (!schedule || schedule.text === this.timeline.host.text) return;
    this.timeline.host.text = schedule.text;
    this.timeline.refresh();
  }

  release(event) {
    if (this.drag && event.pointerId === this.drag.pointer) this.finish();
  }

  /** Undo the current drag. */
  cancel() {
    if (!this.drag) return;
    const { kind, moved, schedule } = this.drag;
    if (moved && (kind === "start" || kind === "fade")) this.preview(schedule);
    this.finish();
  }

  finish() {
    const { kind, moved } = this.drag;
    this.drag = null;
    if (!moved || (kind !== "start" && kind !== "fade")) return;
    this.timeline.hold(false);
    this.timeline.host.end();
  }

  doubleClick(event) {
    const { timeline, pressed } = this;
    const { lane, ruler } = timeline.track;
    if (!timeline.schedule || !pressed || pressed.closest("[data-fade]")) return;
    if (pressed.closest("[data-scene]")) timeline.fields.edit();
    else if (lane.contains(pressed) || ruler.contains(pressed)) timeline.add(this.pxAt(event));
  }

  focus(event) {
    const { scene, fade } = event.target.dataset;
    const index = Number(scene ?? fade ?? -1);
    if (index >= 0 && index !== this.timeline.selected) this.timeline.select(index);
  }

  key(event) {
    const { timeline } = this;
    if (event.ctrlKey || event.metaKey) {
      if ("zy".includes(event.key.toLowerCase())) timeline.undoneAt = performance.now();
      return;
    }
    if (!timeline.schedule) return;
    if (this.drag) {
      if (event.key === "Escape") this.cancel();
      event.stopPropagation();
      return;
    }
    const index = timeline.selected;
    const last = timeline.schedule.entries.length - 1;
    const keys = {
      ArrowLeft: () => this.step(event, -1), ArrowRight: () => this.step(event, 1),
      ArrowUp: () => this.stretch(event, 1), ArrowDown: () => this.stretch(event, -1),
      PageUp: () => timeline.select(Math.max(0, index - 1), { focus: true }),
      PageDown: () => timeline.select(Math.min(last, index + 1), { focus: true }),
      Home: () => timeline.select(0, { focus: true }),
      End: () => timeline.select(last, { focus: true }),
      Enter: () => timeline.fields.edit(), F2: () => timeline.fields.edit(),
      Delete: () => timeline.remove(), Backspace: () => timeline.remove(),
      a: () => timeline.add(), "+": () => timeline.zoom(1.5), "=": () => timeline.zoom(1.5),
      "-": () => timeline.zoom(1 / 1.5), 0: () => timeline.fit(),
    };
    const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  }

  /** Left and right: by a block, with Shift by a second, with Alt by a frame. */
  step(event, sign) {
    if (event.target.dataset.fade) {
      this.stretch(event, sign);
      return;
    }
    this.change(event, (schedule, index) => {
      const { start, block } = schedule.scenes[index];
      const far = event.shiftKey ? FPS : event.altKey ? 1 : 0;
      const place = far ? startAtTime(schedule, index, start + sign * far, 0.01)
        : startAtBlock(schedule, index, block + sign);
      return place ? moveStart(schedule, index, place) : schedule;
    });
  }

  /** The same for the length of the fade. */
  stretch(event, sign) {
    this.change(event, (schedule, index) => {
      const { fade, fading, mode, seen } = schedule.scenes[index];
      if (!index || mode === "cut" || !seen) throw new Refusal(index ? "no_fade" : "first");
      const far = event.shiftKey ? FPS : event.altKey ? 1 : 0;
      const found = far ? fadeOfTime(schedule, index, fade + sign * far, 0.01)
        : fadeOfBlocks(schedule, index, fading + sign);
      return found ? stretchFade(schedule, index, found.length, found.blocks) : schedule;
    });
  }

  change(event, make) {
    const { timeline } = this;
    const index = timeline.selected;
    this.repeating = event.repeat;
    const wrong = timeline.change((schedule) => make(schedule, index), { open: event.repeat });
    if (wrong) timeline.say(wrong);
    const { begin, end } = extents(timeline.model())[index];
    timeline.axis.reveal(begin, Math.min(end, begin + firstPx(timeline.schedule.plan, 1)));
    timeline.render();
  }

  keyUp() {
    if (this.repeating) this.timeline.host.settle();
    this.repeating = false;
  }

  /** The wheel zooms and pans while the timeline has the focus; otherwise the canvas gets it. */
  wheel(event) {
    const { timeline } = this;
    const inside = timeline.element.contains(document.activeElement);
    if (event.ctrlKey || event.metaKey || !inside || !timeline.schedule) {
      timeline.host.wheel(event);
      return;
    }
    event.preventDefault();
    event.stopPropagation();
    const far = event.shiftKey ? event.deltaY : event.deltaX;
    if (Math.abs(far) > Math.abs(event.shiftKey ? 0 : event.deltaY)) {
      timeline.axis.pan(far / timeline.axis.scale);
      timeline.render();
    } else if (event.deltaY) {
      timeline.zoom(Math.exp(-event.deltaY / 400), this.x(event));
    }
  }
}
