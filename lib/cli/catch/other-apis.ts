// The endpoints of Mailpit and of maildev for listing, reading and deleting, under their own paths: their client libraries
// work with them.

import type { Route } from '../../web/routes.ts'
import type { MailAddress, MailAttachment, ParsedMail } from '../../testing/catch/parsed-mail.ts'
import type { MailEntry } from './entry.ts'
import { attachmentAnswer, htmlAnswer } from './mail-html.ts'
import type { MailStore } from './mail-store.ts'
import { count, json, jsonOr404, MOST_A_PAGE, opened, source } from './routes.ts'

/** Octets of a list of ids. */
const MOST_IDS = 2 ** 20
/** Octets of the messages that are opened for one answer: as many as one message may have. */
const MOST_OPENED = 50 * 2 ** 20

/** `/api/v1/…`, as Mailpit has it. */
export function mailpitRoutes(store: MailStore): Route[] {
  const list = async (search: string, query: URLSearchParams): Promise<object> => {
    const start = count(query, 'start', 0, 1e9)
    const { total, entries } = await store.page(search.trim(), start, count(query, 'limit', 50, MOST_A_PAGE))
    const messages = entries.map(mailpitSummary)
    return { total: store.size, unread: 0, count: messages.length, messages_count: total, start, tags: [], messages }
  }
  return [
    { path: '/api/v1/messages', handle: async ({ query }) => json(await list('', query)) },
    {
      path: '/api/v1/messages',
      method: 'DELETE',
      takes: MOST_IDS,
      handle: ({ body }) => {
        const ids = readIds(body)
        if (ids === undefined) return json({ error: 'IDs is a list of ids' }, 400)
        store.remove(ids)
        return { body: 'ok' }
      },
    },
    { path: '/api/v1/search', handle: async ({ query }) => json(await list(query.get('query') ?? '', query)) },
    { path: '/api/v1/message/:id', handle: opened(store, (entry, mail) => json(mailpitMessage(entry, mail))) },
    { path: '/api/v1/message/:id/headers', handle: opened(store, (_, mail) => json(headersOf(mail))) },
    { path: '/api/v1/message/:id/raw', handle: request => source(store, request) },
  ]
}

/** The list of ids in the body of a DELETE; null for all, undefined for a wrong one. */
function readIds(body: Buffer): string[] | null | undefined {
  if (body.length === 0) return null
  try {
    const ids = (JSON.parse(body.toString()) as { IDs?: unknown } | null)?.IDs ?? []
    if (!Array.isArray(ids)) return undefined
    return ids.length === 0 ? null : ids.map(String)
  } catch {
    return undefined
  }
}

function mailpitSummary({
  id,
  messageId,
  from,
  to,
  cc,
  subject,
  receivedAt,
  size,
  attachments,
  snippet,
}: MailEntry): object {
  return {
    ID: id,
    MessageID: bare(messageId),
    Read: false,
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

function mailpitMessage(entry: MailEntry, mail: ParsedMail): object {
  const parts = mail.attachments.map((attachment, i) => [attachment, mailpitPart(attachment, i)] as const)
  const isInline = ({ contentId, disposition }: MailAttachment): boolean =>
    contentId !== null && disposition !== 'attachment'
  return {
    ...mailpitSummary(entry),
    ReplyTo: mail.replyTo.map(mailpitAddress),
    ReturnPath: entry.envelope.from,
    Date: (mail.date ?? new Date(entry.receivedAt)).toISOString(),
    Text: mail.text ?? '',
    HTML: mail.html ?? '',
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
  }
}

/** Each name with its values. */
function headersOf({ headers }: ParsedMail): Record<string, string[]> {
  const all = new Map<string, string[]>()
  for (const { name, value } of headers) {
    const values = all.get(name)
    if (values === undefined) all.set(name, [value])
    else values.push(value)
  }
  return Object.fromEntries(all)
}

function bare(messageId: string | null): string {
  return messageId?.replace(/^<(.*)>$/, '$1') ?? ''
}

/** `/email…`, as maildev has it. */
export function maildevRoutes(store: MailStore): Route[] {
  return [
    {
      path: '/email',
      handle: async ({ query }) => json(await maildevList(store, count(query, 'skip', 0, 1e9))),
    },
    { path: '/email/all', method: 'DELETE', handle: () => json(store.remove(null) >= 0) },
    {
      path: '/email/:id',
      method: 'DELETE',
      handle: ({ params }) => jsonOr404(store.remove([params['id']!]) === 1 ? true : null),
    },
    { path: '/email/:id', handle: opened(store, (entry, mail) => json(maildevMail(entry, mail))) },
    {
      path: '/email/:id/html',
      handle: opened(store, (_, { html, attachments }) => htmlAnswer(html ?? '', attachments)),
    },
    { path: '/email/:id/source', handle: request => source(store, request) },
    {
      path: '/email/:id/attachment/:name',
      handle: opened(store, (_, { attachments }, { params }) => {
        const found = attachments.find(({ filename }) => filename === params['name'])
        return found === undefined ? jsonOr404(null) : attachmentAnswer(found)
      }),
    },
  ]
}

/** The newest messages after those to skip, as many as may be opened for one answer; the oldest first. */
async function maildevList(store: MailStore, skip: number): Promise<object[]> {
  const mails: object[] = []
  let octets = 0
  for (const entry of (await store.page('', skip, MOST_A_PAGE)).entries) {
    octets += entry.size
    if (octets > MOST_OPENED) break
    const mail = await store.mail(entry.id)
    if (mail !== null) mails.push(maildevMail(entry, mail))
  }
  return mails.toReversed()
}

function maildevMail(entry: MailEntry, mail: ParsedMail): object {
  const address = (text: string): object => ({ address: text, args: false })
  return {
    id: entry.id,
    time: entry.receivedAt,
    read: false,
    envelope: { from: address(entry.envelope.from), to: entry.envelope.to.map(address) },
    from: entry.from === null ? [] : [entry.from],
    to: entry.to,
    cc: entry.cc,
    subject: mail.subject,
    messageId: bare(entry.messageId),
    date: (mail.date ?? new Date(entry.receivedAt)).toISOString(),
    text: mail.text ?? '',
    html: mail.html ?? '',
    headers: Object.fromEntries(mail.headers.map(({ name, value }) => [name.toLowerCase(), value])),
    size: entry.size,
    attachments: mail.attachments.map(({ filename, contentType, contentId, content }) => {
      return { fileName: filename, generatedFileName: filename, contentType, contentId, length: content.length }
    }),
  }
}
