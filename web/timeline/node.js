/** The timeline on its node: a widget for the node's text widget, which is never saved itself. */
import { app } from "../../../scripts/app.js";
import { t } from "../shared/i18n.js";
import { durationOf, inputOf, planOf, valueOf } from "./graph.js";
import { DEFAULTS } from "./layout.js";
import { Timeline } from "./timeline.js";

const WIDGET = "causvid_timeline";
const HEIGHT = 160; // CSS px, as in timeline.css
const MARGIN = 8;
const WIDTH = 480; // of a new node
const LINES = 60; // CSS px for the text, in addition to the editor's minimum
const WATCHED = ["text", "mode", "transition", "scene_seconds"];
const FOCUS_KEPT = 5000; // ms; undo recreates every node in less

const timelines = new Set();
const removed = new Map(); // place of a removed node -> {view, element, undoneAt} of its timeline

/** Give a node its timeline. */
export function addTimeline(node) {
  const text = node.widgets?.find((widget) => widget.name === "text");
  if (!text) return;
  const host = new TextHost(node, text);
  const timeline = new Timeline(host, t);
  host.element = timeline.element;
  const widget = node.addDOMWidget(WIDGET, "causvid_timeline", timeline.element, {
    serialize: false, // in the queued prompt
    margin: MARGIN,
    getMinHeight: () => HEIGHT + 2 * MARGIN,
    getMaxHeight: () => HEIGHT + 2 * MARGIN,
    getValue: () => "",
    setValue: () => {},
  });
  widget.serialize = false; // in the workflow
  widget.label = t("timeline.title");
  timelines.add(timeline);
  const refresh = () => {
    if (!host.writing) timeline.refresh();
  };
  for (const watched of node.widgets.filter(({ name }) => WATCHED.includes(name))) {
    after(watched, "callback", refresh);
  }
  after(node, "onConfigure", () => {
    grow(node, node.size[0]); // the workflow may come from a version without the timeline
    refresh();
  });
  after(node, "onConnectionsChange", refresh);
  let place = ""; // remembered, because the graph has no id any more when the node is removed
  after(node, "onAdded", () => {
    place = `${node.graph.id}:${node.id}`;
    const left = removed.get(place);
    removed.delete(place);
    if (!left) return;
    timeline.resume(left.view, performance.now() - left.undoneAt < FOCUS_KEPT);
    // A Vue node that is recreated with its old id keeps the element that it showed before.
    const shown = left.element.deref();
    if (shown?.closest("[data-node-id]")) shown.replaceWith(timeline.element);
  });
  after(node, "onRemoved", () => {
    const { view, element, undoneAt } = timeline;
    removed.set(place, { view, element: new WeakRef(element), undoneAt });
    timelines.delete(timeline);
    timeline.dispose();
  });
  grow(node, WIDTH);
  timeline.refresh();
}

/** Room for the timeline and for some lines of the text. */
function grow(node, width) {
  const [leastWidth, leastHeight] = node.computeSize();
  const height = leastHeight + LINES;
  if (node.size[0] >= width && node.size[1] >= height) return;
  node.setSize([Math.max(node.size[0], leastWidth, width), Math.max(node.size[1], height)]);
}

/** Refresh every timeline from its connected nodes. */
export function refreshAll() {
  for (const timeline of timelines) timeline.refresh();
}

/** The host of a timeline; see Timeline. */
class TextHost {
  constructor(node, widget) {
    Object.assign(this, { node, widget, writing: false, element: null, open: 0 });
  }

  get text() {
    return String(this.widget.value ?? "");
  }

  /** Also calls the text widget's callback, as typing does. */
  set text(text) {
    this.writing = true;
    try {
      this.widget.value = text;
    } finally {
      this.writing = false;
    }
    this.node.setDirtyCanvas?.(true, true);
  }

  settings() {
    const { node } = this;
    return { plan: planOf(node), defaults: {
      mode: valueOf(node, "mode") ?? DEFAULTS.mode,
      transition: valueOf(node, "transition") ?? DEFAULTS.transition,
      scene: valueOf(node, "scene_seconds") || DEFAULTS.scene } };
  }

  duration() {
    return durationOf(this.node);
  }

  locked() {
    return inputOf(this.node, "text")?.link != null ? t("timeline.linked") : null;
  }

  /** Everything between begin() and end() is one undo step, separate from earlier changes. */
  begin() {
    this.settle();
    this.open += 1;
    app.canvas.emitBeforeChange();
  }

  end() {
    if (!this.open) return;
    this.open -= 1;
    app.canvas.emitAfterChange();
  }

  /** Let the editor record the changes so far. */
  settle() {
    app.canvas.emitBeforeChange();
    app.canvas.emitAfterChange();
  }

  /** Pass an unused wheel event on to the canvas; Vue nodes do it themselves, except for pinches. */
  wheel(event) {
    if (this.inVueNode() && !event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    app.canvas.processMouseWheel(event);
  }

  /** The middle button pans the canvas; other buttons stay here and do not drag the node. */
  pointer(event) {
    const middle = event.button === 1 || (event.buttons & 4) === 4;
    if (!middle) {
      event.stopPropagation();
    } else if (!this.inVueNode()) {
      const act = { pointerdown: "processMouseDown", pointermove: "processMouseMove",
        pointerup: "processMouseUp" }[event.type];
      app.canvas[act](event);
    }
  }

  inVueNode() {
    return this.element.closest("[data-node-id]") !== null;
  }
}

/** Chain a callback of a node or a widget. */
function after(target, name, act) {
  const before = target[name];
  target[name] = function (...values) {
    const result = before?.apply(this, values);
    act();
    return result;
  };
}
