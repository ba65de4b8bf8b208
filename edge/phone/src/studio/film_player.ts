/** Plays films of the catalogue from a moment, with their subtitles. */

import { address, call, callJson, pictureAddress, type Video, videoPath } from "../shared/api";
import { language, languageName } from "../shared/i18n";
import { element } from "./dom";
import { size } from "./formats";
import { failure } from "./loader";
import { isPublic } from "./session";
import { say } from "./texts";

export class FilmPlayer {
  readonly element = element("div", { class: "player", "data-testid": "player" });
  #asking: AbortController | null = null;
  #addresses: string[] = [];
  #screen: HTMLVideoElement | null = null;
  #video = "";
  #atSeconds = 0; // wanted

  /** Plays, or says why it cannot. */
  async play(video: string, atSeconds: number): Promise<void> {
    if (this.#screen && this.#video === video) {
      this.#seek(this.#screen, atSeconds);
      return;
    }
    this.stop();
    this.#video = video;
    const asking = new AbortController();
    this.#asking = asking;
    this.#tell(say("loadingFilm"));
    try {
      await this.#start(video, atSeconds, asking.signal);
    } catch (error) {
      if (!asking.signal.aborted) this.#tell(failure(error), "problem");
    }
  }

  stop(): void {
    this.#asking?.abort();
    this.#screen?.pause();
    this.#screen = null;
    this.element.replaceChildren();
    for (const used of this.#addresses) URL.revokeObjectURL(used);
    this.#addresses = [];
  }

  async #start(id: string, atSeconds: number, signal: AbortSignal): Promise<void> {
    const video = await callJson<Video>(videoPath(id), { signal });
    if (!video.film) {
      this.#tell(say("filmAway", { title: video.title }));
      return;
    }
    const source = isPublic() ? address(video.film) : await this.#fetched(video.film, signal);
    const tracks = await Promise.all(video.languages.map((tag) => this.#track(id, tag, signal)));
    if (signal.aborted) return;
    const screen = element(
      "video",
      { controls: true, playsinline: true, preload: "auto", "aria-label": video.title },
      ...tracks,
    );
    screen.addEventListener("error", () => this.#tell(say("filmUnplayable"), "problem"));
    this.#screen = screen;
    this.element.replaceChildren(screen);
    screen.addEventListener("loadedmetadata", () => this.#seek(screen, this.#atSeconds), { once: true });
    this.#atSeconds = atSeconds;
    screen.src = source;
  }

  /** Before its length is known, a film would begin to play at its start. */
  #seek(screen: HTMLVideoElement, atSeconds: number): void {
    this.#atSeconds = atSeconds;
    if (screen.readyState < HTMLMediaElement.HAVE_METADATA) return; // soon
    screen.currentTime = atSeconds;
    screen.play().catch(() => screen.focus()); // where the browser wants a click first
  }

  /** The film as a blob: a <video> cannot send the key. */
  async #fetched(path: string, signal: AbortSignal): Promise<string> {
    const answer = await call(path, { signal });
    const total = Number(answer.headers.get("content-length"));
    const type = answer.headers.get("content-type") ?? "video/mp4";
    const reader = answer.body?.getReader();
    const parts: Uint8Array<ArrayBuffer>[] = [];
    let received = 0;
    for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
      parts.push(part.value as Uint8Array<ArrayBuffer>);
      received += part.value.length;
      this.#tell(say("loadingFilmBytes", { done: size(received), total: total ? size(total) : "?" }));
    }
    return this.#kept(URL.createObjectURL(new Blob(parts, { type })));
  }

  /** null where the subtitles cannot be had: the film plays without them. */
  async #track(id: string, tag: string, signal: AbortSignal): Promise<HTMLTrackElement | null> {
    try {
      const src = this.#kept(await pictureAddress(videoPath(id, `/subtitles/${encodeURIComponent(tag)}`), { signal }));
      return element("track", {
        kind: "subtitles",
        src,
        srclang: tag,
        label: languageName(tag),
        default: tag === language(),
      });
    } catch {
      return null;
    }
  }

  #kept(used: string): string {
    this.#addresses.push(used);
    return used;
  }

  #tell(sentence: string, look = "muted"): void {
    this.element.replaceChildren(element("p", { class: look, role: "status" }, sentence));
  }
}
