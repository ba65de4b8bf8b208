/** Links to a moment of a film: `/?video=ID&t=SECONDS`. */

import { BASE } from "../shared/api";

export interface Moment {
  readonly video: string;
  readonly atSeconds: number;
}

export function momentLink({ video, atSeconds }: Moment): string {
  const link = new URL(BASE);
  link.searchParams.set("video", video);
  link.searchParams.set("t", atSeconds.toFixed(1));
  return link.href;
}

/** The moment that an address names, null when it names none. */
export function momentOf(address: string): Moment | null {
  const named = new URL(address).searchParams;
  const video = named.get("video");
  const seconds = Number(named.get("t") ?? 0);
  return video ? { video, atSeconds: Number.isFinite(seconds) ? Math.max(0, seconds) : 0 } : null;
}

/** shared: the phone's own dialogue was used. cancelled: closed there. failed: neither that nor the clipboard works. */
export type Sharing = "shared" | "copied" | "cancelled" | "failed";

export async function share(title: string, moment: Moment): Promise<Sharing> {
  const url = momentLink(moment);
  try {
    if (navigator.share) {
      await navigator.share({ title, url });
      return "shared";
    }
    await navigator.clipboard.writeText(url);
    return "copied";
  } catch (error) {
    return error instanceof DOMException && error.name === "AbortError" ? "cancelled" : "failed";
  }
}
