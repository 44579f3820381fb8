/**
 * Texts of the pack's own widgets in the editor's language (its setting Comfy.Locale).
 *
 * English is built in. ComfyUI serves the other languages from locales/<language>/main.json at
 * /i18n. An extension loads them with `init: loadTexts`, which the editor awaits before it creates
 * the first node. Until then, and for texts without a translation, t() returns English.
 */
import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";
import { SCHEDULE_ERRORS } from "./schedule_errors.js";
import { ENGLISH } from "./texts.js";

const NAMESPACE = "causvid";

let loading = null;
let served = {};

/** Fetch the translations once per page. Never rejects: without them the widgets speak English. */
export function loadTexts() {
  loading ??= api
    .getCustomNodesI18n()
    .then((languages) => { served = languages ?? {}; })
    .catch((error) => console.warn("CausVid Stream uses English, without translations:", error));
  return loading;
}

/** The text of a key with its {names} replaced; the key itself if there is no text. */
export function t(key, values = {}) {
  const all = [...dictionaries(language()), ENGLISH, SCHEDULE_ERRORS];
  const known = all.find((texts) => key in texts);
  const text = known?.[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/** The editor's language, such as "en" or "zh-TW"; also what lang="..." and Intl take. */
export function language() {
  return app.extensionManager?.setting?.get("Comfy.Locale") || "en";
}

/** Served texts of a language, then of its base language: of zh-TW, then of zh. */
function dictionaries(locale) {
  return [locale, locale.split("-")[0]].map((name) => served[name]?.[NAMESPACE] ?? {});
}
