// The interface of the package smtp-server on top of this one, to move a program in two steps: first the import, then,
// hook by hook, what docs/migration.md says. It takes the options, hooks and events of smtp-server 3; what differs is
// in docs/migration.md.
//
//   import { SMTPServer } from './smtp-server-facade.js'
//   new SMTPServer({ onData(stream, session, callback) { … } }).listen(25)

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { reverse } from 'node:dns'
import { EventEmitter } from 'node:events'
import { PassThrough } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TLSSocketOptions } from 'node:tls'
import { format } from 'node:util'
import {
  LIMITS,
  login,
  plain,
  reply,
  Reply,
  SmtpError,
  SmtpHandler,
  tlsContexts,
  xoauth2,
  type Body,
  type Command,
  type Credentials,
  type Mechanism,
  type Message,
  type Recipient,
  type Sender,
  type Session,
  type SessionInTransaction,
  type SmtpHandlerOptions,
  type TlsContexts,
  type TlsOptions,
} from 'mailhandler'
import { createServer, type MailServer } from 'mailhandler/server'

export interface SMTPServerAddress {
  address: string
  args: Record<string, string | true> | false
  dsn?: { notify?: string[]; orcpt?: string }
}

export interface SMTPServerSession {
  id: string
  localAddress: string
  localPort: number
  remoteAddress: string
  remotePort: number
  clientHostname: string
  openingCommand: string | false
  hostNameAppearsAs: string | false
  secure: boolean
  tlsOptions: { name: string; standardName: string; version: string } | false
  servername: string | false
  transmissionType: string
  transaction: number
  user?: unknown
  xClient: Map<string, string>
  xForward: Map<string, string>
  envelope: {
    mailFrom: SMTPServerAddress | false
    rcptTo: SMTPServerAddress[]
    bodyType: string
    smtpUtf8: boolean
    requireTLS: boolean
    dsn: { ret: string | null; envid: string | null }
  }
}

export interface SMTPServerAuthentication {
  method: string
  username: string
  password?: string
  authcid?: string
  authzid?: string
  accessToken?: string
  validatePassword(password: string): boolean
}

export type SMTPServerError = Error & { responseCode?: number }
type Done = (error?: SMTPServerError | null) => void

interface Hooks {
  onConnect(session: SMTPServerSession, callback: Done): void
  onSecure(socket: unknown, session: SMTPServerSession, callback: Done): void
  onAuth(
    auth: SMTPServerAuthentication,
    session: SMTPServerSession,
    callback: (
      error?: SMTPServerError | null,
      response?: { user?: unknown; message?: string; responseCode?: number; data?: object },
    ) => void,
  ): void
  onMailFrom(address: SMTPServerAddress, session: SMTPServerSession, callback: Done): void
  onRcptTo(address: SMTPServerAddress, session: SMTPServerSession, callback: Done): void
  onData(
    stream: SMTPServerDataStream,
    session: SMTPServerSession,
    callback: (error?: SMTPServerError | null, message?: string | (string | SMTPServerError)[]) => void,
  ): void
  onClose(session: SMTPServerSession, callback: () => void): void
}

/** What smtp-server takes as a logger: pino, bunyan, or an object of one's own. */
export interface SMTPServerLogger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  error(fields: object, message: string): void
}

export interface SMTPServerOptions extends Partial<Hooks>, TLSSocketOptions {
  secure?: boolean
  secured?: boolean
  needsUpgrade?: boolean
  name?: string
  banner?: string
  heloResponse?: string
  size?: number
  hideSize?: boolean
  authMethods?: string[]
  authOptional?: boolean
  authRequiredMessage?: string
  allowInsecureAuth?: boolean
  disabledCommands?: string[]
  hideSTARTTLS?: boolean
  hidePIPELINING?: boolean
  hide8BITMIME?: boolean
  hideSMTPUTF8?: boolean
  hideENHANCEDSTATUSCODES?: boolean
  hideDSN?: boolean
  hideREQUIRETLS?: boolean
  lenientAddressParsing?: boolean
  lmtp?: boolean
  logger?: boolean | SMTPServerLogger
  component?: string
  ignoredHosts?: string[]
  rejectOversized?: boolean
  maxClients?: number
  maxCommandLength?: number
  maxRecipients?: number
  maxAllowedUnauthenticatedCommands?: number | false
  useProxy?: boolean | string[]
  useXClient?: boolean | string[]
  useXForward?: boolean | string[]
  disableReverseLookup?: boolean
  resolver?: { reverse(ip: string, callback: (error: Error | null, names?: string[]) => void): void }
  socketTimeout?: number
  closeTimeout?: number
  sniOptions?: Record<string, TLSSocketOptions> | Map<string, TLSSocketOptions>
}

