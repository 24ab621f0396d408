// The parameters that an upstream gets: those of the client, as far as it offers them.

import t from 'tap'
import { mailParameters, rcptParameters } from '../lib/deliveries/relay/parameters.ts'
import type { MailParameters } from '../lib/protocol/parameters/mail-parameters.ts'
import type { ServerOffer } from '../lib/protocol/replies/server-offer.ts'
import type { Recipient, Sender } from '../lib/smtp/envelope.ts'
import type { SmtpError } from '../lib/words/smtp-error.ts'

const TRUSTED = { eightBit: 'send', isTrusted: true } as const

function offering(...names: string[]): ServerOffer {
  return { extensions: new Map(names.map(name => [name, ''])) } as unknown as ServerOffer
}

function mail(
  parameters: object,
  offer: ServerOffer,
  how: Parameters<typeof mailParameters>[2] = TRUSTED,
): MailParameters {
  return mailParameters({ parameters } as unknown as Sender, offer, how)
}

/** The code and enhanced code of a refusal; null if there is none. */
function refusal(parameters: object, offer: ServerOffer, how?: Parameters<typeof mailParameters>[2]): string | null {
  try {
    mail(parameters, offer, how)
    return null
  } catch (error) {
    const { code, status } = (error as SmtpError).reply
    return `${code} ${status}`
  }
}

t.test('what is not needed is left out where the upstream does not offer it', t => {
  const all = { size: 10, auth: 'anna', ret: 'HDRS', envid: 'x', mtPriority: 3 }
  t.strictSame(mail(all, offering()), {})
  t.strictSame(mail(all, offering('SIZE', 'AUTH', 'DSN', 'MT-PRIORITY')), all)
  t.strictSame(mail({ ...all, custom: {} }, offering('SIZE')), { size: 10 }, 'the parameters of the program stay here')
  t.end()
})

t.test('what is needed and is offered no longer: 451', t => {
  const cases: [string, object][] = [
    ['REQUIRETLS', { requiretls: true }],
    ['DELIVERBY', { deliverBy: { seconds: 60 } }],
    ['FUTURERELEASE', { holdFor: 60 }],
    ['FUTURERELEASE', { holdUntil: '2026-12-01T00:00:00Z' }],
  ]
  for (const [name, parameters] of cases) {
    t.equal(refusal(parameters, offering()), '451 4.3.5', name)
    t.strictSame(mail(parameters, offering(name)), parameters)
  }
  const binary = { body: 'BINARYMIME' }
  for (const names of [[], ['BINARYMIME'], ['CHUNKING']]) {
    t.equal(refusal(binary, offering(...names)), '451 4.3.5', `BINARYMIME with ${names.join()}`)
  }
  t.strictSame(mail(binary, offering('BINARYMIME', 'CHUNKING')), binary)
  t.end()
})

t.test('SMTPUTF8 and 8-bit mail', t => {
  t.equal(refusal({ smtputf8: true }, offering()), '553 5.6.7')
  t.strictSame(mail({ smtputf8: true }, offering('SMTPUTF8')), { smtputf8: true })
  const refuse = { eightBit: 'refuse', isTrusted: true } as const
  t.strictSame(mail({ body: '8BITMIME' }, offering()), {}, 'sent all the same')
  t.equal(refusal({ body: '8BITMIME' }, offering(), refuse), '554 5.6.3')
  t.strictSame(mail({ body: '7BIT' }, offering(), refuse), {})
  t.strictSame(mail({ body: '8BITMIME' }, offering('8BITMIME'), refuse), { body: '8BITMIME' })
  t.end()
})

t.test('who submitted is passed on only of a client that has authenticated [RFC 4954 §5]', t => {
  t.strictSame(mail({ auth: 'anna' }, offering('AUTH'), { eightBit: 'send', isTrusted: false }), { auth: '' })
  t.strictSame(mail({ auth: 'anna' }, offering('AUTH')), { auth: 'anna' })
  t.end()
})

t.test('the parameters of RCPT', t => {
  const parameters = { notify: ['NEVER'], orcpt: { type: 'rfc822', address: 'b@example.org' }, rrvs: { time: 1 } }
  const rcpt = (given: object, ...names: string[]) =>
    rcptParameters({ parameters: given } as unknown as Recipient, offering(...names))
  t.strictSame(rcpt(parameters), {})
  t.strictSame(rcpt(parameters, 'DSN', 'RRVS'), parameters)
  t.strictSame(rcpt({}, 'DSN', 'RRVS'), {})
  t.end()
})
