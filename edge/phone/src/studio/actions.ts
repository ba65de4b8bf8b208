/** Doing something at the gateway from a form: once at a time, with its outcome told. */

import { Problem } from "../shared/problem";
import { announce } from "./announcer";
import { button, element } from "./dom";
import { failure } from "./loader";
import { may, reportRefusal } from "./session";
import { say } from "./texts";

/** A place where an action says why it failed. */
export function complaintPlace(): HTMLElement {
  return element("p", { class: "problem", role: "alert" });
}

/** The controls are disabled while `work` runs; `done` is announced after it. */
export async function act(
  controls: (HTMLButtonElement | HTMLInputElement)[],
  complaint: HTMLElement,
  work: () => Promise<unknown>,
  done: string,
): Promise<void> {
  complaint.textContent = "";
  for (const control of controls) control.disabled = true;
  try {
    await work();
    announce(done);
  } catch (error) {
    complaint.textContent = failure(error);
    if (error instanceof Problem && error.wantsKey) reportRefusal(error);
  } finally {
    for (const control of controls) control.disabled = false;
  }
}

/** Disables a control, and says why, where the key may not change the catalogue. */
export function forManagers<Control extends HTMLButtonElement | HTMLInputElement>(control: Control): Control {
  if (may("manage")) return control;
  control.disabled = true;
  control.title = say("needsManage");
  return control;
}

/** Says once a page why controls are disabled; null where none is. */
export function managersOnly(): HTMLElement | null {
  return may("manage") ? null : element("p", { class: "notice", "data-testid": "needs-manage" }, say("needsManage"));
}

/** A button that lets the user pick files and hands them over. */
export function filePicker(
  label: string,
  accept: string,
  chosen: (files: File[]) => void,
  options: { multiple?: boolean; testid?: string; look?: string; spoken?: string } = {},
): HTMLElement {
  const input = element("input", {
    type: "file",
    accept,
    multiple: options.multiple,
    hidden: true,
    "data-testid": options.testid,
  });
  input.addEventListener("change", () => {
    const files = [...(input.files ?? [])];
    input.value = ""; // so that the same file can be picked again
    if (files.length) chosen(files);
  });
  const pick = forManagers(button(label, () => input.click(), { class: options.look, "aria-label": options.spoken }));
  return element("span", { class: "picker" }, pick, input);
}
