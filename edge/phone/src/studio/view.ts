/** What a tab of the studio is. */

export interface View {
  readonly element: HTMLElement;
  /** Shows what the address asks for; called at first and after every change of the address. */
  update(parameters: URLSearchParams): void;
  /** Ends what still runs. */
  close(): void;
}
