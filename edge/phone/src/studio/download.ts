/** Files made or fetched by the page, saved by the browser. */

import { element } from "./dom";

const KEPT_MS = 60_000; // the browser needs the bytes for a while

export function saveFile(content: Blob, name: string): void {
  const href = URL.createObjectURL(content);
  element("a", { href, download: name }).click();
  window.setTimeout(() => URL.revokeObjectURL(href), KEPT_MS);
}
