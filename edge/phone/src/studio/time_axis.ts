/** Where moments lie on a line, and which of them are worth a mark. */

import { language } from "../shared/i18n";
import type { TimeRange } from "./time_range";

const MINUTE = 60;
const HOUR = 3600;
const DAY = 86_400;
const STEPS = [
  MINUTE,
  5 * MINUTE,
  10 * MINUTE,
  15 * MINUTE,
  30 * MINUTE,
  HOUR,
  2 * HOUR,
  3 * HOUR,
  6 * HOUR,
  12 * HOUR,
  DAY,
  2 * DAY,
  7 * DAY,
  14 * DAY,
  30 * DAY,
  90 * DAY,
  365 * DAY,
];
const MARK_PIXELS = 72; // a mark's text needs so much

const TIME = new Intl.DateTimeFormat(language(), { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const DATE = new Intl.DateTimeFormat(language(), { day: "numeric", month: "short" });

export interface Mark {
  seconds: number;
  label: string;
}

/** The place of epoch seconds between 0 and `pixels`. */
export function placeOf(seconds: number, range: TimeRange, pixels: number): number {
  const share = (seconds - range.since) / (range.until - range.since);
  return Math.min(1, Math.max(0, share)) * pixels;
}

/** Round moments of the local time; at midnight the day is written. */
export function marks(range: TimeRange, pixels: number): Mark[] {
  const most = Math.max(1, Math.floor(pixels / MARK_PIXELS));
  const step = STEPS.find((each) => (range.until - range.since) / each <= most) ?? STEPS[STEPS.length - 1];
  const shift = new Date(range.since * 1000).getTimezoneOffset() * MINUTE;
  const found: Mark[] = [];
  for (let local = Math.ceil((range.since - shift) / step) * step; local + shift <= range.until; local += step) {
    const date = new Date((local + shift) * 1000);
    found.push({ seconds: local + shift, label: (local % DAY === 0 ? DATE : TIME).format(date) });
  }
  return found;
}
