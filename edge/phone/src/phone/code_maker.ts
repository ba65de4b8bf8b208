/** The models in their worker: made ready once for the page, before they are needed where that costs nobody. */

import { fetchModels } from "./models";
import { CodeSender } from "./senders";
import { Vision } from "./vision";
import { within } from "./within";

const START_MS = 40_000; // for the models to start; it takes one or two seconds

export class CodeMaker {
  /** Of the fetching, 0..1. */
  progress = 0;
  private made: Promise<CodeSender> | null = null;
  private vision: Vision | null = null;

  /** Called as they come. */
  onProgress: () => void = () => undefined;

  /** Fetches and starts the models before the camera is asked for, unless the user saves data.
   *
   * What goes wrong is tried again, and said, when they are needed. */
  prepare(): void {
    const connection = (navigator as Navigator & { connection?: { saveData?: boolean } }).connection;
    if (!connection?.saveData) this.sender().catch(() => undefined);
  }

  /** Throws Problem when the gateway refuses or is away, other errors where the models do not run. */
  sender(): Promise<CodeSender> {
    this.made ??= this.make().catch((error: unknown) => {
      this.drop();
      throw error;
    });
    return this.made;
  }

  /** What is ready is not used again: it failed, or the gateway has other models by now. */
  drop(): void {
    this.vision?.close();
    this.vision = null;
    this.made = null;
    this.progress = 0;
  }

  private async make(): Promise<CodeSender> {
    const { models, encoder } = await fetchModels((share) => {
      this.progress = share;
      this.onProgress();
    });
    const vision = new Vision();
    this.vision = vision;
    await within(START_MS, vision.open(models));
    return new CodeSender(vision, encoder);
  }
}
