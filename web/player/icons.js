/** Icons as inline SVG, so that nothing is fetched: 16x16, in the colour of the surrounding text. */
const SHAPES = {
  play: '<path d="M4.5 2.8v10.4a.6.6 0 0 0 .92.5l8.1-5.2a.6.6 0 0 0 0-1L5.42 2.3a.6.6 0 0 0-.92.5z"/>',
  pause: '<rect x="3.6" y="2.5" width="3" height="11" rx=".9"/><rect x="9.4" y="2.5" width="3" height="11" rx=".9"/>',
  loop: '<path d="M11.2 1.6 13.6 4l-2.4 2.4M2.6 7.4V6.6A2.6 2.6 0 0 1 5.2 4h8.2M4.8 14.4 2.4 12l2.4-2.4M13.4 8.6v.8a2.6 2.6 0 0 1-2.6 2.6H2.6" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round"/>',
};

/** An icon as an element that screen readers skip. */
export function icon(name) {
  const holder = document.createElement("span");
  holder.className = "causvid-icon";
  holder.setAttribute("aria-hidden", "true");
  holder.innerHTML = `<svg viewBox="0 0 16 16" width="16" height="16" fill="currentColor">${SHAPES[name]}</svg>`;
  return holder;
}
