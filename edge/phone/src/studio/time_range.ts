/** Stretches of time: the last so many hours, or from one moment to another. */

import { button, element, field } from "./dom";
import type { Control } from "./controls";
import { change } from "./place";
import { say } from "./texts";

/** Epoch seconds. */
export interface TimeRange {
  since: number;
  until: number;
}

/** Seconds. */
const PRESETS: Record<string, number> = { "1h": 3600, "24h": 86_400, "7d": 7 * 86_400, "30d": 30 * 86_400 };
const USUAL = "24h";

/** The range that an address means: `since` and `until` (ISO), else the last `range`. */
export function rangeOf(parameters: URLSearchParams, now: number = Date.now() / 1000): TimeRange {
  const length = PRESETS[presetOf(parameters)] ?? PRESETS[USUAL];
  const given = (name: string) => {
    const seconds = Date.parse(parameters.get(name) ?? "") / 1000;
    return Number.isNaN(seconds) ? null : seconds;
  };
  const until = given("until") ?? now;
  const since = given("since") ?? until - length;
  return since < until ? { since, until } : { since: until, until: since };
}

/** "" where the address names moments. */
function presetOf(parameters: URLSearchParams): string {
  if (parameters.has("since") || parameters.has("until")) return "";
  const wanted = parameters.get("range") ?? USUAL;
  return wanted in PRESETS ? wanted : USUAL;
}

export class RangeChooser implements Control {
  readonly element: HTMLElement;
  readonly #buttons: HTMLButtonElement[];
  readonly #since = momentInput("since");
  readonly #until = momentInput("until");
  #range: TimeRange = { since: 0, until: 0 };

  constructor() {
    this.#buttons = Object.keys(PRESETS).map((name) =>
      button(say(`range_${name}` as "range_1h"), () => change({ range: name, since: null, until: null }), {
        "data-testid": `range-${name}`,
      }),
    );
    const typed = () => {
      const since = secondsOf(this.#since.value) ?? this.#range.since;
      const until = secondsOf(this.#until.value) ?? this.#range.until;
      change({ since: isoOf(since), until: isoOf(until), range: null });
    };
    this.#since.addEventListener("change", typed);
    this.#until.addEventListener("change", typed);
    const presets = element(
      "div",
      { class: "buttons joined", role: "group", "aria-label": say("timeRange") },
      ...this.#buttons,
    );
    this.element = element(
      "div",
      { class: "controls" },
      presets,
      field(say("from"), this.#since),
      field(say("to"), this.#until),
    );
  }

  update(parameters: URLSearchParams): void {
    const preset = presetOf(parameters);
    Object.keys(PRESETS).forEach((name, place) =>
      this.#buttons[place].setAttribute("aria-pressed", String(name === preset)),
    );
    this.#range = rangeOf(parameters);
    this.#since.value = localOf(this.#range.since);
    this.#until.value = localOf(this.#range.until);
  }
}

function momentInput(name: string): HTMLInputElement {
  return element("input", { type: "datetime-local", "data-testid": name });
}

/** As <input type="datetime-local"> wants it: local time, to the minute. */
function localOf(seconds: number): string {
  const date = new Date(seconds * 1000);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

function secondsOf(local: string): number | null {
  const milliseconds = new Date(local).getTime();
  return Number.isNaN(milliseconds) ? null : milliseconds / 1000;
}

function isoOf(seconds: number): string {
  return new Date(seconds * 1000).toISOString().slice(0, 19) + "Z";
}
