/** The list of what was found on this device. */

import { clock } from "../shared/clock";
import { element, setText } from "../shared/dom";
import { language, type Texts } from "../shared/i18n";
import { forgetFound, type FoundFilm, foundFilms } from "./found_films";
import { momentLink } from "./moment_link";
import type { TextName } from "./texts";

export class FoundList {
  readonly root: HTMLElement;
  private readonly list = element("ol", { class: "found-films" });
  private readonly note = element("p", { class: "muted", attributes: { role: "status" } });
  private readonly clear: HTMLButtonElement;

  /** onShare: the button beside a film. */
  constructor(
    private readonly say: Texts<TextName>,
    private readonly onShare: (film: FoundFilm) => void,
  ) {
    this.clear = element("button", {
      class: "quiet",
      text: say("historyClear"),
      attributes: { type: "button" },
      onClick: () => this.forget(),
    });
    this.root = element(
      "details",
      { class: "history", testid: "history" },
      element("summary", {}, element("h2", { text: say("history") })),
      this.list,
      this.note,
      this.clear,
    );
    this.refresh();
  }

  refresh(): void {
    const films = foundFilms();
    this.list.replaceChildren(...films.map((film) => this.row(film)));
    this.clear.hidden = films.length === 0;
    setText(this.note, films.length === 0 ? this.say("historyEmpty") : "");
  }

  /** The outcome of sharing. */
  notify(said: string): void {
    setText(this.note, said);
  }

  private row(film: FoundFilm): HTMLLIElement {
    const when = new Date(film.at).toLocaleString(language(), { dateStyle: "medium", timeStyle: "short" });
    const link = element(
      "a",
      { attributes: { href: momentLink(film) } },
      element("span", { class: "found-title", text: film.title }),
      element("span", { class: "found-when muted numbers", text: `${clock(film.atSeconds)} · ${when}` }),
    );
    const share = element("button", {
      text: this.say("share"),
      attributes: { type: "button", "aria-label": this.say("shareFilm", { title: film.title }) },
      onClick: () => this.onShare(film),
    });
    return element("li", {}, link, share);
  }

  private forget(): void {
    forgetFound();
    this.refresh();
    setText(this.note, this.say("historyCleared"));
    this.root.querySelector("summary")?.focus();
  }
}
