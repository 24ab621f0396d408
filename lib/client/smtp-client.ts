// The sending side of SMTP and LMTP as a Duplex: a server's replies are written in, commands and mail data are read out.
//
//   socket ─pipe→ _write ─ ReplyReader ─ CommandQueue.take ─→ the promise of a command
//   socket ←pipe─ _read  ─ Output ←─ CommandQueue.add ←─ mail(), rcpt() …
//                                 ←─ DataWriter, BdatWriter ←─ MailSource ←─ the mail data

import { Duplex } from 'node:stream'
import type { MailParameters } from '../protocol/parameters/mail-parameters.ts'
import type { RcptParameters } from '../protocol/parameters/rcpt-parameters.ts'
import { formatXforward, type XclientAttributes, type XforwardAttributes } from '../protocol/proxy/xclient.ts'
import type { ReceivedReply } from '../protocol/replies/received-reply.ts'
import type { ServerOffer } from '../protocol/replies/server-offer.ts'
import type { TlsState } from '../tls/tls-state.ts'
import { wrong } from '../words/option-checks.ts'
import { clientError, SmtpClientError } from './client-error.ts'
import type { DataOptions } from './data-writer.ts'
import { Dialogue, sessionEnded } from './dialogue.ts'
import type { MailData } from './mail-source.ts'
import { openSession, speakFor, xclientLines, type Opener } from './opening.ts'
import { resolveClientOptions, type SmtpClientOptions } from './options.ts'
import type { ClientStep } from './steps.ts'
import { Transaction } from './transaction.ts'

const HIGH_WATER_MARK = 65_536

const ignore = (): void => {}

/**
 * An SMTP or LMTP client. It opens the session by itself, greeting, EHLO, STARTTLS, AUTH; commands that are called
 * before wait for that. Each command resolves with the server's reply, a refusal too; it rejects with a
 * {@link SmtpClientError} if the reply never comes, is unexpected, or the command cannot be written. Commands that are
 * called one after the other without waiting are pipelined if the server offers it.
 *
 * ```ts
 * const socket = connect(25, 'mx.example.org')
 * const client = new SmtpClient({ name: 'client.example' })
 * socket.pipe(client).pipe(socket)
 * await client.ready()
 * client.mail('a@example.org')
 * const reply = await client.rcpt('b@example.org')
 * if (reply.code < 400) await client.data('Subject: hello\r\n\r\nHello.\r\n')
 * await client.quit()
 * ```
 *
 * An error of the connection rejects what waits, and is emitted as `'error'`, which needs no listener.
 */
export class SmtpClient extends Duplex {
  readonly #dialogue: Dialogue
  readonly #transaction: Transaction
  #opening: Promise<void>
  #isOpen = false

  /** Throws a `MailHandlerError` with code `ERR_OPTION` if an option is wrong. */
  constructor(options: SmtpClientOptions = {}) {
    super({ readableHighWaterMark: HIGH_WATER_MARK })
    this.#dialogue = new Dialogue(this, resolveClientOptions(options))
    this.#transaction = new Transaction(this.#dialogue)
    this.on('error', ignore)
    const { queue, output, options: resolved } = this.#dialogue
    const [greeting] = queue.expect('greeting')
    if (resolved.proxy !== null) output.push(resolved.proxy)
    this.#opening = this.#open(opener => openSession(opener, greeting!))
  }

  /** What the server offers; null before {@link SmtpClient.ready}. */
  get offer(): ServerOffer | null {
    return this.#isOpen ? this.#dialogue.offer : null
  }

  /** The TLS layer of the connection; null if it has none. */
  get tls(): TlsState | null {
    return this.#dialogue.connection.tls
  }

  /** Octets of commands and mail data that have left so far. */
  get octetsSent(): number {
    return this.#dialogue.output.octets
  }

  /** Why the session ended; null before, and after {@link SmtpClient.quit}. */
  get failure(): SmtpClientError | null {
    return this.#dialogue.failure
  }

