/** Elements of the page, made and changed in few words. */

type Child = Node | string | null;

export interface Options {
  class?: string;
  text?: string;
  /** `data-testid`, by which tests find the element. */
  testid?: string;
  /** Attributes; null is left out. */
  attributes?: Record<string, string | number | null>;
  onClick?: (event: MouseEvent) => void;
}

export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  options: Options = {},
  ...children: Child[]
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag);
  if (options.class) made.className = options.class;
  if (options.text !== undefined) made.textContent = options.text;
  if (options.testid) made.dataset.testid = options.testid;
  for (const [name, value] of Object.entries(options.attributes ?? {})) {
    if (value !== null) made.setAttribute(name, String(value));
  }
  if (options.onClick) made.addEventListener("click", options.onClick as EventListener);
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** Changes a text only when it is another one: screen readers speak each change. */
export function setText(node: Element, text: string): void {
  if (node.textContent !== text) node.textContent = text;
}

export function setHidden(node: HTMLElement, hidden: boolean): void {
  if (node.hidden !== hidden) node.hidden = hidden;
}
