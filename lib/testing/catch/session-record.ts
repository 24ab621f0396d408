// Records a session of the server that catches mail.

import type { Session, SessionEnding } from '../../smtp/session.ts'
import type { SmtpHandler } from '../../smtp/smtp-handler.ts'
import { showTurns, TranscriptLog, type LogLimits, type Turn } from '../transcript-log.ts'
import type { CaughtSession } from './caught-session.ts'
import { withoutSecrets, type Mask } from './secrets.ts'

/** What a turn costs beside its octets: objects, and a piece of a pool. */
const TURN_OCTETS = 400
/** Octets of memory after which the growth of a session is told. */
const GROWTH = 8192

/** The record of a session. */
export class SessionRecord implements CaughtSession {
  readonly id: string
  readonly startedAt: Date = new Date()
  readonly address: string | null
  readonly port: number | null
  readonly #log: TranscriptLog
  readonly #onGrowth: () => void
  /** What `memory` was when `onGrowth` was called last. */
  #told = 0
  #view: Session | null
  #result: Pick<Session, 'helo' | 'protocol' | 'user' | 'ending'> | null = null

  /** `onGrowth` is called when the record has grown by some KiB, and at its end. */
  constructor(
    handler: SmtpHandler,
    client: { address: string | null; port: number | null },
    limits: LogLimits,
    onGrowth: () => void = () => {},
  ) {
    this.#onGrowth = onGrowth
    this.id = handler.session.id
    this.address = client.address
    this.port = client.port
    this.#view = handler.session
    this.#log = new TranscriptLog(limits)
    this.#listen(handler)
  }

  get helo(): string | null {
    return this.#facts.helo
  }

  get protocol(): string {
    return this.#facts.protocol
  }

  get user(): string | null {
    return this.#facts.user
  }

  get ending(): SessionEnding | null {
    return this.#facts.ending
  }

  get dialogue(): string {
    return showTurns(this.turns('stars'), this.dropped)
  }

  /** The turns of the dialogue with the secrets of AUTH replaced; their time is in milliseconds of the session. */
  turns(mask: Mask): Turn[] {
    return withoutSecrets(this.#log.turns, mask)
  }

  /** The number of turns that are not kept any more. */
  get dropped(): number {
    return this.#log.dropped
  }

  /** About the memory that the dialogue takes, in octets: what was said, and what each turn costs besides. */
  get memory(): number {
    return this.#log.octets + this.#log.size * TURN_OCTETS
  }

  get #facts(): Pick<Session, 'helo' | 'protocol' | 'user' | 'ending'> {
    return this.#result ?? this.#view!
  }

  /** Records what goes through the handler. Over TLS it is what the layer has deciphered. */
  #listen(handler: SmtpHandler): void {
    const write = handler._write.bind(handler)
    handler._write = (chunk, encoding, written) => {
      this.#note('C', chunk)
      write(chunk, encoding, written)
    }
    const push = handler.push.bind(handler)
    handler.push = (chunk: unknown, encoding?: BufferEncoding) => {
      if (typeof chunk === 'string') this.#note('S', Buffer.from(chunk, encoding))
      return push(chunk, encoding)
    }
    handler.once('close', () => this.#end())
  }

  #note(side: 'C' | 'S', octets: Uint8Array): void {
    this.#log.add(side, octets, Date.now() - this.startedAt.getTime())
    if (Math.abs(this.memory - this.#told) >= GROWTH) this.#tell()
  }

  #tell(): void {
    this.#told = this.memory
    this.#onGrowth()
  }

  /** Keeps the facts, and not the handler behind them. */
  #end(): void {
    const { helo, protocol, user, ending } = this.#view!
    this.#result = { helo, protocol, user, ending }
    this.#view = null
    this.#tell()
  }
}
