/** Where the user is: every view, search, sort and page is an address that can be shared, reloaded and gone back to. */

import { type Attributes, type Child, element } from "./dom";

export const VIEWS = ["catalogue", "upload", "sightings", "clips", "cameras"] as const;
export type ViewName = (typeof VIEWS)[number];
export type Parameters = Record<string, string | number | null | undefined>;

const listeners = new Set<() => void>();

export function viewName(): ViewName {
  const wanted = query().get("view") ?? "";
  return VIEWS.find((name) => name === wanted) ?? "catalogue";
}

export function query(): URLSearchParams {
  return new URLSearchParams(location.search);
}

/** The address of a view; parameters that are empty are left out. */
export function addressOf(view: ViewName, parameters: Parameters = {}): string {
  return addressWith(new URLSearchParams({ view }), parameters);
}

export function go(view: ViewName, parameters: Parameters = {}): void {
  move(addressOf(view, parameters), false);
}

/** Other parameters in the same view. A list begins at its first page again, unless `changes` says where. */
export function change(changes: Parameters, options: { replace?: boolean } = {}): void {
  move(addressWith(query(), { offset: null, ...changes }), options.replace ?? false);
}

/** `listener` is told after every change of the address, the browser's back button included. */
export function onMove(listener: () => void): void {
  listeners.add(listener);
  window.addEventListener("popstate", listener);
}

/** A real link: it opens in a new tab as well, and moves within the page when plainly clicked. */
export function link(
  view: ViewName,
  parameters: Parameters,
  attributes: Attributes,
  ...children: Child[]
): HTMLAnchorElement {
  const onclick = (event: MouseEvent) => {
    if (event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(view, parameters);
  };
  return element("a", { href: addressOf(view, parameters), onclick, ...attributes }, ...children);
}

function addressWith(parameters: URLSearchParams, changes: Parameters): string {
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === "") parameters.delete(name);
    else parameters.set(name, String(value));
  }
  return `${location.pathname}?${parameters}`;
}

function move(to: string, replace: boolean): void {
  if (to === location.pathname + location.search) return;
  if (replace) history.replaceState(null, "", to);
  else history.pushState(null, "", to);
  for (const listener of listeners) listener();
}
