/** Two pages, the phone (index.html) and the studio, built into the Python package that serves them. */
import { statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defaultClientConditions, defineConfig, type Plugin } from "vite";

const GATEWAY = process.env.VNOME_GATEWAY ?? "http://127.0.0.1:8080"; // for `npm run dev`

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

const RUNTIME = at("node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.wasm");

const SERVICE_WORKER = "sw";

/** Tells the service worker the names of the phone page's files, once they are known. */
function serviceWorkerAssets(): Plugin {
  return {
    name: "service-worker-assets",
    enforce: "post", // before, there are files that do not stay
    generateBundle(_, files) {
      const worker = Object.values(files).find((file) => file.type === "chunk" && file.name === SERVICE_WORKER);
      if (worker?.type !== "chunk") throw new Error("there is no service worker");
      const assets = Object.keys(files).filter((name) => name.startsWith("assets/") && !name.includes("studio"));
      worker.code = worker.code.replace("__ASSETS__", assets.join(" "));
    },
  };
}

export default defineConfig({
  plugins: [serviceWorkerAssets()],
  base: "./", // so that the pages also run behind a path of a proxy
  define: { RUNTIME_BYTES: statSync(RUNTIME).size },
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
        [SERVICE_WORKER]: at("src/phone/service_worker.ts"),
      },
      output: {
        // a service worker rules the folder that it lies in, and is found by its name
        entryFileNames: ({ name }) => (name === SERVICE_WORKER ? "[name].js" : "assets/[name]-[hash].js"),
      },
    },
  },
  server: {
    headers: { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" },
    proxy: { "/v1": { target: GATEWAY, ws: true } },
  },
});
