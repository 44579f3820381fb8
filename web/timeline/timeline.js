/** The timeline: shows one schedule and edits it. */
import { styleSheet } from "../shared/style.js";
import { Axis } from "./axis.js";
import { make, set } from "./dom.js";
import * as edit from "./edit.js";
import { Fields } from "./fields.js";
import { Gestures } from "./gestures.js";
import { ScheduleError } from "./head.js";
import { Hues } from "./hues.js";
import { blockOf, firstPx } from "./layout.js";
import { convert, splitAtBars } from "./other_tools.js";
import { readSchedule, Refusal } from "./schedule.js";
import { Toolbar } from "./toolbar.js";
import { extents, promptOf, seconds, Track } from "./track.js";
import { FPS } from "./words.js";
import { blockStart } from "./write.js";

const STYLES = ["./timeline.css", "./track.css"].map((sheet) => new URL(sheet, import.meta.url));
const UNITS = ["s", "f", "b"];
let made = 0;

/**
 * host: the owner of the text: `text` and its setter, settings() -> {plan, defaults}, duration() ->
 * px frames or null, locked() -> a sentence or null. begin() and end() enclose one undo step;
 * settle() closes an open one. t: see i18n.js.
 */
export class Timeline {
  constructor(host, t) {
    Object.assign(this, { host, t, schedule: null, selected: 0, unit: "s", snap: true, held: null,
      wantsFocus: false, undoneAt: -Infinity });
    this.axis = new Axis();
    this.hues = new Hues();
    this.toolbar = new Toolbar(t, this);
    this.track = new Track(t);
    this.fields = new Fields(t, this.fieldActions());
    this.live = make("div", { class: "cvt-unseen-text", role: "status", "aria-live": "polite" });
    this.problem = make("div", { class: "cvt-problem", role: "note" });
    this.offer = make("button", { class: "cvt-offer", type: "button" });
    this.offer.addEventListener("click", () => this.convert());
    this.help = make("div", { class: "cvt-unseen-text", id: `cvt-help-${(made += 1)}` },
      t("timeline.keys"));
    set(this.track.lane, { "aria-describedby": this.help.id });
    this.body = make("div", { class: "cvt-body" }, this.track.element, this.fields.element);
    this.element = make("div", { class: "cvt", role: "group", "aria-label": t("timeline.title") },
    this.toolbar.element, this.problem, this.offer, this.body, this.live, this.help, ...STYLES.map(styleSheet));
    this.gestures = new Gestures(this);
    this.observer = new ResizeObserver(() => this.resized());
    this.observer.observe(this.element);
    this.observer.observe(this.track.lane); // its style may load later
  }

  /** What the next timeline of the same node takes over. */
  get view() {
    const { selected, unit, snap, axis } = this;
    return { selected, unit, snap, axis };
  }

  /** Take over the view of an earlier timeline. */
  resume(view, focus) {
    Object.assign(this, view);
    this.wantsFocus = focus;
  }

  /** Called when the timeline appears on the page or changes its size. */
  resized() {
    this.render();
    if (!this.wantsFocus || !this.schedule || !this.element.offsetParent) return;
    this.wantsFocus = false;
    this.select(this.selected, { focus: true });
  }

  /** Read the text and all settings again, and redraw. */
  refresh() {
    const [locked, settings] = [this.host.locked(), this.host.settings()];
    this.schedule = null;
    let problem = locked;
    try {
      if (!locked) this.schedule = readSchedule(this.host.text, settings);
    } catch (error) {
      if (!(error instanceof ScheduleError)) throw error;
      problem = this.t("timeline.cannot", { problem: this.explain(error) });
    }
    const said = this.problem.textContent;
    set(this.problem, { hidden: !problem });
    this.problem.textContent = problem ?? "";
    if (problem && said !== problem && this.element.contains(document.activeElement)) {
      this.say(problem);
    }
    const offer = locked ? null : this.offered(settings.defaults.scene);
    set(this.offer, { hidden: !offer });
    this.offer.textContent = offer ? this.t(offer.label) : "";
    if (this.schedule) {
      this.selected = Math.min(this.selected, this.schedule.entries.length - 1);
      this.duration = this.host.duration();
    }
    this.render();
  }

  /** {label, text}: what the text may have meant in another tool; null if there is nothing. */
  offered(scene = this.host.settings().defaults.scene) {
    const { text } = this.host;
    try {
      const found = convert(text, scene);
      if (found) return { label: "timeline.convert", text: found.text };
    } catch (error) {
      if (!(error instanceof ScheduleError)) throw error;
      return null;
    }
    const split = splitAtBars(text, scene);
    return split === null ? null : { label: "timeline.split", text: split };
  }

