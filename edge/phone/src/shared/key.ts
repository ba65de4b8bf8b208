/** The access key of this device. */

const PLACE = "vnome.key";

/** The stored key; one in the address (`#key=vn_...`) is stored first and taken out of the address. */
export function storedKey(): string | null {
  const given = new URLSearchParams(location.hash.slice(1)).get("key");
  if (given) {
    storeKey(given);
    history.replaceState(history.state, "", location.pathname + location.search);
  }
  return localStorage.getItem(PLACE);
}

export function storeKey(key: string | null): void {
  const trimmed = key?.trim();
  if (trimmed) localStorage.setItem(PLACE, trimmed);
  else localStorage.removeItem(PLACE);
}
