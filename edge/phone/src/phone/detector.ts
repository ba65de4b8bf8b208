/** Where the screen is in a picture, as `pipeline/detector.py` says it. */

import type * as Ort from "onnxruntime-web/wasm";
import { type Corners, cornersOf, isConvex, scaled, signedArea, type Sighting } from "./corners";
import { type Picture, resized, roundHalfEven } from "./picture";

export const WORK_SIDE = 320; // pixels of the longer side
export const LEAST_SIDE = 32; // pixels of the shorter one; a narrower picture is scaled up
export const MOST_SIDE = 4 * WORK_SIDE; // pixels; a strip that is longer for its width is squeezed
export const LEAST_AREA = 0.005; // of the picture's; a smaller screen has too few pixels to code

export class Detector {
  constructor(
    private readonly ort: typeof Ort,
    private readonly session: Ort.InferenceSession,
  ) {}

  /** The most convincing screen of the picture; confidence near 0 where there is none. */
  async look(picture: Picture): Promise<Sighting> {
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
