/** Films on their way to the gateway: they go on, one after the other, whichever tab of the studio is shown. */

import { Problem } from "../shared/problem";
import { failure } from "./loader";
import { reportRefusal } from "./session";
import { subtitleName } from "./subtitle_file";
import { type Draft, sendFilm } from "./upload_request";

export interface Sending {
  draft: Draft;
  state: "queued" | "sending" | "failed";
  /** The share that was sent, 0 to 1. */
  share: number;
  /** Why it failed. */
  complaint: string;
  cancel: AbortController;
}

type Change = "drafts" | "sendings" | "share" | "sent";

export class UploadQueue {
  readonly drafts: Draft[] = [];
  readonly sendings: Sending[] = [];
  #listener: (what: Change) => void = () => {};
  #busy = false;

  constructor() {
    window.addEventListener("beforeunload", (event) => {
      if (this.sendings.some((each) => each.state !== "failed")) event.preventDefault();
    });
  }

  /** One listener at a time. */
  onChange(listener: (what: Change) => void): void {
    this.#listener = listener;
  }

  /** Films become drafts; subtitles and pictures go to the draft whose film has the same name. Gives the files left over. */
  add(files: File[]): File[] {
    const companions = files.filter((file) => subtitleName(file.name) || file.type.startsWith("image/"));
    for (const film of files.filter((file) => !companions.includes(file))) {
      const name = stem(film.name);
      this.drafts.push({ film, video: name, title: name, poster: null, subtitles: new Map() });
    }
    const left = companions.filter((file) => !this.#join(file));
    this.#listener("drafts");
    return left;
  }

  remove(draft: Draft): void {
    this.drafts.splice(this.drafts.indexOf(draft), 1);
    this.#listener("drafts");
  }

  send(draft: Draft): void {
    this.drafts.splice(this.drafts.indexOf(draft), 1);
    this.sendings.push({ draft, state: "queued", share: 0, complaint: "", cancel: new AbortController() });
    this.#listener("drafts");
    this.#listener("sendings");
    void this.#work();
  }

  /** Makes a draft of it again, to be changed and sent anew. */
  takeBack(sending: Sending): void {
    sending.cancel.abort();
    this.#forget(sending);
    this.drafts.push(sending.draft);
    this.#listener("drafts");
  }

  #forget(sending: Sending): void {
    const place = this.sendings.indexOf(sending);
    if (place >= 0) this.sendings.splice(place, 1);
    this.#listener("sendings");
  }

  #join(file: File): boolean {
    const subtitles = subtitleName(file.name);
    const wanted = subtitles ? subtitles[0] : stem(file.name);
    const draft = this.drafts.find((each) => stem(each.film.name) === wanted);
    if (!draft || (subtitles && !subtitles[1])) return false;
    if (subtitles?.[1]) draft.subtitles.set(subtitles[1], file);
    else draft.poster = file;
    return true;
  }

  async #work(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    for (let next = this.#next(); next; next = this.#next()) await this.#send(next);
    this.#busy = false;
  }

  #next(): Sending | undefined {
    return this.sendings.find((each) => each.state === "queued");
  }

  async #send(sending: Sending): Promise<void> {
    sending.state = "sending";
    this.#listener("sendings");
    const progress = (share: number) => {
      sending.share = share;
      this.#listener("share");
    };
    try {
      await sendFilm(sending.draft, progress, sending.cancel.signal);
      this.#forget(sending);
      this.#listener("sent");
    } catch (error) {
      if (sending.cancel.signal.aborted) return;
      sending.state = "failed";
      sending.complaint = failure(error);
      this.#listener("sendings");
      if (error instanceof Problem && error.wantsKey) reportRefusal(error);
    }
  }
}

function stem(name: string): string {
  return name.replace(/\.[^.]+$/, "");
}
