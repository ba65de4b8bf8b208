/** Where the screen is in a picture, as `pipeline/detector.py` says it. */

import type * as Ort from "onnxruntime-web/wasm";
import {
  type Corners,
  cornersOf,
  diagonal,
  isConvex,
  meanDistance,
  scaled,
  shifted,
  signedArea,
  type Sighting,
} from "./corners";
import { cropped, type Picture, resized, roundHalfEven } from "./picture";

export const WORK_SIDE = 320; // pixels of the longer side
export const LEAST_SIDE = 32; // pixels of the shorter one; a narrower picture is scaled up
export const MOST_SIDE = 4 * WORK_SIDE; // pixels; a strip that is longer for its width is squeezed
export const LEAST_AREA = 0.005; // of the picture's; a smaller screen has too few pixels to code

export const CLOSER = 0.6; // of the picture's width and height: a screen that takes up less of both is looked at again
export const CLOSER_LEAST = 0.3; // confidence; what is less likely a screen is not
export const CLOSER_MARGIN = 0.2; // of the screen's width and height, that is shown around it
export const CLOSER_AWAY = 0.1; // of the screen's diagonal: how far the second look's corners may be from the first's
export const CLOSER_DOUBT = 0.1; // by how much it may be less confident

export class Detector {
  constructor(
    private readonly ort: typeof Ort,
    private readonly session: Ort.InferenceSession,
  ) {}

  /** The most convincing screen of the picture; confidence near 0 where there is none. A small one is seen closer. */
  async look(picture: Picture): Promise<Sighting> {
    const first = await this.glance(picture);
    const window = first.confidence > CLOSER_LEAST ? windowOf(first.corners, picture) : null;
    if (window === null) return first;
    const [left, top, right, bottom] = window;
    const second = await this.glance(cropped(picture, left, top, right, bottom));
    const corners = shifted(second.corners, left, top);
    const away = meanDistance(corners, first.corners) / diagonal(first.corners);
    if (away > CLOSER_AWAY || second.confidence < first.confidence - CLOSER_DOUBT) return first;
    return { corners, confidence: first.confidence };
  }

  private async glance(picture: Picture): Promise<Sighting> {
    const { width, height } = picture;
    const small = atWorkSize(picture);
    const frames = new this.ort.Tensor("uint8", small.rgb, [1, small.height, small.width, 3]);
    const { corners, confidence } = await this.session.run({ frames });
    const places = scaled(
      cornersOf(corners.data as Float32Array),
      Math.fround(width / small.width),
      Math.fround(height / small.height),
    );
    const sure = (confidence.data as Float32Array)[0];
    return { corners: places, confidence: isOutline(places, width * height) ? sure : 0 };
  }
}

/** Left, top, right and bottom of a small screen's surroundings, in pixels; null for a screen that is large. */
function windowOf(corners: Corners, { width, height }: Picture): [number, number, number, number] | null {
  const sides = [width, height].map((side, axis) => {
    const places = corners.map((point) => point[axis]);
    const [least, most] = [Math.min(...places), Math.max(...places)];
    const margin = CLOSER_MARGIN * (most - least);
    const from = Math.floor(Math.max(least - margin, 0));
    const to = Math.ceil(Math.min(most + margin, side));
    return { from, to, large: most - least > CLOSER * side };
  });
  if (sides.some(({ from, to, large }) => large || to - from < LEAST_SIDE)) return null;
  const [x, y] = sides;
  return [x.from, y.from, x.to, y.to];
}

function atWorkSize(picture: Picture): Picture {
  const { width, height } = picture;
  const scale = Math.max(WORK_SIDE / Math.max(width, height), LEAST_SIDE / Math.min(width, height));
  const side = (pixels: number) => Math.min(Math.max(roundHalfEven(pixels * scale), LEAST_SIDE), MOST_SIDE);
  return resized(picture, side(width), side(height), scale < 1);
}

/** Whether the corners make a convex outline, clockwise, of some size. */
function isOutline(corners: Corners, pictureArea: number): boolean {
  return isConvex(corners) && signedArea(corners) > LEAST_AREA * pictureArea;
}
