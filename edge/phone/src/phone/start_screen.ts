/** What is seen before the camera starts: what will happen, and one button. */

import { element, setHidden, setText } from "../shared/dom";
import type { Texts } from "../shared/i18n";
import { Problem } from "../shared/problem";
import { KeyForm } from "./key_form";
import { wantsKey } from "./live";
import type { Moment } from "./moment_link";
import { SharedMoment } from "./shared_moment";
import type { TextName } from "./texts";

export interface StartOptions {
  /** Whether pictures will be sent: then the promise is another one. */
  readonly sendsPictures: boolean;
  readonly shared: Moment | null;
  onStart(): void;
}

export class StartScreen {
  readonly root: HTMLElement;
  private readonly trouble = element("p", { class: "problem", testid: "trouble", attributes: { role: "alert" } });
  private readonly button: HTMLButtonElement;
  private readonly keyForm: KeyForm;
  private readonly shared: SharedMoment | null;
  private startsWithKey = false;

  constructor(
    say: Texts<TextName>,
    private readonly options: StartOptions,
  ) {
    const promise = options.sendsPictures ? "promisePictures" : "promiseCodes";
    this.shared = options.shared && new SharedMoment(say, options.shared);
    this.keyForm = new KeyForm(say, () => this.keyGiven());
    this.button = element("button", {
      class: "primary start",
      testid: "start",
      text: say(options.shared ? "sharedStart" : "start"),
      attributes: { type: "button", "aria-describedby": "promise" },
      onClick: () => options.onStart(),
    });
    this.root = element(
      "section",
      { class: "start-screen" },
      this.shared ? null : scene(),
      element("h1", { text: say("tagline") }),
      this.shared?.root ?? null,
      element("p", { class: "promise", testid: "promise", text: say(promise), attributes: { id: "promise" } }),
      this.trouble,
      this.keyForm.root,
      this.button,
    );
    void this.prepare();
  }

  /** "" for none. */
  showTrouble(said: string): void {
    setText(this.trouble, said);
  }

  /** thenStart: with the key the camera starts, as it was asked to. */
  askForKey(thenStart: boolean): void {
    this.startsWithKey = thenStart;
    this.button.hidden = true; // one thing at a time
    this.keyForm.ask();
  }

  focus(): void {
    this.button.focus();
  }

  show(shown: boolean): void {
    setHidden(this.root, !shown);
  }

  private keyGiven(): void {
    this.button.hidden = false;
    if (this.startsWithKey) this.options.onStart();
    else void this.prepare();
  }

  /** Asks for a key where one is needed, and shows what the link names. */
  private async prepare(): Promise<void> {
    if (await wantsKey()) return this.askForKey(false);
    try {
      await this.shared?.load();
    } catch (error) {
      if (error instanceof Problem) this.askForKey(false);
      else throw error;
    }
  }
}

/** A phone before a screen, drawn; it says nothing that the text does not say. */
function scene(): SVGSVGElement {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 240 150");
  svg.setAttribute("class", "scene");
  svg.setAttribute("aria-hidden", "true");
  const parts: [string, Record<string, string>][] = [
    ["rect", { x: "20", y: "10", width: "200", height: "114", rx: "8", class: "scene-screen" }],
    ["path", { d: "M20 98 L78 58 L116 88 L154 48 L220 100 V116 a8 8 0 0 1 -8 8 H28 a8 8 0 0 1 -8 -8 Z", class: "scene-hills" }],
    ["circle", { cx: "66", cy: "38", r: "11", class: "scene-sun" }],
    ["rect", { x: "128", y: "52", width: "58", height: "96", rx: "9", class: "scene-phone" }],
    ["path", { d: "M136 70 h42 v34 h-42 Z", class: "scene-seen" }],
    ["path", { d: "M136 116 h30 M136 126 h20", class: "scene-text" }],
  ];
  for (const [name, attributes] of parts) {
    const part = document.createElementNS(space, name);
    for (const [attribute, value] of Object.entries(attributes)) part.setAttribute(attribute, value);
    svg.append(part);
  }
  return svg;
}
