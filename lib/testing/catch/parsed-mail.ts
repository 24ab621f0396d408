// A message in parts: its header, its text, its attachments.

/** An address of a header field, decoded. */
export interface MailAddress {
  /** The display name; empty without one. */
  readonly name: string
  /** The mailbox: `anna@example.org`. */
  readonly address: string
}

/** A field of the header, unfolded and decoded. */
export interface MailField {
  /** The name as the message has it. */
  readonly name: string
  /** The value; encoded words are decoded. [RFC 2047] */
  readonly value: string
}

/** An attachment, decoded. */
export interface MailAttachment {
  /** The name of the file; null without one. */
  readonly filename: string | null
  /** The media type in lower case: `application/pdf`. */
  readonly contentType: string
  /** `attachment`, `inline` or another word of the field Content-Disposition; null without one. */
  readonly disposition: string | null
  /** The field Content-ID without its angle brackets; null without one. */
  readonly contentId: string | null
  /** The decoded octets. */
  readonly content: Buffer
}

/** A message in parts. */
export interface ParsedMail {
  /** The fields of the header, in their order. */
  readonly headers: readonly MailField[]
  /** The first address of From; null without one. */
  readonly from: MailAddress | null
  /** The addresses of To. */
  readonly to: readonly MailAddress[]
  /** The addresses of Cc. */
  readonly cc: readonly MailAddress[]
  /** The addresses of Reply-To. */
  readonly replyTo: readonly MailAddress[]
  /** The subject; empty without one. */
  readonly subject: string
  /** The field Message-ID; null without one. */
  readonly messageId: string | null
  /** The field Date; null without one, or if it is no date. */
  readonly date: Date | null
  /** The text; null if the message has HTML alone, or neither. */
  readonly text: string | null
  /** The HTML; null without one. Never show it outside of a sandbox: it comes from a stranger. */
  readonly html: string | null
  /** The attachments, in their order. */
  readonly attachments: readonly MailAttachment[]
  /** Why the message could not be parsed; null if it could. The fields above are empty then. */
  readonly problem: string | null
}

/** Parses the octets of a message. */
export type ParseMail = (raw: Buffer) => Promise<ParsedMail>

/** A message without any part. */
export const EMPTY_MAIL: ParsedMail = {
  headers: [],
  from: null,
  to: [],
  cc: [],
  replyTo: [],
  subject: '',
  messageId: null,
  date: null,
  text: null,
  html: null,
  attachments: [],
  problem: null,
}