/** The mail data. It ends only when it is whole; otherwise it is destroyed with an error. */
export class SMTPServerDataStream extends PassThrough {
  byteLength = 0
  sizeExceeded = false

  override _transform(chunk: Buffer, _encoding: string, done: (error: null, chunk: Buffer) => void): void {
    this.byteLength += chunk.length
    done(null, chunk)
  }
}

/** Options that the façade knows. TLS_OPTIONS are passed on too; of any other one it warns that it has no effect. */
const KNOWN = new Set(
  `secure secured needsUpgrade name banner heloResponse size hideSize rejectOversized authMethods authOptional
  authRequiredMessage allowInsecureAuth disabledCommands hideSTARTTLS hidePIPELINING hide8BITMIME hideSMTPUTF8
  hideENHANCEDSTATUSCODES hideDSN hideREQUIRETLS lenientAddressParsing lmtp logger component ignoredHosts maxClients
  maxCommandLength maxRecipients maxAllowedUnauthenticatedCommands useProxy useXClient useXForward disableReverseLookup
  resolver socketTimeout closeTimeout sniOptions requestCert rejectUnauthorized SNICallback onConnect onSecure onAuth
  onMailFrom onRcptTo onData onClose`.split(/\s+/),
)
const GREETING_DELAY = 100 // milliseconds in which a client that talks too soon is noticed
const REVERSE_TIMEOUT = 1500
const MAX_UNRECOGNIZED = 10
const EVERYBODY = ['0.0.0.0/0', '::/0']
const TLS_OPTIONS =
  'key cert ca pfx passphrase ciphers minVersion maxVersion dhparam ecdhCurve honorCipherOrder sigalgs crl'.split(
    ' ',
  ) as readonly (keyof TLSSocketOptions)[]

export class SMTPServer extends EventEmitter {
  readonly options: SMTPServerOptions
  readonly server: MailServer
  readonly connections: Set<SMTPServerSession> = new Set()
  readonly disabled: ReadonlySet<string>
  readonly #handler: SmtpHandlerOptions
  #contexts: TlsContexts | null = null

  constructor(options: SMTPServerOptions = {}) {
    super()
    this.options = options
    const unknown = Object.keys(options).filter(name => !KNOWN.has(name) && !TLS_OPTIONS.includes(name as 'key'))
    if (unknown.length > 0) {
      process.emitWarning(`SMTPServer: ${unknown.join(', ')}: no effect in this façade; see docs/migration.md`)
    }
    this.disabled = new Set((options.disabledCommands ?? []).map(command => command.trim().toUpperCase()))
    const given = HOOKS.flatMap(name => (typeof options[name] === 'function' ? [[name, options[name]]] : []))
    Object.assign(this, Object.fromEntries(given))
    this.updateSecureContext()
    const tls = this.#tls()
    this.#handler = handlerOptions(options, this.disabled, tls)
    const { maxClients, useProxy, secure = false, secured = false } = options
    if (secure && !secured && tls === null) throw new Error('secure needs the options key and cert')
    this.server = createServer(
      {
        perClient: { connections: Infinity, perMinute: Infinity },
        ...(maxClients !== undefined && { maxConnections: maxClients }),
        ...(useProxy !== undefined && useProxy !== false && { proxy: networks(useProxy) }),
        ...(secure && !secured && tls !== null && { tls }),
      },
      ({ socket }) => this.createHandler(socket),
    )
    this.server.on('error', error => this.emit('error', error))
    this.server.on('close', () => this.emit('close'))
  }

