/** The form that asks for a key. */

import { storedKey, storeKey } from "../shared/key";
import { Problem } from "../shared/problem";
import { complaintPlace } from "./actions";
import { button, element, field } from "./dom";
import { failure } from "./loader";
import { may, openSession, type Scope } from "./session";
import { say } from "./texts";

interface Choices {
  /** Why the form is shown. */
  reason: string;
  /** What the key has to allow. */
  scope: Scope;
  done(): void;
  /** null where nothing can be seen without a key. */
  cancel: (() => void) | null;
}

export function signInForm(choices: Choices): HTMLElement {
  const complaint = complaintPlace();
  const input = element("input", {
    type: "password",
    required: true,
    autocomplete: "off",
    spellcheck: "false",
    "data-testid": "sign-in-key",
  });
  const submit = element(
    "button",
    { type: "submit", class: "primary", "data-testid": "sign-in-submit" },
    say("signIn"),
  );
  const onsubmit = (event: Event) => {
    event.preventDefault();
    submit.disabled = true;
    void enter(input.value, choices, complaint).finally(() => (submit.disabled = false));
  };
  const cancel = choices.cancel && button(say("cancel"), choices.cancel);
  const form = element(
    "form",
    { class: "panel stack sign-in", onsubmit, "data-testid": "sign-in" },
    element("h1", {}, say("signIn")),
    element("p", {}, choices.reason),
    field(say("apiKey"), input),
    complaint,
    element("div", { class: "buttons" }, submit, cancel),
    element("p", { class: "muted" }, say("whereKeys")),
  );
  queueMicrotask(() => input.focus());
  return form;
}

/** A key that does not do is forgotten; the one before it counts again. */
async function enter(key: string, { scope, done }: Choices, complaint: HTMLElement): Promise<void> {
  const before = storedKey();
  complaint.textContent = "";
  storeKey(key);
  try {
    await openSession();
    if (may(scope)) return done();
    complaint.textContent = may("query") ? say("keyTooWeak") : say("keyUnknown");
  } catch (error) {
    const unknown = error instanceof Problem && error.status === 401;
    complaint.textContent = unknown ? say("keyUnknown") : failure(error);
  }
  storeKey(before);
  await openSession().catch(() => {}); // the complaint stands
}
