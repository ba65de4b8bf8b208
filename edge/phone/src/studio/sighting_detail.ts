/** One sighting: what the camera saw beside what the film shows. */

import { videoPath } from "../shared/api";
import { button, element } from "./dom";
import { FilmPlayer } from "./film_player";
import { confidence, lasting, moment, timecode } from "./formats";
import { picture } from "./pictures";
import { change, link, query } from "./place";
import type { Sighting } from "./sighting";
import { say } from "./texts";

const WIDTH = 640; // pixels, of the film's picture

export class SightingDetail {
  readonly element = element("section", {
    class: "panel stack",
    "aria-live": "polite",
    hidden: true,
    "data-testid": "sighting-detail",
  });
  readonly #player = new FilmPlayer();
  #shown = "";

  show(sighting: Sighting): void {
    this.element.hidden = false;
    if (this.#shown === sighting.id) return; // so that the pictures do not flicker when a list is loaded anew
    this.#shown = sighting.id;
    this.#player.stop();
    const heading = element(
      "h2",
      { tabindex: "-1" },
      say("sightingHeading", { title: sighting.title, camera: sighting.camera }),
    );
    const head = element("header", { class: "panel-head" }, heading, closer());
    const pictures = element("div", { class: "side-by-side" }, cameraSide(sighting), filmSide(sighting));
    this.element.replaceChildren(head, facts(sighting), pictures, this.#buttons(sighting), this.#player.element);
    this.element.scrollIntoView({ block: "nearest" });
  }

  /** The address names a sighting that none of the lists has. */
  miss(): void {
    this.clear();
    this.element.hidden = false;
    this.element.replaceChildren(element("p", {}, say("sightingNotHere")), closer());
  }

  clear(): void {
    this.#shown = "";
    this.#player.stop();
    this.element.hidden = true;
    this.element.replaceChildren();
  }

  #buttons(sighting: Sighting): HTMLElement {
    const play = button(say("playFromHere"), () => void this.#player.play(sighting.video, filmMoment(sighting)));
    const open = link("catalogue", { video: sighting.video }, { class: "button" }, say("openVideo"));
    return element("div", { class: "buttons" }, play, open);
  }
}

function closer(): HTMLElement {
  const close = () => change({ sighting: null, offset: query().get("offset") });
  return button("✕", close, { class: "quiet close", "aria-label": say("close") });
}

function filmMoment({ frame_film_seconds, film_start }: Sighting): number {
  return frame_film_seconds ?? film_start;
}

/** When the camera saw that moment, epoch seconds: the gateway reckons it as far into the film as into the sighting. */
function seenAt(sighting: Sighting): number {
  return sighting.start + filmMoment(sighting) - sighting.film_start;
}

function cameraSide(sighting: Sighting): HTMLElement {
  const { camera, frame } = sighting;
  const view = picture(frame, say("cameraPicture", { camera }), say("cameraPictureAway"), {
    class: "wide",
    "data-testid": "camera-frame",
  });
  return side(say("cameraSaw", { camera }), view, moment(seenAt(sighting)));
}

function filmSide(sighting: Sighting): HTMLElement {
  const at = filmMoment(sighting);
  const path = videoPath(sighting.video, `/frame?at=${at.toFixed(3)}&width=${WIDTH}`);
  const alt = say("filmPicture", { title: sighting.title, at: timecode(at) });
  const view = picture(path, alt, say("filmPictureAway"), { class: "wide", "data-testid": "film-frame" });
  return side(say("filmShows", { title: sighting.title }), view, timecode(at));
}

function side(title: string, view: HTMLElement, when: string): HTMLElement {
  const caption = element("figcaption", {}, element("strong", {}, title), element("span", { class: "numbers" }, when));
  return element("figure", {}, view, caption);
}

function facts(sighting: Sighting): HTMLElement {
  const until = sighting.open ? say("stillOn") : moment(sighting.end);
  const part = `${timecode(sighting.film_start)} – ${timecode(sighting.film_end)}`;
  const pairs: [string, string][] = [
    [say("since"), moment(sighting.start)],
    [say("until"), until],
    [say("length"), lasting(sighting.end - sighting.start)],
    [say("partOfFilm"), part],
    [say("confidence"), confidence(sighting.confidence)],
  ];
  return element(
    "dl",
    { class: "facts-list across" },
    ...pairs.flatMap(([name, value]) => [
      element("div", {}, element("dt", {}, name), element("dd", { class: "numbers" }, value)),
    ]),
  );
}
