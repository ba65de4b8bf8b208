/** `window.vnome`: what the page knows, for tests from outside; with `?test=1` also its single steps.
 *
 * The steps let tests compare this page with `pipeline`: the same pictures must give the same codes and places.
 * They load the models by themselves and take no part in what the page does. */

import type { App } from "./app";
import { ActiveArea, ScreenBars } from "./bars";
import { type Corners, cornersOf, type Sighting } from "./corners";
import { fetchModels } from "./models";
import { type Picture, pictureOf } from "./picture";
import { ReadingChooser } from "./readings";
import { ScreenTracker, type Size } from "./tracker";
import { Vision } from "./vision";
import type { CodeReply } from "./vision_messages";

type Pixels = ArrayLike<number>; // 4 bytes a pixel
type Places = readonly (readonly number[])[]; // x, y of four corners, pixels

interface Seen {
  readonly rgba: Pixels;
  readonly width: number;
  readonly height: number;
}

interface TrackStep {
  readonly corners: Places;
  readonly confidence: number;
  /** height, width */
  readonly size: Size;
  readonly seconds: number;
}

interface ReadStep extends Seen {
  readonly seen: { corners: Places; confidence: number } | null;
  readonly seconds: number;
  readonly only: number | null;
}

const steps = {
  /** A picture and where its screen is -> its code. */
  async encode(rgba: Pixels, width: number, height: number, corners: Places): Promise<CodeReply> {
    const picture = pictureOf(rgba, width, height);
    return (await vision()).ask("encode", { kind: "encode", picture, corners: placesOf(corners) });
  },

  async detect(rgba: Pixels, width: number, height: number): Promise<Sighting> {
    return (await vision()).ask("detect", { kind: "detect", picture: pictureOf(rgba, width, height) });
  },

  /** One tracker through all sightings; what it said after each. */
  track(sightings: readonly TrackStep[]): (Sighting | null)[] {
    const tracker = new ScreenTracker();
    return sightings.map(({ corners, confidence, size, seconds }) =>
      tracker.add({ corners: placesOf(corners), confidence }, size, seconds),
    );
  },

  /** The film inside the bars on a screen that stands at these corners in each of the pictures. */
  bars(pictures: readonly Seen[], screens: readonly Places[]): Corners | null {
    const bars = new ScreenBars();
    pictures.forEach((seen, k) => bars.add(picture(seen), placesOf(screens[k])));
    return bars.inside(placesOf(screens[screens.length - 1]));
  },

  /** The film inside the bars of the pictures themselves. */
  area(pictures: readonly Seen[]): Corners | null {
    const area = new ActiveArea();
    for (const seen of pictures) area.add(picture(seen));
    return area.corners();
  },

  /** What is coded of each frame of one camera: by reading, its corners; and the screen as it is followed. */
  readings(frames: readonly ReadStep[]): { readings: Record<number, Corners>; screen: Sighting | null }[] {
    const chooser = new ReadingChooser();
    return frames.map((frame) => {
      const seen = frame.seen && { corners: placesOf(frame.seen.corners), confidence: frame.seen.confidence };
      const { readings, screen } = chooser.read(picture(frame), seen, frame.seconds, frame.only);
      return { readings: Object.fromEntries(readings), screen };
    });
  },
};

/** What the page shows now. startedAt: of `performance.now()`. */
function stateOf(app: App) {
  const { recognition } = app;
  const film = recognition?.following.film(recognition.nowMs) ?? null;
  return {
    mode: recognition?.mode ?? null,
    stage: recognition?.stage ?? null,
    connection: recognition?.connection ?? null,
    fallBack: recognition?.fallBack ?? null,
    event: recognition?.following.lastEvent ?? null,
    video: film?.video ?? null,
    title: film?.title ?? null,
    atSeconds: recognition?.following.moment(recognition.nowMs) ?? null,
    confidence: film?.confidence ?? null,
    subtitle: recognition ? app.live.subtitle : "",
    screen: recognition?.screen ?? null,
    only: recognition?.following.only ?? null,
    framesSent: recognition?.framesSent ?? 0,
    msPerFrame: recognition?.msPerFrame ?? null,
    spent: recognition?.spent ?? null,
    startedAt: recognition?.startedAt ?? null,
    foundAfterMs: recognition?.following.foundAfterMs ?? null,
  };
}

declare global {
  interface Window {
    vnome: { state: () => ReturnType<typeof stateOf>; video: HTMLVideoElement } & Partial<typeof steps>;
  }
}

export function exposeForTests(app: App): void {
  const testing = new URLSearchParams(location.search).get("test") === "1";
  window.vnome = { state: () => stateOf(app), video: app.video, ...(testing ? steps : {}) };
}

let opened: Promise<Vision> | null = null;

function vision(): Promise<Vision> {
  opened ??= (async () => {
    const made = new Vision();
    const { models } = await fetchModels(() => undefined);
    await made.open(models);
    return made;
  })();
  return opened;
}

function picture({ rgba, width, height }: Seen): Picture {
  return pictureOf(rgba, width, height);
}

function placesOf(corners: Places): Corners {
  return cornersOf(corners.flat());
}
