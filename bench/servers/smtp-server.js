// smtp-server as its README starts it, without what costs extra: no AUTH, no STARTTLS, no reverse look-ups. GREETING_DELAY=0
// patches its 100 ms wait before the greeting out; options.js has TLS and AUTH.
import { SMTPConnection } from 'smtp-server/lib/smtp-connection.js'
import { SMTPServer } from 'smtp-server'
import { certificate, hasUsers, PASSWORD, tls, USER } from './options.js'
import { discard, listening } from './received.js'

if (process.env.GREETING_DELAY === '0') {
  SMTPConnection.prototype.init = function () {
    this._setListeners(() => this.connectionReady())
  }
}

const server = new SMTPServer({
  authOptional: true,
  disabledCommands: [...(hasUsers ? [] : ['AUTH']), ...(tls === 'starttls' ? [] : ['STARTTLS'])],
  allowInsecureAuth: true,
  ...(tls !== null && { ...certificate(), secure: tls === 'implicit' }),
  onAuth({ username, password }, _session, callback) {
    const isRight = username === USER && password === PASSWORD
    callback(isRight ? null : new Error('wrong'), isRight ? { user: username } : undefined)
  },
  disableReverseLookup: true,
  maxClients: Infinity,
  onData(stream, _session, callback) {
    discard(stream, callback)
  },
})
server.on('error', () => {})
server.listen(0, '127.0.0.1', function () {
  listening(server.server.address().port)
})
