/** Keeps the page and the models on the phone, so that it opens at once and on a poor connection.
 *
 * What is named by its content (assets, models) is taken from the phone first; the pages themselves are asked for
 * first, so that a new version comes through. Nothing else of the gateway's is kept. Built into `sw.js`. */

/** The part of a service worker's world that is used; the library of TypeScript has none beside a page. */
interface Extendable extends Event {
  waitUntil(done: Promise<unknown>): void;
}
interface Fetching extends Extendable {
  readonly request: Request;
  respondWith(answer: Promise<Response>): void;
}
interface Scope {
  readonly registration: { readonly scope: string };
  readonly clients: { claim(): Promise<void> };
  skipWaiting(): Promise<void>;
  addEventListener(type: "install" | "activate", listener: (event: Extendable) => void): void;
  addEventListener(type: "fetch", listener: (event: Fetching) => void): void;
}
const scope = globalThis as unknown as Scope;

const SHELL = "vnome-shell";
const MODELS = "vnome-models";
const ASSETS = "__ASSETS__".split(" "); // of this version; put in by the build
const LARGE = /\.wasm$/; // kept when it is first used, not before
const PAGE_WAIT_MS = 4000; // then the kept page is shown

const here = (path: string) => new URL(path, scope.registration.scope).href;

scope.addEventListener("install", (event) => {
  event.waitUntil(install());
});

scope.addEventListener("activate", (event) => {
  event.waitUntil(clean().then(() => scope.clients.claim()));
});

scope.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET" || !request.url.startsWith(scope.registration.scope)) return;
  const { pathname, searchParams } = new URL(request.url);
  if (request.mode === "navigate") event.respondWith(pageFirstAsked(request));
  else if (ASSETS.some((asset) => here(asset) === request.url)) event.respondWith(keptFirst(SHELL, request));
  else if (/\/v1\/bundles\/\w+$/.test(pathname) && searchParams.has("sha256")) event.respondWith(model(request));
});

async function install(): Promise<void> {
  const shell = await caches.open(SHELL);
  const wanted = ["./", ...ASSETS.filter((asset) => !LARGE.test(asset))];
  await shell.addAll(wanted.map(here));
  await scope.skipWaiting();
}

/** Assets of former versions go. */
async function clean(): Promise<void> {
  const shell = await caches.open(SHELL);
  const current = new Set(ASSETS.map(here));
  const old = (await shell.keys()).filter(({ url }) => url.includes("/assets/") && !current.has(url));
  await Promise.all(old.map((request) => shell.delete(request)));
}

async function keptFirst(name: string, request: Request): Promise<Response> {
  const cache = await caches.open(name);
  const kept = await cache.match(request);
  if (kept) return kept;
  const come = await fetch(request);
  if (come.ok) await cache.put(request, come.clone());
  return come;
}

/** A model replaces the former one of its name. */
async function model(request: Request): Promise<Response> {
  const answer = await keptFirst(MODELS, request);
  const cache = await caches.open(MODELS);
  const path = (url: string) => new URL(url).pathname;
  const former = (await cache.keys()).filter(({ url }) => path(url) === path(request.url) && url !== request.url);
  await Promise.all(former.map((old) => cache.delete(old)));
  return answer;
}

async function pageFirstAsked(request: Request): Promise<Response> {
  const cache = await caches.open(SHELL);
  const asked = fetch(request).then(async (come) => {
    if (come.ok) await cache.put(request.url.split(/[?#]/)[0], come.clone());
    return come;
  });
  const waited = new Promise<null>((done) => setTimeout(() => done(null), PAGE_WAIT_MS));
  const first = await Promise.race([asked.catch(() => null), waited]);
  return first ?? (await cache.match(request, { ignoreSearch: true })) ?? asked;
}

export {};
