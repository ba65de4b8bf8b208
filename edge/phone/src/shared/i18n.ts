/** Texts in the languages of the pages. Each page brings its own dictionary. */

import { onDevice } from "./kept";

export const LANGUAGES = { en: "English", it: "Italiano", de: "Deutsch" } as const;
export type Language = keyof typeof LANGUAGES;

/** English decides which texts there are; the type makes sure that no language lacks one. */
export type Dictionary<Name extends string> = Record<Language, Record<Name, string>>;
export type Texts<Name extends string> = (name: Name, values?: Record<string, string | number>) => string;

const PLACE = "vnome.language";

/** The language chosen on this device, else the first of the browser's that there is, else English. */
export function language(): Language {
  const wanted = [onDevice.get(PLACE) ?? "", ...navigator.languages].map((tag) => tag.slice(0, 2).toLowerCase());
  return wanted.find(isLanguage) ?? "en";
}

export function chooseLanguage(chosen: Language): void {
  onDevice.set(PLACE, chosen);
  document.documentElement.lang = chosen;
}

/** Looks texts up; "{name}" in a text is replaced by the value of that name. Sets the page's language. */
export function texts<Name extends string>(dictionary: Dictionary<Name>, chosen: Language = language()): Texts<Name> {
  document.documentElement.lang = chosen;
  return (name, values = {}) =>
    dictionary[chosen][name].replace(/\{(\w+)\}/g, (whole, key: string) => String(values[key] ?? whole));
}

export function isLanguage(tag: string): tag is Language {
  return tag in LANGUAGES;
}

/** The name of a language, in the language of the page: "it" -> "Italian". */
export function languageName(tag: string, inLanguage: Language = language()): string {
  try {
    return new Intl.DisplayNames([inLanguage], { type: "language" }).of(tag) ?? tag;
  } catch {
    return tag; // not a language tag
  }
}
