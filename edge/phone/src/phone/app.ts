/** The phone page: the start screen, the live screen, and what was found before. */

import { element } from "../shared/dom";
import { chooseLanguage, isLanguage, language, LANGUAGES, type Texts, texts } from "../shared/i18n";
import { Problem } from "../shared/problem";
import { CameraError, type CameraTrouble } from "./camera";
import { CodeMaker } from "./code_maker";
import type { LiveEvent } from "./events";
import { FoundList } from "./found_list";
import { rememberFound } from "./found_films";
import { LiveScreen, type LiveView } from "./live_screen";
import { type Moment, momentLink, momentOf, share } from "./moment_link";
import { type FallBack, Recognition } from "./recognition";
import { StartScreen } from "./start_screen";
import { TEXTS, type TextName } from "./texts";
import { Vision } from "./vision";

const REFRESH_MS = 100; // of moment, subtitle and outline

const CAMERA_TEXTS: Record<CameraTrouble, TextName> = {
  insecure: "cameraInsecure",
  unsupported: "cameraUnsupported",
  denied: "cameraDenied",
  missing: "cameraMissing",
  busy: "cameraBusy",
  broken: "cameraBroken",
};

const FALL_BACK_TEXTS: Record<FallBack, TextName> = {
  forced: "fallBackForced",
  unsupported: "fallBackUnsupported",
  failed: "fallBackFailed",
  slow: "fallBackSlow",
};

export class App {
  readonly video = element("video", { attributes: { playsinline: "", muted: "", autoplay: "" } });
  recognition: Recognition | null = null;
  private readonly codeMaker = new CodeMaker();
  live!: LiveScreen;
  private start!: StartScreen;
  private found!: FoundList;
  private say!: Texts<TextName>;
  private timer = 0;

  constructor(private readonly root: HTMLElement) {
    this.video.muted = true; // the attribute alone does not mute an element made by a script
    this.build();
    if (this.fallBackFromStart() === null) this.codeMaker.prepare();
  }

  /** Builds the page in the language of now; the camera's picture goes along. */
  private build(): void {
    this.say = texts(TEXTS);
    this.start = new StartScreen(this.say, {
      sendsPictures: this.fallBackFromStart() !== null,
      shared: momentOf(location.href),
      onStart: () => void this.run(),
    });
    this.live = new LiveScreen(this.say, this.video, { onShare: () => void this.shareNow(), onStop: () => this.stop() });
    this.found = new FoundList(this.say, ({ title, video, atSeconds }) => void this.share(title, { video, atSeconds }));
    const main = element("main", {}, this.start.root, this.live.root, this.found.root);
    this.root.replaceChildren(this.header(), main);
    this.showScreens();
  }

  private header(): HTMLElement {
    const choice = element("select", { testid: "language", attributes: { "aria-label": this.say("language") } });
    const names = Object.entries(LANGUAGES);
    choice.append(...names.map(([tag, name]) => element("option", { text: name, attributes: { value: tag, lang: tag } })));
    choice.value = language();
    choice.addEventListener("change", () => {
      if (isLanguage(choice.value)) chooseLanguage(choice.value);
      this.build();
      if (this.recognition) void this.video.play(); // moved, it pauses
      this.root.querySelector<HTMLElement>("header select")?.focus();
    });
    return element("header", {}, element("p", { class: "brand", text: "VNOME" }), choice);
  }

  private showScreens(): void {
    this.start.show(!this.recognition);
    this.live.show(this.recognition !== null);
    this.refresh();
  }

  private fallBackFromStart(): FallBack | null {
    if (new URLSearchParams(location.search).get("mode") === "jpeg") return "forced";
    return Vision.supported ? null : "unsupported";
  }

  private async run(): Promise<void> {
    if (this.recognition) return;
    const recognition = new Recognition(this.video, this.codeMaker, {
      onChange: () => this.changed(),
      onEvent: (event) => this.heard(event),
      onCameraGone: () => this.stopFor(this.say("cameraGone")),
    });
    this.recognition = recognition;
    this.start.showTrouble("");
    this.live.notify("");
    this.showScreens();
    this.live.focus();
    this.timer = window.setInterval(() => this.refresh(), REFRESH_MS);
    try {
      await recognition.start(this.fallBackFromStart());
    } catch (error) {
      if (this.recognition === recognition) this.failed(error);
    }
  }

  private failed(error: unknown): void {
    if (error instanceof CameraError) return this.stopFor(this.say(CAMERA_TEXTS[error.trouble]));
    if (error instanceof Problem && error.wantsKey) return this.stopForKey();
    console.error(error);
    this.stopFor(this.say("failure", { detail: error instanceof Error ? error.message : String(error) }));
  }

  private stop(): void {
    clearInterval(this.timer);
    this.recognition?.stop();
    this.recognition = null;
    this.found.refresh();
    this.showScreens();
    this.start.focus();
  }

  private stopFor(trouble: string): void {
    this.stop();
    this.start.showTrouble(trouble);
  }

  private stopForKey(): void {
    this.stop();
    this.start.askForKey(true);
  }

  private changed(): void {
    if (this.recognition?.connection === "refused") this.stopForKey();
    else this.refresh();
  }

  private heard(event: LiveEvent): void {
    if (event.event === "error") this.live.notify(event.problem.detail ?? event.problem.title ?? "");
    if (event.event === "searching") this.live.notify(""); // an error before is over
    if (event.event !== "found" && event.event !== "moved" && event.event !== "still") return;
    rememberFound({ video: event.video, title: event.title, atSeconds: event.at_seconds, at: Date.now() });
    if (event.event !== "still") this.found.refresh();
  }

  private refresh(): void {
    if (this.recognition) this.live.update(this.view(this.recognition));
  }

  private view(recognition: Recognition): LiveView {
    const { following, fallBack, nowMs } = recognition;
    const film = following.film(nowMs);
    return {
      ...this.stateLine(recognition),
      fallBack: fallBack ? this.say(FALL_BACK_TEXTS[fallBack]) : "",
      film,
      momentSeconds: following.moment(nowMs),
      screen: recognition.screen,
    };
  }

  private stateLine({ stage, connection, following, nowMs }: Recognition): Pick<LiveView, "state" | "tone"> {
    const film = following.film(nowMs);
    if (stage === "camera") return { state: this.say("startedCamera"), tone: "busy" };
    if (connection === "away") return { state: this.say("away"), tone: "trouble" };
    const percent = Math.floor(this.codeMaker.progress * 10) * 10; // in few steps, as each is spoken
    if (stage === "models") return { state: this.say("loading", { percent }), tone: "busy" };
    if (connection !== "open") return { state: this.say("connecting"), tone: "busy" };
    if (following.finding === "found" && film) return { state: this.say("found", { title: film.title }), tone: "found" };
    return { state: this.say(following.finding === "lost" ? "lost" : "searching"), tone: "searching" };
  }

  private async shareNow(): Promise<void> {
    const { recognition } = this;
    const film = recognition?.following.film(recognition.nowMs);
    const atSeconds = recognition?.following.moment(recognition.nowMs);
    if (film && atSeconds != null) await this.share(film.title, { video: film.video, atSeconds });
  }

  private async share(title: string, moment: Moment): Promise<void> {
    const done = await share(title, moment);
    const said = done === "copied" ? this.say("linkCopied") : this.say("linkFailed", { link: momentLink(moment) });
    const quiet = done === "shared" || done === "cancelled";
    if (this.recognition) this.live.notify(quiet ? "" : said);
    else this.found.notify(quiet ? "" : said);
  }
}
