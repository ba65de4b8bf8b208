/** Tables whose headings sort. */

import { element } from "./dom";
import { change } from "./place";

export interface Column<Row> {
  label: string;
  /** The gateway's name of what is sorted by; without it the column does not sort. */
  field?: string;
  cell(row: Row): Node | string;
  numeric?: boolean;
}

export class SortableTable<Row> {
  readonly element: HTMLElement;
  readonly #head = element("tr");
  readonly #body = element("tbody");

  /** usual: the sort of an address that names none. */
  constructor(
    caption: string,
    private readonly columns: Column<Row>[],
    private readonly usual: string,
    private readonly dress: (line: HTMLTableRowElement, row: Row) => void,
  ) {
    const title = element("caption", { class: "for-screen-readers" }, caption);
    const table = element("table", {}, title, element("thead", {}, this.#head), this.#body);
    this.element = element("div", { class: "table" }, table);
  }

  show(rows: Row[], sort: string | null): void {
    const focused = document.activeElement?.getAttribute("data-testid");
    this.#head.replaceChildren(...this.columns.map((column) => this.#heading(column, sort ?? this.usual)));
    this.#body.replaceChildren(...rows.map((row) => this.#line(row)));
    if (focused?.startsWith("sort-")) this.#head.querySelector<HTMLElement>(`[data-testid="${focused}"]`)?.focus();
  }

  #heading(column: Column<Row>, sort: string): HTMLElement {
    const { label, field } = column;
    const numeric = column.numeric && "numeric";
    if (!field) return element("th", { scope: "col", class: numeric }, label);
    const order = sort === field ? "ascending" : sort === `-${field}` ? "descending" : "none";
    const other = order === "ascending" ? `-${field}` : field;
    const arrow = element("span", { "aria-hidden": "true" }, { ascending: " ▲", descending: " ▼", none: " ↕" }[order]);
    const onclick = () => change({ sort: other === this.usual ? null : other });
    const control = element(
      "button",
      { type: "button", class: "quiet", onclick, "data-testid": `sort-${field}` },
      label,
      arrow,
    );
    return element("th", { scope: "col", "aria-sort": order, class: numeric }, control);
  }

  #line(row: Row): HTMLElement {
    const cells = this.columns.map((column) =>
      element("td", { class: column.numeric && "numeric", "data-label": column.label }, column.cell(row)),
    );
    const line = element("tr", {}, ...cells);
    this.dress(line, row);
    return line;
  }
}
