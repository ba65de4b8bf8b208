/** The phone page. */

import { App } from "./app";
import { exposeForTests } from "./for_tests";
import { storedKey } from "../shared/key";

storedKey(); // takes one out of the address, before anything copies that
exposeForTests(new App(document.body));

if (import.meta.env.PROD && "serviceWorker" in navigator) {
  navigator.serviceWorker
    .register(new URL("sw.js", document.baseURI), { updateViaCache: "none" })
    .catch((error: unknown) => console.warn("no service worker:", error));
}
