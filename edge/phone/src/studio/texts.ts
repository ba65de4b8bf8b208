/** Looks the texts of the studio up, in the language of this device. */

import { texts } from "../shared/i18n";
import { GERMAN } from "./texts_de";
import { ENGLISH, type TextName } from "./texts_en";
import { ITALIAN } from "./texts_it";

export const say = texts<TextName>({ en: ENGLISH, it: ITALIAN, de: GERMAN });
