/** One run of the camera: frames go to the gateway, what it finds is followed. */

import { Problem } from "../shared/problem";
import { closeCamera, openCamera } from "./camera";
import type { CodeMaker } from "./code_maker";
import { cornersOf, type Sighting } from "./corners";
import type { LiveEvent } from "./events";
import { Following } from "./following";
import { FramePump } from "./frame_pump";
import { type Connection, Live } from "./live";
import { PictureSender, type Prepared, type Sender } from "./senders";
import type { Spent } from "./vision_messages";
import { WakeLock } from "./wake_lock";
import { MOST_MS } from "./wire";
import { within } from "./within";

const SLOW_MS = 600; // a frame; slower, the gateway is quicker with pictures
const MOST_MS_OF_A_FRAME = 10_000; // then the worker is believed to be dead
const RATED_FRAMES = 9; // whose median says how slow this device is
const WARM_UP_FRAMES = 2; // slower than the rest
const REST_SHARE = 1.25; // of a frame's time until the next one: the device also draws the page
const RETRY_MS = 3000; // the models, when the gateway is away

/** Why pictures are sent instead of codes. */
export type FallBack = "forced" | "unsupported" | "failed" | "slow";

/** models: they are being fetched, see `CodeMaker`. */
export type Stage = "camera" | "models" | "running" | "stopped";

export interface RecognitionListener {
  onChange(): void;
  onEvent(event: LiveEvent): void;
  /** The camera was taken away while it ran. */
  onCameraGone(): void;
}

