// Opens a connection to an upstream: each of its servers, each of their addresses, until one greets.
//
//   servers in their order ─ look-up ─ addresses ─ connect ─ greeting ─ EHLO ─ STARTTLS ─ AUTH ─→ SmtpClient

import { once } from 'node:events'
import { connect, isIP, type Socket } from 'node:net'
import { connect as connectTls, type ConnectionOptions } from 'node:tls'
import { SmtpClientError } from '../../client/client-error.ts'
import { SmtpClient } from '../../client/smtp-client.ts'
import { formatProxyHeader, type ProxyHeaderInput } from '../../protocol/proxy/format-proxy-header.ts'
import { within, type Clock } from '../../time/clock.ts'
import { addressesOf } from './look-up.ts'
import type { ResolvedServer, ResolvedUpstream } from './options.ts'
import { tlsFor } from './resolve-options.ts'

/** What a connection is opened with. */
export interface OpenRequest {
  /** The servers to try, in this order. */
  readonly servers: readonly ResolvedServer[]
  /** The PROXY header to send first. */
  readonly proxy: ProxyHeaderInput | null
  /** Aborted when nobody needs the connection any more. */
  readonly signal: AbortSignal
  /** Is told how each server did: null if its connection is open. */
  note(server: ResolvedServer, error: SmtpClientError | null): void
}

/** A connection that is open. */
export interface Opened {
  readonly client: SmtpClient
  readonly server: ResolvedServer
}

interface Place {
  readonly server: ResolvedServer
  readonly address: string | null
}

/** Resolves with an open connection. Rejects with the error of the last server that was tried. */
export async function openConnection(options: ResolvedUpstream, request: OpenRequest): Promise<Opened> {
  const { clock, timeouts } = options
  const end = clock.now() + timeouts.open
  let failure: SmtpClientError | null = null
  for (const [i, server] of request.servers.entries()) {
    const left = request.servers.length - i
    try {
      // What is left of the time is shared by the servers that are left, so that one that hangs does not use it up.
      const client = await openServer(server, options, request, (end - clock.now()) / left)
      request.note(server, null)
      return { client, server }
    } catch (error) {
      failure = openingError(error)
      if (request.signal.aborted) throw failure
      request.note(server, failure)
    }
  }
  throw failure ?? unreachable('there is no server to try')
}

async function openServer(
  server: ResolvedServer,
  options: ResolvedUpstream,
  request: OpenRequest,
  milliseconds: number,
): Promise<SmtpClient> {
  const { clock } = options
  const end = clock.now() + milliseconds
  const late = (): Error => timeout(`${server.label} was not found in time`)
  const places = await within(clock, Math.max(1, milliseconds), placesOf(server), late)
  let failure: SmtpClientError | null = null
  for (const [i, place] of places.entries()) {
    const share = (end - clock.now()) / (places.length - i)
    if (request.signal.aborted) break
    if (share < 1) throw failure ?? late()
    try {
      return await openPlace(place, options, request, Math.ceil(share))
    } catch (error) {
      failure = openingError(error)
    }
  }
  throw failure ?? unreachable(`${server.label} has no address`)
}

async function placesOf(server: ResolvedServer): Promise<readonly Place[]> {
  const { host } = server
  if (host === null || isIP(host) !== 0) return [{ server, address: host }]
  const found = await addressesOf(host)
  return found.map(address => ({ server, address }))
}

async function openPlace(
  place: Place,
  options: ResolvedUpstream,
  { proxy, signal }: OpenRequest,
  milliseconds: number,
): Promise<SmtpClient> {
  const { lmtp, name, auth, timeouts, clock } = options
  const { command, data, block, end, quit } = timeouts
  const begun = clock.now()
  const raw = openSocket(place, options, proxy !== null)
  if (proxy !== null) await sendProxyHeader(raw, proxy, { clock, milliseconds, signal })
  const left = Math.max(1, milliseconds - (clock.now() - begun))
  const socket = options.secure && proxy !== null ? openTls(place.server, options, { socket: raw }) : raw
  const client = new SmtpClient({
    name,
    lmtp,
    tls: tlsFor(place.server, options.tls),
    ...(auth && { auth }),
    timeouts: { open: left, greeting: left, tls: left, command, data, block, end, quit },
    clock,
  })
  const abort = (): void => void client.destroy()
  signal.addEventListener('abort', abort, { once: true })
  socket.pipe(client).pipe(socket)
  try {
    await client.ready()
    return client
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

/** A socket, with TLS if that is there from the start and no PROXY header has to go before it. */
function openSocket({ server, address }: Place, options: ResolvedUpstream, hasProxy: boolean): Socket {
  const { port, path } = server
  const to = path === null ? { host: address!, port } : { path }
  return options.secure && !hasProxy ? openTls(server, options, to) : connect(to)
}

function openTls(server: ResolvedServer, options: ResolvedUpstream, to: ConnectionOptions): Socket {
  const { mode: _, fingerprints256: __, servername = '', ...tls } = tlsFor(server, options.tls)
  // The client checks the certificate. An IP address is no server name. [RFC 6066 §3]
  return connectTls({ ...tls, ...to, servername: isIP(servername) === 0 ? servername : '', rejectUnauthorized: false })
}

/** Sends the header once the socket is connected. */
async function sendProxyHeader(
  socket: Socket,
  proxy: ProxyHeaderInput,
  {
    clock,
    milliseconds,
    signal,
  }: { readonly clock: Clock; readonly milliseconds: number; readonly signal: AbortSignal },
): Promise<void> {
  try {
    await within(clock, milliseconds, once(socket, 'connect', { signal }), () => timeout('not connected in time'))
  } catch (error) {
    socket.destroy()
    throw error
  }
  socket.write(formatProxyHeader(asOwn(proxy, socket)))
}

/** UNKNOWN means what the addresses of the connection itself say; Postfix 3.7 refuses the word. */
function asOwn(
  proxy: ProxyHeaderInput,
  { localAddress, localPort, remoteAddress, remotePort }: Socket,
): ProxyHeaderInput {
  if (proxy.command !== 'UNKNOWN' || localAddress === undefined) return proxy
  return {
    version: proxy.version,
    source: { address: localAddress, port: localPort! },
    destination: { address: remoteAddress!, port: remotePort! },
  }
}

/** Any error of an opening as one of the client. */
export function openingError(error: unknown): SmtpClientError {
  if (error instanceof SmtpClientError) return error
  return unreachable(error instanceof Error ? error.message : String(error), error)
}

function unreachable(message: string, cause?: unknown): SmtpClientError {
  return new SmtpClientError('ERR_CONNECTION_LOST', message, { step: 'greeting', cause })
}

function timeout(message: string): SmtpClientError {
  return new SmtpClientError('ERR_TIMEOUT', message, { step: 'greeting' })
}

/** The upstream turned a connection away for now, such as for having too many. */
export function isRefusal(error: unknown): boolean {
  if (!(error instanceof SmtpClientError)) return false
  const { step, reply } = error
  return step === 'greeting' && reply !== null && reply.code >= 400 && reply.code < 500
}
