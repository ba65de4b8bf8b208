/** What the page and the worker that looks at pictures say to each other. */

import type { Corners, Sighting } from "./corners";
import type { Picture } from "./picture";

/** Files that the worker needs; handed over, not copied. */
export interface Models {
  readonly encoder: ArrayBuffer;
  readonly detector: ArrayBuffer;
  readonly runtime: ArrayBuffer;
}

/** The frame of the camera, scaled to what is coded. seconds: of the page's clock. only: this reading alone. */
export interface FrameRequest {
  readonly kind: "frame";
  readonly bitmap: ImageBitmap;
  readonly atMs: number;
  readonly only: number | null;
}

export type Request =
  | { readonly kind: "open"; readonly models: Models; readonly threads: number }
  | { readonly kind: "begin" }
  | FrameRequest
  | { readonly kind: "encode"; readonly picture: Picture; readonly corners: Corners }
  | { readonly kind: "detect"; readonly picture: Picture };

/** Milliseconds that a frame took. picture: until its pixels are at hand. */
export interface Spent {
  readonly picture: number;
  readonly detector: number;
  readonly encoder: number;
  readonly total: number;
}

/** records: see `wire.ts`. screen: places in 0..1 of the picture. */
export interface FrameReply {
  readonly records: ArrayBuffer;
  readonly screen: Sighting | null;
  readonly spent: Spent;
}

export interface CodeReply {
  readonly code: number;
  readonly margins: number[];
}

export interface Replies {
  open: null;
  begin: null;
  frame: FrameReply;
  encode: CodeReply;
  detect: Sighting;
}

export type Numbered = { readonly id: number; readonly request: Request };
export type Answer =
  | { readonly id: number; readonly reply: Replies[keyof Replies] }
  | { readonly id: number; readonly failure: string };
