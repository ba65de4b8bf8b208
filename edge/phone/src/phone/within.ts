/** A time limit for what may never answer: a worker whose memory was taken away says nothing. */

/** Throws when `done` takes longer; what it does is not stopped. */
export async function within<T>(milliseconds: number, done: Promise<T>): Promise<T> {
  let timer = 0;
  const late = new Promise<never>((_, reject) => {
    timer = window.setTimeout(() => reject(new Error(`no answer within ${milliseconds} ms`)), milliseconds);
  });
  try {
    return await Promise.race([done, late]);
  } finally {
    clearTimeout(timer);
  }
}
