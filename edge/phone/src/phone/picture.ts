/** Pictures as `pipeline` has them, and how OpenCV scales them there. */

/** rgb: height x width x 3 bytes, row by row. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly rgb: Uint8Array;
}

/** One plane of a picture: height x width bytes. */
export interface Plane {
  readonly width: number;
  readonly height: number;
  readonly light: Uint8Array;
}

/** Leaves out the fourth byte of each pixel, the opacity, as a canvas gives it. */
export function pictureOf(rgba: ArrayLike<number>, width: number, height: number): Picture {
  const rgb = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; to < rgb.length; from += 4, to += 3) {
    rgb[to] = rgba[from];
    rgb[to + 1] = rgba[from + 1];
    rgb[to + 2] = rgba[from + 2];
  }
  return { width, height, rgb };
}

/** Green carries most of the luma, and is there without arithmetic. */
export function greenOf(picture: Picture): Plane {
  const light = new Uint8Array(picture.width * picture.height);
  for (let to = 0, from = 1; to < light.length; to++, from += 3) light[to] = picture.rgb[from];
  return { width: picture.width, height: picture.height, light };
}

/** The part of a picture from left and top to right and bottom, these not included. */
export function cropped(picture: Picture, left: number, top: number, right: number, bottom: number): Picture {
  const width = right - left;
  const rgb = new Uint8Array(width * (bottom - top) * 3);
  for (let y = top; y < bottom; y++) {
    const from = (y * picture.width + left) * 3;
    rgb.set(picture.rgb.subarray(from, from + width * 3), (y - top) * width * 3);
  }
  return { width, height: bottom - top, rgb };
}

/** Rounds as Python and OpenCV do: halves to the even neighbour. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const part = value - floor;
  if (part !== 0.5) return part < 0.5 ? floor : floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

/** Which source pixels make a target pixel, and how much of each. */
interface Share {
  readonly first: number;
  readonly weights: Float32Array;
}

/** The picture at another size: by area (`cv2.INTER_AREA`) when `smaller`, else by straight lines between pixels. */
export function resized(picture: Picture, width: number, height: number, smaller: boolean): Picture {
  if (width === picture.width && height === picture.height) return picture;
  const shares = smaller ? areaShares : linearShares;
  const columns = shares(picture.width, width);
  const rows = shares(picture.height, height);
  const lines = new Float32Array(width * 3);
  const sums = new Float32Array(width * 3);
  const rgb = new Uint8Array(width * height * 3);
  rows.forEach((row, y) => {
    sums.fill(0);
    row.weights.forEach((weight, k) => {
      squeezeLine(picture, row.first + k, columns, lines);
      for (let i = 0; i < sums.length; i++) sums[i] += weight * lines[i];
    });
    for (let i = 0, to = y * width * 3; i < sums.length; i++, to++) rgb[to] = sums[i] + 0.5;
  });
  return { width, height, rgb };
}

function squeezeLine(picture: Picture, y: number, columns: Share[], out: Float32Array): void {
  const start = y * picture.width * 3;
  for (let x = 0, to = 0; x < columns.length; x++, to += 3) {
    const { first, weights } = columns[x];
    let red = 0;
    let green = 0;
    let blue = 0;
    for (let k = 0, from = start + first * 3; k < weights.length; k++, from += 3) {
      const weight = weights[k];
      red += weight * picture.rgb[from];
      green += weight * picture.rgb[from + 1];
      blue += weight * picture.rgb[from + 2];
    }
    out[to] = red;
    out[to + 1] = green;
    out[to + 2] = blue;
  }
}

function areaShares(from: number, to: number): Share[] {
  const scale = from / to;
  if (scale < 1) return linearShares(from, to);
  return Array.from({ length: to }, (_, i) => {
    const start = i * scale;
    const end = Math.min(start + scale, from);
    const first = Math.floor(start + 1e-6);
    const last = Math.max(first + 1, Math.ceil(end - 1e-6));
    const weights = new Float32Array(last - first);
    for (let k = first; k < last; k++) weights[k - first] = (Math.min(k + 1, end) - Math.max(k, start)) / (end - start);
    return { first, weights };
  });
}

function linearShares(from: number, to: number): Share[] {
  return Array.from({ length: to }, (_, i) => {
    const place = Math.min(Math.max(((i + 0.5) * from) / to - 0.5, 0), from - 1);
    const first = Math.min(Math.floor(place), from - 2);
    if (from === 1) return { first: 0, weights: new Float32Array([1]) };
    return { first, weights: new Float32Array([1 - (place - first), place - first]) };
  });
}
