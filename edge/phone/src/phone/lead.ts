/** How far subtitles are shown ahead of the film, on this device: screens and cables delay pictures. */

import { onDevice } from "../shared/kept";

const PLACE = "vnome.lead";
export const MOST_LEAD_SECONDS = 5; // either way
const STEPS_A_SECOND = 10;
export const LEAD_STEP_SECONDS = 1 / STEPS_A_SECOND;

export function storedLead(): number {
  const stored = Number(onDevice.get(PLACE) ?? 0);
  return Number.isFinite(stored) ? bounded(stored) : 0;
}

export function storeLead(seconds: number): void {
  onDevice.set(PLACE, String(bounded(seconds)));
}

/** A whole number of steps within the bounds. */
export function bounded(seconds: number): number {
  const most = MOST_LEAD_SECONDS * STEPS_A_SECOND;
  return Math.min(Math.max(Math.round(seconds * STEPS_A_SECOND), -most), most) / STEPS_A_SECOND;
}
