/** What is on the screen, as the gateway's events tell it, and at which moment it is now. */

import type { LiveEvent, Match } from "./events";

export const LINGER_MS = 5000; // after a film is lost, it is believed to play on for so long

/** idle: nothing is looked for yet. lost: searching again, with the film still shown. */
export type Finding = "idle" | "searching" | "found" | "lost";

export class Following {
  finding: Finding = "idle";
  /** The name of the event that came last, for tests. */
  lastEvent: string | null = null;
  /** Only this reading is needed; null: all. */
  only: number | null = null;
  foundAfterMs: number | null = null;
  private match: Match | null = null;
  private lostMs = 0;

  /** startedMs: since when frames are sent. */
  constructor(private readonly startedMs: number) {}

  /** nowMs: of the same clock as the events' times. */
  take(event: LiveEvent, nowMs: number): void {
    if (event.event === "follow") this.only = event.reading;
    if (event.event === "follow" || event.event === "screen" || event.event === "error") return;
    this.lastEvent = event.event;
    if (event.event === "searching") {
      if (this.finding !== "lost") this.finding = "searching";
    } else if (event.event === "lost") {
      this.finding = "lost";
      this.lostMs = nowMs;
    } else {
      this.finding = "found";
      this.match = event;
      this.foundAfterMs ??= nowMs - this.startedMs;
    }
  }

  /** The connection is gone: the gateway begins anew, what was found plays on for a while. */
  interrupt(nowMs: number): void {
    this.only = null;
    if (this.finding !== "found") return;
    this.finding = "lost";
    this.lostMs = nowMs;
  }

  /** The film that is shown now, or was until a moment ago. */
  film(nowMs: number): Match | null {
    if (this.finding === "lost" && nowMs - this.lostMs > LINGER_MS) {
      this.finding = "searching";
      this.match = null;
    }
    return this.match;
  }

  /** The film's moment now, seconds; it runs on by itself. */
  moment(nowMs: number): number | null {
    const film = this.film(nowMs);
    if (!film) return null;
    const at = film.at_seconds + (film.speed * (nowMs - film.t)) / 1000;
    return Math.min(Math.max(at, 0), film.duration_seconds);
  }
}
