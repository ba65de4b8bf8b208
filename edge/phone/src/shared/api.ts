/** Calls to the gateway: the key goes along, a refusal becomes a `Problem`. */

import { storedKey } from "./key";
import { fromResponse, Problem } from "./problem";

/** Where the gateway answers: the folder that this page was served from. */
export const BASE = new URL(".", document.baseURI);

/** An address in a gateway's answer, "/v1/...", as seen from here. */
export function address(path: string): string {
  return new URL(path.replace(/^\//, ""), BASE).href;
}

export interface Call {
  method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Sent as JSON. */
  json?: unknown;
  body?: BodyInit;
  /** undefined, null and "" are left out. */
  query?: Record<string, string | number | boolean | null | undefined>;
  signal?: AbortSignal;
  headers?: Record<string, string>;
  /** "reload": not from the browser's cache. */
  cache?: RequestCache;
}

/** The answer; throws `Problem` for a refusal and for a gateway that is away, AbortError when aborted. */
export async function call(path: string, options: Call = {}): Promise<Response> {
  const target = new URL(address(path));
  for (const [name, value] of Object.entries(options.query ?? {})) {
    if (value !== undefined && value !== null && value !== "") target.searchParams.set(name, String(value));
  }
  const headers: Record<string, string> = { ...options.headers };
  const key = storedKey();
  if (key) headers.authorization = `Bearer ${key}`;
  if (options.json !== undefined) headers["content-type"] = "application/json";
  const body = options.json !== undefined ? JSON.stringify(options.json) : options.body;
  const response = await reach(target, { method: options.method ?? "GET", headers, body, signal: options.signal, cache: options.cache });
  if (!response.ok) throw await fromResponse(response);
  return response;
}

async function reach(target: URL, request: RequestInit): Promise<Response> {
  try {
    return await fetch(target, request);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Problem(`${target.host} does not answer`, 0, "urn:vnome:away", null);
  }
}

export async function callJson<T>(path: string, options: Call = {}): Promise<T> {
  return (await (await call(path, options)).json()) as T;
}

/** An address for <img> and <video>, which cannot send the key. The caller revokes it (URL.revokeObjectURL). */
export async function pictureAddress(path: string, options: Call = {}): Promise<string> {
  return URL.createObjectURL(await (await call(path, options)).blob());
}

export interface Info {
  version: string;
  encoder: string;
  detector: string;
  public: boolean;
  scopes: string[];
}

export interface Video {
  video: string;
  title: string;
  duration_seconds: number;
  frames: number;
  added_at: string | number | null;
  languages: string[];
  live: boolean;
  poster: string | null;
  film: string | null;
}

export interface Cue {
  start: number;
  end: number;
  text: string;
}

export function videoPath(id: string, rest = ""): string {
  return `/v1/videos/${encodeURIComponent(id)}${rest}`;
}
