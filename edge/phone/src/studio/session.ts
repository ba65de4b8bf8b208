/** What this browser may do at the gateway. */

import { callJson, type Info } from "../shared/api";
import type { Problem } from "../shared/problem";
import { storedKey, storeKey } from "../shared/key";

export type Scope = "query" | "manage" | "admin";

/** Each scope contains those before it. */
const SCOPES: Scope[] = ["query", "manage", "admin"];

let info: Info | null = null;
let refused: (problem: Problem) => void = () => {};

export async function openSession(): Promise<void> {
  info = await callJson<Info>("/v1/info");
}

export function may(scope: Scope): boolean {
  if (!info) return false;
  if (info.public && scope === "query") return true;
  return SCOPES.slice(SCOPES.indexOf(scope)).some((enough) => info?.scopes.includes(enough));
}

/** Whether anybody may look, so that pictures and films need no key. */
export function isPublic(): boolean {
  return info?.public ?? false;
}

export function signedIn(): boolean {
  return storedKey() !== null;
}

export function signOut(): void {
  storeKey(null);
}

/** `listener` is told when the gateway refuses the key of a request. */
export function onRefusal(listener: (problem: Problem) => void): void {
  refused = listener;
}

export function reportRefusal(problem: Problem): void {
  refused(problem);
}
