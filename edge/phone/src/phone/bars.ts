/** The part of a picture that shows film, as `pipeline/letterbox.py` finds it; see there for why. */

import { box, type Corners, type Homography, homography, movedCorners } from "./corners";
import { greenOf, type Picture, type Plane, roundHalfEven } from "./picture";

export const BLACK_LEVEL = 36; // of 255
export const PICTURE_LEVEL = 60; // of 255; a picture that never gets brighter tells nothing about bars
export const LEAST_SHARE = 0.4; // of the side; less is not a letter-box but a dark scene
export const THINNED = 4; // every so many pixels of a row tell how bright it is
export const EDGE_PIXELS = 2; // a bar thinner than this is no bar
const SPECKS = 50; // one pixel in so many may exceed the light of its row

export const SCREEN_WIDTH = 128; // pixels of a screen that a camera sees, rectified
export const SCREEN_HEIGHT = 72;
export const SCREEN_CONTRAST = 24; // grey levels between the outermost rows and those in the middle
export const SCREEN_STEP_LEVELS = 12; // by which a film's first row is brighter than a bar, at least
export const SCREEN_STEP_SHARE = 0.12; // of that contrast, the same
export const SCREEN_GRAIN = 0.6; // of a film's own from pixel to pixel: what a bar may have
export const SCREEN_LEAST_BAR = 0.04; // of the screen's side
export const SCREEN_MOST_BAR = 0.36;
export const SCREEN_UNEVEN = 0.04; // of the side: the two bars differ by less
const SCREEN_QUANTILE = 0.9;
const SCREEN_EDGES = box(0, 0, SCREEN_WIDTH, SCREEN_HEIGHT);

/** Finds the bars of a source from the brightest light that each row and column ever showed.
 *
 * Fed with pictures of one size; a picture of another size starts it anew. */
export class ActiveArea {
  private rows = new Uint8Array(0);
  private columns = new Uint8Array(0);

  add(picture: Picture): void {
    const { width, height, rgb } = picture;
    if (this.rows.length !== height || this.columns.length !== width) {
      this.rows = new Uint8Array(height);
      this.columns = new Uint8Array(width);
    }
    const across = new Brightest(Math.ceil(width / THINNED));
    for (let y = 0; y < height; y++) {
      across.clear();
      for (let x = 0, at = y * width * 3 + 1; x < width; x += THINNED, at += THINNED * 3) across.add(rgb[at]);
      this.rows[y] = Math.max(this.rows[y], across.least);
    }
    const down = new Brightest(Math.ceil(height / THINNED));
    for (let x = 0; x < width; x++) {
      down.clear();
      for (let y = 0; y < height; y += THINNED) down.add(rgb[(y * width + x) * 3 + 1]);
      this.columns[x] = Math.max(this.columns[x], down.least);
    }
  }

  /** Corners of the film within the picture, or null when there are no bars. */
  corners(): Corners | null {
    const [height, width] = [this.rows.length, this.columns.length];
    if (height === 0 || this.rows.every((light) => light < PICTURE_LEVEL)) return null;
    const [top, bottom] = span(this.rows);
    const [left, right] = span(this.columns);
    const bars = Math.max(top, height - bottom, left, width - right);
    if (bars <= EDGE_PIXELS || bottom - top < LEAST_SHARE * height || right - left < LEAST_SHARE * width) return null;
    return box(left, top, right, bottom);
  }
}

/** The few brightest of many values: the least of them is what one value in fifty exceeds. */
class Brightest {
  private readonly kept: Uint8Array; // falling

  constructor(values: number) {
    this.kept = new Uint8Array(Math.max(Math.floor(values / SPECKS), 1));
  }

  get least(): number {
    return this.kept[this.kept.length - 1];
  }

  clear(): void {
    this.kept.fill(0);
  }

  add(value: number): void {
    if (value <= this.least) return;
    let k = this.kept.length - 1;
    for (; k > 0 && this.kept[k - 1] < value; k--) this.kept[k] = this.kept[k - 1];
    this.kept[k] = value;
  }
}

