/** Cameras, live: each with its newest picture and what it shows. */

import { callJson } from "../shared/api";
import { type Camera, CameraCard } from "./camera_card";
import { type Control, Pager, searchBox, sortChooser } from "./controls";
import { element } from "./dom";
import { count } from "./formats";
import { Loader } from "./loader";
import { query } from "./place";
import { say } from "./texts";
import type { View } from "./view";

const REFRESH_MS = 2000;
const USUAL_SORT = "camera";
const USUAL_PAGE = 24;

interface Answer {
  cameras: Camera[];
  total: number;
}

export class CamerasView implements View {
  readonly element: HTMLElement;
  readonly #controls: Control[] = [
    searchBox(say("searchCameras"), say("searchCamerasHint")),
    sortChooser([
      [USUAL_SORT, say("sortCamera")],
      ["-camera", say("sortCameraDown")],
      ["-last_seen", say("sortLastSeen")],
      ["last_seen", say("sortLongestSilent")],
    ]),
  ];
  readonly #cards = new Map<string, CameraCard>();
  readonly #list = element("ul", { class: "cards cameras" });
  readonly #empty = element("p", { class: "empty", hidden: true });
  readonly #loader = new Loader(this.#list);
  readonly #pager = new Pager(USUAL_PAGE);
  readonly #wake = () => {
    if (!document.hidden) this.#load(true);
  };
  #timer = 0;

  constructor() {
    const controls = element("div", { class: "controls" }, ...this.#controls.map((control) => control.element));
    this.element = element(
      "section",
      { class: "stack" },
      controls,
      this.#loader.element,
      this.#empty,
      this.#list,
      this.#pager.element,
    );
    document.addEventListener("visibilitychange", this.#wake);
  }

  update(parameters: URLSearchParams): void {
    for (const control of this.#controls) control.update(parameters);
    this.#load(false);
  }

  close(): void {
    document.removeEventListener("visibilitychange", this.#wake);
    window.clearTimeout(this.#timer);
    this.#loader.stop();
    for (const card of this.#cards.values()) card.close();
  }

  #load(quiet: boolean): void {
    window.clearTimeout(this.#timer);
    const asked = query();
    const { limit, offset } = this.#pager;
    const question = { q: asked.get("q"), sort: asked.get("sort") ?? USUAL_SORT, limit, offset };
    const ask = (signal: AbortSignal) => callJson<Answer>("/v1/cameras", { query: question, signal });
    void this.#loader.load(ask, (answer) => this.#show(answer), { quiet });
  }

  #show({ cameras, total }: Answer): void {
    this.#pager.show(total);
    const sought = query().get("q");
    this.#empty.hidden = cameras.length > 0;
    this.#empty.textContent =
      total > 0
        ? say("pageEmpty", { total: count(total) })
        : sought
          ? say("noCameraLike", { sought })
          : say("noCameras");
    const order = cameras.map((camera) => this.#card(camera).element);
    this.#drop(new Set(cameras.map(({ camera }) => camera)));
    if (order.some((card, place) => this.#list.children[place] !== card)) this.#list.replaceChildren(...order);
    if (!document.hidden) this.#timer = window.setTimeout(() => this.#load(true), REFRESH_MS);
  }

  #card(camera: Camera): CameraCard {
    const known = this.#cards.get(camera.camera);
    known?.update(camera);
    const card = known ?? new CameraCard(camera);
    this.#cards.set(camera.camera, card);
    return card;
  }

  #drop(kept: Set<string>): void {
    for (const [name, card] of this.#cards) {
      if (kept.has(name)) continue;
      card.close();
      card.element.remove();
      this.#cards.delete(name);
    }
  }
}
