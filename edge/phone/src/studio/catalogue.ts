/** The catalogue: all videos, as cards or as a table; one of them is opened in a dialog. */

import { callJson, type Video } from "../shared/api";
import { clock } from "../shared/clock";
import { languageName } from "../shared/i18n";
import { chooser, type Control, Pager, searchBox, sortChooser } from "./controls";
import { element, put } from "./dom";
import { count, day } from "./formats";
import { Loader } from "./loader";
import { picture } from "./pictures";
import { change, link, query } from "./place";
import { may } from "./session";
import { SortableTable } from "./table";
import { say } from "./texts";
import { VideoDialog } from "./video_dialog";
import type { View } from "./view";

const USUAL_SORT = "title";

interface Answer {
  videos: Video[];
  total: number;
}

export class Catalogue implements View {
  readonly element: HTMLElement;
  readonly #controls: Control[] = [
    searchBox(say("searchVideos"), say("searchVideosHint")),
    sortChooser([
      [USUAL_SORT, say("sortTitle")],
      ["-title", say("sortTitleDown")],
      ["-added_at", say("sortNewest")],
      ["added_at", say("sortOldest")],
      ["duration_seconds", say("sortShortest")],
      ["-duration_seconds", say("sortLongest")],
      ["id", say("sortId")],
      ["-id", say("sortIdDown")],
    ]),
    chooser(
      say("shownAs"),
      "as",
      [
        ["cards", say("cards")],
        ["table", say("table")],
      ],
      "shown-as",
    ),
  ];
  readonly #pager = new Pager();
  readonly #list = element("div", { class: "list" });
  readonly #loader = new Loader(this.#list);
  readonly #table: SortableTable<Video>;
  #dialog: VideoDialog | null = null;
  #shown: string | null = null;

  constructor() {
    this.#table = new SortableTable(say("catalogue"), COLUMNS, USUAL_SORT, (line, video) => {
      line.setAttribute("data-testid", `row-${video.video}`);
    });
    const controls = element("div", { class: "controls" }, ...this.#controls.map((control) => control.element));
    this.element = element("section", {}, controls, this.#loader.element, this.#list, this.#pager.element);
  }

  update(parameters: URLSearchParams): void {
    for (const control of this.#controls) control.update(parameters);
    const list = new URLSearchParams(parameters);
    list.delete("video"); // opening a video leaves the list as it is
    if (list.toString() !== this.#shown) void this.#load();
    this.#shown = list.toString();
    this.#openDialog(parameters.get("video"));
  }

  close(): void {
    this.#loader.stop();
    this.#dialog?.close();
  }

  #load(): Promise<void> {
    const asked = query();
    const { limit, offset } = this.#pager;
    const question = { q: asked.get("q"), sort: asked.get("sort") ?? USUAL_SORT, limit, offset };
    return this.#loader.load(
      (signal) => callJson<Answer>("/v1/videos", { query: question, signal }),
      (answer) => this.#show(answer, asked),
    );
  }

  #show({ videos, total }: Answer, asked: URLSearchParams): void {
    this.#pager.show(total);
    if (videos.length === 0) this.#list.replaceChildren(nothing(asked.get("q"), total));
    else if (asked.get("as") === "table") {
      this.#table.show(videos, asked.get("sort"));
      put(this.#list, this.#table.element);
    } else this.#list.replaceChildren(element("ul", { class: "cards" }, ...videos.map(card)));
  }

  #openDialog(video: string | null): void {
    if (video === (this.#dialog?.video ?? null)) return;
    this.#dialog?.close();
    this.#dialog = video
      ? new VideoDialog(video, { changed: () => void this.#load(), closed: () => this.#closed() })
      : null;
  }

  /** The user closed the dialog. The list may have been made anew under it, so that its link is looked for. */
  #closed(): void {
    const row = this.#dialog && `row-${this.#dialog.video}`;
    this.#dialog = null;
    change({ video: null, offset: query().get("offset") });
    const rows = [...this.#list.querySelectorAll<HTMLElement>("[data-testid]")];
    rows
      .find((each) => each.dataset.testid === row)
      ?.querySelector("a")
      ?.focus();
  }
}

const COLUMNS = [
  { label: say("title"), field: "title", cell: (video: Video) => opener(video, "", video.title) },
  { label: say("id"), field: "id", cell: (video: Video) => element("code", {}, video.video) },
  {
    label: say("duration"),
    field: "duration_seconds",
    cell: (video: Video) => clock(video.duration_seconds),
    numeric: true,
  },
  { label: say("subtitles"), cell: (video: Video) => languages(video) || "–" },
  { label: say("added"), field: "added_at", cell: (video: Video) => day(video.added_at), numeric: true },
];

function opener(video: Video, look: string, ...children: (Node | string)[]): HTMLElement {
  const asked = Object.fromEntries(query());
  return link("catalogue", { ...asked, video: video.video }, { class: look }, ...children);
}

function card(video: Video): HTMLElement {
  const facts = element(
    "span",
    { class: "muted facts" },
    element("span", { class: "numbers" }, clock(video.duration_seconds)),
    element("span", {}, day(video.added_at)),
    video.live && element("span", { class: "badge" }, say("live")),
  );
  const spoken = element("span", { class: "muted" }, languages(video) || say("noSubtitles"));
  const title = element("span", { class: "title" }, video.title);
  const inside = [picture(video.poster, "", say("noPoster"), { class: "poster" }), title, facts, spoken];
  return element("li", { "data-testid": `row-${video.video}` }, opener(video, "card", ...inside));
}

function languages(video: Video): string {
  return video.languages.map((tag) => languageName(tag)).join(", ");
}

function nothing(sought: string | null, total: number): HTMLElement {
  if (total > 0) return element("p", { class: "empty" }, say("pageEmpty", { total: count(total) }));
  if (sought) return element("p", { class: "empty" }, say("noVideoLike", { sought }));
  const how = may("manage") ? link("upload", {}, {}, say("uploadFirst")) : say("askManager");
  return element("p", { class: "empty" }, `${say("catalogueEmpty")} `, how);
}
