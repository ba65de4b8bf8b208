/** The card of a camera: its newest picture and what it shows now. */

import { clock } from "../shared/clock";
import { element } from "./dom";
import { lasting, moment } from "./formats";
import { showIn } from "./pictures";
import { link } from "./place";
import { say } from "./texts";

/** Seconds without a picture after which a camera counts as silent. */
const SILENT_AFTER = 10;

export interface Camera {
  camera: string;
  /** Epoch seconds. */
  last_seen: number;
  showing: { video: string; title: string; at_seconds: number; since: number; confidence: number } | null;
  frame: string | null;
  /** What is on it, with probabilities, most probable first; also where nothing is found. */
  labels?: [string, number][];
}

export class CameraCard {
  readonly element: HTMLElement;
  readonly #frame = element(
    "span",
    { class: "picture wide" },
    element("span", { class: "no-picture" }, say("noPictureYet")),
  );
  readonly #facts = element("div", { class: "stack tight" });
  readonly #labels = element("p", { class: "muted labels", lang: "en", hidden: "" });
  readonly #seen = element("p", { class: "muted seen" });
  readonly #observer = new IntersectionObserver(([entry]) => this.#look(entry.isIntersecting));
  #camera: Camera;
  #inWindow = false;
  #pictureOf = 0; // when the camera was last seen as the picture was fetched
  #asking: AbortController | null = null;

  constructor(camera: Camera) {
    this.#camera = camera;
    const title = element("h2", {}, camera.camera);
    const seen = link("sightings", { camera: camera.camera }, {}, say("itsSightings"));
    const text = element("div", { class: "stack tight" }, title, this.#facts, this.#labels, this.#seen, seen);
    this.element = element(
      "li",
      { class: "panel camera", "data-testid": "camera-card", "data-camera": camera.camera },
      this.#frame,
      text,
    );
    this.#observer.observe(this.element);
    this.update(camera);
  }

  update(camera: Camera): void {
    const { showing, last_seen, labels = [] } = (this.#camera = camera);
    const age = Date.now() / 1000 - last_seen;
    const silent = age > SILENT_AFTER;
    this.element.classList.toggle("silent", silent);
    this.#seen.textContent = silent
      ? say("silentFor", { length: lasting(age), when: moment(last_seen) })
      : say("liveNow");
    this.#labels.textContent = labels.map(([label]) => label).join(", ");
    this.#labels.hidden = labels.length === 0;
    if (!showing) this.#facts.replaceChildren(element("p", { class: "muted" }, say("showsNothing")));
    else if (this.#facts.dataset.video === showing.video) this.#tellTime(showing);
    else {
      const title = link("catalogue", { video: showing.video }, { class: "title" }, showing.title);
      this.#facts.replaceChildren(element("p", {}, title), element("p", { class: "numbers muted" }));
      this.#tellTime(showing);
    }
    this.#facts.dataset.video = showing?.video ?? "";
    if (this.#inWindow) void this.#refresh();
  }

  close(): void {
    this.#observer.disconnect();
    this.#asking?.abort();
  }

  #tellTime({ at_seconds, since }: NonNullable<Camera["showing"]>): void {
    const time = this.#facts.querySelector(".numbers");
    if (time) time.textContent = say("showsSince", { at: clock(at_seconds), since: moment(since) });
  }

  #look(inWindow: boolean): void {
    this.#inWindow = inWindow;
    if (inWindow) void this.#refresh();
  }

  /** One picture at a time: a slow line skips some. */
  async #refresh(): Promise<void> {
    const { camera, frame, last_seen } = this.#camera;
    if (!frame || this.#asking || this.#pictureOf === last_seen) return;
    this.#asking = new AbortController();
    try {
      await showIn(this.#frame, frame, say("cameraPicture", { camera }), this.#asking.signal);
      this.#pictureOf = last_seen;
    } catch {
      // the last picture stays; the card says how old it is
    } finally {
      this.#asking = null;
    }
  }
}
