/** Clip search: the moments of the catalogue where something is said or seen. */

import { callJson } from "../shared/api";
import { type Clip, clipResult } from "./clip_result";
import { chooser, type Control, Pager, searchBox } from "./controls";
import { button, element } from "./dom";
import { FilmPlayer } from "./film_player";
import { count, timecode } from "./formats";
import { Loader } from "./loader";
import { change, query } from "./place";
import { say } from "./texts";
import type { View } from "./view";

const USUAL_PAGE = 24;

interface Answer {
  results: Clip[];
  total: number;
}

export class ClipsView implements View {
  readonly element: HTMLElement;
  readonly #controls: Control[] = [
    searchBox(say("searchClips"), say("searchClipsHint")),
    chooser(
      say("searchIn"),
      "kind",
      [
        ["", say("everywhere")],
        ["title", say("titles")],
        ["subtitle", say("subtitles")],
        ["label", say("pictures")],
      ],
      "kind",
    ),
  ];
  readonly #list = element("div", { class: "list" });
  readonly #loader = new Loader(this.#list);
  readonly #pager = new Pager(USUAL_PAGE);
  readonly #player = new FilmPlayer();
  readonly #playing = element("p", { class: "numbers" });
  readonly #stage: HTMLElement;
  #asked = "";
  #played = "";

  constructor() {
    const controls = element("div", { class: "controls" }, ...this.#controls.map((control) => control.element));
    const close = button("✕", () => playing(null), { class: "quiet close", "aria-label": say("closePlayer") });
    const head = element("header", { class: "panel-head" }, this.#playing, close);
    this.#stage = element(
      "section",
      { class: "panel stage", "aria-label": say("player"), hidden: true },
      head,
      this.#player.element,
    );
    const results = element("div", { class: "stack" }, this.#loader.element, this.#list, this.#pager.element);
    this.element = element(
      "section",
      { class: "stack" },
      controls,
      element("div", { class: "with-stage" }, results, this.#stage),
    );
  }

  update(parameters: URLSearchParams): void {
    for (const control of this.#controls) control.update(parameters);
    const asked = ["q", "kind", "limit", "offset"].map((name) => parameters.get(name) ?? "").join("\n");
    if (asked !== this.#asked || !parameters.get("q")) this.#load(parameters.get("q") ?? "");
    this.#asked = asked;
    this.#play(parameters.get("play"), Number(parameters.get("at")) || 0);
  }

  close(): void {
    this.#loader.stop();
    this.#player.stop();
  }

  #load(sought: string): void {
    if (!sought) {
      this.#loader.stop();
      this.#list.replaceChildren(element("p", { class: "empty" }, say("searchFirst")));
      this.#pager.element.hidden = true;
      return;
    }
    const { limit, offset } = this.#pager;
    const question = { q: sought, kind: query().get("kind"), limit, offset };
    const ask = (signal: AbortSignal) => callJson<Answer>("/v1/search", { query: question, signal });
    void this.#loader.load(ask, (answer) => this.#show(answer, sought));
  }

  #show({ results, total }: Answer, sought: string): void {
    this.#pager.show(total);
    const cards = results.map((clip) => clipResult(clip, sought, () => playing(clip)));
    const sentence = total > 0 ? say("pageEmpty", { total: count(total) }) : say("noClips", { sought });
    this.#list.replaceChildren(
      cards.length ? element("ul", { class: "clips" }, ...cards) : element("p", { class: "empty" }, sentence),
    );
  }

  #play(video: string | null, atSeconds: number): void {
    const wanted = video ? `${video}\n${atSeconds}` : "";
    if (wanted === this.#played) return;
    this.#played = wanted;
    this.#stage.hidden = !video;
    if (!video) return this.#player.stop();
    this.#playing.textContent = `${video}, ${timecode(atSeconds)}`;
    this.#stage.scrollIntoView({ block: "nearest" });
    void this.#player.play(video, atSeconds);
  }
}

/** What plays is part of the address, so that a moment can be shared. */
function playing(clip: Clip | null): void {
  change({ play: clip?.video, at: clip?.at_seconds, offset: query().get("offset") });
}
