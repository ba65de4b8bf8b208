/** The access key of this device, or of this tab. */

import { inTab, onDevice } from "./kept";

const PLACE = "vnome.key";
let kept = onDevice;

/** The key is kept for this tab only, and forgotten when it is closed. */
export function keepKeyInTab(): void {
  kept = inTab;
}

/** The stored key; one in the address (`#key=vn_...`) is stored first and taken out of the address. */
export function storedKey(): string | null {
  const given = new URLSearchParams(location.hash.slice(1)).get("key");
  if (given) {
    storeKey(given);
    history.replaceState(history.state, "", location.pathname + location.search);
  }
  return kept.get(PLACE);
}

export function storeKey(key: string | null): void {
  kept.set(PLACE, key?.trim() || null);
}
