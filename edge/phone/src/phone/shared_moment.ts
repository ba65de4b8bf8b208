/** The film and moment that a shared link names, shown before the camera starts. */

import { callJson, pictureAddress, type Video, videoPath } from "../shared/api";
import { clock } from "../shared/clock";
import { element, setText } from "../shared/dom";
import type { Texts } from "../shared/i18n";
import { Problem } from "../shared/problem";
import type { Moment } from "./moment_link";
import type { TextName } from "./texts";

const FRAME_WIDTH = 480; // pixels

export class SharedMoment {
  readonly root: HTMLElement;
  private readonly title = element("h2", { testid: "shared-title" });
  private readonly picture = element("img", { class: "poster", testid: "shared-poster", attributes: { alt: "", hidden: "" } });

  constructor(
    private readonly say: Texts<TextName>,
    private readonly moment: Moment,
  ) {
    const at = element("p", { class: "moment numbers", testid: "shared-moment", text: clock(moment.atSeconds) });
    this.root = element(
      "article",
      { class: "card shared-moment" },
      this.picture,
      element("div", {}, element("p", { class: "muted", text: say("sharedMoment") }), this.title, at),
    );
  }

  /** Fetches title and picture. Throws Problem when a key is needed. */
  async load(): Promise<void> {
    try {
      const film = await callJson<Video>(videoPath(this.moment.video));
      setText(this.title, film.title);
      await this.showPicture(film);
    } catch (error) {
      if (error instanceof Problem && error.wantsKey) throw error;
      const missing = error instanceof Problem && error.status === 404;
      setText(this.title, missing ? this.say("sharedMissing") : this.say("failure", { detail: String(error) }));
    }
  }

  /** The moment itself where the film is at hand, else its poster. */
  private async showPicture(film: Video): Promise<void> {
    const frame = { path: videoPath(film.video, "/frame"), query: { at: this.moment.atSeconds, width: FRAME_WIDTH } };
    const wanted = [...(film.film ? [frame] : []), ...(film.poster ? [{ path: film.poster, query: {} }] : [])];
    for (const { path, query } of wanted) {
      try {
        this.picture.src = await pictureAddress(path, { query });
        this.picture.hidden = false;
        return;
      } catch (error) {
        console.warn("no picture of the shared moment:", error);
      }
    }
  }
}
