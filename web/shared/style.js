/**
 * A link to a style sheet, to stand among a widget's own elements: the head of the page belongs to
 * the editor and all packs.
 */
export function styleSheet(address) {
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = address.href;
  return link;
}