  /** Replace the text by what is offered, as one undo step. */
  convert() {
    const offer = this.offered();
    if (!offer) return;
    this.host.begin();
    this.host.text = offer.text;
    this.host.end();
    this.refresh();
    if (this.schedule) this.select(0, { focus: true });
    this.say(this.t("timeline.converted"));
  }

  render() {
    const ready = this.schedule !== null;
    this.element.classList.toggle("cvt-off", !ready);
    this.body.inert = !ready;
    if (ready) {
      const model = this.model();
      this.track.render(model);
      this.fields.render(model);
    }
    this.toolbar.render(this);
  }

  /** Everything that is drawn. */
  model() {
    const { schedule, axis, unit, snap, selected, duration } = this;
    const total = this.held ?? this.total();
    axis.resize(this.track.lane.clientWidth || axis.width, total);
    const hues = this.hues.of(schedule.entries.map((entry) => promptOf(schedule, entry)));
    return { schedule, axis, unit, snap, selected, duration, hues, total };
  }

  /** Px frames to show, from the start of the stream, with room after the last scene. */
  total() {
    const { scenes, defaults } = this.schedule;
    const last = scenes.at(-1);
    const own = last.start + last.fade;
    const tail = Math.max(defaults.scene * FPS, own * 0.15);
    if (this.duration === null) return own + tail;
    return last.start < this.duration ? this.duration * 1.04 : own + tail;
  }

  explain({ key, values, line, column }) {
    const problem = this.t(`timeline.error.${key}`, values);
    return this.t("timeline.error.place", { line, column, problem });
  }

  say(words) {
    this.live.textContent = "";
    this.live.textContent = words;
  }

  /**
   * Change the schedule, as one undo step unless `open`. Returns null, or a sentence that says why
   * the change cannot be made.
   */
  change(make, { open = false } = {}) {
    if (!this.schedule) return null;
    let after;
    try {
      after = make(this.schedule);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const { error: cause } = error.values;
      return cause ? this.explain(cause) : this.t(`timeline.refused.${error.key}`);
    }
    if (after.text === this.host.text) return null;
    if (!open) this.host.begin();
    this.host.text = after.text;
    if (!open) this.host.end();
    this.refresh();
    return null;
  }

  /** The same, and tell screen readers what was done or why it cannot be. */
  perform(make, done) {
    const before = this.host.text;
    const wrong = this.change(make);
    if (wrong) this.say(wrong);
    else if (this.host.text !== before) this.say(done());
    return !wrong && this.host.text !== before;
  }

  select(index, { focus = false } = {}) {
    this.selected = index;
    const { begin, end } = extents(this.model())[index];
    if (focus) this.axis.reveal(begin, end);
    this.render();
    if (focus) this.track.clips.children[index].focus({ preventScroll: true });
  }

  /** Add a scene at a px frame, or in the middle of the selected one. */
  add(px = null) {
    if (!this.schedule) return;
    const { plan } = this.schedule;
    const { begin, end } = extents(this.model())[this.selected];
    const block = blockOf(plan, Math.floor(Math.max(px ?? (begin + end) / 2, 0)));
    const place = blockStart(firstPx(plan, block));
    const added = this.perform((schedule) => edit.addScene(schedule, place),
      () => this.t("timeline.added", { seconds: seconds(place.px) }));
    if (!added) return;
    this.select(this.schedule.scenes.findLastIndex((scene) => scene.start <= place.px + 2),
      { focus: true });
    this.fields.edit();
  }

  remove() {
    if (!this.schedule) return;
    const index = this.selected;
    const removed = this.perform((schedule) => edit.removeScene(schedule, index),
      () => this.t("timeline.removed", { number: index + 1 }));
    if (removed) this.select(Math.min(index, this.schedule.entries.length - 1), { focus: true });
  }

  nextUnit() {
    this.unit = UNITS[(UNITS.indexOf(this.unit) + 1) % UNITS.length];
    this.render();
  }

  toggleSnap() {
    this.snap = !this.snap;
    this.render();
  }

  zoom(factor, x) {
    this.axis.zoomBy(factor, x);
    this.render();
  }

  fit() {
    this.axis.fit();
    this.render();
  }

  /** Keep the scale fixed while something is dragged. */
  hold(on) {
    this.held = on ? this.total() : null;
    this.element.classList.toggle("cvt-dragging", on);
    if (!on) this.render();
  }

  fieldActions() {
    const take = (make) => (typed, last = true) => {
      const wrong = this.change((schedule) => make(schedule, this.selected, typed), { open: !last });
      if (last) this.host.settle();
      if (wrong) this.say(wrong);
      return wrong;
    };
    return { start: take(edit.typeStart), fade: take(edit.typeFade), prompt: take(edit.setPrompt),
      mode: take(edit.setMode), leave: () => this.select(this.selected, { focus: true }) };
  }

  dispose() {
    this.gestures.cancel();
    this.observer.disconnect();
  }
}
