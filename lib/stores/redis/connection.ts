// The client: the package's own over ioredis, or the user's.

import { wrong } from '../../words/option-checks.ts'
import { StoreError, type StoreErrorKind } from '../store-error.ts'
import type { Script } from './scripts.ts'

/** What is used of a client: `Redis` of ioredis and of iovalkey are such. */
export interface RedisClient {
  /** Sends a command; rejects with the server's error. */
  call(command: string, ...args: (string | number)[]): Promise<unknown>
}

interface OwnClient extends RedisClient {
  connect(): Promise<void>
  disconnect(): void
  on(event: 'error', listener: (error: Error) => void): unknown
}

/** Where the server is. */
export interface RedisPlace {
  /** For example `redis://10.0.0.5:6379/0`, `rediss://user:password@redis.example.org`. */
  readonly url?: string | undefined
  /**
   * A client of one's own in the place of `url`, which the store does not close. Without time limits of its own it holds
   * commands while a server is frozen, up to `maxWaiting`.
   */
  readonly client?: RedisClient | undefined
}

/** Options of ioredis that make every call end in time, measured with stopped, frozen and restarted servers. */
const OPTIONS = {
  lazyConnect: true,
  enableOfflineQueue: false, // Without a connection a command fails at once.
  maxRetriesPerRequest: 0,
  autoResendUnfulfilledCommands: false,
  connectTimeout: 500,
  socketTimeout: 1000, // Without it a frozen server's connection keeps its commands.
  retryStrategy: (times: number): number => Math.min(50 * 2 ** times, 1000),
  reconnectOnError: (error: Error): boolean => error.message.startsWith('READONLY'), // The primary has changed.
}

/** One server, through all its troubles. */
export class Connection {
  readonly #place: RedisPlace
  readonly #timeout: number
  readonly #limit: number
  #client: RedisClient | null
  #own: OwnClient | null = null
  #connecting: Promise<void> | null = null
  #waiting = 0
  #drained: (() => void) | null = null

  /**
   * @param timeout milliseconds after which a command is given up
   * @param limit how many commands may wait; one more rejects with `busy`
   */
  constructor(place: RedisPlace, timeout: number, limit: number) {
    if ((place.url === undefined) === (place.client === undefined)) throw wrong('redisStore: either url or client')
    this.#place = place
    this.#timeout = timeout
    this.#limit = limit
    this.#client = place.client ?? null
  }

  /** Sends a command; rejects with a {@link StoreError}. */
  async send(command: string, ...args: (string | number)[]): Promise<unknown> {
    if (this.#waiting >= this.#limit) throw new StoreError('busy', `${this.#limit} calls wait already`)
    this.#waiting++
    try {
      const client = this.#client ?? (await this.#connect())
      return await client.call(command, ...args)
    } catch (error) {
      throw storeError(error)
    } finally {
      this.#waiting--
      if (this.#waiting === 0) this.#drained?.()
    }
  }

  /** Runs a script, by its digest if the server knows it. */
  async run({ sha, text }: Script, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    try {
      return await this.send('EVALSHA', sha, keys.length, ...keys, ...args)
    } catch (error) {
      if (!(error as Error).message.includes('NOSCRIPT')) throw error
      return this.send('EVAL', text, keys.length, ...keys, ...args)
    }
  }

  /** Ends the connection after the commands that wait, unless the client is the user's. */
  async close(): Promise<void> {
    if (this.#place.client !== undefined) return
    if (this.#waiting > 0) await new Promise<void>(resolve => void (this.#drained = resolve))
    this.#own?.disconnect()
  }

  /** The first connection is waited for; ioredis makes all later ones, and commands without one fail at once. */
  async #connect(): Promise<RedisClient> {
    this.#connecting ??= this.#open()
    await this.#connecting
    return this.#own!
  }

  async #open(): Promise<void> {
    const { Redis } = await loadClient().catch((error: unknown) => {
      this.#connecting = null // It may be installed meanwhile.
      throw error
    })
    const own = new Redis(this.#place.url!, { ...OPTIONS, commandTimeout: this.#timeout })
    own.on('error', () => {}) // Each call that meets the trouble reports it.
    this.#own = own
    await own.connect().catch(() => {})
    this.#client = own
  }
}

async function loadClient(): Promise<{ Redis: new (url: string, options: object) => OwnClient }> {
  try {
    return (await import('ioredis')) as unknown as { Redis: new (url: string, options: object) => OwnClient }
  } catch (error) {
    throw new StoreError('down', 'redisStore needs ioredis: npm install ioredis@6', { cause: error })
  }
}

/** The first word of an error of the server, and what it means. */
const SERVER_ERRORS: Readonly<Record<string, StoreErrorKind>> = {
  OOM: 'full',
  READONLY: 'readonly',
  MISCONF: 'readonly', // It cannot write its snapshot, and takes no writes until it can.
  NOREPLICAS: 'readonly',
  BUSY: 'busy',
}

function storeError(error: unknown): StoreError {
  if (error instanceof StoreError) return error
  const { message } = error as Error
  const word = /^(?:-?ERR |.*?: -)?([A-Z]+) /.exec(message)?.[1] ?? ''
  const timedOut = /timed? ?out/i.test(message)
  const kind = SERVER_ERRORS[word] ?? (timedOut ? 'timeout' : 'down')
  return new StoreError(kind, `Redis: ${message}`, { cause: error })
}
