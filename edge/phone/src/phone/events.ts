/** What the gateway says over its WebSocket. `t`: milliseconds of the page's clock at the frame that it is about. */

import type { Point } from "./corners";

export interface Match {
  readonly t: number;
  readonly video: string;
  readonly title: string;
  readonly at_seconds: number;
  readonly speed: number;
  readonly confidence: number;
  readonly duration_seconds: number;
  readonly languages: readonly string[];
  readonly reading: number;
  /** What the film shows at that moment, with probabilities, most probable first. */
  readonly labels?: readonly (readonly [string, number])[];
}

export type LiveEvent =
  | { readonly event: "searching"; readonly t: number }
  | ({ readonly event: "found" | "moved" | "still" } & Match)
  | { readonly event: "lost"; readonly t: number; readonly video: string; readonly title: string; readonly at_seconds: number }
  | { readonly event: "follow"; readonly reading: number | null }
  | { readonly event: "screen"; readonly t: number; readonly corners: readonly Point[] | null; readonly confidence: number }
  | { readonly event: "error"; readonly problem: { detail?: string; title?: string; status?: number } };

/** What the page says first: whether codes or pictures follow. */
export type Start =
  | { readonly type: "start"; readonly sends: "codes"; readonly encoder: string }
  | { readonly type: "start"; readonly sends: "jpeg" };
