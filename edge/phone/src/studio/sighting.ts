/** Sightings as the gateway tells them, and all of a filter, page by page. */

import { callJson } from "../shared/api";

export interface Sighting {
  id: string;
  video: string;
  title: string;
  camera: string;
  /** Epoch seconds. */
  start: number;
  end: number;
  /** The part of the film, seconds. */
  film_start: number;
  film_end: number;
  confidence: number;
  /** It is still on. */
  open: boolean;
  /** What the camera saw, and which moment of the film that was. */
  frame: string | null;
  frame_film_seconds: number | null;
}

export interface SightingPage {
  sightings: Sighting[];
  total: number;
}

export type SightingFilter = Record<string, string | number | null>;

const MOST_A_PAGE = 200;

export function sightingPage(filter: SightingFilter, signal?: AbortSignal): Promise<SightingPage> {
  return callJson<SightingPage>("/v1/sightings", { query: filter, signal });
}

/** At most `most` sightings of the filter, in its order; `total` is how many there are. */
export async function allSightings(filter: SightingFilter, most: number, signal?: AbortSignal): Promise<SightingPage> {
  const known = new Map<string, Sighting>(); // a page may repeat some when new ones come in between
  for (let offset = 0; ; offset += MOST_A_PAGE) {
    const page = await sightingPage({ ...filter, offset, limit: MOST_A_PAGE }, signal);
    for (const sighting of page.sightings) known.set(sighting.id, sighting);
    const ended = page.sightings.length === 0 || offset + page.sightings.length >= page.total;
    if (ended || known.size >= most) return { sightings: [...known.values()].slice(0, most), total: page.total };
  }
}
