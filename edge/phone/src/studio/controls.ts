/** What every list has: search, sort, filters, pages. All of them write to the address, and show what it says. */

import { button, element, field, freshId } from "./dom";
import { count } from "./formats";
import { change, query } from "./place";
import { say } from "./texts";

const TYPING_PAUSE_MS = 300;
export const PAGE_SIZES = [24, 50, 100, 200]; // the gateway gives at most 200

/** Something that shows a parameter of the address. */
export interface Control {
  readonly element: HTMLElement;
  update(parameters: URLSearchParams): void;
}

/** Searches while typing; only the first letter adds to the browser's history. */
export function searchBox(label: string, placeholder: string, parameter = "q"): Control {
  const input = element("input", {
    type: "search",
    maxlength: 128,
    placeholder,
    "data-testid": "search",
    autocomplete: "off",
  });
  let timer = 0;
  let typing = false;
  const search = () => {
    window.clearTimeout(timer);
    timer = 0;
    change({ [parameter]: input.value.trim() }, { replace: typing });
    typing = true;
  };
  input.addEventListener("input", () => {
    window.clearTimeout(timer);
    timer = window.setTimeout(search, TYPING_PAUSE_MS);
  });
  input.addEventListener("change", search);
  input.addEventListener("blur", () => (typing = false));
  return {
    element: field(label, input, { class: "field search-field" }),
    update(parameters) {
      const sought = parameters.get(parameter) ?? "";
      const unsearched = timer !== 0; // typed just now, and not yet in the address
      if (!unsearched && input.value.trim() !== sought) input.value = sought;
    },
  };
}

/** A choice of values, [value, label], the first of which is what an address without the parameter means. */
export function chooser(label: string, parameter: string, choices: [string, string][], testid?: string): Control {
  const options = choices.map(([value, text]) => element("option", { value }, text));
  const select = element("select", { "data-testid": testid }, ...options);
  const first = choices[0][0];
  select.addEventListener("change", () => change({ [parameter]: select.value === first ? null : select.value }));
  return {
    element: field(label, select),
    update(parameters) {
      const value = parameters.get(parameter) ?? first;
      select.value = choices.some(([known]) => known === value) ? value : first;
    },
  };
}

export function sortChooser(choices: [string, string][]): Control {
  return chooser(say("sortBy"), "sort", choices, "sort");
}

/** A text that is filtered by exactly, with suggestions that `suggest` finds for what was typed. */
export function exactFilter(
  label: string,
  parameter: string,
  suggest: (typed: string) => Promise<[string, string][]>,
): Control {
  const list = element("datalist", { id: freshId("suggestions") });
  const testid = `filter-${parameter}`;
  const input = element("input", { type: "text", list: list.id, autocomplete: "off", "data-testid": testid });
  let asked = "\n"; // nothing typed is a question, too
  const offer = async () => {
    const typed = input.value.trim();
    if (typed === asked) return;
    asked = typed;
    const found = await suggest(typed).catch(() => []); // without suggestions one can still type
    list.replaceChildren(...found.map(([value, text]) => element("option", { value }, text)));
  };
  input.addEventListener("focus", () => void offer());
  input.addEventListener("input", () => void offer());
  input.addEventListener("change", () => change({ [parameter]: input.value.trim() }));
  return {
    element: element("div", { class: "with-list" }, field(label, input), list),
    update: (parameters) => void (input.value = parameters.get(parameter) ?? ""),
  };
}

/** "51-100 of 340", with the ways to the pages around and a choice of page sizes. */
export class Pager {
  readonly element: HTMLElement;
  readonly #range = element("span", { class: "numbers", "aria-live": "polite", "data-testid": "range" });
  readonly #previous = button(say("previous"), () => this.#turn(-1), { "data-testid": "previous" });
  readonly #next = button(say("next"), () => this.#turn(1), { "data-testid": "next" });
  readonly #size: Control;

  constructor(private readonly usual = PAGE_SIZES[1]) {
    const sizes = [usual, ...PAGE_SIZES.filter((size) => size !== usual)];
    this.#size = chooser(
      say("perPage"),
      "limit",
      sizes.map((size) => [String(size), String(size)]),
      "page-size",
    );
    const buttons = element("div", { class: "buttons" }, this.#previous, this.#range, this.#next);
    this.element = element("nav", { class: "pager", "aria-label": say("pages") }, buttons, this.#size.element);
  }

  get limit(): number {
    const asked = Number(query().get("limit"));
    return PAGE_SIZES.includes(asked) ? asked : this.usual;
  }

  get offset(): number {
    return Math.max(0, Math.floor(Number(query().get("offset")) || 0));
  }

  show(total: number): void {
    const last = Math.min(total, this.offset + this.limit);
    const first = Math.min(this.offset + 1, last);
    this.#range.textContent = say("range", { first: count(first), last: count(last), total: count(total) });
    this.#previous.disabled = this.offset === 0;
    this.#next.disabled = this.offset + this.limit >= total;
    this.element.hidden = total === 0 && this.offset === 0;
    this.#size.update(query());
  }

  #turn(pages: number): void {
    change({ offset: Math.max(0, this.offset + pages * this.limit) || null });
  }
}
