/** The two ways in which a frame goes to the gateway: as codes made here, or as a small picture. */

import type { Sighting } from "./corners";
import type { Start } from "./events";
import type { Vision } from "./vision";
import type { Spent } from "./vision_messages";
import { packPicture } from "./wire";

const PICTURE_SIDE = 640; // pixels of the longer side
const PICTURE_QUALITY = 0.7;
const PICTURES_PER_SECOND = 4;
const CODES_PER_SECOND = 8;

/** screen: places in 0..1; undefined where only the gateway knows. spent: until the bytes were ready. */
export interface Prepared {
  readonly bytes: ArrayBuffer;
  readonly screen?: Sighting | null;
  readonly spent: Spent;
}

export interface Sender {
  readonly start: Start;
  readonly framesPerSecond: number;
  /** atMs: of the page's clock. only: see `Following.only`. */
  prepare(video: HTMLVideoElement, atMs: number, only: number | null): Promise<Prepared>;
}

export class CodeSender implements Sender {
  readonly framesPerSecond = CODES_PER_SECOND;
  readonly start: Start;

  constructor(
    private readonly vision: Vision,
    encoder: string,
  ) {
    this.start = { type: "start", sends: "codes", encoder };
  }

  /** Forgets the screen that was followed before. */
  async begin(): Promise<void> {
    await this.vision.ask("begin", { kind: "begin" });
  }

  async prepare(video: HTMLVideoElement, atMs: number, only: number | null): Promise<Prepared> {
    const bitmap = await createImageBitmap(video);
    const { records, screen, spent } = await this.vision.ask("frame", { kind: "frame", bitmap, atMs, only }, [bitmap]);
    return { bytes: records, screen, spent };
  }
}

export class PictureSender implements Sender {
  readonly framesPerSecond = PICTURES_PER_SECOND;
  readonly start: Start = { type: "start", sends: "jpeg" };
  private readonly canvas = document.createElement("canvas");

  async prepare(video: HTMLVideoElement, atMs: number): Promise<Prepared> {
    const begun = performance.now();
    const scale = Math.min(1, PICTURE_SIDE / Math.max(video.videoWidth, video.videoHeight));
    this.canvas.width = Math.round(video.videoWidth * scale);
    this.canvas.height = Math.round(video.videoHeight * scale);
    const context = this.canvas.getContext("2d", { alpha: false });
    context?.drawImage(video, 0, 0, this.canvas.width, this.canvas.height);
    const jpeg = await new Promise<Blob | null>((done) => this.canvas.toBlob(done, "image/jpeg", PICTURE_QUALITY));
    if (!jpeg) throw new Error("this browser writes no JPEG");
    const bytes = await packPicture(atMs, jpeg);
    const total = performance.now() - begun;
    return { bytes, spent: { picture: total, detector: 0, encoder: 0, total } };
  }
}
