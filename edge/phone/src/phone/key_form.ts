/** Asks for the key of a gateway that is not open to everyone. */

import { element, setHidden, setText } from "../shared/dom";
import type { Texts } from "../shared/i18n";
import { storedKey, storeKey } from "../shared/key";
import type { TextName } from "./texts";

export class KeyForm {
  readonly root: HTMLFormElement;
  private readonly reason = element("p", { class: "problem", attributes: { id: "key-reason", role: "alert" } });
  private readonly field = element("input", {
    testid: "key",
    attributes: {
      id: "key",
      type: "password",
      autocomplete: "off",
      required: "",
      spellcheck: "false",
      "aria-describedby": "key-reason",
    },
  });

  /** onKey: a key was given and stored. */
  constructor(
    private readonly say: Texts<TextName>,
    onKey: () => void,
  ) {
    this.root = element(
      "form",
      { class: "key-form", attributes: { hidden: "" } },
      this.reason,
      element("label", { text: say("key"), attributes: { for: "key" } }),
      this.field,
      element("button", { class: "primary", text: say("keySave"), attributes: { type: "submit" } }),
    );
    this.root.addEventListener("submit", (event) => {
      event.preventDefault();
      storeKey(this.field.value);
      this.field.value = "";
      this.hide();
      onKey();
    });
  }

  /** Says whether there was none or a wrong one. */
  ask(): void {
    setText(this.reason, this.say(storedKey() ? "keyRefused" : "keyNeeded"));
    setHidden(this.root, false);
    this.field.focus();
  }

  hide(): void {
    setHidden(this.root, true);
  }
}