/** First and one past the last place that is not black; [0, 0] when all is black. */
function span(light: Uint8Array): [number, number] {
  const first = light.findIndex((value) => value > BLACK_LEVEL);
  return first < 0 ? [0, 0] : [first, light.findLastIndex((value) => value > BLACK_LEVEL) + 1];
}

/** Finds the bars that a screen shows beside a film of another shape, as a camera sees them: not quite black.
 *
 * Fed with the screen's place in each picture. */
export class ScreenBars {
  private readonly light = new Float32Array(SCREEN_WIDTH * SCREEN_HEIGHT);
  private readonly sum = new Float32Array(SCREEN_WIDTH * SCREEN_HEIGHT);
  private pictures = 0;

  add(picture: Picture, screen: Corners): void {
    const seen = blurred(rectified(greenOf(picture), screen));
    for (let i = 0; i < seen.light.length; i++) {
      this.light[i] = Math.max(this.light[i], seen.light[i]);
      this.sum[i] += seen.light[i];
    }
    this.pictures++;
  }

  /** Corners of the film in a picture that shows the screen at these corners, or null when there are no bars. */
  inside(screen: Corners): Corners | null {
    const across = this.bars(SCREEN_WIDTH, SCREEN_HEIGHT, 1, SCREEN_WIDTH);
    const down = this.bars(SCREEN_HEIGHT, SCREEN_WIDTH, SCREEN_WIDTH, 1);
    if (across === null && down === null) return null;
    const above = down !== null && (across === null || down.grain <= across.grain); // a dark scene seems to have both
    const [y, x] = above ? [down, NO_BARS] : [NO_BARS, across ?? NO_BARS];
    const film = box(x.first, y.first, SCREEN_WIDTH - x.last, SCREEN_HEIGHT - y.last);
    return movedCorners(film, homography(SCREEN_EDGES, screen));
  }

  /** Even bars at both ends. lines, length: of how many pixels; steps: in memory. */
  private bars(lines: number, length: number, lineStep: number, pixelStep: number): Bars | null {
    const profile = this.profile(lines, length, lineStep, pixelStep);
    const grain = this.grain(lines, length, lineStep, pixelStep);
    const [above, below] = [ends(profile, grain), ends(profile.slice().reverse(), grain.slice().reverse())];
    for (const first of above) {
      const last = below.find((other) => Math.abs(first.width - other.width) <= SCREEN_UNEVEN * lines);
      if (last) return { first: first.width, last: last.width, grain: first.grain + last.grain };
    }
    return null;
  }

  /** How much each line's pixels differ from the next, on average, in the mean of all pictures. */
  private grain(lines: number, length: number, lineStep: number, pixelStep: number): Float32Array {
    return Float32Array.from({ length: lines }, (_, line) => {
      let differing = 0;
      for (let k = 0, at = line * lineStep; k < length - 1; k++, at += pixelStep) {
        differing += Math.abs(this.sum[at + pixelStep] - this.sum[at]);
      }
      return differing / (Math.max(this.pictures, 1) * (length - 1));
    });
  }

  /** How bright nine in ten of each line's pixels stay below. lines, length: of how many pixels; steps: in memory. */
  private profile(lines: number, length: number, lineStep: number, pixelStep: number): Float32Array {
    const sorted = new Float32Array(length);
    const at = Math.fround(SCREEN_QUANTILE) * (length - 1);
    const below = Math.floor(at);
    return Float32Array.from({ length: lines }, (_, line) => {
      for (let k = 0; k < length; k++) sorted[k] = this.light[line * lineStep + k * pixelStep];
      sorted.sort();
      return sorted[below] + (at - below) * (sorted[below + 1] - sorted[below]);
    });
  }
}

