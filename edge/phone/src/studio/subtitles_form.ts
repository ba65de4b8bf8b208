/** The subtitles of a video: one file a language; added, replaced, deleted, downloaded. */

import { call, callJson, type Video, videoPath } from "../shared/api";
import { languageName } from "../shared/i18n";
import { act, complaintPlace, filePicker, forManagers } from "./actions";
import { button, element, field, freshId } from "./dom";
import { saveFile } from "./download";
import { confirmed } from "./dialog";
import { languageTag, SUBTITLE_TYPES, subtitleName, subtitleText } from "./subtitle_file";
import { say } from "./texts";

/** Offered while typing; any other tag can be typed as well. */
const OFFERED = [
  "ar",
  "cs",
  "da",
  "de",
  "el",
  "en",
  "es",
  "fi",
  "fr",
  "he",
  "hi",
  "hu",
  "it",
  "ja",
  "ko",
  "nl",
  "no",
  "pl",
  "pt",
  "ro",
  "ru",
  "sv",
  "tr",
  "uk",
  "zh",
];

export function subtitlesForm(video: Video, changed: (video: Video) => void): HTMLElement {
  const complaint = complaintPlace();
  const send = (language: string, text: string | null, done: string) =>
    act(
      [],
      complaint,
      async () => {
        const json = { subtitles: { [language]: text } };
        changed(await callJson<Video>(videoPath(video.video), { method: "PATCH", json }));
      },
      done,
    );
  const rows = video.languages.map((language) => subtitlesRow(video, language, send, complaint));
  const list = rows.length
    ? element("ul", { class: "rows" }, ...rows)
    : element("p", { class: "muted" }, say("noSubtitles"));
  return element("section", {}, element("h3", {}, say("subtitles")), list, adder(send, complaint), complaint);
}

type Send = (language: string, text: string | null, done: string) => Promise<void>;

function subtitlesRow(video: Video, language: string, send: Send, complaint: HTMLElement): HTMLElement {
  const name = languageName(language);
  const save = async () => {
    const answer = await call(videoPath(video.video, `/subtitles/${encodeURIComponent(language)}`));
    saveFile(await answer.blob(), `${video.video}.${language}.vtt`);
  };
  const download = button(say("download"), () => void act([download], complaint, save, say("downloaded")), {
    "aria-label": say("downloadSubtitles", { language: name }),
  });
  const exchange = async ([file]: File[]) =>
    send(language, await subtitleText(file), say("subtitlesReplaced", { language: name }));
  const replace = filePicker(say("replace"), SUBTITLE_TYPES, (files) => void exchange(files), {
    testid: `replace-subtitles-${language}`,
    spoken: say("replaceSubtitles", { language: name }),
  });
  const remove = async () => {
    const agreed = await confirmed(say("deleteSubtitlesSure", { language: name }), say("delete"));
    if (agreed) await send(language, null, say("subtitlesDeleted", { language: name }));
  };
  const spoken = {
    "aria-label": say("deleteSubtitles", { language: name }),
    "data-testid": `delete-subtitles-${language}`,
  };
  const removal = forManagers(button(say("delete"), () => void remove(), spoken));
  const buttons = element("span", { class: "buttons" }, download, replace, removal);
  return element(
    "li",
    { "data-testid": `subtitles-${language}` },
    element("span", {}, `${name} (${language})`),
    buttons,
  );
}

function adder(send: Send, complaint: HTMLElement): HTMLElement {
  const list = element("datalist", { id: freshId("languages") });
  list.append(...OFFERED.map((tag) => element("option", { value: tag }, languageName(tag))));
  const input = forManagers(
    element("input", {
      type: "text",
      list: list.id,
      size: 8,
      autocomplete: "off",
      "data-testid": "subtitles-language",
    }),
  );
  const add = async ([file]: File[]) => {
    const language = languageTag(input.value || (subtitleName(file.name)?.[1] ?? ""));
    if (!language) {
      complaint.textContent = say("chooseLanguage");
      input.focus();
      return;
    }
    await send(language, await subtitleText(file), say("subtitlesAdded", { language: languageName(language) }));
  };
  const pick = filePicker(say("addSubtitles"), SUBTITLE_TYPES, (files) => void add(files), {
    testid: "subtitles-file",
  });
  return element("div", { class: "controls" }, field(say("language"), input), list, pick);
}
