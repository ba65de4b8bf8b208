/** The control that shows subtitles earlier or later. */

import { element, setText } from "../shared/dom";
import type { Texts } from "../shared/i18n";
import { bounded, LEAD_STEP_SECONDS, MOST_LEAD_SECONDS, storedLead, storeLead } from "./lead";
import type { TextName } from "./texts";

export class LeadControl {
  readonly root: HTMLElement;
  private readonly slider: HTMLInputElement;
  private readonly value = element("output", { class: "lead-value numbers", attributes: { for: "lead" } });

  constructor(private readonly say: Texts<TextName>) {
    this.slider = element("input", {
      testid: "lead",
      attributes: {
        type: "range",
        id: "lead",
        min: -MOST_LEAD_SECONDS,
        max: MOST_LEAD_SECONDS,
        step: LEAD_STEP_SECONDS,
        value: storedLead(),
      },
    });
    this.slider.addEventListener("input", () => this.set(this.seconds));
    const step = (sign: 1 | -1, name: TextName) =>
      element("button", {
        class: "step",
        text: sign < 0 ? "−" : "+",
        attributes: { type: "button", "aria-label": say(name) },
        onClick: () => this.set(this.seconds + sign * LEAD_STEP_SECONDS),
      });
    const label = element("label", { text: say("lead"), attributes: { for: "lead" } });
    this.root = element(
      "div",
      { class: "lead" },
      element("div", { class: "lead-head" }, label, this.value),
      element("div", { class: "lead-row" }, step(-1, "stepLater"), this.slider, step(1, "stepEarlier")),
    );
    this.set(storedLead());
  }

  /** How much earlier subtitles are shown; below zero: later. */
  get seconds(): number {
    return bounded(Number(this.slider.value));
  }

  private set(seconds: number): void {
    const lead = bounded(seconds);
    storeLead(lead);
    this.slider.value = String(lead);
    const size = Math.abs(lead).toLocaleString(document.documentElement.lang, { minimumFractionDigits: 1 });
    const name = lead > 0 ? "leadEarlier" : lead < 0 ? "leadLater" : "leadNone";
    const said = this.say(name, { seconds: size });
    setText(this.value, said);
    this.slider.setAttribute("aria-valuetext", said);
  }
}
