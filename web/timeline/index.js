/** The prompt timeline on CausVid Prompt Schedule. It edits the node's text. */
import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";
import { loadTexts } from "../shared/i18n.js";
import { addTimeline, refreshAll } from "./node.js";

const NODE = "CausVid_PromptSchedule";

app.registerExtension({
  name: "causvidstream.timeline",
  init: loadTexts,
  setup() {
    api.addEventListener("graphChanged", refreshAll);
  },
  nodeCreated(node) {
    if (node.comfyClass === NODE) addTimeline(node);
  },
  afterConfigureGraph: refreshAll,
});