  /** Resolves with the offer once the session is open; rejects with a {@link SmtpClientError} if it cannot be opened. */
  ready(): Promise<ServerOffer> {
    return this.#run('idle', () => Promise.resolve(this.#dialogue.offer!))
  }

  /**
   * MAIL: begins a transaction. `sender` is an address, `''` for the null reverse-path. Rejects with `ERR_OPTION` if the
   * address or a parameter cannot be written, `ERR_NOT_OFFERED` for a parameter that the server does not offer.
   */
  mail(sender: string, parameters: MailParameters = {}): Promise<ReceivedReply> {
    return this.#run('MAIL', () => this.#transaction.mail(sender, parameters))
  }

  /** RCPT: adds a recipient. Rejects like {@link SmtpClient.mail}. */
  rcpt(recipient: string, parameters: RcptParameters = {}): Promise<ReceivedReply> {
    return this.#run('RCPT', () => this.#transaction.rcpt(recipient, parameters))
  }

  /**
   * DATA and the mail data. Resolves with the reply to it, in LMTP one for each recipient that was accepted, in order;
   * if DATA is refused, or the mail data before its end, with that one reply. `data` is read as fast as the server takes
   * it. If it fails, or has a bare CR or LF, no end of mail data is sent: the connection is destroyed, and the promise
   * rejects with `ERR_ABORTED` or `ERR_BARE_NEWLINE`.
   */
  data(data: MailData, options: DataOptions = {}): Promise<readonly ReceivedReply[]> {
    return handled(this.startData().then(reply => (reply.code === 354 ? this.sendData(data, options) : [reply])))
  }

  /** DATA alone. If the reply is 354, {@link SmtpClient.sendData} must follow; no other command is sent before. */
  startData(): Promise<ReceivedReply> {
    return this.#run('DATA', () => this.#transaction.startData())
  }

  /** The mail data after a 354; otherwise like {@link SmtpClient.data}. */
  sendData(data: MailData, options: DataOptions = {}): Promise<readonly ReceivedReply[]> {
    return this.#run('data', () => this.#transaction.sendData(data, options))
  }

  /**
   * The mail data by BDAT, in chunks of at most 256 KiB; resolves like {@link SmtpClient.data}. If `data` fails, or has a
   * bare CR or LF without BINARYMIME, the last chunk is not sent and the promise rejects, but the connection is not
   * lost: {@link SmtpClient.rset} must come next, as after a refusal of a chunk. [RFC 3030]
   */
  bdat(data: MailData, options: Pick<DataOptions, 'onReply'> = {}): Promise<readonly ReceivedReply[]> {
    return this.#run('BDAT', () => this.#transaction.bdat(data, options))
  }

  /** RSET: ends the transaction. */
  rset(): Promise<ReceivedReply> {
    return this.#run('RSET', () => this.#transaction.rset())
  }

  /** NOOP: asks whether the server is there. */
  noop(): Promise<ReceivedReply> {
    return this.#run('NOOP', () => this.#dialogue.command('NOOP', 'NOOP'))
  }

