/** The worker that looks at pictures, as the page sees it. */

import type { Answer, Models, Numbered, Replies, Request } from "./vision_messages";

type Kind = keyof Replies;
interface Waiting {
  resolve(reply: Replies[Kind]): void;
  reject(error: Error): void;
}

export class Vision {
  private readonly worker = new Worker(new URL("./vision.worker.ts", import.meta.url), { type: "module" });
  private readonly waiting = new Map<number, Waiting>();
  private asked = 0;

  constructor() {
    this.worker.onmessage = ({ data }: MessageEvent<Answer>) => this.answered(data);
    this.worker.onerror = (event) => this.failed(event.message || "the worker could not be started");
  }

  /** Whether this browser has what the worker needs. */
  static get supported(): boolean {
    return typeof WebAssembly === "object" && typeof Worker === "function" && typeof OffscreenCanvas === "function";
  }

  /** Loads the models; they are handed over. Throws when the browser cannot run them. */
  async open(models: Models): Promise<void> {
    const handed = [models.encoder, models.detector, models.runtime];
    await this.ask("open", { kind: "open", models, threads: threads() }, handed);
  }

  /** One request at a time costs least memory; several are answered in turn. */
  ask<K extends Kind>(_: K, request: Request & { kind: K }, transfer: Transferable[] = []): Promise<Replies[K]> {
    const id = ++this.asked;
    return new Promise<Replies[K]>((resolve, reject) => {
      this.waiting.set(id, { resolve: resolve as Waiting["resolve"], reject });
      this.worker.postMessage({ id, request } satisfies Numbered, transfer);
    });
  }

  close(): void {
    this.worker.terminate();
    this.failed("closed");
  }

  private answered(answer: Answer): void {
    const waiting = this.waiting.get(answer.id);
    this.waiting.delete(answer.id);
    if ("failure" in answer) waiting?.reject(new Error(answer.failure));
    else waiting?.resolve(answer.reply);
  }

  private failed(reason: string): void {
    for (const { reject } of this.waiting.values()) reject(new Error(reason));
    this.waiting.clear();
  }
}

/** More than one needs an isolated page; iOS runs out of memory with shared memory (onnxruntime issue 11679). */
function threads(): number {
  const touchMac = navigator.platform.startsWith("Mac") && navigator.maxTouchPoints > 1; // an iPad calls itself that
  const apple = /iP(hone|ad|od)/.test(navigator.userAgent) || touchMac;
  return apple || !globalThis.crossOriginIsolated ? 1 : Math.min(2, navigator.hardwareConcurrency || 1);
}
