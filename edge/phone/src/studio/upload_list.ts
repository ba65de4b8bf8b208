/** The films that the gateway was sent, the newest first, with what it does with each. */

import { call, callJson } from "../shared/api";
import { act, complaintPlace, forManagers } from "./actions";
import { announce } from "./announcer";
import { Pager } from "./controls";
import { button, element } from "./dom";
import { share } from "./formats";
import { Loader } from "./loader";
import { link } from "./place";
import { say } from "./texts";
import type { Upload } from "./upload_request";

const POLL_MS = 500;

interface Answer {
  uploads: Upload[];
  total: number;
}

export class UploadList {
  readonly element: HTMLElement;
  readonly #rows = element("ul", { class: "rows" });
  readonly #loader = new Loader(this.#rows);
  readonly #pager = new Pager();
  #uploads: Upload[] = [];
  #timer = 0;
  #closed = false;

  constructor() {
    const head = element("h2", {}, say("uploads"));
    this.element = element("section", { class: "stack" }, head, this.#loader.element, this.#rows, this.#pager.element);
  }

  reload(): void {
    window.clearTimeout(this.#timer);
    const { limit, offset } = this.#pager;
    const question = { limit, offset };
    void this.#loader.load(
      (signal) => callJson<Answer>("/v1/uploads", { query: question, signal }),
      (answer) => this.#show(answer),
    );
  }

  close(): void {
    this.#closed = true;
    this.#loader.stop();
    window.clearTimeout(this.#timer);
  }

  #show(answer: Answer): void {
    this.#uploads = answer.uploads;
    this.#pager.show(answer.total);
    const empty = element("li", { class: "empty" }, say("noUploads"));
    this.#rows.replaceChildren(...(this.#uploads.length ? this.#uploads.map((upload) => this.#row(upload)) : [empty]));
    this.#pollLater();
  }

  #pollLater(): void {
    window.clearTimeout(this.#timer);
    if (!this.#closed && this.#uploads.some(running)) this.#timer = window.setTimeout(() => void this.#poll(), POLL_MS);
  }

  /** What cannot be asked now is asked in the next round. */
  async #poll(): Promise<void> {
    const asked = this.#uploads;
    const ask = (upload: Upload) => (running(upload) ? callJson<Upload>(pathOf(upload)).catch(() => upload) : upload);
    const answers = await Promise.all(asked.map(ask));
    if (asked !== this.#uploads) return; // the list was loaded anew meanwhile
    answers.forEach((now, place) => this.#replace(place, asked[place], now));
    this.#uploads = answers;
    this.#pollLater();
  }

  #replace(place: number, before: Upload, now: Upload): void {
    const row = this.#rows.children[place];
    if (before.state !== now.state) {
      row?.replaceWith(this.#row(now));
      announce(say("uploadNow", { title: now.title, state: say(`state_${now.state}`) }));
    } else if (row && running(now)) {
      const bar = row.querySelector("progress");
      const state = row.querySelector(".state");
      if (bar) bar.value = now.progress;
      if (state) state.textContent = stateOf(now);
    }
  }

  #row(upload: Upload): HTMLElement {
    const complaint = complaintPlace();
    const stop = async () => {
      await call(pathOf(upload), { method: "DELETE" });
      this.reload();
    };
    const cancel = forManagers(
      button(say("cancel"), () => void act([cancel], complaint, stop, say("uploadCancelled")), {
        "data-testid": "cancel-upload",
      }),
    );
    const label = say("progressOf", { title: upload.title });
    const bar = element("progress", {
      max: 1,
      value: upload.progress,
      "aria-label": label,
      "data-testid": "upload-progress",
    });
    const done =
      upload.state === "done" && link("catalogue", { video: upload.video }, { class: "button" }, say("openVideo"));
    return element(
      "li",
      { "data-testid": `row-${upload.upload}` },
      element("span", { class: "title" }, upload.title),
      running(upload) && bar,
      element("span", { class: "numbers state", "data-testid": "upload-state" }, stateOf(upload)),
      upload.detail && element("p", { class: "problem" }, upload.detail),
      running(upload) && cancel,
      done,
      complaint,
    );
  }
}

function running(upload: Upload): boolean {
  return !["done", "failed", "cancelled"].includes(upload.state);
}

function stateOf(upload: Upload): string {
  const state = say(`state_${upload.state}`);
  return upload.state === "coding" ? `${state}, ${share(upload.progress)}` : state;
}

function pathOf(upload: Upload): string {
  return `/v1/uploads/${encodeURIComponent(upload.upload)}`;
}
