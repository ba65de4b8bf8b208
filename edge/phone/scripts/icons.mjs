/** Draws the icons of the page: a screen seen at an angle, and a V. `npm run icons` writes them to public/icons. */
import { writeFileSync } from "node:fs";
import { crc32, deflateSync } from "node:zlib";

const GROUND = [13, 16, 20];
const OUTLINE = [92, 224, 138];
const LETTER = [238, 241, 245];
const CORNER = 0.22; // radius of the rounded square, of its side

/** Lines with round ends; places and widths are shares of the side. */
const STROKES = [
  ...closed([[0.19, 0.27], [0.83, 0.2], [0.78, 0.74], [0.23, 0.8]]).map((ends) => ({ ends, width: 0.055, colour: OUTLINE })),
  { ends: [[0.38, 0.38], [0.5, 0.64]], width: 0.075, colour: LETTER },
  { ends: [[0.5, 0.64], [0.64, 0.36]], width: 0.075, colour: LETTER },
];

function closed(points) {
  return points.map((point, k) => [point, points[(k + 1) % points.length]]);
}

function distance(x, y, [[ax, ay], [bx, by]]) {
  const [dx, dy] = [bx - ax, by - ay];
  const along = Math.min(Math.max(((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy), 0), 1);
  return Math.hypot(x - ax - along * dx, y - ay - along * dy);
}

/** How much of a pixel lies inside an edge that is so far away, outside positive. */
function cover(away, pixel) {
  return Math.min(Math.max(0.5 - away / pixel, 0), 1);
}

/** maskable: the ground reaches the edges, the drawing keeps to the middle that every mask leaves. */
function rgba(size, maskable) {
  const pixels = Buffer.alloc(size * size * 4);
  const zoom = maskable ? 0.78 : 1;
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      const [u, v] = [(column + 0.5) / size, (row + 0.5) / size];
      const [x, y] = [(u - 0.5) / zoom + 0.5, (v - 0.5) / zoom + 0.5];
      let colour = GROUND;
      for (const { ends, width, colour: over } of STROKES) {
        const share = cover(distance(x, y, ends) - width / 2, 1 / (size * zoom));
        colour = colour.map((value, k) => value + share * (over[k] - value));
      }
      const [cx, cy] = [Math.max(Math.abs(u - 0.5) - 0.5 + CORNER, 0), Math.max(Math.abs(v - 0.5) - 0.5 + CORNER, 0)];
      const opacity = maskable ? 1 : cover(Math.hypot(cx, cy) - CORNER, 1 / size);
      pixels.set([...colour.map(Math.round), Math.round(opacity * 255)], (row * size + column) * 4);
    }
  }
  return pixels;
}

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  check.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, check]);
}

function png(size, maskable) {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(size, 0);
  header.writeUInt32BE(size, 4);
  header.set([8, 6], 8); // eight bits, RGBA
  const pixels = rgba(size, maskable);
  const rows = Array.from({ length: size }, (_, row) => [Buffer.from([0]), pixels.subarray(row * size * 4, (row + 1) * size * 4)]);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const data = deflateSync(Buffer.concat(rows.flat()), { level: 9 });
  return Buffer.concat([signature, chunk("IHDR", header), chunk("IDAT", data), chunk("IEND", Buffer.alloc(0))]);
}

for (const [name, size, maskable] of [["192", 192, false], ["512", 512, false], ["maskable-512", 512, true]]) {
  writeFileSync(new URL(`../public/icons/${name}.png`, import.meta.url), png(size, maskable));
}
