/** The screen's outline, drawn over the camera's picture. */

import type { Point, Sighting } from "./corners";
import { SURE } from "./readings";

const FAINT = 0.3; // confidence; an outline below that would flicker about
const LINE_PIXELS = 3;

export class Outline {
  readonly canvas: HTMLCanvasElement;

  constructor(
    private readonly video: HTMLVideoElement,
    canvas: HTMLCanvasElement,
  ) {
    this.canvas = canvas;
  }

  /** screen: places in 0..1 of the picture. found: a film is recognised on it. */
  draw(screen: Sighting | null, found: boolean): void {
    const { canvas } = this;
    const density = Math.min(window.devicePixelRatio || 1, 2);
    const [width, height] = [canvas.clientWidth * density, canvas.clientHeight * density].map(Math.round);
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    const context = canvas.getContext("2d");
    if (!context) return;
    context.clearRect(0, 0, width, height);
    const shown = screen !== null && screen.confidence >= FAINT;
    canvas.dataset.shown = String(shown);
    if (!shown) return;
    this.trace(context, screen.corners.map((corner) => this.place(corner, width, height)));
    const style = getComputedStyle(canvas);
    context.lineJoin = "round";
    context.globalAlpha = screen.confidence > SURE ? 1 : 0.5;
    context.strokeStyle = "rgb(0 0 0 / 55%)"; // the line is seen on light films, too
    context.lineWidth = (LINE_PIXELS + 2) * density;
    context.stroke();
    context.strokeStyle = style.getPropertyValue(found ? "--outline-found" : "--outline-seen");
    context.lineWidth = LINE_PIXELS * density;
    context.stroke();
  }

  private trace(context: CanvasRenderingContext2D, corners: Point[]): void {
    context.beginPath();
    corners.forEach(([x, y], k) => (k === 0 ? context.moveTo(x, y) : context.lineTo(x, y)));
    context.closePath();
  }

  /** As `object-fit: cover` shows the picture: it fills the box, what is too much is cut on both sides. */
  private place([x, y]: Point, width: number, height: number): Point {
    const { videoWidth, videoHeight } = this.video;
    const scale = Math.max(width / videoWidth, height / videoHeight);
    return [
      width / 2 + (x - 0.5) * videoWidth * scale,
      height / 2 + (y - 0.5) * videoHeight * scale,
    ];
  }
}
