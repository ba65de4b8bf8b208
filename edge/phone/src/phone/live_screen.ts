/** What is seen while the camera runs: its picture, what was found, and the subtitles in step with it. */

import { clock } from "../shared/clock";
import { element, setHidden, setText } from "../shared/dom";
import { languageName, type Texts } from "../shared/i18n";
import type { Sighting } from "./corners";
import type { Match } from "./events";
import { LeadControl } from "./lead_control";
import { Outline } from "./outline";
import { chosenLanguage, OFF, rememberLanguage, Subtitles } from "./subtitles";
import type { TextName } from "./texts";

/** state: one line. tone: its colour. fallBack: why pictures are sent, "" when they are not. */
export interface LiveView {
  readonly state: string;
  readonly tone: "busy" | "searching" | "found" | "trouble";
  readonly fallBack: string;
  readonly film: Match | null;
  readonly momentSeconds: number | null;
  readonly screen: Sighting | null;
}

export interface LiveActions {
  onShare(): void;
  onStop(): void;
}

export class LiveScreen {
  readonly root: HTMLElement;
  subtitle = "";
  private readonly state = element("p", { class: "state", testid: "state", attributes: { role: "status", "aria-live": "polite", tabindex: -1 } });
  private readonly fallBack = element("p", { class: "fall-back", testid: "fallback", attributes: { role: "note", hidden: "" } });
  private readonly words = element("p", { class: "subtitle", testid: "subtitle", attributes: { hidden: "" } });
  private readonly title = element("h1", { class: "title", testid: "title" });
  private readonly labels = element("p", { class: "muted", testid: "labels", attributes: { lang: "en", hidden: "" } });
  private readonly moment = element("span", { class: "moment numbers", testid: "moment" });
  private readonly confidence = element("span", { class: "numbers", testid: "confidence" });
  private readonly meter = element("meter", { attributes: { min: 0, max: 1, low: 0.5, "aria-hidden": "true" } });
  private readonly languages = element("select", { testid: "subtitle-language", attributes: { id: "subtitle-language" } });
  private readonly notice = element("p", { class: "muted notice", attributes: { role: "status" } });
  private readonly share: HTMLButtonElement;
  private readonly film: HTMLElement;
  private readonly stage: HTMLElement;
  private readonly lead: LeadControl;
  private readonly outline: Outline;
  private readonly subtitles = new Subtitles();
  private shownLanguages: string | null = null;

  constructor(
    private readonly say: Texts<TextName>,
    private readonly video: HTMLVideoElement,
    actions: LiveActions,
  ) {
    this.lead = new LeadControl(say);
    this.share = this.button("share", "share", actions.onShare);
    this.share.dataset.testid = "share";
    this.share.setAttribute("aria-label", say("shareMoment"));
    const canvas = element("canvas", { class: "outline", testid: "outline", attributes: { "aria-hidden": "true" } });
    this.outline = new Outline(video, canvas);
    video.setAttribute("aria-label", say("picture"));
    this.stage = element("div", { class: "stage" }, video, canvas);
    this.film = this.filmCard();
    this.languages.addEventListener("change", () => rememberLanguage(this.languages.value));
    const actionsRow = element("div", { class: "actions" }, this.share, this.button("stop", "stop", actions.onStop));
    this.root = element(
      "section",
      { class: "live-screen" },
      this.stage,
      element("div", { class: "beside" }, this.state, this.fallBack, this.words, this.film, actionsRow, this.notice),
    );
  }

  update(view: LiveView): void {
    this.root.dataset.tone = view.tone;
    setText(this.state, view.state);
    setText(this.fallBack, view.fallBack);
    setHidden(this.fallBack, view.fallBack === "");
    this.fitStage();
    this.outline.draw(view.screen, view.tone === "found");
    setHidden(this.film, view.film === null);
    this.share.disabled = view.film === null;
    if (view.film && view.momentSeconds !== null) this.showFilm(view.film, view.momentSeconds);
    else this.subtitle = "";
    setText(this.words, this.subtitle);
    const silent = this.languages.value === OFF;
    setHidden(this.words, view.film === null || silent);
    setHidden(this.lead.root, silent);
  }

  notify(said: string): void {
    setText(this.notice, said);
  }

  show(shown: boolean): void {
    setHidden(this.root, !shown);
  }

  focus(): void {
    this.state.focus();
  }

  private showFilm(film: Match, seconds: number): void {
    this.offerLanguages(film);
    setText(this.title, film.title);
    const shown = (film.labels ?? []).map(([label]) => label).join(", ");
    setText(this.labels, shown);
    setHidden(this.labels, shown === "");
    setText(this.moment, clock(seconds));
    setText(this.confidence, `${Math.floor(film.confidence * 100)} %`); // 100 only where nothing is left to doubt
    this.meter.value = film.confidence;
    this.subtitle = this.subtitles.at(film.video, this.languages.value, seconds + this.lead.seconds);
    this.words.lang = this.languages.value === OFF ? "" : this.languages.value;
  }

  private offerLanguages({ video, languages }: Match): void {
    const shown = [video, ...languages].join(" ");
    if (shown === this.shownLanguages) return;
    this.shownLanguages = shown;
    const none = this.say(languages.length ? "subtitlesOff" : "subtitlesNone");
    const options = languages.map((tag) => element("option", { text: languageName(tag), attributes: { value: tag } }));
    this.languages.replaceChildren(element("option", { text: none, attributes: { value: OFF } }), ...options);
    this.languages.value = chosenLanguage(languages);
    this.languages.disabled = languages.length === 0;
  }

  private filmCard(): HTMLElement {
    const figures = element(
      "dl",
      { class: "figures" },
      element("div", {}, element("dt", { text: this.say("moment") }), element("dd", {}, this.moment)),
      element("div", {}, element("dt", { text: this.say("confidence") }), element("dd", {}, this.confidence, this.meter)),
    );
    const choice = element(
      "div",
      { class: "choice" },
      element("label", { text: this.say("subtitles"), attributes: { for: "subtitle-language" } }),
      this.languages,
    );
    return element("article", { class: "card film", attributes: { hidden: "" } }, this.title, this.labels, figures, choice, this.lead.root);
  }

  private button(name: TextName, look: string, onClick: () => void): HTMLButtonElement {
    return element("button", { class: look, text: this.say(name), testid: look, attributes: { type: "button" }, onClick });
  }

  /** The stage has the shape of the camera's picture, as far as the page has room for it. */
  private fitStage(): void {
    const { videoWidth, videoHeight } = this.video;
    const shape = videoWidth > 0 ? `${videoWidth} / ${videoHeight}` : "";
    if (this.stage.style.aspectRatio !== shape) this.stage.style.aspectRatio = shape;
  }
}
