/** Small values that outlast the page. Where the browser forbids that (private windows), they last as long as it. */

class Kept {
  private readonly instead = new Map<string, string>();

  constructor(private readonly storage: () => Storage) {}

  get(name: string): string | null {
    try {
      return this.storage().getItem(name);
    } catch {
      return this.instead.get(name) ?? null;
    }
  }

  /** null forgets it. */
  set(name: string, value: string | null): void {
    try {
      if (value === null) this.storage().removeItem(name);
      else this.storage().setItem(name, value);
    } catch {
      if (value === null) this.instead.delete(name);
      else this.instead.set(name, value);
    }
  }
}

export const onDevice = new Kept(() => localStorage);
export const inTab = new Kept(() => sessionStorage);
