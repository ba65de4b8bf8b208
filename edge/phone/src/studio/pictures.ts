/** Pictures of the gateway, fetched when they come near the window. */

import { pictureAddress } from "../shared/api";
import { Problem } from "../shared/problem";
import { type Attributes, element } from "./dom";

const NEAR = "300px";
const MOST_AT_ONCE = 4; // so that a page of pictures leaves room for what the user asks meanwhile
const MOST_TRIES = 5;
const PATIENCE_SECONDS = 2; // where the gateway names no time

const wanted = new WeakMap<Element, () => void>();
const waiting: (() => Promise<void>)[] = [];
let working = 0;
const observer = new IntersectionObserver(
  (entries) => {
    for (const entry of entries.filter((each) => each.isIntersecting)) {
      observer.unobserve(entry.target);
      wanted.get(entry.target)?.();
    }
  },
  { rootMargin: NEAR },
);

/** A frame that holds the picture at `path`, or the sentence `without` where there is none. */
export function picture(path: string | null, alt: string, without: string, attributes: Attributes = {}): HTMLElement {
  const frame = element("span", { ...attributes, class: `picture ${attributes.class ?? ""}` });
  const fail = () => frame.replaceChildren(element("span", { class: "no-picture" }, without));
  if (path) {
    wanted.set(frame, () => enqueue(() => patiently(frame, path, alt).catch(fail)));
    observer.observe(frame);
  } else fail();
  return frame;
}

/** Shows a picture in place of what the frame holds, once it is here; rejects when it cannot be had. */
export async function showIn(frame: HTMLElement, path: string, alt: string, signal?: AbortSignal): Promise<void> {
  const source = await pictureAddress(path, { signal });
  const image = element("img", { alt, src: source });
  try {
    await image.decode();
    frame.replaceChildren(image);
  } finally {
    URL.revokeObjectURL(source); // a picture that was decoded needs it no more
  }
}

function enqueue(work: () => Promise<void>): void {
  waiting.push(work);
  if (working < MOST_AT_ONCE) void drain();
}

async function drain(): Promise<void> {
  working += 1;
  for (let work = waiting.shift(); work; work = waiting.shift()) await work();
  working -= 1;
}

/** Again after a while, where the gateway has too much to do; not at all for what is shown no more. */
async function patiently(frame: HTMLElement, path: string, alt: string): Promise<void> {
  for (let tries = 1; frame.isConnected; tries += 1) {
    try {
      return await showIn(frame, path, alt);
    } catch (error) {
      const busy = error instanceof Problem && [0, 429, 503].includes(error.status);
      if (!busy || tries === MOST_TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, (error.retryAfterSeconds ?? PATIENCE_SECONDS) * 1000));
    }
  }
}
