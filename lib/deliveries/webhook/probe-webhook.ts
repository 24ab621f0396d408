// Finds out whether a webhook can be connected to, without a request.

import { once } from 'node:events'
import { connect as connectTcp, isIP } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { within } from '../../time/clock.ts'
import { MailHandlerError } from '../../words/errors.ts'
import type { ResolvedWebhook } from './options.ts'

/** Opens a connection, with the handshake of TLS, and closes it. Rejects with what went wrong. */
export async function probeWebhook({ url, tls, timeouts, clock }: ResolvedWebhook): Promise<void> {
  const isSecure = url.protocol === 'https:'
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  const port = Number(url.port) || (isSecure ? 443 : 80)
  const socket = isSecure
    ? connectTls({ servername: isIP(host) ? '' : host, ...tls, host, port })
    : connectTcp({ host, port })
  try {
    const opened = once(socket, isSecure ? 'secureConnect' : 'connect')
    await within(clock, timeouts.connect, opened, () => {
      return new MailHandlerError('ERR_TIMEOUT', `no connection within ${timeouts.connect} ms`)
    })
  } finally {
    socket.on('error', () => {}).destroy()
  }
}
