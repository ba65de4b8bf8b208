/** Dates, durations, sizes and shares as people read them. */

import { language } from "../shared/i18n";
import { say } from "./texts";

const DATE = new Intl.DateTimeFormat(language(), { dateStyle: "medium" });
const MOMENT = new Intl.DateTimeFormat(language(), { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" });
const SHARE = new Intl.NumberFormat(language(), { style: "percent", maximumFractionDigits: 0 });
const FINE_SHARE = new Intl.NumberFormat(language(), { style: "percent", maximumFractionDigits: 2 });
const COUNT = new Intl.NumberFormat(language());
const SIZE = new Intl.NumberFormat(language(), { maximumFractionDigits: 1 });

/** 3725.26 -> "01:02:05.260": hours, minutes, seconds, thousandths. */
export function timecode(seconds: number): string {
  const thousandths = Math.max(0, Math.round(seconds * 1000));
  const part = (size: number, modulus: number) => Math.floor(thousandths / size) % modulus;
  const two = (value: number) => String(value).padStart(2, "0");
  const hours = two(Math.floor(thousandths / 3_600_000));
  return `${hours}:${two(part(60_000, 60))}:${two(part(1000, 60))}.${String(thousandths % 1000).padStart(3, "0")}`;
}

export function moment(epochSeconds: number): string {
  return MOMENT.format(epochSeconds * 1000);
}

/** The day of epoch seconds or an ISO date; a dash when there is none. */
export function day(when: string | number | null): string {
  if (when === null) return "–";
  const date = new Date(typeof when === "number" ? when * 1000 : when);
  return Number.isNaN(date.getTime()) ? "–" : DATE.format(date);
}

/** The length of a stretch of time: "12 s", "3 min", "2 h 5 min", "4 d 2 h". */
export function lasting(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return `${Math.floor(hours / 24)} ${say("dayShort")} ${hours % 24} h`;
}

export function share(part: number): string {
  return SHARE.format(part);
}

/** A probability near one, with the digits that tell it from one. */
export function confidence(probability: number): string {
  return FINE_SHARE.format(Math.floor(probability * 10_000) / 10_000);
}

export function count(number: number): string {
  return COUNT.format(number);
}

/** "12.5 MB", "850 kB". */
export function size(bytes: number): string {
  return bytes < 1e6 ? `${COUNT.format(Math.ceil(bytes / 1000))} kB` : `${SIZE.format(bytes / 1e6)} MB`;
}
