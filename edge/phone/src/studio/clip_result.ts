/** A moment of the catalogue that answers a search. */

import { videoPath } from "../shared/api";
import { languageName } from "../shared/i18n";
import { announce } from "./announcer";
import { button, element } from "./dom";
import { share, timecode } from "./formats";
import { picture } from "./pictures";
import { link } from "./place";
import { say } from "./texts";

const WIDTH = 320; // pixels, of the picture

export interface Clip {
  kind: "title" | "subtitle" | "label";
  video: string;
  title: string;
  at_seconds: number;
  until_seconds: number;
  text: string;
  language: string | null;
  score: number | null;
}

export function clipResult(clip: Clip, sought: string, play: () => void): HTMLElement {
  const at = timecode(clip.at_seconds);
  const path = videoPath(clip.video, `/frame?at=${clip.at_seconds.toFixed(3)}&width=${WIDTH}`);
  const view = picture(path, "", say("filmPictureAway"), { class: "wide" });
  const label = say("playAt", { title: clip.title, at });
  const player = element(
    "button",
    { type: "button", class: "thumbnail", onclick: play, "aria-label": label, "data-testid": "play-clip" },
    view,
  );
  const facts = element(
    "p",
    { class: "muted facts" },
    element("span", { class: "badge" }, say(`kind_${clip.kind}`)),
    clip.language && element("span", {}, languageName(clip.language)),
    clip.kind === "label" && clip.score !== null && element("span", {}, say("sureness", { share: share(clip.score) })),
  );
  const text = element(
    "p",
    { class: "clip-text", lang: clip.language ?? undefined },
    ...highlighted(clip.text, sought),
  );
  const copy = button(say("copyTimecode"), () => void copied(at), {
    "aria-label": say("copyThis", { at }),
    "data-testid": "copy-timecode",
  });
  const times = element("div", { class: "buttons" }, element("code", { class: "numbers" }, at), copy);
  const title = link("catalogue", { video: clip.video }, { class: "title" }, clip.title);
  const words = element("div", { class: "stack tight" }, title, text, facts, times);
  return element("li", { class: "panel clip", "data-testid": "clip-result" }, player, words);
}

async function copied(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    announce(say("copied", { text }));
  } catch {
    announce(say("notCopied", { text })); // not over https, or forbidden
  }
}

/** The text with what was searched in <mark>: the whole of it where it occurs, else its words. */
export function highlighted(text: string, sought: string): (HTMLElement | string)[] {
  const whole = sought.trim();
  const found = whole && text.toLocaleLowerCase().includes(whole.toLocaleLowerCase());
  const wanted = (found ? [whole] : whole.split(/\s+/)).filter(Boolean);
  if (!wanted.length) return [text];
  const pattern = new RegExp(`(${wanted.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|")})`, "giu");
  return text.split(pattern).map((part, place) => (place % 2 ? element("mark", {}, part) : part));
}