  /** The handler of one connection: `socket.pipe(handler).pipe(socket)`, or a stream in a test. */
  createHandler(socket: object): SmtpHandler {
    return new FacadeHandler(this, this.#handler, socket)
  }

  readonly listen: MailServer['listen'] = (...words: unknown[]) => this.server.listen(...(words as []))

  close(callback: () => void = () => {}): void {
    const closed = this.server.close({ within: this.options.closeTimeout ?? 30_000 })
    closed.finally(() => setImmediate(callback)).catch(() => {}) // that it was not listening is no error
  }

  /** Takes other certificates, for the sessions from now on. */
  updateSecureContext(changes: SMTPServerOptions = {}): void {
    Object.assign(this.options, changes)
    const { sniOptions = {}, ...options } = this.options
    if (options.cert === undefined && options.pfx === undefined) return
    const entries = sniOptions instanceof Map ? [...sniOptions] : Object.entries(sniOptions)
    const names = Object.fromEntries(entries.map(([name, one]) => [name, certificateOf(one)]))
    this.#contexts = tlsContexts({ default: certificateOf(options), names })
  }

  #tls(): TlsOptions | null {
    if (this.#contexts === null) return null
    const { requestCert, rejectUnauthorized, SNICallback } = this.options
    return {
      ...(requestCert !== undefined && { requestCert }),
      ...(rejectUnauthorized !== undefined && { rejectUnauthorized }),
      context: () => this.#contexts!.context(),
      SNICallback: SNICallback ?? ((name, callback) => this.#contexts!.SNICallback(name, callback)),
    }
  }

  onConnect(_session: SMTPServerSession, callback: Done): void {
    callback()
  }

  onSecure(_socket: unknown, _session: SMTPServerSession, callback: Done): void {
    callback()
  }

  onAuth(...[, , callback]: Parameters<Hooks['onAuth']>): void {
    callback(null, { message: 'Authentication not implemented' })
  }

  onMailFrom(_address: SMTPServerAddress, _session: SMTPServerSession, callback: Done): void {
    callback()
  }

  onRcptTo(_address: SMTPServerAddress, _session: SMTPServerSession, callback: Done): void {
    callback()
  }

  onData(...[stream, , callback]: Parameters<Hooks['onData']>): void {
    stream.resume().once('end', () => callback())
  }

  onClose(_session: SMTPServerSession, _callback: () => void): void {}

  /** Writes to `logger`, as smtp-server does; nothing about `ignoredHosts`. */
  log(level: keyof SMTPServerLogger, tnx: string, session: SMTPServerSession, message: string): void {
    const { logger = false, component = 'smtp-server', ignoredHosts = [] } = this.options
    if (logger === false || ignoredHosts.includes(session.remoteAddress)) return
    const fields = { component, tnx, cid: session.id, host: session.remoteAddress }
    if (logger === true) console.log(`${new Date().toISOString()} ${level.toUpperCase()} [${session.id}] ${message}`)
    else logger[level](fields, message)
  }
}

const HOOKS = ['onConnect', 'onSecure', 'onAuth', 'onMailFrom', 'onRcptTo', 'onData', 'onClose'] as const

function certificateOf(options: TLSSocketOptions): object {
  return Object.fromEntries(TLS_OPTIONS.flatMap(name => (options[name] === undefined ? [] : [[name, options[name]]])))
}

function networks(allowed: true | string[]): string[] {
  return allowed === true || allowed.includes('*') ? EVERYBODY : allowed
}

/** The options of SmtpHandler that come from those of smtp-server. */
function handlerOptions(
  options: SMTPServerOptions,
  disabled: ReadonlySet<string>,
  tls: TlsOptions | null,
): SmtpHandlerOptions {
  const { name, banner, size = 0, lmtp = false, socketTimeout = 60_000, useXClient, useXForward, secured } = options
  const isInsecure = options.allowInsecureAuth ?? (options.hideSTARTTLS === true || disabled.has('STARTTLS'))
  const proxies = useXClient || useXForward
  return {
    ...(name !== undefined && { name }),
    ...(banner !== undefined && { banner: `${lmtp ? 'LMTP' : 'ESMTP'} ${banner}` }),
    size,
    lmtp,
    earlyTalkers: 'allow', // FacadeHandler refuses them itself
    strictness: options.lenientAddressParsing === true ? 'lenient' : 'interoperable',
    extensions: {
      SIZE: options.hideSize !== true,
      PIPELINING: options.hidePIPELINING !== true,
      '8BITMIME': options.hide8BITMIME !== true,
      SMTPUTF8: options.hideSMTPUTF8 !== true,
      ENHANCEDSTATUSCODES: options.hideENHANCEDSTATUSCODES === false,
      DSN: options.hideDSN === false,
      REQUIRETLS: options.hideREQUIRETLS === false,
      CHUNKING: !disabled.has('BDAT'),
      XCLIENT: useXClient !== undefined && useXClient !== false,
      XFORWARD: useXForward !== undefined && useXForward !== false,
    },
    ...(proxies !== undefined && proxies !== false && { xclient: networks(proxies) }),
    ...(tls !== null && !disabled.has('STARTTLS') && secured !== true && options.secure !== true && { tls }),
    ...(!disabled.has('AUTH') && {
      auth: { mechanisms: mechanisms(options), insecure: isInsecure || secured === true },
    }),
    limits: {
      commandLine: options.maxCommandLength ?? LIMITS.commandLine,
      recipients: options.maxRecipients ?? LIMITS.recipients,
      header: Infinity,
    },
    timeouts: { greeting: socketTimeout, idle: socketTimeout, command: socketTimeout, data: socketTimeout },
  }
}

function mechanisms({ authMethods = ['LOGIN', 'PLAIN'], name = 'localhost' }: SMTPServerOptions): Mechanism[] {
  const known: Record<string, () => Mechanism> = {
    PLAIN: () => plain({ allowAuthzid: true }),
    LOGIN: () => login(),
    XOAUTH2: () => xoauth2(),
    'CRAM-MD5': () => cramMd5(name),
  }
  return authMethods.map(method => {
    const make = known[method.trim().toUpperCase()]
    if (make === undefined) throw new Error(`authMethods: ${method} is not PLAIN, LOGIN, XOAUTH2 or CRAM-MD5`)
    return make()
  })
}

const proofs = new WeakMap<Credentials, (password: string) => boolean>()

/** CRAM-MD5 as smtp-server has it: not the mechanism checks the proof, but onAuth with `validatePassword()`. [RFC 2195] */
function cramMd5(hostname: string): Mechanism {
  return {
    name: 'CRAM-MD5',
    async authenticate(exchange) {
      const challenge = `<${randomBytes(16).toString('hex')}.${Date.now()}@${hostname}>`
      const [, user, digest = ''] = /^(.+) ([\da-f]{32})$/.exec(String(await exchange.challenge(challenge))) ?? []
      if (user === undefined) throw new SmtpError(reply(501, '5.5.2', 'Malformed CRAM-MD5 response'))
      const credentials: Credentials = { mechanism: 'CRAM-MD5', user, authzid: '', verified: true }
      proofs.set(credentials, password =>
        timingSafeEqual(Buffer.from(digest, 'hex'), createHmac('md5', password).update(challenge).digest()),
      )
      return (await exchange.verify(credentials)) ? { user, authzid: '' } : null
    },
  }
}

/** One session. */
class FacadeHandler extends SmtpHandler {
  readonly #facade: SMTPServer
  readonly #view: SMTPServerSession
  readonly #socket: object
  #argument = ''
  #unrecognized = 0
  #unauthenticated = 0

  constructor(facade: SMTPServer, options: SmtpHandlerOptions, socket: object) {
    super(options)
    this.#facade = facade
    this.#socket = socket
    this.#view = newSession()
  }

  get #needsAuth(): boolean {
    const { options, disabled } = this.#facade
    return options.authOptional !== true && !disabled.has('AUTH') && this.#view.user === undefined
  }

  // ── Commands ──

  override handleCommand(command: Command): Reply | void | Promise<Reply | void> {
    this.#argument = command.argument
    if (/^(?:HELO|EHLO|LHLO)$/.test(command.verb)) this.#view.openingCommand = command.verb
    const refusal = this.#refusal(command)
    // What may be a password is not shown.
    const shown = command.verb === 'AUTH' ? command.argument.split(' ', 1)[0] : command.argument
    this.#facade.log('debug', 'command', this.#view, `C: ${command.verb} ${shown}`.trim())
    const answer = refusal ?? super.handleCommand(command)
    return isPromise(answer) ? answer.then(it => this.#sent(this.#plain(it))) : this.#sent(this.#plain(answer))
  }

  #sent<Answer extends Reply | void>(answer: Answer): Answer {
    if (answer) this.#facade.log('debug', 'send', this.#view, `S: ${String(answer).trimEnd()}`)
    return answer
  }

  #refusal({ verb, argument }: Command): Reply | null {
    const { options, disabled } = this.#facade
    if (disabled.has(verb) && verb !== 'AUTH' && verb !== 'STARTTLS' && verb !== 'BDAT') {
      return this.#countUnrecognized()
    }
    if (verb === 'STARTTLS' && argument !== '') return reply(501, '5.5.4', 'Error: syntax: STARTTLS')
    if (!this.#needsAuth || verb === 'AUTH') return null
    const { maxAllowedUnauthenticatedCommands: most = 10 } = options
    this.#unauthenticated += 1
    if (most === false || this.#unauthenticated < most) return null
    return reply(421, '4.7.0', 'Error: too many unauthenticated commands')
  }

  override handleUnknown(command: Command): ReturnType<SmtpHandler['handleUnknown']> {
    const isHttp = (super.handleUnknown(command) as Reply).code === 521
    return isHttp ? reply(421, '4.7.0', 'HTTP requests not allowed') : this.#countUnrecognized()
  }

  #countUnrecognized(): Reply {
    this.#unrecognized += 1
    if (this.#unrecognized < MAX_UNRECOGNIZED) return reply(500, '5.5.2', 'Error: command not recognized')
    return reply(421, '4.7.0', 'Error: too many unrecognized commands')
  }

  override handleProblem(...words: Parameters<SmtpHandler['handleProblem']>): ReturnType<SmtpHandler['handleProblem']> {
    const answer =
      words[0] === 'too-long' ? reply(421, '4.7.0', 'Error: Command line too long') : super.handleProblem(...words)
    return isPromise(answer) ? answer : this.#plain(answer)
  }

  override async handleBody(body: Body): Promise<Reply | readonly Reply[]> {
    const verdict = (await super.handleBody(body)) as Reply | readonly Reply[]
    const said = (verdict instanceof Reply ? [verdict] : verdict).map(each => this.#sent(this.#plain(each) as Reply))
    return verdict instanceof Reply ? said[0]! : said
  }

  override async handleConnect(): Promise<Reply | void> {
    const greeting = await super.handleConnect()
    const { options } = this.#facade
    if (!this.session.talkedEarly) return greeting
    return this.#plain(reply(421, '4.7.0', `${options.name ?? ''} You talk too soon`.trim()))
  }

  override async handleEhlo(command: Command): Promise<Reply | void> {
    const answer = await super.handleEhlo(command)
    if (this.#facade.options.hideSTARTTLS !== true || answer?.positive !== true) return answer
    return reply(answer.code, ...answer.lines.filter(line => line !== 'STARTTLS'))
  }

  override handleQuit(): Reply {
    return reply(221, '2.0.0', 'Bye')
  }

  override handleXclient(command: Command): ReturnType<SmtpHandler['handleXclient']> {
    addAttributes(this.#view.xClient, command.argument)
    return super.handleXclient(command)
  }

  override handleXforward(command: Command): ReturnType<SmtpHandler['handleXforward']> {
    addAttributes(this.#view.xForward, command.argument)
    return super.handleXforward(command)
  }

  #plain(answer: Reply | void): Reply | void {
    if (this.#facade.options.hideENHANCEDSTATUSCODES === false || !answer || answer.status === null) return answer
    return reply(answer.code, ...answer.lines)
  }

  // ── Hooks ──

  override async onConnect(session: Session): Promise<Reply | void> {
    const view = this.#view
    Object.assign(view, {
      id: session.id,
      localAddress: session.local.address ?? '',
      localPort: session.local.port ?? 0,
    })
    this.#refresh(session)
    this.#facade.connections.add(view)
    const [name] = await Promise.all([this.#nameOf(view.remoteAddress), sleep(GREETING_DELAY)])
    view.clientHostname = name ?? `[${view.remoteAddress}]`
    this.#facade.log('info', 'connection', view, `Connection from ${view.clientHostname}`)
    const refusal = session.tls === null ? null : await this.#secure()
    if (refusal !== null) return refusal
    const { error } = await called<void>(done => this.#facade.onConnect(view, done))
    if (error) return refusalOf(error, 554)
  }

  override async onSecure(session: Session): Promise<Reply | void> {
    this.#refresh(session)
    return (await this.#secure()) ?? undefined
  }

  async #secure(): Promise<Reply | null> {
    const { error } = await called<void>(done => this.#facade.onSecure(this.#socket, this.#view, done))
    return error ? refusalOf(error, 554) : null
  }

  override onHelo(session: Session): Reply {
    const view = this.#view
    const isFirst = view.hostNameAppearsAs === false
    view.hostNameAppearsAs = session.helo ?? ''
    this.#refresh(session)
    if (isFirst) this.#facade.emit('connect', { ...view })
    const { heloResponse = '%s Nice to meet you, %s' } = this.#facade.options
    return reply(250, printable(format(heloResponse, session.serverName, view.clientHostname)))
  }

  override async onAuth(credentials: Credentials): Promise<Reply> {
    const auth = authOf(credentials)
    const { error, value = {} } = await called<{ user?: unknown; message?: string; responseCode?: number }>(done =>
      this.#facade.onAuth(auth, this.#view, done),
    )
    if (error) return refusalOf(error, 535)
    const { user, message = 'Error: Authentication credentials invalid', responseCode = 535 } = value
    if (!user) return refusalOf(Object.assign(new Error(message), { responseCode }), 535)
    this.#view.user = user
    return reply(235, '2.7.0', 'Authentication successful')
  }

  override async onMailFrom(sender: Sender, session: Session): Promise<Reply | void> {
    const refusal = this.#refusalWithoutUser()
    if (refusal !== null) return refusal
    this.#refresh(session)
    const { parameters } = sender
    const address = { address: sender.address, args: argsOf(this.#argument) }
    const { envelope } = this.#view
    Object.assign(envelope, {
      bodyType: (parameters.body ?? '7BIT').toLowerCase(),
      smtpUtf8: parameters.smtputf8 === true,
      requireTLS: parameters.requiretls === true,
      dsn: { ret: parameters.ret ?? null, envid: parameters.envid ?? null },
    })
    const { error } = await called<void>(done => this.#facade.onMailFrom(address, this.#view, done))
    if (error) return refusalOf(error, 550)
    envelope.mailFrom = address
  }

  override async onRcptTo(recipient: Recipient): Promise<Reply | void> {
    const args = argsOf(this.#argument)
    const { NOTIFY: notify, ORCPT: orcpt } = args || {}
    const dsn = {
      ...(typeof notify === 'string' && { notify: notify.toUpperCase().split(',') }),
      ...(typeof orcpt === 'string' && { orcpt }),
    }
    const address = { address: recipient.address, args, ...(Object.keys(dsn).length > 0 && { dsn }) }
    const { error } = await called<void>(done => this.#facade.onRcptTo(address, this.#view, done))
    if (error) return refusalOf(error, 550)
    this.#view.envelope.rcptTo.push(address)
  }

  override async onMessage(message: Message, { lmtp }: SessionInTransaction): Promise<Reply | Reply[]> {
    const stream = new SMTPServerDataStream()
    stream.on('error', () => {}) // as in smtp-server, a program need not listen to it
    message.once('error', (error: NodeJS.ErrnoException) => {
      stream.sizeExceeded = error.code === 'ERR_SIZE_LIMIT'
    })
    const whole = pipeline(message, stream)
    whole.catch(() => {})
    const answered = called<string | (string | SMTPServerError)[]>(done =>
      this.#facade.onData(stream, this.#view, done),
    )
    const { error, value } = await Promise.race([answered, whole.then(() => answered)])
    this.#unrecognized = 0
    if (error) return refusalOf(error, 450)
    if (stream.readableFlowing === null && stream.listenerCount('readable') === 0) stream.resume()
    await whole
    if (lmtp && Array.isArray(value)) return value.map(each => verdictOf(each))
    return verdictOf(Array.isArray(value) ? value[0] : value)
  }

  override onReset(): void {
    if (this.#view.envelope.mailFrom !== false) this.#view.transaction += 1
    this.#view.envelope = newSession().envelope
  }

  override onClose(): void {
    this.#facade.connections.delete(this.#view)
    const { clientHostname, remoteAddress } = this.#view
    this.#facade.log('info', 'close', this.#view, `Connection closed to ${clientHostname || remoteAddress}`)
    this.#facade.onClose(this.#view, () => {})
  }

  override handleError(error: Error): void {
    this.#facade.log('error', 'error', this.#view, error.message)
    if (this.#facade.listenerCount('error') > 0) this.#facade.emit('error', error)
    else super.handleError(error)
  }

  #refusalWithoutUser(): Reply | null {
    if (!this.#needsAuth) return null
    return reply(530, '5.7.0', printable(this.#facade.options.authRequiredMessage ?? 'Error: authentication Required'))
  }

  /** What may change during a session. */
  #refresh({ client, tls, protocol, user }: Session): void {
    const view = this.#view
    const { version, cipher, servername } = tls ?? { version: null, cipher: null, servername: null }
    Object.assign(view, {
      remoteAddress: client.address ?? '',
      remotePort: client.port ?? 0,
      transmissionType: protocol,
      secure: tls !== null || this.#facade.options.secured === true,
      tlsOptions: tls !== null && { name: cipher ?? '', standardName: cipher ?? '', version: version ?? '' },
      servername: servername ?? false,
    })
    if (client.name !== null) view.clientHostname = client.name
    if (user !== null) view.user ??= user
  }

  /** The name that the DNS has for an address; null without one, or if it takes too long. */
  #nameOf(address: string): Promise<string | null> {
    const { disableReverseLookup = false, resolver } = this.#facade.options
    if (disableReverseLookup || address === '') return Promise.resolve(null)
    return new Promise(resolve => {
      const timer = setTimeout(() => resolve(null), REVERSE_TIMEOUT)
      const done = (_error: Error | null, names: string[] = []): void => {
        clearTimeout(timer)
        resolve(names[0] ?? null)
      }
      if (resolver === undefined) reverse(address, done)
      else resolver.reverse(address, done)
    })
  }
}

function newSession(): SMTPServerSession {
  const names = {
    id: '',
    clientHostname: '',
    openingCommand: false,
    hostNameAppearsAs: false,
    servername: false,
  } as const
  const ends = { localAddress: '', localPort: 0, remoteAddress: '', remotePort: 0 }
  const told = { xClient: new Map<string, string>(), xForward: new Map<string, string>() }
  const dsn = { ret: null, envid: null }
  return {
    ...names,
    ...ends,
    ...told,
    secure: false,
    tlsOptions: false,
    transmissionType: 'SMTP',
    transaction: 1,
    envelope: { mailFrom: false, rcptTo: [], bodyType: '7bit', smtpUtf8: false, requireTLS: false, dsn },
  }
}

function isPromise(answer: unknown): answer is Promise<Reply | void> {
  return answer instanceof Promise
}

/** Calls a hook of smtp-server; resolves with what its callback was given. */
function called<T>(
  invoke: (callback: (error?: SMTPServerError | null, value?: T) => void) => void,
): Promise<{ error: SMTPServerError | null; value?: T }> {
  return new Promise(resolve => {
    invoke((error, value) => resolve({ error: error ?? null, ...(value !== undefined && { value }) }))
  })
}

function refusalOf({ message, responseCode }: SMTPServerError, byDefault: number): Reply {
  const isRefusal = responseCode !== undefined && /^[45][0-5]\d$/.test(String(responseCode))
  return reply(isRefusal ? responseCode : byDefault, printable(message))
}

function verdictOf(answer: string | SMTPServerError | undefined): Reply {
  if (answer instanceof Error) return refusalOf(answer, 450)
  return reply(250, '2.6.0', printable(answer ?? 'OK: message queued'))
}

/** A text that fits into one line of a reply. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cs}]+/gu, ' ').slice(0, 120)
}

function authOf(credentials: Credentials): SMTPServerAuthentication {
  const { mechanism: method, user: username } = credentials
  const validatePassword = proofs.get(credentials) ?? (() => false)
  if ('token' in credentials) return { method, username, accessToken: credentials.token, validatePassword }
  if (!('password' in credentials)) return { method, username, validatePassword }
  const { password, authzid } = credentials
  return { method, username, password, authcid: username, authzid, validatePassword }
}

/** The parameters behind the path of MAIL and RCPT, in smtp-server's form. */
function argsOf(argument: string): SMTPServerAddress['args'] {
  const words = argument
    .slice(argument.lastIndexOf('>') + 1)
    .split(' ')
    .filter(Boolean)
  const entries = words.map(word => {
    const [, keyword = '', value] = /^([^=]*)(?:=(.*))?$/.exec(word) ?? []
    const text = value?.replace(/\+([\dA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    return [keyword.toUpperCase(), text ?? true] as const
  })
  return entries.length > 0 && Object.fromEntries(entries)
}

function addAttributes(attributes: Map<string, string>, argument: string): void {
  for (const word of argument.split(' ')) {
    const [name = '', value = ''] = word.split('=')
    attributes.set(name.toUpperCase(), value)
  }
}
