// Parses messages with postal-mime, an optional peer of the package: `npm install mailhandler` does not bring it.

import type { Address, Attachment, Email } from 'postal-mime'
import type * as postalMime from 'postal-mime'
import { wrong } from '../../words/option-checks.ts'
import { EMPTY_MAIL, type MailAddress, type MailAttachment, type ParsedMail, type ParseMail } from './parsed-mail.ts'

/** Loads postal-mime. Rejects with `ERR_OPTION` if it is not installed. `what` is what needs it. */
export async function loadParser(
  what: string,
  load: () => Promise<typeof postalMime> = () => import('postal-mime'),
): Promise<ParseMail> {
  let library
  try {
    library = await load()
  } catch (cause) {
    const error = wrong(`${what} needs the package postal-mime: npm install --save-dev postal-mime@4`)
    error.cause = cause
    throw error
  }
  const { default: PostalMime, decodeWords } = library
  return async raw => {
    try {
      return mailOf(await PostalMime.parse(raw), decodeWords)
    } catch (error) {
      return { ...EMPTY_MAIL, problem: (error as Error).message }
    }
  }
}

function mailOf(email: Email, decode: (text: string) => string): ParsedMail {
  return {
    headers: email.headers.map(({ originalKey, value }) => ({ name: originalKey, value: decode(value) })),
    from: mailboxes(email.from)[0] ?? null,
    to: (email.to ?? []).flatMap(mailboxes),
    cc: (email.cc ?? []).flatMap(mailboxes),
    replyTo: (email.replyTo ?? []).flatMap(mailboxes),
    subject: email.subject ?? '',
    messageId: email.messageId ?? null,
    date: dateOf(email.date),
    text: email.text ?? null,
    html: email.html ?? null,
    attachments: email.attachments.map(attachmentOf),
    problem: null,
  }
}

/** A group is its members. [RFC 5322 §3.4] */
function mailboxes(address: Address | undefined): MailAddress[] {
  if (address === undefined) return []
  const all = address.group ?? [address]
  return all.map(each => ({ name: each.name, address: each.address }))
}

function dateOf(text: string | undefined): Date | null {
  const date = new Date(text ?? Number.NaN)
  return Number.isNaN(date.getTime()) ? null : date
}

function attachmentOf({ filename, mimeType, disposition, contentId, content }: Attachment): MailAttachment {
  return {
    filename,
    contentType: mimeType,
    disposition,
    contentId: contentId?.replace(/^<(.*)>$/, '$1') ?? null,
    content: Buffer.from(content as ArrayBuffer), // attachmentEncoding is not set: no string
  }
}
