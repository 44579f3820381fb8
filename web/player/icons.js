/** Icons as inline SVG, so that nothing is fetched: 16x16, in the colour of the surrounding text. */
const SVG = "http://www.w3.org/2000/svg";
const LINE = { fill: "none", stroke: "currentColor", "stroke-width": 1.5, "stroke-linecap": "round",
  "stroke-linejoin": "round" };
const SHAPES = {
  play: { d: "M4.5 2.8v10.4a.6.6 0 0 0 .92.5l8.1-5.2a.6.6 0 0 0 0-1L5.42 2.3a.6.6 0 0 0-.92.5z" },
  pause: { d: "M4.5 2.5h1.2a.9.9 0 0 1 .9.9v9.2a.9.9 0 0 1-.9.9H4.5a.9.9 0 0 1-.9-.9V3.4a.9.9 0 0 1 .9-.9z" +
    "M10.3 2.5h1.2a.9.9 0 0 1 .9.9v9.2a.9.9 0 0 1-.9.9h-1.2a.9.9 0 0 1-.9-.9V3.4a.9.9 0 0 1 .9-.9z" },
  loop: { ...LINE, d: "M11.2 1.6 13.6 4l-2.4 2.4M2.6 7.4V6.6A2.6 2.6 0 0 1 5.2 4h8.2M4.8 14.4 2.4 12" +
    "l2.4-2.4M13.4 8.6v.8a2.6 2.6 0 0 1-2.6 2.6H2.6" },
};

/** An icon as an element that screen readers skip. */
export function icon(name) {
  const holder = document.createElement("span");
  holder.className = "causvid-icon";
  holder.setAttribute("aria-hidden", "true");
  const size = { viewBox: "0 0 16 16", width: 16, height: 16, fill: "currentColor" };
  const picture = draw("svg", size);
  picture.append(draw("path", SHAPES[name]));
  holder.append(picture);
  return holder;
}

function draw(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}
