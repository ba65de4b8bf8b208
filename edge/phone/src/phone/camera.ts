/** The camera that looks away from the user. */

/** Why there is no picture, as the user can mend it. */
export type CameraTrouble = "insecure" | "unsupported" | "denied" | "missing" | "busy" | "broken";

export class CameraError extends Error {
  constructor(readonly trouble: CameraTrouble) {
    super(trouble);
    this.name = "CameraError";
  }
}

const WANTED: MediaStreamConstraints = {
  audio: false,
  video: { facingMode: { ideal: "environment" }, width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } },
};

const TROUBLES: Record<string, CameraTrouble> = {
  NotAllowedError: "denied",
  SecurityError: "denied",
  NotFoundError: "missing",
  OverconstrainedError: "missing",
  NotReadableError: "busy",
  AbortError: "busy",
};

/** Asks for the camera and shows it in the video element. Throws CameraError. */
export async function openCamera(video: HTMLVideoElement): Promise<MediaStream> {
  if (!window.isSecureContext) throw new CameraError("insecure");
  if (!navigator.mediaDevices?.getUserMedia) throw new CameraError("unsupported");
  try {
    const stream = await navigator.mediaDevices.getUserMedia(WANTED);
    video.srcObject = stream;
    await video.play();
    return stream;
  } catch (error) {
    throw new CameraError(TROUBLES[(error as DOMException).name] ?? "broken");
  }
}

export function closeCamera(video: HTMLVideoElement): void {
  const stream = video.srcObject as MediaStream | null;
  for (const track of stream?.getTracks() ?? []) track.stop();
  video.srcObject = null;
}
