/** Says when the camera has another frame, and when it was taken. */

const POLL_MS = 50; // where the browser does not say when a frame comes
const OLDEST_MS = 1000; // a capture time further back is of another clock

/** onFrame: called with the time of capture, of the same clock as `performance.now()`. */
export class FramePump {
  private running = false;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly onFrame: (capturedMs: number) => void,
  ) {}

  start(): void {
    this.running = true;
    this.next();
  }

  stop(): void {
    this.running = false;
  }

  private next(): void {
    if (!this.running) return;
    if ("requestVideoFrameCallback" in this.video) {
      this.video.requestVideoFrameCallback((now, frame) => this.came(captured(now, frame)));
    } else {
      setTimeout(() => this.came(performance.now()), POLL_MS);
    }
  }

  private came(capturedMs: number): void {
    if (!this.running) return;
    if (this.video.videoWidth > 0) this.onFrame(capturedMs);
    this.next();
  }
}

function captured(now: number, { captureTime, presentationTime }: VideoFrameCallbackMetadata): number {
  const known = captureTime ?? presentationTime;
  return known > now - OLDEST_MS && known <= now ? known : now;
}
