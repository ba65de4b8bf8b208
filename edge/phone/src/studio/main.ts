/** The studio: its tabs, the key, and the view that the address names. */

import { chooseLanguage, isLanguage, language, LANGUAGES } from "../shared/i18n";
import { keepKeyInTab, storedKey } from "../shared/key";
import type { Problem } from "../shared/problem";
import { placeAnnouncer } from "./announcer";
import { CamerasView } from "./cameras";
import { Catalogue } from "./catalogue";
import { ClipsView } from "./clips";
import { button, element } from "./dom";
import { Loader } from "./loader";
import { link, onMove, query, type ViewName, viewName, VIEWS } from "./place";
import { may, onRefusal, openSession, signedIn, signOut } from "./session";
import { signInForm } from "./sign_in";
import { SightingsView } from "./sightings";
import { say } from "./texts";
import { UploadView } from "./upload";
import { UploadQueue } from "./upload_queue";
import type { View } from "./view";

const queue = new UploadQueue();
const makers: Record<ViewName, () => View> = {
  catalogue: () => new Catalogue(),
  upload: () => new UploadView(queue),
  sightings: () => new SightingsView(),
  clips: () => new ClipsView(),
  cameras: () => new CamerasView(),
};

const tabs = element("ul", { class: "tabs" });
const account = element("span");
const main = element("main", { id: "main", tabindex: "-1" });
let view: View | null = null;
let shown: ViewName | null = null;

function start(): void {
  keepKeyInTab();
  storedKey(); // takes a key out of the address
  const skip = element("a", { href: "#main", class: "skip" }, say("skip"));
  const nav = element("nav", { "aria-label": say("studio") }, tabs);
  const brand = element("strong", { class: "brand" }, "VNOME ", element("span", { class: "muted" }, say("studio")));
  document.body.append(skip, element("header", { class: "top" }, brand, nav, languageChooser(), account), main);
  placeAnnouncer();
  onMove(show);
  onRefusal((problem) => void refuse(problem));
  void enter();
}

async function enter(): Promise<void> {
  const loader = new Loader(main);
  replace(loader.element);
  await loader.load(openSession, () => {
    if (may("query")) restart();
    else askForKey(signedIn() ? say("keyUnknown") : say("needsKey"));
  });
}

/** The gateway said no to a request. A key that it does not know is forgotten: without it more may be seen. */
async function refuse(problem: Problem): Promise<void> {
  if (problem.status === 401) signOut();
  await openSession().catch(() => {}); // the form tries again
  askForKey(say("refused", { reason: problem.message }));
}

/** Every view anew: what the key allows has changed. */
function restart(): void {
  leave();
  showAccount();
  show();
}

function show(): void {
  const wanted = viewName();
  tabs.replaceChildren(...VIEWS.map((name) => tab(name, name === wanted)));
  tabs.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  document.title = `${say(wanted)} – VNOME`;
  if (!may("query")) return;
  if (shown !== wanted || !view) {
    leave();
    shown = wanted;
    view = makers[wanted]();
    main.replaceChildren(element("h1", { class: "for-screen-readers" }, say(wanted)), view.element);
  }
  view.update(query());
}

function tab(name: ViewName, current: boolean): HTMLElement {
  const focused = document.activeElement?.getAttribute("data-testid") === `tab-${name}`;
  const shownAs = link(name, {}, { "aria-current": current ? "page" : null, "data-testid": `tab-${name}` }, say(name));
  if (focused) queueMicrotask(() => shownAs.focus());
  return element("li", {}, shownAs);
}

function leave(): void {
  view?.close();
  view = null;
  shown = null;
}

function replace(content: HTMLElement): void {
  leave();
  main.replaceChildren(content);
}

function askForKey(reason: string): void {
  const scope = may("query") ? "manage" : "query";
  const cancel = may("query") ? restart : null;
  replace(signInForm({ reason, scope, done: restart, cancel }));
}

function showAccount(): void {
  const forget = () => {
    signOut();
    void enter();
  };
  const content = signedIn()
    ? button(say("signOut"), forget, { class: "quiet", "data-testid": "sign-out" })
    : !may("manage") && button(say("signIn"), () => askForKey(say("signInReason")), { "data-testid": "sign-in-open" });
  account.replaceChildren(...(content ? [content] : []));
}

function languageChooser(): HTMLElement {
  const options = Object.entries(LANGUAGES).map(([tag, name]) => element("option", { value: tag, lang: tag }, name));
  const select = element(
    "select",
    { value: language(), "aria-label": say("pageLanguage"), "data-testid": "language" },
    ...options,
  );
  select.addEventListener("change", () => {
    if (!isLanguage(select.value)) return;
    chooseLanguage(select.value);
    location.reload();
  });
  return select;
}

start();
