// The endpoints of maildev for listing, reading and deleting, under their own paths: its client libraries work with them.

import type { WebAnswer } from '../../web/answer.ts'
import type { Route, WebRequest } from '../../web/routes.ts'
import type { ParsedMail } from '../../testing/catch/parsed-mail.ts'
import type { MailEntry } from './entry.ts'
import { attachmentAnswer, htmlAnswer } from './mail-html.ts'
import type { MailStore } from './mail-store.ts'
import { OneByOne } from './one-by-one.ts'
import { bare, count, json, jsonOr404, MOST_A_PAGE, NOT_FOUND, opened, source } from './routes.ts'

/** Octets of the messages that are opened for one answer: as many as one message may have. */
const MOST_OPENED = 50 * 2 ** 20

/** `/email…`, as maildev has it. */
export function maildevRoutes(store: MailStore): Route[] {
  const lists = new OneByOne() // each may hold 50 MiB of messages
  return [
    {
      path: '/email',
      handle: async ({ query }) => json(await lists.run(() => maildevList(store, query))),
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
    { path: '/email/:id/download', handle: request => download(store, request) },
    { path: '/healthz', handle: () => json(true) },
    {
      path: '/email/:id/attachment/:name',
      handle: opened(store, (_, { attachments }, { params }) => {
        const found = attachments.find(({ filename }) => filename === params['name'])
        return found === undefined ? jsonOr404(null) : attachmentAnswer(found)
      }),
    },
  ]
}

/** The message as a file. */
async function download(store: MailStore, request: WebRequest): Promise<WebAnswer> {
  const answer = await source(store, request)
  if (answer === NOT_FOUND) return answer
  const headers = { ...answer.headers, 'content-disposition': 'attachment; filename="mail.eml"' }
  return { ...answer, type: 'message/rfc822', headers }
}

/**
 * The newest messages after those to skip, as many as may be opened for one answer; the oldest first. Every other parameter
 * is a condition for a field: `?subject=Welcome&headers.x-ticket=4711`.
 */
async function maildevList(store: MailStore, query: URLSearchParams): Promise<object[]> {
  const conditions = [...query].filter(([name]) => name !== 'skip')
  const mails: object[] = []
  let octets = 0
  for (const entry of (await store.page('', count(query, 'skip', 0, 1e9), MOST_A_PAGE)).entries) {
    octets += entry.size
    if (octets > MOST_OPENED) break
    const parsed = await store.mail(entry.id)
    if (parsed === null) continue
    const mail = maildevMail(entry, parsed)
    if (conditions.every(([path, wanted]) => has(mail, path.split('.'), wanted))) mails.push(mail)
  }
  return mails.toReversed()
}

/** True if a value is there; of a list, one entry is enough. */
function has(value: unknown, [name, ...rest]: readonly string[], wanted: string): boolean {
  if (Array.isArray(value) && !(name !== undefined && Object.hasOwn(value, name))) {
    return value.some(each => has(each, name === undefined ? [] : [name, ...rest], wanted))
  }
  if (name === undefined) return String(value) === wanted
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return false
  return has((value as Record<string, unknown>)[name], rest, wanted)
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
    priority: 'normal',
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
