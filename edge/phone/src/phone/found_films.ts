/** What was found on this device, newest first. It never leaves the device. */

import { onDevice } from "../shared/kept";

const PLACE = "vnome.found";
export const MOST_FOUND = 50;
const SAME_FINDING_MS = 120_000; // the same film again within so long is the same finding, at a later moment

/** at: of the finding, milliseconds since 1970. */
export interface FoundFilm {
  readonly video: string;
  readonly title: string;
  readonly atSeconds: number;
  readonly at: number;
}

export function foundFilms(): FoundFilm[] {
  try {
    const stored = JSON.parse(onDevice.get(PLACE) ?? "[]") as unknown;
    return Array.isArray(stored) ? (stored as FoundFilm[]) : [];
  } catch {
    return []; // damaged
  }
}

export function rememberFound(film: FoundFilm): void {
  const [newest, ...older] = foundFilms();
  const again = newest?.video === film.video && film.at - newest.at < SAME_FINDING_MS;
  const kept = again || !newest ? older : [newest, ...older];
  onDevice.set(PLACE, JSON.stringify([film, ...kept].slice(0, MOST_FOUND)));
}

export function forgetFound(): void {
  onDevice.set(PLACE, null);
}
