/** Upload: films are chosen, sent, and followed until they are in the catalogue. */

import { filePicker, managersOnly } from "./actions";
import { announce } from "./announcer";
import { draftForm } from "./draft_form";
import { button, element } from "./dom";
import { share } from "./formats";
import { may } from "./session";
import { SUBTITLE_TYPES } from "./subtitle_file";
import { say } from "./texts";
import { UploadList } from "./upload_list";
import type { Sending, UploadQueue } from "./upload_queue";
import type { View } from "./view";

const ACCEPTED = `video/*,.mkv,.mov,.mp4,.m4v,.webm,.avi,.ts,.mpg,.mpeg,${SUBTITLE_TYPES},image/jpeg,image/png`;

export class UploadView implements View {
  readonly element: HTMLElement;
  readonly #drafts = element("ul", { class: "stack" });
  readonly #all = button(say("uploadAll"), () => this.#sendAll(), { class: "primary", "data-testid": "upload-all" });
  readonly #sendings = element("ul", { class: "rows", "data-testid": "sending" });
  readonly #list = may("manage") ? new UploadList() : null;

  constructor(private readonly queue: UploadQueue) {
    this.element = element(
      "section",
      { class: "stack" },
      managersOnly(),
      may("manage") && this.#dropZone(),
      this.#drafts,
      element("div", { class: "buttons" }, this.#all),
      this.#sendings,
      this.#list?.element,
    );
    queue.onChange((what) => {
      if (what === "drafts") this.#showDrafts();
      else if (what === "share") this.#showShares();
      else this.#showSendings();
      if (what === "sent") this.#list?.reload();
    });
    this.#showDrafts();
    this.#showSendings();
  }

  update(): void {
    this.#list?.reload();
  }

  close(): void {
    this.queue.onChange(() => {});
    this.#list?.close();
  }

  #dropZone(): HTMLElement {
    const options = { multiple: true, testid: "upload-file", look: "primary" };
    const pick = filePicker(say("chooseFilms"), ACCEPTED, (files) => this.#add(files), options);
    const hint = element("p", { class: "muted" }, say("dropHint"));
    const zone = element(
      "div",
      { class: "drop-zone", "data-testid": "drop-zone" },
      element("p", {}, say("dropHere")),
      pick,
      hint,
    );
    const over = (event: DragEvent, inside: boolean) => {
      event.preventDefault();
      zone.classList.toggle("over", inside);
    };
    zone.addEventListener("dragover", (event) => over(event, true));
    zone.addEventListener("dragleave", (event) => over(event, false));
    zone.addEventListener("drop", (event) => {
      over(event, false);
      this.#add([...(event.dataTransfer?.files ?? [])]);
    });
    return zone;
  }

  #add(files: File[]): void {
    const left = this.queue.add(files);
    if (left.length) announce(say("leftOver", { files: left.map((file) => file.name).join(", ") }));
    this.#drafts.querySelector<HTMLElement>("li:last-child input")?.focus();
  }

  #sendAll(): void {
    const incomplete = [...this.#drafts.querySelectorAll("form")].find((form) => !form.reportValidity());
    if (!incomplete) for (const draft of [...this.queue.drafts]) this.queue.send(draft);
  }

  #showDrafts(): void {
    const { queue } = this;
    const forms = queue.drafts.map((draft) =>
      draftForm(draft, { send: () => queue.send(draft), remove: () => queue.remove(draft) }),
    );
    this.#drafts.replaceChildren(...forms);
    this.#all.hidden = forms.length < 2;
  }

  #showSendings(): void {
    this.#sendings.replaceChildren(...this.queue.sendings.map((sending) => this.#row(sending)));
  }

  #row(sending: Sending): HTMLElement {
    const failed = sending.state === "failed";
    const bar = element("progress", {
      max: 1,
      value: sending.share,
      "aria-label": say("sent"),
      "data-testid": "upload-progress",
    });
    const state = element("span", { class: "numbers state" }, failed ? "" : stateOf(sending));
    const back = button(failed ? say("changeAndRetry") : say("cancel"), () => this.queue.takeBack(sending), {
      "data-testid": "cancel-sending",
    });
    return element(
      "li",
      {},
      element("span", { class: "title" }, sending.draft.title),
      failed ? element("p", { class: "problem", role: "alert" }, sending.complaint) : bar,
      state,
      back,
    );
  }

  /** In place, so that the cancel button keeps the focus. */
  #showShares(): void {
    this.queue.sendings.forEach((sending, place) => {
      const row = this.#sendings.children[place];
      const bar = row?.querySelector("progress");
      const state = row?.querySelector(".state");
      if (bar) bar.value = sending.share;
      if (state) state.textContent = stateOf(sending);
    });
  }
}

function stateOf(sending: Sending): string {
  return sending.state === "queued" ? say("queued") : say("sending", { share: share(sending.share) });
}