  /** VRFY: asks about a user or mailbox. */
  vrfy(text: string): Promise<ReceivedReply> {
    return this.#run('VRFY', () => {
      if (text.trim() === '' || !/^[ -~]+$/.test(text)) throw wrong('VRFY takes a text of printable ASCII')
      return this.#dialogue.command('VRFY', `VRFY ${text}`)
    })
  }

  /**
   * XFORWARD: tells the server about the client of the next message, as far as it takes these attributes. Resolves with
   * the last reply, or the first refusal. Rejects with `ERR_NOT_OFFERED` if it takes none of them.
   */
  xforward(attributes: XforwardAttributes): Promise<ReceivedReply> {
    return this.#run('XFORWARD', async () => {
      const names = this.#dialogue.offer?.extensions.get('XFORWARD') ?? []
      const lines = formatXforward(attributes, new Set(names.map(name => name.toUpperCase())))
      if (lines.length === 0) {
        throw new SmtpClientError('ERR_NOT_OFFERED', 'the server takes none of it', { step: 'XFORWARD' })
      }
      const replies = await Promise.all(lines.map(line => this.#dialogue.command('XFORWARD', `XFORWARD ${line}`)))
      return replies.find(({ code }) => code >= 400) ?? replies.at(-1)!
    })
  }

  /**
   * XCLIENT: speaks for another client from now on, between two transactions. Every attribute that the server takes is
   * sent, as unknown if it is not among `attributes`, so that nothing is left of a client before; the session is opened
   * anew, with the name in `helo` if that is one word. Resolves with the offer. Rejects with `ERR_NOT_OFFERED` if the server takes none of it; with `ERR_REFUSED` if
   * it refuses, and then the connection is destroyed.
   */
  xclient(attributes: XclientAttributes): Promise<ServerOffer> {
    return this.#run('XCLIENT', () => {
      const { offer, queue, sender } = this.#dialogue
      const lines = xclientLines(offer!, attributes)
      if (!queue.isIdle || sender !== null) {
        throw new SmtpClientError('ERR_ORDER', 'a command waits for its reply', { step: 'XCLIENT' })
      }
      this.#isOpen = false
      this.#opening = this.#open(opener => speakFor(opener, lines, attributes.helo))
      return this.ready()
    })
  }

  /** QUIT: ends the session. The connection is closed after the reply. */
  quit(): Promise<ReceivedReply> {
    return this.#run('QUIT', () => this.#dialogue.command('QUIT', 'QUIT'))
  }

  /** Like `Readable.pipe`; STARTTLS is possible if the client is piped out to the stream that is piped in. */
  override pipe<T extends NodeJS.WritableStream>(destination: T, options?: { end?: boolean }): T {
    this.#dialogue.connection.pair(destination)
    return super.pipe(destination, options)
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    this.#dialogue.receive(chunk)
    callback()
  }

  override _final(callback: () => void): void {
    this.#dialogue.ended()
    callback()
  }

  override _read(): void {
    this.#dialogue.output.wanted()
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#dialogue.release(error)
    callback(error)
  }

  /** Opens the session, or opens it anew; a failure ends it. */
  #open(run: (opener: Opener) => Promise<void>): Promise<void> {
    const dialogue = this.#dialogue
    const { options, connection } = dialogue
    dialogue.limit('open')
    const opener: Opener = {
      options,
      connection,
      command: (step, line) => dialogue.command(step, line),
      upgrade: () => dialogue.upgrade(),
      offers: offer => dialogue.offers(offer),
    }
    const opened = new Promise<void>((resolve, reject) => {
      dialogue.abandon = reject
      run(opener).then(resolve, reject)
    })
    const opening = opened.then(
      () => {
        dialogue.noLimit()
        dialogue.abandon = null
        this.#transaction.clear()
        this.#isOpen = true
      },
      (error: unknown) => {
        dialogue.leave(clientError(error, dialogue.step))
        throw dialogue.failure!
      },
    )
    return handled(opening)
  }

  /** Runs a command, now or once the session is open; what it throws becomes the rejection of its promise. */
  #run<T>(step: ClientStep, start: () => Promise<T>): Promise<T> {
    return handled(this.#attempt(step, start))
  }

  async #attempt<T>(step: ClientStep, start: () => Promise<T>): Promise<T> {
    const { finished, failure } = this.#dialogue
    if (finished || failure !== null) throw sessionEnded(failure)
    try {
      if (!this.#isOpen) await this.#opening
      return await start()
    } catch (error) {
      throw clientError(error, step)
    }
  }
}

/** Lets a promise be left alone: its rejection is no unhandled one. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(ignore)
  return promise
}
