/** The line under the track: time, fade, mode and prompt of the selected scene, as typed. */
import { make, set } from "./dom.js";
import { promptOf, typedFade, typedStart } from "./track.js";
import { MODES } from "./words.js";

/**
 * actions: {start, fade, prompt}(typed, last) -> null, or a sentence that says what is wrong;
 * `last` is false while the person is still typing. mode(name or null). leave() returns the focus
 * to the scene.
 */
export class Fields {
  constructor(t, actions) {
    this.t = t;
    this.leave = actions.leave;
    this.start = this.field("start", actions.start);
    this.fade = this.field("fade", actions.fade);
    this.prompt = this.field("prompt", actions.prompt, true);
    this.standard = make("option", { value: "" });
    this.mode = make("select", { class: "cvt-field cvt-select" }, this.standard,
      ...MODES.map((mode) => make("option", { value: mode }, mode)));
    this.mode.addEventListener("change", () => actions.mode(this.mode.value || null));
    this.number = make("span", { class: "cvt-number", "aria-hidden": "true" });
    this.element = make("div", { class: "cvt-fields", role: "group" }, this.number, this.start,
      this.fade, this.mode, this.prompt);
  }

  /** A text field. A live one applies at every key, any other when it loses the focus. */
  field(name, take, live = false) {
    const field = make("input", { class: `cvt-field cvt-type-${name}`, type: "text", spellcheck: "false",
      autocomplete: "off", placeholder: this.t(`timeline.field.${name}_empty`) });
    let before = "";
    const tell = (last) => {
      const wrong = take(field.value, last);
      field.setCustomValidity(wrong ?? "");
      set(field, { "aria-invalid": wrong ? "true" : null });
    };
    const show = () => {
      field.value = field.dataset.typed;
      field.setCustomValidity("");
      set(field, { "aria-invalid": null });
    };
    field.addEventListener("focus", () => { before = field.value; });
    if (live) field.addEventListener("input", () => tell(false));
    field.addEventListener("change", () => {
      tell(true);
      show();
    });
    field.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        field.value = before;
        tell(true);
        show();
      }
      if (event.key === "Escape" || (event.key === "Enter" && !event.ctrlKey && !event.metaKey)) {
        event.stopPropagation();
        this.leave();
      }
    });
    return field;
  }

  render({ schedule, selected, hues }) {
    const entry = schedule.entries[selected];
    const number = selected + 1;
    this.element.style.setProperty("--cvt-hue", hues[selected]);
    set(this.element, { "aria-label": this.t("timeline.fields", { number }) });
    this.number.textContent = number;
    this.put(this.start, typedStart(entry), "start", number);
    this.start.placeholder = selected ? this.t("timeline.field.start_empty") : "0";
    this.put(this.fade, typedFade(entry), "fade", number);
    this.put(this.prompt, promptOf(schedule, entry), "prompt", number);
    this.standard.textContent = this.t("timeline.field.standard", { mode: schedule.defaults.mode });
    this.mode.value = entry.mode ?? "";
    set(this.mode, { "aria-label": this.t("timeline.field.mode", { number }),
      title: this.t("timeline.field.mode", { number }) });
    this.start.disabled = this.prompt.disabled = !entry.body;
    this.fade.disabled = this.mode.disabled = !entry.body || !schedule.marked || !selected;
  }

  put(field, typed, name, number) {
    const editing = field === document.activeElement && field.dataset.number === String(number);
    set(field, { "data-typed": typed, "data-number": number });
    if (!editing) field.value = typed;
    const label = this.t(`timeline.field.${name}`, { number });
    set(field, { "aria-label": label, title: label });
  }

  /** Apply what is typed in a field. */
  settle() {
    if (this.element.contains(document.activeElement)) document.activeElement.blur();
  }

  /** Focus the prompt for typing. */
  edit() {
    this.prompt.focus();
    this.prompt.select();
  }
}
