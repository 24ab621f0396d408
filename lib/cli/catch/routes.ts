// The API of the page that shows caught mail; share/catch/openapi.json describes it.

import type { Route, WebRequest } from '../../web/routes.ts'
import type { WebAnswer } from '../../web/answer.ts'
import type { EventStreams } from '../../web/event-streams.ts'
import type { CatchingServer } from '../../testing/catch/catching-server.ts'
import type { ParsedMail } from '../../testing/catch/parsed-mail.ts'
import { dialogueView, sessionView, type MailEntry } from './entry.ts'
import { attachmentAnswer, htmlAnswer, sourceAnswer } from './mail-html.ts'
import type { MailStore } from './mail-store.ts'
import { readRules, type RuleJson } from './rule-json.ts'

/** What the routes work on. */
export interface CatchApi {
  readonly store: MailStore
  readonly server: CatchingServer
  readonly rules: { current: readonly RuleJson[] }
  streams(): EventStreams
}

/** Messages of one answer. */
export const MOST_A_PAGE = 500
/** Octets of a list of rules. */
const MOST_RULES = 65_536

/** The routes. */
export function apiRoutes(api: CatchApi): Route[] {
  const { store, server } = api
  return [
    { path: '/api/mails', handle: async ({ query }) => json(await listOf(store, query)) },
    { path: '/api/mails', method: 'DELETE', handle: () => json({ deleted: store.remove(null) }) },
    { path: '/api/mails/:id', handle: opened(store, (entry, mail) => json(detailOf(entry, mail))) },
    { path: '/api/mails/:id', method: 'DELETE', handle: request => deleteOne(store, request) },
    { path: '/api/mails/:id/html', handle: opened(store, (_, mail) => htmlOf(mail)) },
    { path: '/api/mails/:id/source', handle: request => source(store, request) },
    {
      path: '/api/mails/:id/attachments/:index',
      handle: opened(store, (_, mail, request) => attachment(mail, request)),
    },
    { path: '/api/mails/:id/dialogue', handle: async ({ params }) => jsonOr404(await store.dialogue(params['id']!)) },
    { path: '/api/sessions', handle: () => json({ sessions: server.sessions.map(sessionView).toReversed() }) },
    {
      path: '/api/sessions/:id',
      handle: ({ params }) => {
        const session = server.sessions.find(({ id }) => id === params['id'])
        return jsonOr404(session === undefined ? null : dialogueView(session))
      },
    },
    { path: '/api/misbehaviour', handle: () => json({ rules: api.rules.current }) },
    { path: '/api/misbehaviour', method: 'PUT', takes: MOST_RULES, handle: request => setRules(api, request) },
    { path: '/api/events', handle: () => api.streams().answer() },
  ]
}

/** Answers with a value as JSON. */
export function json(value: unknown, status = 200): WebAnswer {
  return { status, type: 'application/json', body: JSON.stringify(value) }
}

/** Answers with a value, or that there is nothing. */
export function jsonOr404(value: unknown): WebAnswer {
  return value === null ? NOT_FOUND : json(value)
}

const NOT_FOUND: WebAnswer = json({ error: 'it is not there' }, 404)

/** Answers for a message in its parts; 404 if it is not there. */
export function opened(
  store: MailStore,
  answer: (entry: MailEntry, mail: ParsedMail, request: WebRequest) => WebAnswer,
): Route['handle'] {
  return async request => {
    const entry = store.entry(request.params['id']!)
    const mail = entry === null ? null : await store.mail(entry.id)
    return entry === null || mail === null ? NOT_FOUND : answer(entry, mail, request)
  }
}

/** A number of a query, from 0 to a limit. */
export function count(query: URLSearchParams, name: string, byDefault: number, most: number): number {
  const value = query.get(name)
  return value !== null && /^\d{1,9}$/.test(value) ? Math.min(Number(value), most) : byDefault
}

async function listOf(store: MailStore, query: URLSearchParams): Promise<object> {
  const search = (query.get('search') ?? '').trim()
  const [start, limit] = [count(query, 'start', 0, 1e9), count(query, 'limit', 50, MOST_A_PAGE)]
  const { total, entries } = await store.page(search, start, limit)
  return { total, all: store.size, octets: store.octets, dropped: store.dropped, mails: entries }
}

function detailOf(entry: MailEntry, mail: ParsedMail): object {
  const { headers, replyTo, date, text, html, problem } = mail
  const attachments = mail.attachments.map(({ filename, contentType, disposition, contentId, content }) => {
    return { filename, contentType, disposition, contentId, size: content.length }
  })
  return { ...entry, headers, replyTo, date, text, hasHtml: html !== null, attachments, problem }
}

function deleteOne(store: MailStore, { params }: WebRequest): WebAnswer {
  return store.remove([params['id']!]) === 1 ? json({ deleted: 1 }) : NOT_FOUND
}

function htmlOf({ html, attachments }: ParsedMail): WebAnswer {
  return html === null ? NOT_FOUND : htmlAnswer(html, attachments)
}

/** Answers with the octets of a message. */
export async function source(store: MailStore, { params }: WebRequest): Promise<WebAnswer> {
  const entry = store.entry(params['id']!)
  const raw = entry === null ? null : await store.raw(entry.id)
  return raw === null ? NOT_FOUND : sourceAnswer(raw)
}

function attachment({ attachments }: ParsedMail, { params }: WebRequest): WebAnswer {
  const index = params['index']!
  const found = /^\d{1,6}$/.test(index) ? attachments[Number(index)] : undefined
  return found === undefined ? NOT_FOUND : attachmentAnswer(found)
}

function setRules({ server, rules, streams }: CatchApi, { body, headers }: WebRequest): WebAnswer {
  // A form of a browser cannot send this type without asking first, which is not answered.
  if (!/^application\/json\b/i.test(headers['content-type'] ?? '')) {
    return json({ error: 'the body is application/json' }, 415)
  }
  try {
    const read = readRules((JSON.parse(body.toString()) as { rules?: unknown } | null)?.rules)
    server.misbehave(read.policy)
    rules.current = read.rules
    streams().send({ event: 'misbehaviour', data: { rules: read.rules } })
    return json({ rules: read.rules })
  } catch (error) {
    return json({ error: (error as Error).message }, 400)
  }
}