export class Recognition {
  stage: Stage = "camera";
  connection: Connection = "closed";
  fallBack: FallBack | null = null;
  screen: Sighting | null = null;
  framesSent = 0;
  spent: Spent | null = null; // on the last frame
  startedAt = performance.now(); // zero of the clock on the wire
  readonly following = new Following(0);
  private sender: Sender | null = null;
  private live: Live | null = null;
  private readonly pump: FramePump;
  private readonly wakeLock = new WakeLock();
  private readonly tookMs: number[] = [];
  private prepared = 0; // frames
  private busy = false;
  private dueMs = 0;
  private lastMs = -1;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly codeMaker: CodeMaker,
    private readonly listener: RecognitionListener,
  ) {
    codeMaker.onProgress = () => this.progressed();
    this.pump = new FramePump(video, (capturedMs) => void this.frame(capturedMs));
  }

  get mode(): "codes" | "jpeg" {
    return this.fallBack ? "jpeg" : "codes";
  }

  /** The page's clock, as on the wire. */
  get nowMs(): number {
    return performance.now() - this.startedAt;
  }

  /** Median of the last frames, null before the first. */
  get msPerFrame(): number | null {
    const sorted = [...this.tookMs].sort((a, b) => a - b);
    return sorted.length ? sorted[sorted.length >> 1] : null;
  }

  /** fallBack: null to make codes here. Throws CameraError, and Problem when a key is needed. */
  async start(fallBack: FallBack | null): Promise<void> {
    this.fallBack = fallBack;
    const stream = await openCamera(this.video);
    if (this.stage === "stopped") return closeCamera(this.video);
    stream.getVideoTracks()[0].onended = () => this.listener.onCameraGone();
    void this.wakeLock.hold();
    this.become("models");
    await this.chooseSender();
    if (this.stopped) return;
    this.become("running");
    this.pump.start();
  }

  stop(): void {
    this.become("stopped");
    this.pump.stop();
    this.live?.close();
    this.wakeLock.release();
    closeCamera(this.video);
  }

  private get stopped(): boolean {
    return this.stage === "stopped";
  }

  private become(stage: Stage): void {
    this.stage = stage;
    this.listener.onChange();
  }

  private async chooseSender(): Promise<void> {
    const sender = this.fallBack ? new PictureSender() : await this.codeSender();
    if (!this.stopped) this.use(sender);
  }

  private use(sender: Sender): void {
    this.sender = sender;
    this.screen = null;
    this.following.interrupt(this.nowMs);
    if (this.live) return this.live.begin(sender.start);
    this.live = new Live(sender.start, {
      onEvent: (event) => this.heard(event),
      onConnection: (connection) => this.connected(connection),
    });
    this.live.open();
  }

  /** Waits for a gateway that is away; a browser that cannot run the models gets a sender of pictures. */
  private async codeSender(): Promise<Sender> {
    while (!this.stopped) {
      try {
        const sender = await this.codeMaker.sender();
        await sender.begin();
        return sender;
      } catch (error) {
        if (error instanceof Problem && error.wantsKey) throw error;
        const away = error instanceof Problem && (error.status === 0 || error.status === 429 || error.status >= 500);
        if (!away) return this.fallenBack("failed", error);
        this.connected("away");
        await new Promise((done) => setTimeout(done, RETRY_MS));
      }
    }
    return new PictureSender();
  }

  private progressed(): void {
    if (this.connection === "away") this.connection = "connecting";
    this.listener.onChange();
  }

  private fallenBack(reason: FallBack, error: unknown): Sender {
    if (error) console.warn("codes cannot be made here, pictures are sent:", error);
    this.fallBack = reason;
    this.codeMaker.drop();
    this.listener.onChange();
    return new PictureSender();
  }

  private async frame(capturedMs: number): Promise<void> {
    const { sender, live } = this;
    if (capturedMs - this.startedAt > MOST_MS) this.restartClock();
    const atMs = Math.round(capturedMs - this.startedAt);
    if (!sender || !live?.ready || this.busy || performance.now() < this.dueMs || atMs <= this.lastMs) return;
    this.busy = true;
    this.lastMs = atMs;
    const begun = performance.now();
    try {
      const prepared = await within(MOST_MS_OF_A_FRAME, sender.prepare(this.video, atMs, this.following.only));
      if (this.sender === sender && !this.stopped) this.ready(prepared, performance.now() - begun);
    } catch (error) {
      if (this.sender === sender && !this.stopped) this.frameFailed(error);
    } finally {
      this.busy = false;
      this.dueMs = begun + Math.max(1000 / sender.framesPerSecond, (performance.now() - begun) * REST_SHARE);
    }
  }

  /** After three days the wire has no more numbers for the time. */
  private restartClock(): void {
    this.following.interrupt(this.nowMs);
    this.startedAt = performance.now();
    this.lastMs = -1;
    if (this.sender) this.live?.begin(this.sender.start);
  }

  private ready({ bytes, screen, spent }: Prepared, tookMs: number): void {
    this.live?.send(bytes);
    this.framesSent += 1;
    if (screen !== undefined) this.screen = screen;
    this.spent = spent;
    if (++this.prepared > WARM_UP_FRAMES) this.tookMs.push(tookMs);
    if (this.tookMs.length > RATED_FRAMES) this.tookMs.shift();
    const tooSlow = this.tookMs.length === RATED_FRAMES && (this.msPerFrame ?? 0) > SLOW_MS;
    if (tooSlow && !this.fallBack) this.use(this.fallenBack("slow", null));
  }

  private frameFailed(error: unknown): void {
    if (!this.fallBack) this.use(this.fallenBack("failed", error));
    else console.warn("a frame was left out:", error);
  }

  private heard(event: LiveEvent): void {
    this.following.take(event, this.nowMs);
    if (event.event === "screen") {
      const { corners, confidence } = event;
      this.screen = corners && { corners: cornersOf(corners.flat()), confidence };
    }
    this.listener.onEvent(event);
    this.listener.onChange();
  }

  private connected(connection: Connection): void {
    this.connection = connection;
    if (connection !== "open") this.following.interrupt(this.nowMs);
    if (connection === "outdated") void this.renew();
    this.listener.onChange();
  }

  /** The gateway has other models by now. */
  private async renew(): Promise<void> {
    this.codeMaker.drop();
    const sender = await this.codeSender();
    if (this.stopped) return;
    this.use(sender);
    this.live?.open();
  }
}
