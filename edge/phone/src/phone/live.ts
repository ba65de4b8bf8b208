/** The WebSocket to the gateway. It opens itself again when the gateway was away. */

import { address, callJson, type Info } from "../shared/api";
import { storedKey } from "../shared/key";
import { Problem } from "../shared/problem";
import type { LiveEvent, Start } from "./events";

const PROTOCOL = "vnome.v1";
const WAITS_SECONDS = [1, 2, 4, 8, 10]; // before trying again; the last one from then on
const MOST_WAITING_BYTES = 64_000; // not sent yet: frames on top of that would arrive late

/** Close codes of the gateway after which trying again the same way is of no use. */
const KEY_REFUSED = [4401, 4403];
const OTHER_ENCODER = 4409;

/** away: not reachable, tried again by itself. refused: another key is needed. outdated: other models are needed. */
export type Connection = "connecting" | "open" | "away" | "refused" | "outdated" | "closed";

export interface LiveListener {
  onEvent(event: LiveEvent): void;
  onConnection(connection: Connection): void;
}

export class Live {
  private socket: WebSocket | null = null;
  private failures = 0;
  private timer = 0;
  private connection: Connection = "closed";

  constructor(
    private start: Start,
    private readonly listener: LiveListener,
  ) {}

  /** Whether a frame sent now would go out soon. */
  get ready(): boolean {
    return this.socket?.readyState === WebSocket.OPEN && this.socket.bufferedAmount < MOST_WAITING_BYTES;
  }

  open(): void {
    this.become("connecting");
    const target = new URL(address("/v1/live"));
    target.protocol = target.protocol.replace("http", "ws");
    const key = storedKey();
    const socket = new WebSocket(target, key ? [PROTOCOL, `vnome.key.${key}`] : [PROTOCOL]);
    this.socket = socket;
    let opened = false;
    socket.onopen = () => {
      opened = true;
      socket.send(JSON.stringify(this.start));
      this.become("open");
    };
    socket.onmessage = ({ data }: MessageEvent<string>) => {
      this.failures = 0;
      this.listener.onEvent(JSON.parse(data) as LiveEvent);
    };
    socket.onclose = ({ code }) => {
      if (this.socket === socket) void this.ended(code, opened);
    };
  }

  /** Begins anew with something else to send. */
  begin(start: Start): void {
    this.start = start;
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(start));
  }

  send(frame: ArrayBuffer): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(frame);
  }

  close(): void {
    clearTimeout(this.timer);
    const { socket } = this;
    this.socket = null;
    socket?.close();
    this.become("closed");
  }

  private async ended(code: number, opened: boolean): Promise<void> {
    const { socket } = this;
    const refused = KEY_REFUSED.includes(code) || (!opened && (await wantsKey()));
    if (this.socket !== socket) return; // closed in the meantime
    this.socket = null;
    if (refused) return this.become("refused");
    if (code === OTHER_ENCODER) return this.become("outdated");
    this.become("away");
    const wait = WAITS_SECONDS[Math.min(this.failures++, WAITS_SECONDS.length - 1)];
    this.timer = window.setTimeout(() => this.open(), wait * 1000);
  }

  private become(connection: Connection): void {
    if (connection === this.connection) return;
    if (connection === "connecting" && this.connection === "away") return; // still away until it is open
    this.connection = connection;
    this.listener.onConnection(connection);
  }
}

/** A handshake that fails does not say why; the gateway's information does. */
export async function wantsKey(): Promise<boolean> {
  try {
    const info = await callJson<Info>("/v1/info");
    return !info.public && info.scopes.length === 0;
  } catch (error) {
    return error instanceof Problem && error.wantsKey; // else it is away
  }
}
