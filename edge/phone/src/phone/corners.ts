/** Places of screens in pictures, and what OpenCV computes of them in `pipeline`. */

export type Point = readonly [number, number];

/** x, y in pixels of the picture, clockwise from the film's top left; each number is a float32, as in `pipeline`. */
export type Corners = readonly [Point, Point, Point, Point];

/** A screen that was found. confidence: 0..1, the probability that the corners are near the film's picture. */
export interface Sighting {
  readonly corners: Corners;
  readonly confidence: number;
}

/** Nine numbers, row by row, that take a place of one plane to another. */
export type Homography = readonly number[];

export function cornersOf(flat: ArrayLike<number>): Corners {
  const point = (k: number): Point => [Math.fround(flat[2 * k]), Math.fround(flat[2 * k + 1])];
  return [point(0), point(1), point(2), point(3)];
}

export function flat(corners: Corners): number[] {
  return corners.flatMap(([x, y]) => [x, y]);
}

export function box(left: number, top: number, right: number, bottom: number): Corners {
  return cornersOf([left, top, right, top, right, bottom, left, bottom]);
}

/** The corners of the picture itself. */
export function wholePicture(width: number, height: number): Corners {
  return box(0, 0, width, height);
}

/** The corners of the same screen seen in a mirror: left and right change places. */
export function mirrored([a, b, c, d]: Corners): Corners {
  return [b, a, d, c];
}

export function scaled(corners: Corners, x: number, y: number): Corners {
  return cornersOf(corners.flatMap((point) => [point[0] * x, point[1] * y]));
}

export function shifted(corners: Corners, x: number, y: number): Corners {
  return cornersOf(corners.flatMap((point) => [point[0] + x, point[1] + y]));
}

/** Mean distance of the corners of one outline from those of another. */
export function meanDistance(one: Corners, other: Corners): number {
  return one.reduce((sum, [x, y], k) => sum + Math.hypot(x - other[k][0], y - other[k][1]) / 4, 0);
}

/** Half of the sum of the diagonals. */
export function diagonal([a, b, c, d]: Corners): number {
  return (Math.hypot(c[0] - a[0], c[1] - a[1]) + Math.hypot(d[0] - b[0], d[1] - b[1])) / 2;
}

/** Area, positive when the corners go clockwise. */
export function signedArea(corners: Corners): number {
  return corners.reduce((sum, [x, y], k) => {
    const [beforeX, beforeY] = corners[(k + 3) % 4];
    return sum + (beforeX * y - beforeY * x) / 2;
  }, 0);
}

/** Whether the outline turns the same way at each corner; straight on is no turn. */
export function isConvex(corners: Corners): boolean {
  const turns = corners.map(([x, y], k) => {
    const [beforeX, beforeY] = corners[(k + 3) % 4];
    const [nextX, nextY] = corners[(k + 1) % 4];
    return Math.sign((x - beforeX) * (nextY - y) - (y - beforeY) * (nextX - x));
  });
  return turns[0] !== 0 && turns.every((turn) => turn === turns[0]);
}

/** The homography that takes the corners `from` to `to`. Corners on one line give numbers that are not finite. */
export function homography(from: Corners, to: Corners): Homography {
  const rows: number[][] = [];
  from.forEach(([x, y], k) => {
    const [u, v] = to[k];
    rows.push([x, y, 1, 0, 0, 0, -x * u, -y * u, u], [0, 0, 0, x, y, 1, -x * v, -y * v, v]);
  });
  return [...solved(rows), 1];
}

/** Solves eight equations, each a row of nine numbers with the right side last, by elimination with pivots. */
function solved(rows: number[][]): number[] {
  const size = rows.length;
  for (let column = 0; column < size; column++) {
    let pivot = column;
    for (let row = column + 1; row < size; row++) {
      if (Math.abs(rows[row][column]) > Math.abs(rows[pivot][column])) pivot = row;
    }
    [rows[column], rows[pivot]] = [rows[pivot], rows[column]];
    for (let row = column + 1; row < size; row++) {
      const share = rows[row][column] / rows[column][column];
      for (let k = column; k <= size; k++) rows[row][k] -= share * rows[column][k];
    }
  }
  const values = new Array<number>(size).fill(0);
  for (let row = size - 1; row >= 0; row--) {
    const known = values.reduce((sum, value, k) => (k > row ? sum + rows[row][k] * value : sum), 0);
    values[row] = (rows[row][size] - known) / rows[row][row];
  }
  return values;
}

export function moved([x, y]: Point, by: Homography): Point {
  const depth = by[6] * x + by[7] * y + by[8];
  return [(by[0] * x + by[1] * y + by[2]) / depth, (by[3] * x + by[4] * y + by[5]) / depth];
}

export function movedCorners(corners: Corners, by: Homography): Corners {
  return cornersOf(corners.flatMap((corner) => moved(corner, by)));
}
