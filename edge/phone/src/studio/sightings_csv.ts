/** Sightings as a table for spreadsheets (RFC 4180). */

import type { Sighting } from "./sighting";

const COLUMNS = [
  "id",
  "video",
  "title",
  "camera",
  "start",
  "end",
  "film_start",
  "film_end",
  "confidence",
  "open",
] as const;

export function sightingsCsv(sightings: Sighting[]): string {
  const lines = sightings.map((sighting) => COLUMNS.map((name) => quoted(valueOf(sighting, name))).join(","));
  return "\ufeff" + [COLUMNS.join(","), ...lines].join("\r\n") + "\r\n"; // the mark tells spreadsheets that it is UTF-8
}

function valueOf(sighting: Sighting, name: (typeof COLUMNS)[number]): string {
  if (name === "start" || name === "end") return new Date(sighting[name] * 1000).toISOString();
  return String(sighting[name]);
}

/** A text that a spreadsheet would take for a formula gets an apostrophe before it. */
function quoted(value: string): string {
  const harmless = /^[=+\-@\t\r]/.test(value) && Number.isNaN(Number(value)) ? `'${value}` : value;
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}
