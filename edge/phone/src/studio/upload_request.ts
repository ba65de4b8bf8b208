/** Sending a film to the gateway. XMLHttpRequest, since fetch tells no progress of what is sent. */

import { address } from "../shared/api";
import { storedKey } from "../shared/key";
import { fromDocument, Problem } from "../shared/problem";
import { subtitleText } from "./subtitle_file";

/** What the gateway says of a film that it was sent. */
export interface Upload {
  upload: string;
  video: string;
  title: string;
  state: "waiting" | "coding" | "storing" | "done" | "failed" | "cancelled";
  /** Of the coding, 0 to 1. */
  progress: number;
  /** Why it failed. */
  detail: string | null;
  started_at: number | string;
  video_url: string | null;
}

/** What the user puts together before a film is sent. Subtitles by language. */
export interface Draft {
  film: File;
  video: string;
  title: string;
  poster: File | null;
  subtitles: Map<string, File>;
}

/** progress: the share that was sent, 0 to 1. Throws Problem; AbortError when aborted. */
export async function sendFilm(draft: Draft, progress: (share: number) => void, signal: AbortSignal): Promise<Upload> {
  const form = await formOf(draft);
  const request = new XMLHttpRequest();
  return new Promise((resolve, reject) => {
    request.open("POST", address("/v1/videos"));
    const key = storedKey();
    if (key) request.setRequestHeader("authorization", `Bearer ${key}`);
    request.upload.addEventListener("progress", (event) => progress(event.total ? event.loaded / event.total : 0));
    request.addEventListener("load", () => settle(request, resolve, reject));
    request.addEventListener("error", () => reject(new Problem("", 0, "urn:vnome:away", null)));
    request.addEventListener("abort", () => reject(new DOMException("cancelled", "AbortError")));
    signal.addEventListener("abort", () => request.abort());
    if (signal.aborted) reject(new DOMException("cancelled", "AbortError"));
    else request.send(form);
  });
}

/** The film comes last, so that the gateway knows all else before it begins. */
async function formOf(draft: Draft): Promise<FormData> {
  const form = new FormData();
  form.set("video", draft.video);
  form.set("title", draft.title);
  if (draft.poster) form.set("poster", draft.poster);
  for (const [language, file] of draft.subtitles) {
    form.set(`subtitles.${language}`, new Blob([await subtitleText(file)]), file.name); // in UTF-8
  }
  form.set("film", draft.film);
  return form;
}

function settle(request: XMLHttpRequest, resolve: (upload: Upload) => void, reject: (problem: unknown) => void): void {
  const document = parsed(request.responseText);
  if (request.status >= 200 && request.status < 300 && document) resolve(document as Upload);
  else {
    const wait = request.getResponseHeader("retry-after");
    const plain = { title: `${request.status} ${request.statusText}`.trim(), status: request.status };
    reject(fromDocument({ ...plain, ...document }, wait === null ? null : Number(wait)));
  }
}

function parsed(text: string): object | null {
  try {
    return JSON.parse(text) as object;
  } catch {
    return null;
  }
}
