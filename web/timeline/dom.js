/** Builds elements in one expression. Texts are inserted as text, never as HTML. */
const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes (null and false omit one) and children. */
export function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function draw(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** Set attributes that differ; null and false remove one. */
export function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === false || value === undefined) element.removeAttribute(name);
    else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
  }
  return element;
}

/** Give `parent` exactly `count` children, with `create` for new ones. Returns the children. */
export function keep(parent, count, create) {
  while (parent.children.length > count) parent.lastElementChild.remove();
  while (parent.children.length < count) parent.append(create(parent.children.length));
  return [...parent.children];
}

/** A 16 px icon of strokes in the text's colour. */
export function icon(path) {
  return draw("svg", { viewBox: "0 0 16 16", class: "cvt-icon", "aria-hidden": "true" },
    draw("path", { d: path }));
}

export const ICONS = {
  add: "M8 3v10M3 8h10",
  remove: "M3 4.5h10M6.5 4.5V3h3v1.5M4.5 4.5l.6 8.5h5.8l.6-8.5M7 7v3.5M9 7v3.5",
  zoom_in: "M7 3.2a3.8 3.8 0 1 0 0 7.6a3.8 3.8 0 1 0 0-7.6M9.8 9.8L13 13M5.2 7h3.6M7 5.2v3.6",
  zoom_out: "M7 3.2a3.8 3.8 0 1 0 0 7.6a3.8 3.8 0 1 0 0-7.6M9.8 9.8L13 13M5.2 7h3.6",
  fit: "M2.5 4v8M13.5 4v8M4.5 8h7M6.5 6l-2 2l2 2M9.5 6l2 2l-2 2",
  blocks: "M2.5 4.5h3v7h-3zM6.5 4.5h3v7h-3zM10.5 4.5h3v7h-3z",
  carry: "M3 8h9M9 5l3 3l-3 3",
  recache: "M12.5 6A5 5 0 0 0 3.6 5.4M3.5 10A5 5 0 0 0 12.4 10.6M12.7 2.8V6H9.5M3.3 13.2V10h3.2",
  flush: "M3 3.5h10L9.5 8v4.5l-3 1V8z",
  cut: "M4.5 3.5l6 7M11.5 3.5l-6 7M4.6 10.6a1.4 1.4 0 1 0 .1 0M11.4 10.6a1.4 1.4 0 1 0 .1 0",
};

function fill(element, attributes, children) {
  set(element, attributes);
  element.append(...children);
  return element;
}
