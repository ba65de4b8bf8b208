/** The access key of this device, or of this tab. */

const PLACE = "vnome.key";
let storage = (): Storage => localStorage;

/** The key is kept for this tab only, and forgotten when it is closed. */
export function keepKeyInTab(): void {
  storage = () => sessionStorage;
}

/** The stored key; one in the address (`#key=vn_...`) is stored first and taken out of the address. */
export function storedKey(): string | null {
  const given = new URLSearchParams(location.hash.slice(1)).get("key");
  if (given) {
    storeKey(given);
    history.replaceState(history.state, "", location.pathname + location.search);
  }
  return storage().getItem(PLACE);
}

export function storeKey(key: string | null): void {
  const trimmed = key?.trim();
  if (trimmed) storage().setItem(PLACE, trimmed);
  else storage().removeItem(PLACE);
}
