/** Frames to 32-bit codes, as `pipeline/encoder.py` makes them. */

import type * as Ort from "onnxruntime-web/wasm";
import { type Corners, flat } from "./corners";
import type { Picture } from "./picture";
import type { Readings } from "./readings";
import type { Coded } from "./wire";

export class Encoder {
  constructor(
    private readonly ort: typeof Ort,
    private readonly session: Ort.InferenceSession,
  ) {}

  /** One code for each reading of the picture. One by one: a batch would hold the picture once for each. */
  async encode(picture: Picture, readings: Readings): Promise<Coded[]> {
    const frames = new this.ort.Tensor("uint8", picture.rgb, [1, picture.height, picture.width, 3]);
    const coded: Coded[] = [];
    for (const [reading, corners] of readings) coded.push({ reading, ...(await this.code(frames, corners)) });
    return coded;
  }

  private async code(frames: Ort.Tensor, corners: Corners): Promise<Omit<Coded, "reading">> {
    const places = new this.ort.Tensor("float32", Float32Array.from(flat(corners)), [1, 4, 2]);
    const { codes, margins } = await this.session.run({ frames, corners: places });
    return { code: (codes.data as Uint32Array)[0], margins: margins.data as Float32Array };
  }
}
