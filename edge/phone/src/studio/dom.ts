/** Building elements. Text is always text, never markup. */

export type Child = Node | string | null | undefined | false;
type Value = string | number | boolean | null | undefined | ((event: any) => void);
export type Attributes = Record<string, Value>;

/** `onclick` and the like become listeners; true is an empty attribute; false, null and undefined are left out. */
export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[Tag] {
  return fill(document.createElement(tag), attributes, children);
}

/** As `element`, for drawings. */
export function drawn<Tag extends keyof SVGElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: Child[]
): SVGElementTagNameMap[Tag] {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill<Made extends Element>(made: Made, attributes: Attributes, children: Child[]): Made {
  for (const [name, value] of Object.entries(attributes)) setAttribute(made, name, value);
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  // a select has its options only now
  if (made instanceof HTMLSelectElement && attributes.value !== undefined) made.value = String(attributes.value);
  return made;
}

function setAttribute(made: Element, name: string, value: Value): void {
  if (typeof value === "function") made.addEventListener(name.replace(/^on/, ""), value as EventListener);
  else if (value === true) made.setAttribute(name, "");
  else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, String(value));
}

/** Makes `child` all that is in `place`; one that is there already keeps the focus inside it. */
export function put(place: HTMLElement, child: HTMLElement): void {
  if (place.childNodes.length !== 1 || place.firstChild !== child) place.replaceChildren(child);
}

let labelled = 0;

/** An id that no other element has, for `for` and `aria-labelledby`. */
export function freshId(stem: string): string {
  labelled += 1;
  return `${stem}-${labelled}`;
}

/** A control under its label. */
export function field(label: string, control: HTMLElement, attributes: Attributes = {}): HTMLLabelElement {
  return element("label", { class: "field", ...attributes }, element("span", {}, label), control);
}

export function button(
  label: string,
  onclick: (event: MouseEvent) => void,
  attributes: Attributes = {},
): HTMLButtonElement {
  return element("button", { type: "button", onclick, ...attributes }, label);
}
