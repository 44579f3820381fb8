/**
 * A link to a style sheet for a widget's own elements. The head of the page belongs to the editor
 * and is shared by all packs.
 */
export function styleSheet(address) {
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = address.href;
  return link;
}
