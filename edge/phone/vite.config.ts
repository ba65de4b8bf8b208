/** Two pages, the phone (index.html) and the studio, built into the Python package that serves them. */
import { fileURLToPath } from "node:url";
import { defaultClientConditions, defineConfig } from "vite";

const GATEWAY = process.env.VNOME_GATEWAY ?? "http://127.0.0.1:8080"; // for `npm run dev`

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  base: "./", // so that the pages also run behind a path of a proxy
  resolve: {
    // the plain WebAssembly build, whose loader and .wasm are files of their own: the policy of the gateway
    // forbids scripts from blob: and data:
    conditions: ["onnxruntime-web-use-extern-wasm", ...defaultClientConditions],
  },
  worker: { format: "es" },
  build: {
    outDir: at("../../pipeline/bundled/pages"),
    emptyOutDir: true,
    assetsInlineLimit: 0, // no data: addresses, for the same reason
    modulePreload: { polyfill: false }, // would be an inline script
    target: "es2022",
    rollupOptions: {
      input: {
        index: at("index.html"),
        studio: at("studio.html"),
      },
    },
  },
  server: {
    headers: { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" },
    proxy: { "/v1": { target: GATEWAY, ws: true } },
  },
});
