/** Codes as bytes, as the gateway's WebSocket takes them: records of 40 bytes, little endian.
 *
 * time and reading  uint32: bits 0..27 milliseconds of the sender's clock, bits 28..31 the reading
 * code              uint32
 * margins           32 x uint8, steps of 1/16 nat */

import { roundHalfEven } from "./picture";

export const RECORD_BYTES = 40;
export const CODE_BITS = 32;
export const MOST_MS = 2 ** 28 - 1; // three days; then the page must start anew
const MARGIN_STEPS = 16; // a nat
const TIME_BYTES = 4; // before a picture

/** margins: of the 32 bits, in nats. */
export interface Coded {
  readonly reading: number;
  readonly code: number;
  readonly margins: ArrayLike<number>;
}

/** The records of one frame. */
export function packCodes(atMs: number, coded: readonly Coded[]): ArrayBuffer {
  const view = new DataView(new ArrayBuffer(coded.length * RECORD_BYTES));
  coded.forEach(({ reading, code, margins }, k) => {
    const start = k * RECORD_BYTES;
    view.setUint32(start, ((reading << 28) | Math.round(atMs)) >>> 0, true);
    view.setUint32(start + 4, code, true);
    for (let bit = 0; bit < CODE_BITS; bit++) {
      const steps = roundHalfEven(margins[bit] * MARGIN_STEPS);
      view.setUint8(start + 8 + bit, Math.min(Math.max(steps, 0), 255));
    }
  });
  return view.buffer;
}

/** A picture behind its time. */
export async function packPicture(atMs: number, jpeg: Blob): Promise<ArrayBuffer> {
  const time = new DataView(new ArrayBuffer(TIME_BYTES));
  time.setUint32(0, Math.round(atMs), true);
  return new Blob([time, jpeg]).arrayBuffer();
}
