/** The screen followed from frame to frame, number by number as `pipeline/screen.py` does it; see there for why. */

import { cornersOf, flat, type Sighting } from "./corners";

export const HAND = 0.5; // acceleration of a corner, of the picture's diagonal a second squared
export const CORNER_NOISE = 0.004; // of the diagonal: a sure sighting's corners
export const LEAST_CONFIDENCE = 0.1; // a sighting with less says nothing
export const SAME_SCREEN = 0.06; // of the diagonal, beyond the filter's own doubt: further off is another screen
export const SWITCH_AFTER = 3; // sightings in a row of another screen
export const FORGET_AFTER_SECONDS = 1.5; // without a sighting
export const CONFIDENCE_SHARE = 0.3; // of a new sighting in the confidence
const START_SPEED_VARIANCE = 0.1; // diagonals a second, squared

/** height, width in pixels, in the order of `pipeline`. */
export type Size = readonly [number, number];

/** Where the screen is believed to be, in diagonals of the picture, and how surely. */
interface Belief {
  places: number[]; // 8
  speeds: number[]; // 8, diagonals a second
  variance: [number, number, number, number]; // of place and speed, row by row
}

/** Follows the screen through the sightings of one camera, in the order of their times. */
export class ScreenTracker {
  private size: Size = [0, 0];
  private belief: Belief | null = null;
  private confidence = 0;
  private atSeconds = 0;
  private seenSeconds = 0;
  private elsewhere = 0;

  /** Takes the next sighting, in a picture of that size, and says where the screen is; null for nowhere.
   *
   * Another picture size, or a time that goes back, starts anew. */
  add(sighting: Sighting, size: Size, seconds: number): Sighting | null {
    if (size[0] !== this.size[0] || size[1] !== this.size[1] || seconds < this.atSeconds) {
      this.belief = null;
      this.size = size;
    }
    const diagonal = Math.hypot(...size);
    const measured = flat(sighting.corners).map((value) => value / diagonal);
    this.update(measured, sighting.confidence, seconds);
    this.atSeconds = seconds;
    if (this.belief && seconds - this.seenSeconds > FORGET_AFTER_SECONDS) this.belief = null;
    if (!this.belief) return null;
    return { corners: cornersOf(this.belief.places.map((place) => place * diagonal)), confidence: this.confidence };
  }

  private update(measured: number[], confidence: number, seconds: number): void {
    const usable = confidence >= LEAST_CONFIDENCE;
    if (!this.belief) {
      if (usable) this.start(measured, confidence, seconds);
      return;
    }
    predict(this.belief, seconds - this.atSeconds);
    this.confidence += CONFIDENCE_SHARE * (confidence - this.confidence);
    if (usable) this.correct(this.belief, measured, confidence, seconds);
  }

  private start(measured: number[], confidence: number, seconds: number): void {
    const variance: Belief["variance"] = [noise(confidence), 0, 0, START_SPEED_VARIANCE];
    this.belief = { places: measured, speeds: measured.map(() => 0), variance };
    this.confidence = confidence;
    this.seenSeconds = seconds;
    this.elsewhere = 0;
  }

  private correct(belief: Belief, measured: number[], confidence: number, seconds: number): void {
    const off = measured.map((value, k) => value - belief.places[k]);
    const doubt = belief.variance[0] + noise(confidence);
    if (Math.max(...off.map(Math.abs)) > SAME_SCREEN + 3 * Math.sqrt(doubt)) {
      this.elsewhere += 1;
      if (this.elsewhere >= SWITCH_AFTER) this.start(measured, confidence, seconds);
      return;
    }
    this.elsewhere = 0;
    this.seenSeconds = seconds;
    const [a, b, c, d] = belief.variance;
    const [placeGain, speedGain] = [a / doubt, c / doubt];
    off.forEach((value, k) => {
      belief.places[k] += placeGain * value;
      belief.speeds[k] += speedGain * value;
    });
    belief.variance = [a - placeGain * a, b - placeGain * b, c - speedGain * a, d - speedGain * b];
  }
}

function predict(belief: Belief, seconds: number): void {
  belief.places = belief.places.map((place, k) => place + seconds * belief.speeds[k]);
  const [a, b, c, d] = belief.variance;
  const [hand, t] = [HAND ** 2, seconds];
  belief.variance = [
    a + t * c + t * (b + t * d) + (hand * t ** 4) / 4,
    b + t * d + (hand * t ** 3) / 2,
    c + t * d + (hand * t ** 3) / 2,
    d + hand * t ** 2,
  ];
}

/** Variance of a sighting's corners, squared diagonals: three times as far off where it is half as sure. */
function noise(confidence: number): number {
  return (CORNER_NOISE / Math.min(Math.max(confidence, LEAST_CONFIDENCE), 1) ** 1.6) ** 2;
}
