/** The models and the runtime, fetched with their progress; browser and service worker keep them.
 *
 * Packed by gzip they are 6.3 MB, and may be 9: runtime 3.73 MB, encoder 2.08, detector 0.48, scripts 0.05. */

import runtimeAddress from "onnxruntime-web/ort-wasm-simd-threaded.wasm?url";
import { call, callJson } from "../shared/api";
import type { Models } from "./vision_messages";

/** Of the runtime, unpacked; put in by the build. The server says the packed size only. */
declare const RUNTIME_BYTES: number;

interface BundleFile {
  name: string;
  sha256: string;
  bytes: number;
  url: string;
}

/** Models, and the encoder's identity that goes with its codes. */
export interface FetchedModels {
  readonly models: Models;
  readonly encoder: string;
}

/** progress: called with 0..1. Throws Problem when the gateway refuses or is away. */
export async function fetchModels(progress: (share: number) => void): Promise<FetchedModels> {
  const { bundles } = await callJson<{ bundles: BundleFile[] }>("/v1/bundles");
  const [encoder, detector] = ["encoder", "detector"].map((name) => {
    const found = bundles.find((bundle) => bundle.name === name);
    if (!found) throw new Error(`the gateway has no ${name}`);
    return found;
  });
  const total = encoder.bytes + detector.bytes + RUNTIME_BYTES;
  let come = 0;
  const count = (bytes: number) => progress(Math.min(1, (come += bytes) / total));
  const [encoderFile, detectorFile, runtime] = await Promise.all([
    call(encoder.url).then((response) => counted(response, count)),
    call(detector.url).then((response) => counted(response, count)),
    fetch(runtimeAddress).then((response) => counted(response, count)),
  ]);
  return { models: { encoder: encoderFile, detector: detectorFile, runtime }, encoder: encoder.sha256 };
}

async function counted(response: Response, count: (bytes: number) => void): Promise<ArrayBuffer> {
  if (!response.ok) throw new Error(`${response.url}: ${response.status}`);
  if (!response.body) return response.arrayBuffer();
  const parts: Uint8Array<ArrayBuffer>[] = [];
  const reader = response.body.getReader();
  for (let step = await reader.read(); !step.done; step = await reader.read()) {
    parts.push(step.value);
    count(step.value.length);
  }
  return new Blob(parts).arrayBuffer();
}
