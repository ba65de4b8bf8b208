/** Pictures of the gateway, fetched when they come near the window. */

import { pictureAddress } from "../shared/api";
import { type Attributes, element } from "./dom";

const NEAR = "300px";
const wanted = new WeakMap<Element, () => void>();
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
  if (!path) {
    fail();
    return frame;
  }
  wanted.set(frame, () => void showIn(frame, path, alt).catch(fail));
  observer.observe(frame);
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
