/** Looks at pictures away from the page's own thread, so that the page stays quick: ONNX Runtime lives here. */

import * as ort from "onnxruntime-web/wasm";
import loader from "onnxruntime-web/ort-wasm-simd-threaded.mjs?url";
import { scaled, type Sighting, wholePicture } from "./corners";
import { Detector } from "./detector";
import { Encoder } from "./encoder";
import { type Picture, pictureOf } from "./picture";
import { needsScreen, Reading, ReadingChooser } from "./readings";
import type { Answer, CodeReply, FrameReply, FrameRequest, Models, Numbered, Replies, Request } from "./vision_messages";
import { packCodes } from "./wire";

export const ENCODER_SIDE = 640; // pixels of the longer side of what is coded; more tell the encoder nothing
const WARM_UP_WIDTH = ENCODER_SIDE;
const WARM_UP_HEIGHT = (ENCODER_SIDE * 9) / 16;

/** The part of a worker's world that is used; the library of TypeScript has no worker beside a page. */
interface WorkerScope {
  onmessage: ((event: MessageEvent<Numbered>) => void) | null;
  postMessage(message: Answer, transfer?: Transferable[]): void;
}
const scope = globalThis as unknown as WorkerScope;

class Vision {
  private readonly canvas = new OffscreenCanvas(1, 1);
  private readonly context: OffscreenCanvasRenderingContext2D;
  private readings = new ReadingChooser();

  private constructor(
    private readonly detector: Detector,
    private readonly encoder: Encoder,
  ) {
    const context = this.canvas.getContext("2d", { willReadFrequently: true, alpha: false });
    if (!context) throw new Error("no 2d canvas in a worker");
    this.context = context;
  }

  static async open(models: Models, threads: number): Promise<Vision> {
    ort.env.wasm.numThreads = threads;
    ort.env.wasm.wasmPaths = { mjs: loader };
    ort.env.wasm.wasmBinary = models.runtime;
    const options: ort.InferenceSession.SessionOptions = { executionProviders: ["wasm"], graphOptimizationLevel: "all" };
    const detector = await ort.InferenceSession.create(new Uint8Array(models.detector), options);
    const encoder = await ort.InferenceSession.create(new Uint8Array(models.encoder), options);
    const vision = new Vision(new Detector(ort, detector), new Encoder(ort, encoder));
    await vision.warmUp();
    return vision;
  }

  /** The next frame is of another camera. */
  begin(): void {
    this.readings = new ReadingChooser();
  }

  /** The first run of a session is many times slower than the rest; it should not be that of a frame. */
  private async warmUp(): Promise<void> {
    const blank = pictureOf(new Uint8Array(WARM_UP_WIDTH * WARM_UP_HEIGHT * 4), WARM_UP_WIDTH, WARM_UP_HEIGHT);
    await this.detector.look(blank);
    await this.encoder.encode(blank, new Map([[Reading.WHOLE, wholePicture(blank.width, blank.height)]]));
  }

  async frame({ bitmap, atMs, only }: FrameRequest): Promise<FrameReply> {
    const start = performance.now();
    const picture = this.pixels(bitmap);
    const read = performance.now();
    const seen = needsScreen(only) ? await this.detector.look(picture) : null;
    const looked = performance.now();
    const { readings, screen } = this.readings.read(picture, seen, atMs / 1000, only);
    const coded = await this.encoder.encode(picture, readings);
    const end = performance.now();
    return {
      records: packCodes(atMs, coded),
      screen: screen && relative(screen, picture),
      spent: { picture: read - start, detector: looked - read, encoder: end - looked, total: end - start },
    };
  }

  async encode(picture: Picture, corners: Parameters<typeof scaled>[0]): Promise<CodeReply> {
    const [{ code, margins }] = await this.encoder.encode(picture, new Map([[Reading.SCREEN, corners]]));
    return { code, margins: Array.from(margins) };
  }

  detect(picture: Picture): Promise<Sighting> {
    return this.detector.look(picture);
  }

  private pixels(bitmap: ImageBitmap): Picture {
    const scale = Math.min(1, ENCODER_SIDE / Math.max(bitmap.width, bitmap.height));
    const [width, height] = [Math.round(bitmap.width * scale), Math.round(bitmap.height * scale)];
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    this.context.imageSmoothingQuality = "medium";
    this.context.drawImage(bitmap, 0, 0, width, height);
    bitmap.close();
    return pictureOf(this.context.getImageData(0, 0, width, height).data, width, height);
  }
}

function relative({ corners, confidence }: Sighting, { width, height }: Picture): Sighting {
  return { corners: scaled(corners, 1 / width, 1 / height), confidence };
}

let vision: Vision | null = null;
let before: Promise<unknown> = Promise.resolve(); // a session runs one picture at a time

async function answer(request: Request): Promise<Replies[keyof Replies]> {
  if (request.kind === "open") {
    vision = await Vision.open(request.models, request.threads);
    return null;
  }
  if (!vision) throw new Error(`"${request.kind}" before "open"`);
  if (request.kind === "begin") {
    vision.begin();
    return null;
  }
  if (request.kind === "frame") return vision.frame(request);
  if (request.kind === "detect") return vision.detect(request.picture);
  return vision.encode(request.picture, request.corners);
}

scope.onmessage = ({ data: { id, request } }) => {
  const done = before.then(() => answer(request));
  before = done.catch(() => null);
  done.then(
    (reply) => scope.postMessage({ id, reply }, reply && "records" in reply ? [reply.records] : []),
    (error: unknown) => scope.postMessage({ id, failure: String(error) }),
  );
};
