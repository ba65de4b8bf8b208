/** Subtitles of the film that plays, in step with it. */

import { callJson, type Cue, videoPath } from "../shared/api";
import { onDevice } from "../shared/kept";

const CHOICE = "vnome.subtitles"; // language tag, or OFF
export const OFF = "off";

/** The language to show of those that a film has: the chosen one, else the browser's; OFF when there is none. */
export function chosenLanguage(languages: readonly string[]): string {
  const chosen = onDevice.get(CHOICE);
  if (chosen === OFF) return OFF;
  const wanted = [...(chosen ? [chosen] : []), ...navigator.languages];
  const primary = (tag: string) => tag.toLowerCase().split("-")[0];
  for (const tag of wanted) {
    const found = languages.find((has) => has === tag) ?? languages.find((has) => primary(has) === primary(tag));
    if (found) return found;
  }
  return OFF;
}

export function rememberLanguage(chosen: string): void {
  onDevice.set(CHOICE, chosen);
}

export class Subtitles {
  private readonly cues = new Map<string, Cue[]>(); // by film and language; empty while they come

  /** What is said at that second of the film; "" for nothing, or while the subtitles are fetched. */
  at(video: string, language: string, seconds: number): string {
    if (language === OFF) return "";
    const name = `${language} ${video}`;
    const cues = this.cues.get(name);
    if (!cues) {
      this.cues.set(name, []);
      void this.fetch(name, video, language);
      return "";
    }
    return textAt(cues, seconds);
  }

  private async fetch(name: string, video: string, language: string): Promise<void> {
    try {
      const path = videoPath(video, `/subtitles/${encodeURIComponent(language)}`);
      const { cues } = await callJson<{ cues: Cue[] }>(path, { query: { format: "json" } });
      this.cues.set(name, cues);
    } catch (error) {
      console.warn(`no subtitles ${name}:`, error);
      setTimeout(() => this.cues.delete(name), 10_000); // then another try
    }
  }
}

/** Cues are [start, end); several at once are shown one below the other. */
export function textAt(cues: readonly Cue[], seconds: number): string {
  return cues
    .filter(({ start, end }) => start <= seconds && seconds < end)
    .map(({ text }) => text)
    .join("\n");
}
