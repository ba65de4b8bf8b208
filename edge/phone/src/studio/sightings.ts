/** Sightings: where and when videos were seen, on a time line and in a table. */

import { callJson, type Video } from "../shared/api";
import { act, complaintPlace } from "./actions";
import type { Camera } from "./camera_card";
import { chooser, type Control, exactFilter, Pager, sortChooser } from "./controls";
import { saveFile } from "./download";
import { button, element, put } from "./dom";
import { confidence, count, lasting, moment, timecode } from "./formats";
import { Loader } from "./loader";
import { change, query } from "./place";
import { allSightings, type Sighting, type SightingFilter, sightingPage, type SightingPage } from "./sighting";
import { SightingDetail } from "./sighting_detail";
import { sightingsCsv } from "./sightings_csv";
import { SortableTable } from "./table";
import { Timeline } from "./timeline";
import { RangeChooser, rangeOf, type TimeRange } from "./time_range";
import { say } from "./texts";
import type { View } from "./view";

const USUAL_SORT = "-start";
const MOST_DRAWN = 1000; // bars on the time line
const MOST_SAVED = 100_000; // lines of a CSV file

export class SightingsView implements View {
  readonly element: HTMLElement;
  readonly #controls: Control[] = [
    new RangeChooser(),
    exactFilter(say("video"), "video", suggestVideos),
    exactFilter(say("camera"), "camera", suggestCameras),
    chooser(
      say("shownNow"),
      "open",
      [
        ["", say("all")],
        ["true", say("stillOn")],
        ["false", say("over")],
      ],
      "filter-open",
    ),
    sortChooser([
      [USUAL_SORT, say("sortNewest")],
      ["start", say("sortOldest")],
      ["-end", say("sortLastEnded")],
      ["end", say("sortFirstEnded")],
      ["camera", say("sortCamera")],
      ["-camera", say("sortCameraDown")],
      ["video", say("sortVideo")],
      ["-video", say("sortVideoDown")],
      ["-confidence", say("sortSurest")],
      ["confidence", say("sortLeastSure")],
    ]),
  ];
  readonly #timeline = new Timeline((sighting) => select(sighting.id));
  readonly #detail = new SightingDetail();
  readonly #note = element("p", { class: "muted" });
  readonly #table = new SortableTable(say("sightings"), COLUMNS, USUAL_SORT, (line, sighting) =>
    this.#dress(line, sighting),
  );
  readonly #list = element("div", { class: "list" });
  readonly #pager = new Pager();
  readonly #drawing = new Loader(this.#timeline.element);
  readonly #listing = new Loader(this.#list);
  #range: TimeRange = { since: 0, until: 0 };
  #drawn: Sighting[] | null = null;
  #listed: Sighting[] | null = null;
  #asked = { filter: "", list: "" };

  constructor() {
    const complaint = complaintPlace();
    const save: HTMLButtonElement = button(
      say("downloadCsv"),
      () => void act([save], complaint, () => this.#save(), say("downloaded")),
      { "data-testid": "csv" },
    );
    const again = button(say("refresh"), () => this.#reload(), { "data-testid": "refresh" });
    const [range, ...filters] = this.#controls.map((control) => control.element);
    const controls = element("div", { class: "controls" }, ...filters, again, save);
    this.element = element(
      "section",
      { class: "stack" },
      range,
      controls,
      complaint,
      this.#drawing.element,
      this.#timeline.element,
      this.#note,
      this.#detail.element,
      this.#listing.element,
      this.#list,
      this.#pager.element,
    );
  }

  update(parameters: URLSearchParams): void {
    const { filter, list } = this.#asked;
    this.#asked = {
      filter: only(parameters, ["range", "since", "until", "video", "camera", "open"]),
      list: only(parameters, ["sort", "offset", "limit"]),
    };
    if (filter !== this.#asked.filter) this.#reload();
    else if (list !== this.#asked.list) this.#loadList();
    for (const control of this.#controls) control.update(parameters);
    this.#showSelected();
  }

  close(): void {
    this.#drawing.stop();
    this.#listing.stop();
    this.#detail.clear();
  }

  #reload(): void {
    this.#range = rangeOf(query());
    const filter = { ...this.#filter(), sort: USUAL_SORT };
    void this.#drawing.load(
      (signal) => allSightings(filter, MOST_DRAWN, signal),
      (answer) => this.#draw(answer),
    );
    this.#loadList();
  }

  #loadList(): void {
    const { limit, offset } = this.#pager;
    const filter = { ...this.#filter(), limit, offset };
    void this.#listing.load(
      (signal) => sightingPage(filter, signal),
      (answer) => this.#show(answer),
    );
  }

  #filter(): SightingFilter {
    const asked = query();
    return {
      video: asked.get("video"),
      camera: asked.get("camera"),
      open: asked.get("open"),
      since: this.#range.since,
      until: this.#range.until,
      sort: asked.get("sort") ?? USUAL_SORT,
    };
  }

  #draw({ sightings, total }: SightingPage): void {
    this.#drawn = sightings;
    this.#timeline.show(sightings, this.#range);
    this.#note.textContent =
      total > sightings.length ? say("onlyNewest", { shown: count(sightings.length), total: count(total) }) : "";
    this.#showSelected();
  }

  #show({ sightings, total }: SightingPage): void {
    this.#listed = sightings;
    this.#pager.show(total);
    this.#table.show(sightings, query().get("sort"));
    const sentence = total > 0 ? say("pageEmpty", { total: count(total) }) : say("noSightings");
    put(this.#list, sightings.length ? this.#table.element : element("p", { class: "empty" }, sentence));
    this.#showSelected();
  }

  #showSelected(): void {
    const wanted = query().get("sighting");
    this.#timeline.mark(wanted);
    for (const line of this.#list.querySelectorAll<HTMLElement>("tr[data-id]")) {
      line.toggleAttribute("data-selected", line.dataset.id === wanted);
    }
    if (!wanted) return this.#detail.clear();
    const found = [...(this.#drawn ?? []), ...(this.#listed ?? [])].find(({ id }) => id === wanted);
    if (found) this.#detail.show(found);
    else if (this.#drawn && this.#listed) this.#detail.miss();
  }

  #dress(line: HTMLTableRowElement, sighting: Sighting): void {
    line.setAttribute("data-testid", "sighting-row");
    line.dataset.id = sighting.id;
    line.addEventListener("click", (event) => {
      if (!(event.target as Element).closest("button, a")) select(sighting.id);
    });
  }

  async #save(): Promise<void> {
    const { sightings } = await allSightings(this.#filter(), MOST_SAVED);
    const stamp = new Date().toISOString().slice(0, 16).replace(":", "");
    saveFile(new Blob([sightingsCsv(sightings)], { type: "text/csv;charset=utf-8" }), `sightings-${stamp}.csv`);
  }
}

