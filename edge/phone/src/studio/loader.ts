/** One question to the gateway at a time: what is asked last is shown; failures are told, and retried where that helps. */

import { Problem } from "../shared/problem";
import { button, element } from "./dom";
import { reportRefusal } from "./session";
import { say } from "./texts";

const RETRY_SECONDS = 3; // where the gateway names no time
const SLOW_MS = 250; // an answer within this shows no "loading"
const STUCK_MS = 5000; // nor, within this, what is asked again and again

export class Loader {
  /** Says that something loads, or why it cannot. */
  readonly element = element("div", { class: "loader", role: "status", "data-testid": "status" });
  #asking: AbortController | null = null;
  #timer = 0;

  /** `content`: marked busy while an answer is awaited. */
  constructor(private readonly content: HTMLElement | null = null) {}

  /** quiet: for what is asked again and again; nothing is said while it loads as it should. */
  async load<T>(
    ask: (signal: AbortSignal) => Promise<T>,
    show: (answer: T) => void,
    options: { quiet?: boolean } = {},
  ): Promise<void> {
    this.stop();
    const asking = new AbortController();
    this.#asking = asking;
    this.#busy(options.quiet ?? false);
    try {
      const answer = await ask(asking.signal);
      if (asking.signal.aborted) return;
      this.#clear();
      show(answer);
    } catch (error) {
      if (asking.signal.aborted) return;
      this.#clear();
      this.#fail(error, () => void this.load(ask, show, options));
    }
  }

  stop(): void {
    this.#asking?.abort();
    this.#clear();
  }

  #busy(quiet: boolean): void {
    if (!quiet) this.content?.setAttribute("aria-busy", "true");
    const tell = () => this.element.replaceChildren(element("p", { class: "muted" }, say("loading")));
    this.#timer = window.setTimeout(tell, quiet ? STUCK_MS : SLOW_MS);
  }

  #clear(): void {
    window.clearTimeout(this.#timer);
    this.content?.removeAttribute("aria-busy");
    this.element.replaceChildren();
  }

  #fail(error: unknown, again: () => void): void {
    if (error instanceof Problem && error.wantsKey) {
      reportRefusal(error);
      return;
    }
    const retry = button(say("tryAgain"), again);
    this.element.replaceChildren(element("p", { class: "problem" }, failure(error)), retry);
    const wait = waitSeconds(error);
    if (wait !== null) this.#timer = window.setTimeout(again, wait * 1000);
  }
}

/** One sentence that says what went wrong and what to do or what happens next. */
export function failure(error: unknown): string {
  if (!(error instanceof Problem)) return say("unexpected", { what: String(error) });
  if (error.status === 0) return say("gatewayAway");
  const sentence = /[.!?]$/.test(error.message) ? error.message : `${error.message}.`;
  return waitSeconds(error) === null ? sentence : `${sentence} ${say("retrying")}`;
}

/** Seconds until asking again can help; null when it cannot. */
function waitSeconds(error: unknown): number | null {
  if (!(error instanceof Problem) || ![0, 429, 502, 503, 504].includes(error.status)) return null;
  return error.retryAfterSeconds ?? RETRY_SECONDS;
}
