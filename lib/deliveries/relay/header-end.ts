// Reads the header of a message, before any of it leaves: counts its Received fields.

import type { Readable } from 'node:stream'
import { LF } from '../../words/octets.ts'
import { reply, type Reply } from '../../words/reply.ts'
import { REFUSALS } from '../../words/replies.ts'
import { SmtpError } from '../../words/smtp-error.ts'

/** A message with more of them goes round in circles. [RFC 5321 §6.3] */
const RECEIVED_FIELDS = 100
/** Octets of a header that are held. */
const HEADER_OCTETS = 2 ** 20

const LOOP: Reply = reply(554, '5.4.6', 'Mail loop: the message has more than 100 Received fields')
const RECEIVED = Buffer.from('received:')
const CR = 13

/** Counts the Received fields of a header, at any chunking. */
export class ReceivedCount {
  /** True behind the first empty line. */
  hasEnded = false
  count = 0
  /** Octets of the line at hand that have matched so far; -1 once one has not. */
  #matched = 0
  #length = 0
  #last = 0

  /** Takes the next octets. */
  add(chunk: Buffer): void {
    for (let i = 0; i < chunk.length && !this.hasEnded; i++) {
      const octet = chunk[i]!
      if (octet === LF) this.#endLine()
      else this.#take(octet)
      this.#last = octet
    }
  }

  #take(octet: number): void {
    this.#length += 1
    if (this.#matched < 0) return
    const lower = octet >= 65 && octet <= 90 ? octet + 32 : octet
    this.#matched = lower === RECEIVED[this.#matched] ? this.#matched + 1 : -1
    if (this.#matched < RECEIVED.length) return
    this.count += 1
    this.#matched = -1
  }

  #endLine(): void {
    this.hasEnded = this.#length === 0 || (this.#length === 1 && this.#last === CR)
    this.#length = 0
    this.#matched = 0
  }
}

/**
 * Resolves once the header is there, with what has been read of the message: nothing of it is lost, the octets are the
 * next ones of `source` again; or, if the message has ended, with its octets, whole.
 *
 * @throws {SmtpError} if there are too many Received fields or the header is too long; or the stream's own error.
 */
export function readHeader(source: Readable, prefix: string): Promise<Buffer | null> {
  return new Promise((resolve, reject) => {
    const seen = new ReceivedCount()
    const pieces: Buffer[] = [Buffer.from(prefix)]
    let octets = 0
    const detach = (): void => {
      source.off('readable', read).off('end', end).off('error', fail).off('close', close)
    }
    const fail = (error: Error): void => {
      detach()
      reject(error)
    }
    const close = (): void => fail(source.errored ?? new Error('the message was closed'))
    const end = (): void => {
      detach()
      resolve(Buffer.concat(pieces))
    }
    const read = (): void => {
      for (let chunk = source.read() as Buffer | null; chunk !== null; chunk = source.read() as Buffer | null) {
        pieces.push(chunk)
        octets += chunk.length
        seen.add(chunk)
        if (seen.count > RECEIVED_FIELDS) return fail(new SmtpError(LOOP))
        if (seen.hasEnded) {
          detach()
          source.unshift(Buffer.concat(pieces))
          return resolve(null)
        }
        if (octets > HEADER_OCTETS) return fail(new SmtpError(REFUSALS.ERR_HEADER_LIMIT!))
      }
    }
    if (source.destroyed) return close()
    source.on('readable', read).on('end', end).on('error', fail).on('close', close)
  })
}
