// The endpoints of Mailpit for listing, reading and deleting, under their own paths: its client libraries work with them.

import { createHash } from 'node:crypto'
import { PLAIN, type WebAnswer } from '../../web/answer.ts'
import type { Route, WebRequest } from '../../web/routes.ts'
import type { MailAddress, MailAttachment, ParsedMail } from '../../testing/catch/parsed-mail.ts'
import type { MailEntry } from './entry.ts'
import { attachmentAnswer, htmlAnswer } from './mail-html.ts'
import type { MailStore } from './mail-store.ts'
import { MOST_QUERY, readQuery } from './search-query.ts'
import { bare, count, json, MOST_A_PAGE, NOT_FOUND, opened, source } from './routes.ts'

/** Octets of a list of ids. */
const MOST_IDS = 2 ** 20

/** `/api/v1/…`, as Mailpit has it. */
export function mailpitRoutes(store: MailStore): Route[] {
  const list = async (search: string, query: URLSearchParams): Promise<object> => {
    const start = count(query, 'start', 0, 1e9)
    const { total, entries } = await store.page(search.trim(), start, count(query, 'limit', 50, MOST_A_PAGE))
    const messages = entries.map(mailpitSummary)
    const counts = { total: store.size, unread: 0, count: messages.length, messages_count: total, messages_unread: 0 }
    return { ...counts, start, tags: [], messages }
  }
  return [
    { path: '/api/v1/messages', handle: async ({ query }) => json(await list('', query)) },
    {
      path: '/api/v1/messages',
      method: 'DELETE',
      takes: MOST_IDS,
      handle: ({ body }) => {
        const ids = readIds(body)
        if (ids === undefined) return json({ error: 'the body is JSON, {"IDs": ["…"]}, or empty to delete all' }, 400)
        store.remove(ids)
        return { body: 'ok' }
      },
    },
    { path: '/api/v1/search', handle: async ({ query }) => json(await list(query.get('query') ?? '', query)) },
    { path: '/api/v1/search', method: 'DELETE', handle: ({ query }) => deleteFound(store, query) },
    { path: '/api/v1/tags', handle: () => json([]) },
    { path: '/api/v1/message/:id', handle: opened(store, (entry, mail) => json(mailpitMessage(entry, mail))) },
    { path: '/api/v1/message/:id/headers', handle: opened(store, (_, mail) => json(headersOf(mail))) },
    { path: '/api/v1/message/:id/raw', handle: request => source(store, request) },
    { path: '/api/v1/message/:id/part/:part', handle: opened(store, (_, mail, request) => partOf(mail, request)) },
    { path: '/view/:file', handle: request => view(store, request) },
    { path: '//view/:file', handle: request => view(store, request) }, // as cypress-mailpit 2 asks
  ]
}

/** Deletes what a search finds. Without words it would be everything, and cut short too much: both are mistakes. */
async function deleteFound(store: MailStore, query: URLSearchParams): Promise<WebAnswer> {
  const search = (query.get('query') ?? '').trim()
  if (search.length > MOST_QUERY) return json({ error: `query is longer than ${MOST_QUERY} characters` }, 400)
  if (readQuery(search).length === 0) {
    return json({ error: 'query has no words to look for; DELETE /api/v1/messages deletes all' }, 400)
  }
  const { entries } = await store.page(search, 0, Infinity)
  store.remove(entries.map(({ id }) => id))
  return { body: 'ok' }
}

function partOf({ attachments }: ParsedMail, { params }: WebRequest): WebAnswer {
  const part = params['part']!
  const found = /^\d{1,6}$/.test(part) ? attachments[Number(part)] : undefined
  return found === undefined ? NOT_FOUND : attachmentAnswer(found)
}

/** `/view/ID.html` and `/view/ID.txt`. */
async function view(store: MailStore, request: WebRequest): Promise<WebAnswer> {
  const [, id, kind] = /^(.+)\.(html|txt)$/.exec(request.params['file']!) ?? []
  if (id === undefined) return NOT_FOUND
  const answer = opened(store, (_, { html, text, attachments }) => {
    if (kind === 'txt') return { type: PLAIN, body: text ?? '' }
    return html === null ? NOT_FOUND : htmlAnswer(html, attachments)
  })
  return answer({ ...request, params: { id } })
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
function headersOf({ headers }: ParsedMail): Record<string, string[]> {
  const all = new Map<string, string[]>()
  for (const { name, value } of headers) {
    const values = all.get(name)
    if (values === undefined) all.set(name, [value])
    else values.push(value)
  }
  return Object.fromEntries(all)
}
