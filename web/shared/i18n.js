/**
 * Texts in the editor's language (its setting Comfy.Locale), for the pack's own widgets.
 *
 * English is built in. The host serves the others, from locales/<language>/main.json, at /i18n:
 * an extension waits for them with `init: loadTexts`, which the editor awaits before it makes the
 * first node. Until then, and for what is not translated, t() gives English.
 */
import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";
import { ENGLISH } from "./texts.js";

const NAMESPACE = "causvid";

let loading = null;
let served = {};

/** Fetch the translations, once for the page. Never rejects: without them there is English. */
export function loadTexts() {
  loading ??= api
    .getCustomNodesI18n()
    .then((languages) => { served = languages ?? {}; })
    .catch((error) => console.warn("CausVid Stream goes on in English:", error));
  return loading;
}

/** The text of a key with its {names} replaced; the key itself if nobody wrote a text for it. */
export function t(key, values = {}) {
  const known = [...dictionaries(language()), ENGLISH].find((texts) => key in texts);
  const text = known?.[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/** The editor's language, such as "en" or "zh-TW"; also what lang="..." and Intl take. */
export function language() {
  return app.extensionManager?.setting?.get("Comfy.Locale") || "en";
}

/** Served texts of a language and then, for one such as zh-TW, of the language without a place. */
function dictionaries(locale) {
  return [locale, locale.split("-")[0]].map((name) => served[name]?.[NAMESPACE] ?? {});
}
