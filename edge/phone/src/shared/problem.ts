/** A refusal of the gateway, as its problem document says it (RFC 9457). */

interface ProblemDocument {
  type?: string;
  title?: string;
  status?: number;
  detail?: string;
}

/** `message` is one line fit to show to a person. status: of HTTP, 0 when the gateway could not be reached. */
export class Problem extends Error {
  constructor(
    message: string,
    readonly status: number,
    readonly type: string,
    readonly retryAfterSeconds: number | null,
  ) {
    super(message);
    this.name = "Problem";
  }

  /** Whether another key could help. */
  get wantsKey(): boolean {
    return this.status === 401 || this.status === 403;
  }
}

export function fromDocument(found: ProblemDocument, retryAfterSeconds: number | null = null): Problem {
  const said = found.detail ?? found.title ?? `HTTP ${found.status ?? 0}`;
  return new Problem(said, found.status ?? 0, found.type ?? "about:blank", retryAfterSeconds);
}

export async function fromResponse(response: Response): Promise<Problem> {
  const wait = Number(response.headers.get("retry-after") ?? NaN);
  const retry = Number.isFinite(wait) ? wait : null;
  const plain: ProblemDocument = { title: `${response.status} ${response.statusText}`.trim(), status: response.status };
  if (!response.headers.get("content-type")?.includes("json")) return fromDocument(plain, retry);
  try {
    return fromDocument({ ...plain, ...((await response.json()) as ProblemDocument) }, retry);
  } catch {
    return fromDocument(plain, retry); // cut off on its way
  }
}
