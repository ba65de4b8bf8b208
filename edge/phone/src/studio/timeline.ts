/** The time line: a row for each camera, a bar for each sighting, a colour for each video. */

import { drawn, element } from "./dom";
import { lasting, moment } from "./formats";
import type { Sighting } from "./sighting";
import { marks, placeOf } from "./time_axis";
import type { TimeRange } from "./time_range";
import { say } from "./texts";

const ROW = 34; // pixels
const BAR = 22;
const AXIS = 26;
const LEAST_BAR = 5; // so that a short sighting can be hit
const COLOURS = 10; // .hue-0 to .hue-9
const LETTER = 7.5; // pixels, about

interface Placed {
  sighting: Sighting;
  row: number;
  bar: SVGRectElement;
}

export class Timeline {
  readonly element: HTMLElement;
  readonly #drawing = drawn("svg", { role: "group", "aria-label": say("timeLine"), "data-testid": "timeline" });
  readonly #tip = element("div", { class: "tip", "aria-hidden": "true", hidden: true });
  readonly #legend = element("ul", { class: "legend" });
  #sightings: Sighting[] = [];
  #range: TimeRange = { since: 0, until: 1 };
  #selected: string | null = null;
  #placed: Placed[] = [];
  #left = 0;

  constructor(private readonly select: (sighting: Sighting) => void) {
    const hint = element("p", { class: "for-screen-readers" }, say("timeLineHint"));
    const canvas = element("div", { class: "canvas" }, this.#drawing, this.#tip);
    this.element = element("figure", { class: "timeline" }, hint, canvas, this.#legend);
    new ResizeObserver(() => this.#draw()).observe(canvas);
    this.#drawing.addEventListener("keydown", (event) => this.#key(event));
  }

  show(sightings: Sighting[], range: TimeRange): void {
    this.#sightings = sightings;
    this.#range = range;
    this.#draw();
  }

  mark(selected: string | null): void {
    this.#selected = selected;
    for (const { sighting, bar } of this.#placed) setSelected(bar, sighting.id === selected);
  }

  #draw(): void {
    const focused = this.#placed.find(({ bar }) => bar === document.activeElement)?.sighting.id;
    const width = this.#drawing.parentElement?.clientWidth ?? 0;
    const cameras = [...new Set(this.#sightings.map((each) => each.camera))].sort();
    const videos = [...new Set(this.#sightings.map((each) => each.video))].sort();
    this.element.hidden = cameras.length === 0;
    if (width === 0 || cameras.length === 0) return;
    this.#left = Math.min(150, width * 0.28);
    const height = AXIS + cameras.length * ROW;
    this.#drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.#drawing.setAttribute("height", String(height));
    const bars = this.#bars(cameras, videos, width - this.#left);
    this.#drawing.replaceChildren(
      ...this.#axis(width, height),
      ...cameras.flatMap((name, row) => this.#rowOf(name, row, width)),
      ...bars,
    );
    this.#showLegend(videos);
    this.#rove(this.#placed.find(({ sighting }) => sighting.id === (focused ?? this.#selected)) ?? this.#placed[0]);
    if (focused) this.#placed.find(({ sighting }) => sighting.id === focused)?.bar.focus();
  }

  #axis(width: number, height: number): SVGElement[] {
    const pixels = width - this.#left;
    return marks(this.#range, pixels).flatMap(({ seconds, label }) => {
      const x = this.#left + placeOf(seconds, this.#range, pixels);
      const anchor = x > width - 30 ? "end" : x < this.#left + 20 ? "start" : "middle";
      return [
        drawn("line", { x1: x, x2: x, y1: AXIS - 6, y2: height, class: "mark" }),
        drawn("text", { x, y: AXIS - 11, "text-anchor": anchor, class: "mark-text" }, label),
      ];
    });
  }

  #rowOf(camera: string, row: number, width: number): SVGElement[] {
    const y = AXIS + row * ROW;
    return [
      drawn("line", { x1: 0, x2: width, y1: y, y2: y, class: "mark" }),
      drawn(
        "text",
        { x: 0, y: y + ROW / 2 + 5, class: "row-name" },
        drawn("title", {}, camera),
        cut(camera, this.#left - 10),
      ),
    ];
  }

  #bars(cameras: string[], videos: string[], pixels: number): SVGElement[] {
    const ordered = [...this.#sightings].sort((one, other) => one.start - other.start);
    this.#placed = [];
    return ordered.flatMap((sighting) => {
      const start = placeOf(sighting.start, this.#range, pixels);
      const length = Math.max(LEAST_BAR, placeOf(sighting.end, this.#range, pixels) - start);
      const x = this.#left + Math.min(start, pixels - length);
      const row = cameras.indexOf(sighting.camera);
      const y = AXIS + row * ROW + (ROW - BAR) / 2;
      const hue = `hue-${videos.indexOf(sighting.video) % COLOURS}`;
      const bar = this.#bar(sighting, { x, y, width: length, height: BAR, rx: 3, class: `bar ${hue}` });
      this.#placed.push({ sighting, row, bar });
      const text =
        length > 60 && drawn("text", { x: x + 6, y: y + 15, class: "bar-text" }, cut(sighting.title, length - 8));
      return text ? [bar, text] : [bar];
    });
  }

  #bar(sighting: Sighting, shape: Record<string, string | number>): SVGRectElement {
    const bar = drawn("rect", {
      ...shape,
      role: "button",
      tabindex: -1,
      "aria-label": what(sighting),
      "data-testid": `bar-${sighting.id}`,
      onclick: () => this.select(sighting),
      onfocus: () => this.#showTip(sighting, bar),
      onmouseenter: () => this.#showTip(sighting, bar),
      onblur: () => (this.#tip.hidden = true),
      onmouseleave: () => (this.#tip.hidden = true),
    });
    setSelected(bar, sighting.id === this.#selected);
    return bar;
  }

  #showTip(sighting: Sighting, bar: SVGRectElement): void {
    this.#tip.textContent = what(sighting);
    this.#tip.hidden = false;
    const width = this.#drawing.clientWidth;
    const x = Math.min(bar.x.baseVal.value, width - this.#tip.offsetWidth);
    this.#tip.style.left = `${Math.max(0, x)}px`;
    this.#tip.style.top = `${bar.y.baseVal.value + BAR + 6}px`;
  }

  #showLegend(videos: string[]): void {
    const title = new Map(this.#sightings.map((each) => [each.video, each.title]));
    this.#legend.replaceChildren(
      ...videos.map((video, place) => {
        const swatch = drawn("svg", { class: "swatch", viewBox: "0 0 12 12", "aria-hidden": "true" });
        swatch.append(drawn("rect", { width: 12, height: 12, rx: 3, class: `hue-${place % COLOURS}` }));
        return element("li", {}, swatch, title.get(video) ?? video);
      }),
    );
  }

  /** Only one bar is a stop of the Tab key; the arrows move between them. */
  #rove(to: Placed | undefined): void {
    if (!to) return;
    for (const { bar } of this.#placed) bar.setAttribute("tabindex", "-1");
    to.bar.setAttribute("tabindex", "0");
  }

  #key(event: KeyboardEvent): void {
    const at = this.#placed.find(({ bar }) => bar === event.target);
    if (!at) return;
    if (event.key === "Enter" || event.key === " ") this.select(at.sighting);
    else {
      const to = neighbour(this.#placed, at, event.key);
      if (!to) return;
      this.#rove(to);
      to.bar.focus();
    }
    event.preventDefault();
  }
}

/** The bar that a key leads to: along the row in time, or to the nearest one in another row. */
function neighbour(placed: Placed[], at: Placed, key: string): Placed | undefined {
  const row = placed.filter((each) => each.row === at.row);
  const place = row.indexOf(at);
  const nearest = (rows: Placed[]) => {
    const distance = (each: Placed) => Math.abs(each.sighting.start - at.sighting.start);
    const next = rows.filter(
      (each) => Math.abs(each.row - at.row) === Math.min(...rows.map((one) => Math.abs(one.row - at.row))),
    );
    return next.sort((one, other) => distance(one) - distance(other))[0];
  };
  switch (key) {
    case "ArrowRight":
      return row[place + 1];
    case "ArrowLeft":
      return row[place - 1];
    case "Home":
      return row[0];
    case "End":
      return row[row.length - 1];
    case "ArrowDown":
      return nearest(placed.filter((each) => each.row > at.row));
    case "ArrowUp":
      return nearest(placed.filter((each) => each.row < at.row));
    default:
      return undefined;
  }
}

function setSelected(bar: SVGRectElement, selected: boolean): void {
  bar.classList.toggle("selected", selected);
  bar.setAttribute("aria-pressed", String(selected));
}

function what({ title, camera, start, end, open }: Sighting): string {
  const values = { title, camera, start: moment(start), length: lasting(end - start) };
  return say(open ? "sightingNow" : "sightingThen", values);
}

function cut(text: string, pixels: number): string {
  const most = Math.max(1, Math.floor(pixels / LETTER));
  return text.length <= most ? text : `${text.slice(0, Math.max(1, most - 1))}…`;
}
