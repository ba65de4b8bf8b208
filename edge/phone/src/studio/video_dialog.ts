/** One video: what is known of it, its film, and the forms that change it. */

import { call, callJson, type Video, videoPath } from "../shared/api";
import { clock } from "../shared/clock";
import { act, complaintPlace, filePicker, forManagers, managersOnly } from "./actions";
import { confirmed, openDialog } from "./dialog";
import { button, element, field } from "./dom";
import { FilmPlayer } from "./film_player";
import { count, day } from "./formats";
import { Loader } from "./loader";
import { picture } from "./pictures";
import { link } from "./place";
import { subtitlesForm } from "./subtitles_form";
import { say } from "./texts";

const POSTER_TYPES = "image/jpeg,image/png";

interface Listener {
  changed(): void;
  /** Only when the user closed it. */
  closed(): void;
}

export class VideoDialog {
  readonly #content = element("div", { class: "stack" });
  readonly #loader = new Loader(this.#content);
  readonly #player = new FilmPlayer();
  readonly #dialog: HTMLDialogElement;
  readonly #heading: Element;
  #title = "";
  #wanted = true;

  constructor(
    readonly video: string,
    private readonly listener: Listener,
  ) {
    const inside = element("div", { class: "stack" }, this.#loader.element, this.#content);
    this.#dialog = openDialog(video, inside, () => this.#ended(), "video-dialog");
    this.#heading = this.#dialog.getElementsByTagName("h2")[0];
    void this.#loader.load(
      (signal) => callJson<Video>(videoPath(video), { signal }),
      (found) => this.#show(found),
    );
  }

  close(): void {
    this.#wanted = false;
    this.#dialog.close();
  }

  #ended(): void {
    this.#loader.stop();
    this.#player.stop();
    if (this.#wanted) this.listener.closed();
  }

  #show(video: Video): void {
    this.#name(video);
    this.#content.replaceChildren(
      this.#section(video, (now, changed) => this.#overview(now, changed)),
      this.#player.element,
      managersOnly() ?? "",
      this.#section(video, titleForm),
      this.#section(video, subtitlesForm),
      this.#removal(),
    );
  }

  /** A part of the dialog. What it changes makes it anew, and leaves alone what is typed in the other parts. */
  #section(video: Video, make: (video: Video, changed: (now: Video) => void) => HTMLElement): HTMLElement {
    const made = make(video, (now) => {
      const focused = made.contains(document.activeElement);
      const next = this.#section(now, make);
      made.replaceWith(next);
      if (focused) next.querySelector<HTMLElement>("input:not([hidden]), button")?.focus();
      this.#name(now);
      this.listener.changed();
    });
    return made;
  }

  #name({ title }: Video): void {
    this.#heading.textContent = this.#title = title;
  }

  #overview(video: Video, changed: (video: Video) => void): HTMLElement {
    const play = button(say("playFilm"), () => void this.#player.play(video.video, 0), {
      class: "primary",
      disabled: !video.film,
      "data-testid": "play-film",
    });
    const seen = link("sightings", { video: video.video, range: "30d" }, { class: "button" }, say("itsSightings"));
    const poster = picture(video.poster, say("posterOf", { title: video.title }), say("noPoster"), { class: "poster" });
    const side = element(
      "div",
      { class: "stack" },
      facts(video),
      element("div", { class: "buttons" }, play, seen),
      video.film ? null : element("p", { class: "muted" }, say("filmAway", { title: video.title })),
    );
    return element(
      "div",
      { class: "overview" },
      element("div", { class: "stack" }, poster, posterForm(video, changed)),
      side,
    );
  }

  #removal(): HTMLElement {
    const complaint = complaintPlace();
    const work = async () => {
      await call(videoPath(this.video), { method: "DELETE" });
      this.#dialog.close();
      this.listener.changed();
    };
    const remove = async () => {
      const title = this.#title;
      if (!(await confirmed(say("deleteVideoSure", { title }), say("deleteVideo")))) return;
      await act([ask], complaint, work, say("videoDeleted", { title }));
    };
    const ask = forManagers(
      button(say("deleteVideo"), () => void remove(), { class: "danger", "data-testid": "delete-video" }),
    );
    return element("section", { class: "stack" }, element("div", { class: "buttons" }, ask), complaint);
  }
}

function facts(video: Video): HTMLElement {
  const pairs: [string, string][] = [
    [say("id"), video.video],
    [say("duration"), clock(video.duration_seconds)],
    [say("codes"), count(video.frames)],
    [say("added"), day(video.added_at)],
  ];
  if (video.live) pairs.push([say("kind"), say("liveChannel")]);
  return element(
    "dl",
    { class: "facts-list" },
    ...pairs.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]),
  );
}

function titleForm(video: Video, changed: (video: Video) => void): HTMLElement {
  const complaint = complaintPlace();
  const input = forManagers(
    element("input", { type: "text", value: video.title, required: true, maxlength: 300, "data-testid": "title" }),
  );
  const save = forManagers(element("button", { type: "submit", "data-testid": "save-title" }, say("saveTitle")));
  const work = async () => {
    const json = { title: input.value.trim() };
    changed(await callJson<Video>(videoPath(video.video), { method: "PATCH", json }));
  };
  const onsubmit = (event: Event) => {
    event.preventDefault();
    void act([save], complaint, work, say("titleSaved"));
  };
  const controls = element("div", { class: "controls" }, field(say("title"), input, { class: "field wide" }), save);
  return element("form", { onsubmit }, controls, complaint);
}

function posterForm(video: Video, changed: (video: Video) => void): HTMLElement {
  const complaint = complaintPlace();
  const send = async (file: File) => {
    await call(videoPath(video.video, "/poster"), {
      method: "PUT",
      body: file,
      headers: { "content-type": file.type },
    });
    await call(videoPath(video.video, "/poster"), { cache: "reload" }); // else the old one is shown for a minute
    changed(await callJson<Video>(videoPath(video.video)));
  };
  const label = video.poster ? say("replacePoster") : say("addPoster");
  const pick = filePicker(
    label,
    POSTER_TYPES,
    ([file]) => void act([], complaint, () => send(file), say("posterSaved")),
    {
      testid: "poster-file",
    },
  );
  return element("div", {}, pick, complaint);
}
