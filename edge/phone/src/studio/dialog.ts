/** Modal dialogs. The browser keeps the focus inside, Escape closes, and the focus returns to where it was. */

import { button, element, freshId } from "./dom";
import { say } from "./texts";

/** Shown at once; `closed` runs however it is closed. */
export function openDialog(title: string, content: HTMLElement, closed: () => void, testid: string): HTMLDialogElement {
  const heading = element("h2", { id: freshId("dialog"), tabindex: "-1" }, title);
  const close = button("✕", () => dialog.close(), {
    class: "quiet close",
    "aria-label": say("close"),
    "data-testid": "close",
  });
  const head = element("header", {}, heading, close);
  const dialog = element("dialog", { "aria-labelledby": heading.id, "data-testid": testid }, head, content);
  const before = document.activeElement;
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (before instanceof HTMLElement && before.isConnected) before.focus();
    closed();
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close(); // the backdrop
  });
  document.body.append(dialog);
  dialog.showModal();
  heading.focus();
  return dialog;
}

/** Whether the user agrees to what cannot be undone. */
export function confirmed(question: string, action: string): Promise<boolean> {
  return new Promise((resolve) => {
    let agreed = false;
    const agree = () => {
      agreed = true;
      dialog.close();
    };
    const buttons = element(
      "div",
      { class: "buttons" },
      button(say("cancel"), () => dialog.close()),
      button(action, agree, { class: "danger", "data-testid": "confirm" }),
    );
    const content = element("div", { class: "stack" }, element("p", {}, question), buttons);
    const dialog = openDialog(action, content, () => resolve(agreed), "confirmation");
  });
}
