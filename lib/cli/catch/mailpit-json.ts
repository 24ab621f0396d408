// What Mailpit's API answers, in its own names.

import { createHash } from 'node:crypto'
import type { MailAddress, MailAttachment, ParsedMail } from '../../testing/catch/parsed-mail.ts'
import { version } from '../version.ts'
import type { MailEntry } from './entry.ts'
import type { MailStore } from './mail-store.ts'
import { bare } from './routes.ts'

/** What runs here. `Version` names this program: it is not Mailpit. */
export function infoOf(store: MailStore, unread: number): object {
  const program = `mailhandler ${version()}`
  return {
    Version: program,
    LatestVersion: program,
    Database: '',
    DatabaseSize: store.octets,
    Messages: store.size,
    Unread: unread,
    Tags: {},
    RuntimeStats: { Uptime: Math.floor(process.uptime()), Memory: process.memoryUsage.rss() },
  }
}

/** A message of a list. */
export function mailpitSummary(entry: MailEntry, read: boolean): object {
  const { id, messageId, from, to, cc, subject, receivedAt, size, attachments, snippet } = entry
  return {
    ID: id,
    MessageID: bare(messageId),
    Read: read,
    From: from === null ? null : mailpitAddress(from),
    To: to.map(mailpitAddress),
    Cc: cc.map(mailpitAddress),
    Bcc: [],
    ReplyTo: [],
    Subject: subject,
    Created: receivedAt,
    Tags: [],
    Size: size,
    Attachments: attachments,
    Snippet: snippet,
  }
}

/** A message in its parts; who gets it has read it. */
export function mailpitMessage(entry: MailEntry, mail: ParsedMail): object {
  const parts = mail.attachments.map((attachment, i) => [attachment, mailpitPart(attachment, i)] as const)
  const isInline = ({ contentId, disposition }: MailAttachment): boolean =>
    contentId !== null && disposition !== 'attachment'
  return {
    ...mailpitSummary(entry, true),
    ReplyTo: mail.replyTo.map(mailpitAddress),
    ReturnPath: entry.envelope.from,
    Date: (mail.date ?? new Date(entry.receivedAt)).toISOString(),
    Text: mail.text ?? '',
    HTML: mail.html ?? '',
    ListUnsubscribe: unsubscribing(mail),
    Inline: parts.filter(([attachment]) => isInline(attachment)).map(([, part]) => part),
    Attachments: parts.filter(([attachment]) => !isInline(attachment)).map(([, part]) => part),
  }
}

function mailpitAddress({ name, address }: MailAddress): object {
  return { Name: name, Address: address }
}

function mailpitPart({ filename, contentType, contentId, content }: MailAttachment, i: number): object {
  return {
    PartID: String(i),
    FileName: filename ?? '',
    ContentType: contentType,
    ContentID: contentId ?? '',
    Size: content.length,
    Checksums: { MD5: digest('md5', content), SHA1: digest('sha1', content), SHA256: digest('sha256', content) },
  }
}

function digest(algorithm: string, content: Buffer): string {
  return createHash(algorithm).update(content).digest('hex')
}

/** The fields of RFC 2369 and RFC 8058. */
function unsubscribing({ headers }: ParsedMail): object {
  const field = (wanted: string): string => headers.find(({ name }) => name.toLowerCase() === wanted)?.value ?? ''
  const header = field('list-unsubscribe')
  const links = [...header.matchAll(/<([^<>]+)>/g)].map(([, link]) => link!)
  return { Header: header, HeaderPost: field('list-unsubscribe-post'), Links: links, Errors: '' }
}

/** Each name with its values. */
export function headersOf({ headers }: ParsedMail): Record<string, string[]> {
  const all = new Map<string, string[]>()
  for (const { name, value } of headers) {
    const values = all.get(name)
    if (values === undefined) all.set(name, [value])
    else values.push(value)
  }
  return Object.fromEntries(all)
}
