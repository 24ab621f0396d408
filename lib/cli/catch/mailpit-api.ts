// The endpoints of Mailpit for listing, reading, marking and deleting, under their own paths: its client libraries work with them.

import { PLAIN, type WebAnswer } from '../../web/answer.ts'
import type { Route, WebRequest } from '../../web/routes.ts'
import type { ParsedMail } from '../../testing/catch/parsed-mail.ts'
import { attachmentAnswer, htmlAnswer } from './mail-html.ts'
import type { MailStore } from './mail-store.ts'
import { headersOf, infoOf, mailpitMessage, mailpitSummary } from './mailpit-json.ts'
import { ReadState, splitQuery } from './mailpit-read.ts'
import { MOST_QUERY, readQuery } from './search-query.ts'
import { count, json, MOST_A_PAGE, NOT_FOUND, opened, source } from './routes.ts'

/** Octets of a list of ids. */
const MOST_IDS = 2 ** 20

/** `/api/v1/…`, as Mailpit has it. */
export function mailpitRoutes(store: MailStore): Route[] {
  const state = new ReadState(store)
  const all = () => state.find(splitQuery(''))
  const list = async (search: string, query: URLSearchParams): Promise<object> => {
    const start = count(query, 'start', 0, 1e9)
    const found = await state.find(splitQuery(search))
    const messages = found
      .slice(start, start + count(query, 'limit', 50, MOST_A_PAGE))
      .map(entry => mailpitSummary(entry, state.has(entry)))
    return {
      total: store.size,
      unread: state.unread(await all()),
      count: messages.length,
      messages_count: found.length,
      messages_unread: state.unread(found),
      start,
      tags: [],
      messages,
    }
  }
  return [
    { path: '/api/v1/info', handle: async () => json(infoOf(store, state.unread(await all()))) },
    { path: '/api/v1/messages', handle: async ({ query }) => json(await list('', query)) },
    {
      path: '/api/v1/messages',
      method: 'DELETE',
      takes: MOST_IDS,
      handle: ({ body }) => {
        const ids = readIds(jsonOf(body))
        if (ids === undefined) return json({ error: 'the body is JSON, {"IDs": ["…"]}, or empty to delete all' }, 400)
        store.remove(ids)
        return { body: 'ok' }
      },
    },
    { path: '/api/v1/messages', method: 'PUT', takes: MOST_IDS, handle: ({ body }) => setRead(store, state, body) },
    { path: '/api/v1/search', handle: async ({ query }) => json(await list(query.get('query') ?? '', query)) },
    { path: '/api/v1/search', method: 'DELETE', handle: ({ query }) => deleteFound(store, state, query) },
    { path: '/api/v1/tags', handle: () => json([]) },
    {
      path: '/api/v1/message/:id',
      handle: opened(store, (entry, mail) => {
        state.mark([entry], true)
        return json(mailpitMessage(entry, mail))
      }),
    },
    { path: '/api/v1/message/:id/headers', handle: opened(store, (_, mail) => json(headersOf(mail))) },
    { path: '/api/v1/message/:id/raw', handle: request => source(store, request) },
    { path: '/api/v1/message/:id/part/:part', handle: opened(store, (_, mail, request) => partOf(mail, request)) },
    { path: '/view/:file', handle: request => view(store, request) },
    { path: '//view/:file', handle: request => view(store, request) }, // as cypress-mailpit 2 asks
  ]
}

/** Deletes what a search finds. Without words it would be everything, and cut short too much: both are mistakes. */
async function deleteFound(store: MailStore, state: ReadState, query: URLSearchParams): Promise<WebAnswer> {
  const search = splitQuery(query.get('query') ?? '')
  if (search.words.length > MOST_QUERY) return json({ error: `query is longer than ${MOST_QUERY} characters` }, 400)
  if (search.read === null && readQuery(search.words).length === 0) {
    return json({ error: 'query has no words to look for; DELETE /api/v1/messages deletes all' }, 400)
  }
  const found = await state.find(search)
  store.remove(found.map(({ id }) => id))
  return { body: 'ok' }
}

/** Marks the messages of a list, or what a search finds, or all of them. */
async function setRead(store: MailStore, state: ReadState, body: Buffer): Promise<WebAnswer> {
  const given = jsonOf(body)
  const { Read: read = false, Search: search = '' } = Object(given) as { Read?: unknown; Search?: unknown }
  const ids = readIds(given)
  if (ids === undefined || typeof read !== 'boolean' || typeof search !== 'string') {
    return json(
      { error: 'the body is JSON, {"Read": true, "IDs": ["…"]}, or with "Search" in the place of "IDs"' },
      400,
    )
  }
  const named = ids?.map(id => store.entry(id)).filter(entry => entry !== null)
  state.mark(named ?? (await state.find(splitQuery(search))), read)
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

/** The body of a request; null for an empty one, undefined if it is not JSON. */
function jsonOf(body: Buffer): unknown {
  if (body.length === 0) return null
  try {
    return JSON.parse(body.toString()) as unknown
  } catch {
    return undefined
  }
}

/** The list of ids in a body; null for all, undefined for a wrong one. */
function readIds(given: unknown): string[] | null | undefined {
  if (given === undefined) return undefined
  const ids = (given as { IDs?: unknown } | null)?.IDs ?? []
  if (!Array.isArray(ids)) return undefined
  return ids.length === 0 ? null : ids.map(String)
}
