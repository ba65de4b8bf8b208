/** A film before it is sent: its id, title, subtitles and poster. */

import { languageName } from "../shared/i18n";
import { filePicker } from "./actions";
import { button, element, field } from "./dom";
import { size } from "./formats";
import { languageTag, SUBTITLE_TYPES, subtitleName } from "./subtitle_file";
import { say } from "./texts";
import type { Draft } from "./upload_request";

interface Choices {
  send(): void;
  remove(): void;
}

export function draftForm(draft: Draft, choices: Choices): HTMLElement {
  const onsubmit = (event: Event) => {
    event.preventDefault();
    choices.send();
  };
  const video = element("input", { type: "text", value: draft.video, required: true, "data-testid": "draft-id" });
  video.addEventListener("input", () => (draft.video = video.value.trim()));
  const title = element("input", { type: "text", value: draft.title, required: true, "data-testid": "draft-title" });
  title.addEventListener("input", () => (draft.title = title.value.trim()));
  const head = element("h2", {}, draft.film.name, " ", element("span", { class: "muted" }, size(draft.film.size)));
  const names = element(
    "div",
    { class: "controls" },
    field(say("title"), title, { class: "field wide" }),
    field(say("id"), video),
  );
  const buttons = element(
    "div",
    { class: "buttons" },
    element("button", { type: "submit", class: "primary", "data-testid": "upload-start" }, say("uploadThis")),
    button(say("removeDraft"), choices.remove, { "data-testid": "draft-remove" }),
  );
  const form = element("form", { onsubmit, class: "stack" }, head, names, subtitles(draft), poster(draft), buttons);
  return element("li", { class: "panel", "data-testid": "draft" }, form);
}

function subtitles(draft: Draft): HTMLElement {
  const list = element("ul", { class: "rows" });
  const input = element("input", { type: "text", size: 8, autocomplete: "off", "data-testid": "draft-language" });
  const complaint = element("p", { class: "problem", role: "alert" });
  const show = () =>
    list.replaceChildren(
      ...[...draft.subtitles].map(([tag, file]) => {
        const remove = button(say("delete"), () => {
          draft.subtitles.delete(tag);
          show();
          input.focus();
        });
        return element("li", {}, element("span", {}, `${languageName(tag)} (${tag}): ${file.name}`), remove);
      }),
    );
  const add = ([file]: File[]) => {
    const tag = languageTag(input.value || (subtitleName(file.name)?.[1] ?? ""));
    complaint.textContent = tag ? "" : say("chooseLanguage");
    if (!tag) return input.focus();
    draft.subtitles.set(tag, file);
    input.value = "";
    show();
  };
  show();
  const pick = filePicker(say("addSubtitles"), SUBTITLE_TYPES, add, { testid: "draft-subtitles" });
  return element(
    "div",
    {},
    list,
    element("div", { class: "controls" }, field(say("subtitlesLanguage"), input), pick),
    complaint,
  );
}

function poster(draft: Draft): HTMLElement {
  const name = element("span", { class: "muted" });
  const show = () => (name.textContent = draft.poster?.name ?? say("noPosterChosen"));
  const choose = ([file]: File[]) => {
    draft.poster = file;
    show();
  };
  show();
  const pick = filePicker(say("choosePoster"), "image/jpeg,image/png", choose, { testid: "draft-poster" });
  return element("div", { class: "buttons" }, pick, name);
}
