/** The visible range of time: px frames to CSS px and back, zoom, pan, and the ruler's marks. */
import { firstPx } from "./layout.js";
import { FPS } from "./words.js";

const CLOSEST = 24; // CSS px for a px frame
const LABEL_ROOM = 58; // CSS px between labels
const SECONDS = [0.125, 0.25, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600];
const FRAMES = [1, 2, 4, 8, 16, 32, 80, 160, 400, 800, 1600, 4000, 8000, 16000, 80000, 400000];
const BLOCKS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 20000];

export class Axis {
  constructor() {
    this.width = 1;
    this.total = FPS;
    this.from = 0;
    this.zoom = 1; // 1 shows everything
  }

  /** CSS px per px frame. */
  get scale() {
    return (this.width / this.total) * this.zoom;
  }

  /** Number of visible px frames. */
  get seen() {
    return this.total / this.zoom;
  }

  /** Fit `total` px frames into `width` CSS px; the visible range changes as little as possible. */
  resize(width, total) {
    const scale = this.zoom > 1 ? this.scale : null;
    this.width = Math.max(1, width);
    this.total = Math.max(1, total);
    this.setZoom(scale ? (scale * this.total) / this.width : 1);
  }

  x(px) {
    return (px - this.from) * this.scale;
  }

  px(x) {
    return this.from + x / this.scale;
  }

  /** Zoom by a factor; the px frame at x stays there. */
  zoomBy(factor, x = this.width / 2) {
    const px = this.px(x);
    this.setZoom(this.zoom * factor);
    this.pan(px - this.px(x));
  }

  pan(pxFrames) {
    this.from = Math.min(Math.max(0, this.from + pxFrames), this.total - this.seen);
  }

  fit() {
    this.from = 0;
    this.zoom = 1;
  }

  /** Pan as little as needed to show px frames begin..end, or their beginning if they do not fit. */
  reveal(begin, end) {
    const margin = this.seen * 0.04;
    if (end > this.from + this.seen) this.pan(end + margin - this.from - this.seen);
    if (begin < this.from || begin > this.from + this.seen) this.pan(begin - margin - this.from);
  }

  setZoom(zoom) {
    const closest = Math.max(1, (CLOSEST * this.total) / this.width);
    this.zoom = Math.min(Math.max(1, zoom), closest);
    this.pan(0);
  }

  /** Visible marks of the ruler, {px, label}, in "s", "f" or "b". */
  ticks(unit, plan) {
    const end = this.from + this.seen;
    if (unit === "b") {
      const blockPx = plan.framesPerBlock * 4;
      const step = stepFor(BLOCKS, blockPx * this.scale);
      const first = Math.max(0, Math.floor(this.from / blockPx / step) * step);
      return series(first, step, (block) => firstPx(plan, block), end, String);
    }
    const [steps, size, label] = unit === "f"
      ? [FRAMES, 1, String] : [SECONDS, FPS, this.total > 60 * FPS ? clock : seconds];
    const step = stepFor(steps, size * this.scale);
    const first = Math.floor(this.from / size / step) * step;
    return series(first, step, (value) => value * size, end, label);
  }

  /** Px frames at which visible blocks begin; empty if their lines would be too close together. */
  blocks(plan) {
    const blockPx = plan.framesPerBlock * 4;
    if (blockPx * this.scale < 6) return [];
    const first = Math.max(1, Math.floor(this.from / blockPx));
    const begins = (block) => firstPx(plan, block);
    return series(first, 1, begins, this.from + this.seen, String).map(({ px }) => px);
  }
}

/** Seconds as a clock shows them: 1:05, 1:02:03. */
export function clock(value) {
  const rest = Math.round((value % 60) * 1000) / 1000;
  const minutes = Math.floor(value / 60);
  const two = (number) => (number < 10 ? `0${number}` : String(number));
  if (minutes < 60) return `${minutes}:${two(rest)}`;
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(rest)}`;
}

const seconds = (value) => `${value} s`;

function stepFor(steps, size) {
  return steps.find((step) => step * size >= LABEL_ROOM) ?? steps.at(-1);
}

function series(first, step, place, end, label) {
  const marks = [];
  for (let value = first; place(value) <= end; value += step) {
    marks.push({ px: place(value), label: label(value) });
  }
  return marks;
}
