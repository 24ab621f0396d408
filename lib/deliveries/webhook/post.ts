// One request. It is complete only if end() was called: a request that was destroyed has no last chunk, so that a service
// cannot take it for a whole one. It is never sent again.
//
//   connect ─→ write … (silence while nothing is taken) ─→ end ─→ the status
//   any failure, or an answer before the end ─→ the request is destroyed

import { request as httpRequest, type ClientRequest, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Socket } from 'node:net'
import { MailHandlerError, type ErrorCode } from '../../words/errors.ts'
import type { ResolvedWebhook } from './options.ts'

/** Octets of the body of an answer that are read and dropped, so that the connection can be used again. */
const MOST_ANSWER = 65_536

/** A request with a body in chunks. */
export class Post {
  /** Resolves with the status of the answer; rejects with a MailHandlerError if there is none. */
  readonly outcome: Promise<number>
  readonly #webhook: ResolvedWebhook
  readonly #request: ClientRequest
  #resolve: (status: number) => void = () => {}
  #reject: (error: Error) => void = () => {}
  /** True once there was a connection for it. */
  isConnected = false
  #isOver = false
  #timer: unknown = null
  /** Ends the wait of a write. */
  #wake: () => void = () => {}

  constructor(webhook: ResolvedWebhook, headers: OutgoingHttpHeaders) {
    this.#webhook = webhook
    this.outcome = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.outcome.catch(() => {}) // it may fail before anybody waits for it
    const { url, agent } = webhook
    const isSecure = url.protocol === 'https:'
    const options = { method: 'POST', agent, headers: { ...headers, 'transfer-encoding': 'chunked' } }
    this.#request = (isSecure ? httpsRequest : httpRequest)(url, options)
    this.#request
      .once('socket', socket => this.#noteSocket(socket, isSecure))
      .on('drain', () => this.#noteProgress())
      .once('finish', () => this.#startTimer('answer', 'the webhook did not answer'))
      .once('response', response => this.#noteAnswer(response))
      .on('error', error => this.#noteLoss(error))
      .once('close', () => this.#noteLoss(new Error('the connection was closed without an answer')))
    this.#startTimer('connect', 'the webhook could not be connected to')
  }

  /** True once there is an answer, or none can come any more. */
  get isOver(): boolean {
    return this.#isOver
  }

  /** True once the last octet of the request was handed over: the service may have all of it. */
  get hasEnded(): boolean {
    return this.#request.writableEnded
  }

  /** Sends octets; resolves when more can be taken, or the request is over. */
  async write(octets: Buffer): Promise<void> {
    if (this.#isOver || this.#request.write(octets)) return
    if (this.isConnected) this.#startSilence()
    await new Promise<void>(resolve => {
      this.#wake = resolve
    })
  }

  /** Sends the end: the last octets, and trailers. */
  end(octets: Buffer | null, trailers: OutgoingHttpHeaders): void {
    if (this.#isOver) return
    if (this.isConnected) this.#startSilence()
    this.#request.addTrailers(trailers)
    this.#request.end(octets ?? undefined)
  }

  /** Gives up. What was sent has no end. */
  fail(code: ErrorCode, message: string, cause?: Error): void {
    if (!this.#settle()) return
    this.#reject(new MailHandlerError(code, message, cause === undefined ? {} : { cause }))
    this.#request.destroy()
  }

  /** Returns false if it is over already. */
  #settle(): boolean {
    if (this.#isOver) return false
    this.#isOver = true
    this.#webhook.clock.clear(this.#timer)
    this.#wake()
    return true
  }

  #noteSocket(socket: Socket, isSecure: boolean): void {
    const isOpen = isSecure
      ? (socket as Socket & { secureConnecting?: boolean }).secureConnecting === false
      : !socket.connecting
    if (this.#request.reusedSocket || isOpen) this.#noteConnected()
    else socket.once(isSecure ? 'secureConnect' : 'connect', () => this.#noteConnected())
  }

  #noteConnected(): void {
    this.isConnected = true
    this.#webhook.clock.clear(this.#timer)
    if (this.#request.writableNeedDrain || this.#request.writableEnded) this.#startSilence()
  }

  #noteProgress(): void {
    if (!this.#request.writableEnded) this.#webhook.clock.clear(this.#timer)
    this.#wake()
  }

  #noteAnswer(response: IncomingMessage): void {
    const status = response.statusCode!
    const isWhole = this.#request.writableFinished
    if (isPositive(status) && !isWhole) {
      response.on('error', () => {})
      this.fail('ERR_REPLY_UNEXPECTED', `the webhook answered ${status} before it had the whole message`)
      return
    }
    if (this.#settle()) this.#resolve(status)
    if (isWhole) this.#drop(response)
    else {
      response.on('error', () => {})
      this.#request.destroy()
    }
  }

  /** Reads the body of an answer and drops it; ends the connection if that takes too much. */
  #drop(response: IncomingMessage): void {
    const { clock, timeouts } = this.#webhook
    const timer = clock.after(timeouts.silence, () => response.destroy())
    let octets = 0
    response
      .on('data', (chunk: Buffer) => {
        octets += chunk.length
        if (octets > MOST_ANSWER) response.destroy()
      })
      .on('error', () => {})
      .once('close', () => clock.clear(timer))
  }

  #noteLoss(error: Error): void {
    const what = this.isConnected ? 'the connection to the webhook was lost' : 'the webhook cannot be reached'
    this.fail('ERR_CONNECTION_LOST', `${what}: ${error.message || (error as NodeJS.ErrnoException).code}`, error)
  }

  #startSilence(): void {
    this.#startTimer('silence', 'the webhook takes no more of the message')
  }

  #startTimer(limit: keyof ResolvedWebhook['timeouts'], what: string): void {
    if (this.#isOver) return
    const { clock, timeouts } = this.#webhook
    clock.clear(this.#timer)
    this.#timer = clock.after(timeouts[limit], () => {
      this.fail('ERR_TIMEOUT', `${what} within ${timeouts[limit]} ms`)
    })
  }
}

/** True for 2xx. */
export function isPositive(status: number): boolean {
  return status >= 200 && status < 300
}