/** What the screen shows, seen from its front. Between pixels by straight lines, black outside the picture. */
function rectified(plane: Plane, screen: Corners): Plane {
  const back: Homography = homography(SCREEN_EDGES, screen);
  const light = new Uint8Array(SCREEN_WIDTH * SCREEN_HEIGHT);
  for (let y = 0.5, to = 0; y < SCREEN_HEIGHT; y++) {
    for (let x = 0.5; x < SCREEN_WIDTH; x++, to++) {
      const depth = back[6] * x + back[7] * y + back[8];
      light[to] = lightAt(
        plane,
        (back[0] * x + back[1] * y + back[2]) / depth - 0.5,
        (back[3] * x + back[4] * y + back[5]) / depth - 0.5,
      );
    }
  }
  return { width: SCREEN_WIDTH, height: SCREEN_HEIGHT, light };
}

function lightAt(plane: Plane, x: number, y: number): number {
  const { width, height, light } = plane;
  const [left, top] = [Math.floor(x), Math.floor(y)];
  if (!(left >= -1 && top >= -1 && left < width && top < height)) return 0;
  const at = (column: number, row: number) =>
    column >= 0 && row >= 0 && column < width && row < height ? light[row * width + column] : 0;
  const [partX, partY] = [x - left, y - top];
  const above = at(left, top) * (1 - partX) + at(left + 1, top) * partX;
  const below = at(left, top + 1) * (1 - partX) + at(left + 1, top + 1) * partX;
  return roundHalfEven(above * (1 - partY) + below * partY);
}

/** `cv2.GaussianBlur` over three pixels each way: weights 1, 2, 1; the border is mirrored about its last pixel. */
function blurred(plane: Plane): Plane {
  const { width, height, light } = plane;
  const out = new Uint8Array(light.length);
  const three = (at: (k: number) => number, k: number, length: number) =>
    at(k === 0 ? 1 : k - 1) + 2 * at(k) + at(k === length - 1 ? length - 2 : k + 1);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const row = (line: number) => three((column) => light[line * width + column], x, width);
      out[y * width + x] = (three(row, y, height) + 8) >> 4;
    }
  }
  return { width, height, light: out };
}

/** Widths of even bars, in lines, and the grain of both together. */
interface Bars {
  readonly first: number;
  readonly last: number;
  readonly grain: number;
}

const NO_BARS: Bars = { first: 0, last: 0, grain: 0 };

/** Where a bar at the beginning of a profile of light may end, the outermost first: its width, and its grain. */
function ends(profile: Float32Array, grain: Float32Array): { width: number; grain: number }[] {
  const lines = profile.length;
  const quarter = Math.floor(lines / 4);
  const middle = (values: Float32Array) => median(values.subarray(quarter, lines - quarter));
  const dark = median(profile.subarray(1, 4));
  const contrast = middle(profile) - dark;
  const lit = dark + Math.max(SCREEN_STEP_LEVELS, SCREEN_STEP_SHARE * contrast);
  const rough = SCREEN_GRAIN * middle(grain);
  const found: { width: number; grain: number }[] = [];
  if (contrast < SCREEN_CONTRAST) return found;
  for (let line = Math.ceil(SCREEN_LEAST_BAR * lines); line <= Math.floor(SCREEN_MOST_BAR * lines); line++) {
    const [outside, step] = [profile[line - 2], profile[line + 2] - profile[line - 2]];
    const barGrain = mean(grain.subarray(1, line - 1));
    const smooth = barGrain <= rough && rough <= 2 * mean(grain.subarray(line + 1, line + 4));
    if (profile[line] <= lit || !smooth || step < 1.5 * SCREEN_STEP_LEVELS) continue;
    let before = line - 2; // the last line that is less than half lit
    while (profile[before + 1] < outside + step / 2) before++;
    const rise = profile[before + 1] - profile[before];
    found.push({ width: before + 0.5 + (outside + step / 2 - profile[before]) / rise, grain: barGrain });
  }
  return found;
}

function mean(values: Float32Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function median(values: Float32Array): number {
  const sorted = values.slice().sort();
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
