/** Subtitle files as people have them: WebVTT and SRT, in UTF-8 or in what old programs wrote. */

export const SUBTITLE_TYPES = ".vtt,.srt,text/vtt,application/x-subrip";

/** "film.pt-BR.srt" -> ["film", "pt-BR"]; "film.vtt" -> ["film", null]; null for files that are not subtitles. */
export function subtitleName(name: string): [stem: string, language: string | null] | null {
  const found = /^(.*?)(?:[._]([A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*))?\.(?:vtt|srt)$/.exec(name);
  return found && [found[1], found[2] ?? null];
}

/** Latin-1 as Windows writes it, where the bytes are not UTF-8 nor marked as UTF-16. */
export async function subtitleText(file: File): Promise<string> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return new TextDecoder("utf-16le").decode(bytes);
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return new TextDecoder("utf-16be").decode(bytes);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder("windows-1252").decode(bytes);
  }
}

/** The tag as the catalogue writes it, "EN-us" -> "en-US"; null for what is not a language tag. */
export function languageTag(typed: string): string | null {
  try {
    return Intl.getCanonicalLocales(typed.trim())[0] ?? null;
  } catch {
    return null;
  }
}
