/** Short messages, shown for a while and read out by screen readers. */

import { element } from "./dom";

const SHOWN_MS = 5000;
const region = element("div", { class: "announcements", role: "status", "aria-live": "polite" });

export function placeAnnouncer(): void {
  document.body.append(region);
}

export function announce(sentence: string): void {
  const message = element("p", { class: "announcement" }, sentence);
  // A modal dialog hides what is outside of it, from screen readers as well.
  const dialogs = document.querySelectorAll("dialog[open]");
  (dialogs[dialogs.length - 1] ?? document.body).append(region);
  region.replaceChildren(message);
  window.setTimeout(() => message.remove(), SHOWN_MS);
}
