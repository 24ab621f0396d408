// Credentials of a mechanism that a program brings itself. See options.ts for how this file is checked.

import { SmtpHandler, type Credentials, type CredentialsByMechanism, type Exchange } from 'mailhandler'

declare module 'mailhandler' {
  interface CredentialsByMechanism {
    'X-TICKET': { readonly mechanism: 'X-TICKET'; readonly user: string; readonly ticket: string }
  }
}

// ── What compiles ──

new SmtpHandler({
  onAuth(credentials) {
    if (credentials.mechanism === 'X-TICKET') console.log(credentials.ticket)
    else if (credentials.mechanism === 'PLAIN') console.log(credentials.password)
    else if ('token' in credentials) console.log(credentials.token, credentials.user)
  },
})

export const name: keyof CredentialsByMechanism = 'X-TICKET'

export function show(exchange: Exchange): Promise<boolean> {
  return exchange.verify({ mechanism: 'X-TICKET', user: 'anna', ticket: '4711' })
}

// ── What must not compile ──

export function misread(credentials: Credentials, exchange: Exchange): void {
  // @ts-expect-error -- a mechanism that nobody has added
  if (credentials.mechanism === 'X-OTHER') return
  // @ts-expect-error -- only PLAIN and LOGIN bring a password
  if (credentials.mechanism === 'X-TICKET') console.log(credentials.password)
  // @ts-expect-error -- its credentials are what was declared
  void exchange.verify({ mechanism: 'X-TICKET', user: 'anna' })
  // @ts-expect-error -- and are read-only
  credentials.user = 'bertha'
}
