// Standard output and standard error of a command that ends by itself. A full disk or a closed pipe there is no crash.

/** Writes to standard output or standard error; resolves with false if that fails. */
export function print(stream: NodeJS.WriteStream, text: string): Promise<boolean> {
  if (stream.listenerCount('error', ignore) === 0) stream.on('error', ignore)
  return new Promise(resolve => void stream.write(text, error => resolve(error === null || error === undefined)))
}

/** The callback of write() has the same error. */
function ignore(): void {}
