/** Keeps the screen from going dark while the camera runs, where the browser can. */

export class WakeLock {
  private lock: WakeLockSentinel | null = null;
  private wanted = false;

  constructor() {
    // the browser lets go whenever the page is hidden
    document.addEventListener("visibilitychange", () => {
      if (this.wanted && document.visibilityState === "visible") void this.hold();
    });
  }

  async hold(): Promise<void> {
    this.wanted = true;
    try {
      this.lock = await navigator.wakeLock?.request("screen");
      if (!this.wanted) this.release();
    } catch {
      this.lock = null; // low battery, or a policy: the page works all the same
    }
  }

  release(): void {
    this.wanted = false;
    void this.lock?.release();
    this.lock = null;
  }
}
