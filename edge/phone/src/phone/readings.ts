/** The readings of a frame: where in its picture the film may be, as `pipeline/views.py` chooses them. */

import { ActiveArea, ScreenBars } from "./bars";
import { type Corners, cornersOf, mirrored, type Sighting, wholePicture } from "./corners";
import type { Picture } from "./picture";
import { ScreenTracker } from "./tracker";

/** Confidence from which on a screen counts as found; `pipeline.detector.SURE`. */
export const SURE = 0.56;
/** Of the picture's sides, around its middle: tried where no screen is surely seen. */
export const CROPS = [0.8, 0.6] as const;

/** The numbers are those on the wire. */
export const Reading = {
  WHOLE: 0,
  MIRRORED: 1,
  INSIDE_BARS: 2,
  INSIDE_BARS_MIRRORED: 3,
  SCREEN: 4,
  SCREEN_INSIDE_BARS: 5,
  WIDE_CROP: 6,
  NARROW_CROP: 7,
} as const;

/** What stands for a reading where it finds nothing of its own. */
const PLAIN: ReadonlyMap<number, number> = new Map([
  [Reading.INSIDE_BARS, Reading.WHOLE],
  [Reading.INSIDE_BARS_MIRRORED, Reading.MIRRORED],
  [Reading.SCREEN, Reading.WHOLE],
  [Reading.SCREEN_INSIDE_BARS, Reading.SCREEN],
  [Reading.WIDE_CROP, Reading.WHOLE],
  [Reading.NARROW_CROP, Reading.WHOLE],
]);

/** By reading; those that find nothing of their own are left out. */
export type Readings = Map<number, Corners>;

/** screen: as it is followed; null where there is none. */
export interface Read {
  readonly readings: Readings;
  readonly screen: Sighting | null;
}

/** Whether the detector must be asked for this reading; null: for all of them. */
export function needsScreen(only: number | null): boolean {
  return only === null || only === Reading.SCREEN || only === Reading.SCREEN_INSIDE_BARS;
}

/** Reads the frames of one camera in their order, and remembers its bars and where its screen was. */
export class ReadingChooser {
  private readonly area = new ActiveArea();
  private readonly tracker = new ScreenTracker();
  private readonly bars = new ScreenBars();

  /** seen: what the detector says; null where it was not asked. only: this reading, or what stands for it, alone. */
  read(picture: Picture, seen: Sighting | null, seconds: number, only: number | null): Read {
    this.area.add(picture);
    const whole = wholePicture(picture.width, picture.height);
    const readings: Readings = new Map([
      [Reading.WHOLE, whole],
      [Reading.MIRRORED, mirrored(whole)],
    ]);
    const inside = this.area.corners();
    if (inside) readings.set(Reading.INSIDE_BARS, inside).set(Reading.INSIDE_BARS_MIRRORED, mirrored(inside));
    const screen = seen && this.tracker.add(seen, [picture.height, picture.width], seconds);
    if (screen) this.readScreen(readings, picture, screen);
    if (!screen || screen.confidence <= SURE) {
      readings.set(Reading.WIDE_CROP, crop(whole, CROPS[0])).set(Reading.NARROW_CROP, crop(whole, CROPS[1]));
    }
    return { readings: only === null ? readings : narrowed(readings, only), screen };
  }

  private readScreen(readings: Readings, picture: Picture, screen: Sighting): void {
    readings.set(Reading.SCREEN, screen.corners);
    this.bars.add(picture, screen.corners);
    const film = this.bars.inside(screen.corners);
    if (film) readings.set(Reading.SCREEN_INSIDE_BARS, film);
  }
}

/** The reading itself, under its own number, or the one that stands for it. */
function narrowed(readings: Readings, only: number): Readings {
  let name = only;
  while (!readings.has(name)) name = PLAIN.get(name) ?? Reading.WHOLE;
  return new Map([[name, readings.get(name) as Corners]]);
}

/** The middle of a picture, a share of its sides; in float32 as NumPy computes it. */
function crop(whole: Corners, share: number): Corners {
  const [width, height] = whole[2];
  const place = (value: number, side: number) =>
    Math.fround(value * Math.fround(share)) + Math.fround(Math.fround(side * Math.fround(1 - share)) / 2);
  return cornersOf(whole.flatMap(([x, y]) => [place(x, width), place(y, height)]));
}
