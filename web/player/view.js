/** The player's elements: a picture, a scrub bar, two buttons, and a line of facts. */
import { t } from "../shared/i18n.js";
import { styleSheet } from "../shared/style.js";
import { icon } from "./icons.js";

const STYLE = new URL("./player.css", import.meta.url);
const SMOOTH_PX = 320; // smaller pictures are enlarged on the canvas, which does it better than CSS

/**
 * Build the player. handlers: toggle(), loop(), follow(), seek(px frame), key(event).
 * Returns the root element and `draw`, `say`, which fill it.
 */
export function buildView(handlers) {
  const root = element("div", "causvid-player");
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", t("player.title"));
  root.tabIndex = -1;

  const stage = element("div", "causvid-stage");
  const canvas = element("canvas", "causvid-picture");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", t("player.picture"));
  const live = button("causvid-live", t("player.follow"), handlers.follow);
  live.append(element("span", "causvid-dot"), element("span", "causvid-live-text"));
  stage.append(canvas, live);
  stage.addEventListener("click", (event) => {
    if (!live.contains(event.target)) handlers.toggle();
  });

  const bar = element("div", "causvid-bar");
  const play = button("causvid-play", "", handlers.toggle);
  const scrub = element("input", "causvid-scrub");
  Object.assign(scrub, { type: "range", min: 0, max: 1, step: 1, value: 0 });
  scrub.setAttribute("aria-label", t("player.position"));
  scrub.addEventListener("input", () => handlers.seek(Number(scrub.value)));
  const loop = button("causvid-loop", t("player.loop"), handlers.loop);
  loop.append(icon("loop"));
  bar.append(play, scrub, loop);

  const line = element("div", "causvid-line");
  const time = element("span", "causvid-time");
  const stats = element("span", "causvid-stats");
  line.append(time, stats);

  root.append(stage, bar, line, styleSheet(STYLE));
  // Keep these events from the editor: dragging would move the node.
  for (const kind of ["pointerdown", "pointermove", "pointerup", "dblclick"]) {
    root.addEventListener(kind, (event) => event.stopPropagation());
  }
  root.addEventListener("keydown", handlers.key);

  let shownIcon = "";
  return {
    root,
    stage,
    scrub,

    /** Show a decoded frame. */
    draw(bitmap) {
      const scale = Math.max(1, SMOOTH_PX / Math.max(bitmap.width, bitmap.height));
      const width = Math.round(bitmap.width * scale);
      const height = Math.round(bitmap.height * scale);
      if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
      const context = canvas.getContext("2d");
      context.imageSmoothingQuality = "high";
      context.drawImage(bitmap, 0, 0, width, height);
    },

    /** Show the state of the player; see `describe`. */
    say(now) {
      const name = now.playing ? "pause" : "play";
      if (name !== shownIcon) {
        play.replaceChildren(icon(name));
        label(play, t(`player.${name}`));
        shownIcon = name;
      }
      loop.setAttribute("aria-pressed", String(now.loop));
      set(scrub, "min", now.start);
      set(scrub, "max", Math.max(now.start + 1, now.end - 1));
      if (Number(scrub.value) !== now.position) scrub.value = now.position;
      set(scrub, "aria-valuetext", now.spoken, true);
      const share = (px) => `${(100 * (px - now.start)) / Math.max(1, now.end - 1 - now.start)}%`;
      root.style.setProperty("--aspect", now.aspect);
      root.style.setProperty("--played", share(now.position));
      root.style.setProperty("--reached", share(now.last));
      text(time, now.time);
      text(stats, now.stats);
      set(stats, "title", now.details, true);
      live.hidden = !now.running;
      text(live.lastChild, now.waiting || now.following ? t("player.live") : t("player.to_live"));
      root.dataset.state = now.state;
      root.dataset.following = String(now.following);
      root.dataset.waiting = String(now.waiting);
    },
  };
}

function element(kind, name) {
  const made = document.createElement(kind);
  made.className = name;
  return made;
}

function button(name, text, action) {
  const made = element("button", name);
  made.type = "button";
  label(made, text);
  made.addEventListener("click", (event) => {
    event.stopPropagation();
    action();
  });
  return made;
}

function label(target, text) {
  target.title = text;
  target.setAttribute("aria-label", text);
}

function text(target, value) {
  if (target.textContent !== value) target.textContent = value;
}

function set(target, name, value, attribute = false) {
  const now = attribute ? target.getAttribute(name) : target[name];
  if (String(now) === String(value)) return;
  if (attribute) target.setAttribute(name, value);
  else target[name] = value;
}
