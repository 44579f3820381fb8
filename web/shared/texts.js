// English for everything that the pack's own widgets say, by key; {name} is filled in by t().
// Between the braces it is JSON, because scripts/make_locales.py reads it, too. The other languages
// stand in locales/<language>/main.json under "causvid", with the same keys.
export const ENGLISH = {
  "player.title": "Live preview",
  "timeline.title": "Prompt timeline"
};
