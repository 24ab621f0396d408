// Puts a message together: what the server caught, and what the parser made of it.

import type { CaughtMail } from './caught-mail.ts'
import type { Catch } from './catching-server.ts'
import type { ParsedMail } from './parsed-mail.ts'

/** Returns the message. */
export function receivedMail(caught: Catch, parsed: ParsedMail): CaughtMail {
  return {
    ...caught,
    ...parsed,
    header(name) {
      const wanted = name.toLowerCase()
      return parsed.headers.find(field => field.name.toLowerCase() === wanted)?.value ?? null
    },
  }
}

/** About the memory that a message takes, in octets. */
export function octetsOf({ raw, attachments, text, html }: CaughtMail): number {
  const parts = attachments.reduce((sum, { content }) => sum + content.length, 0)
  return raw.length + parts + 2 * ((text?.length ?? 0) + (html?.length ?? 0))
}