const COLUMNS = [
  { label: say("video"), field: "video", cell: opener },
  { label: say("camera"), field: "camera", cell: ({ camera }: Sighting) => camera },
  { label: say("since"), field: "start", cell: ({ start }: Sighting) => moment(start), numeric: true },
  {
    label: say("until"),
    field: "end",
    cell: ({ end, open }: Sighting) => (open ? badge() : moment(end)),
    numeric: true,
  },
  { label: say("length"), cell: ({ start, end }: Sighting) => lasting(end - start), numeric: true },
  { label: say("filmFrom"), cell: ({ film_start }: Sighting) => timecode(film_start), numeric: true },
  {
    label: say("confidence"),
    field: "confidence",
    cell: (sighting: Sighting) => confidence(sighting.confidence),
    numeric: true,
  },
];

function opener({ id, title, camera }: Sighting): HTMLElement {
  const label = say("showSighting", { title, camera });
  return button(title, () => select(id), { class: "quiet text", "aria-label": label, "data-testid": `row-${id}` });
}

function badge(): HTMLElement {
  return element("span", { class: "badge" }, say("stillOn"));
}

function select(id: string): void {
  change({ sighting: id, offset: query().get("offset") });
}

function only(parameters: URLSearchParams, names: string[]): string {
  return names.map((name) => `${name}=${parameters.get(name) ?? ""}`).join("&");
}

async function suggestVideos(typed: string): Promise<[string, string][]> {
  const { videos } = await callJson<{ videos: Video[] }>("/v1/videos", { query: { q: typed, limit: 20 } });
  return videos.map(({ video, title }) => [video, title]);
}

async function suggestCameras(typed: string): Promise<[string, string][]> {
  const { cameras } = await callJson<{ cameras: Camera[] }>("/v1/cameras", { query: { q: typed, limit: 20 } });
  return cameras.map(({ camera }) => [camera, camera]);
}
