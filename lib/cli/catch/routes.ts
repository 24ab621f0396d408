// The API of the page that shows caught mail; share/catch/openapi.json describes it.

import type { Route, WebRequest } from '../../web/routes.ts'
import type { WebAnswer } from '../../web/answer.ts'
import type { EventStreams } from '../../web/event-streams.ts'
import type { CatchingServer } from '../../testing/catch/catching-server.ts'
import type { ParsedMail } from '../../testing/catch/parsed-mail.ts'
import { didYouMean } from '../../words/option-checks.ts'
import { printable } from '../../words/printable.ts'
import { dialogueView, listed, sessionView, type MailEntry } from './entry.ts'
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
const NO_SESSION = 'this session is not one of the last 200; GET /api/sessions lists them'
/** Octets of a list of rules. */
const MOST_RULES = 65_536

/** The routes. */
export function apiRoutes(api: CatchApi): Route[] {
  const { store, server } = api
  return [
    { path: '/api/mails', handle: ({ query }) => listOf(store, query) },
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
        return session === undefined ? json({ error: NO_SESSION }, 404) : json(dialogueView(session))
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

/** The answer for a message, or a part of one, that is not there. */
export const NOT_FOUND: WebAnswer = json(
  { error: 'it is not there: never was, or was deleted, or the limits pushed it out; GET /api/mails lists the mails' },
  404,
)

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

const LIST = ['search', 'start', 'limit']

async function listOf(store: MailStore, query: URLSearchParams): Promise<WebAnswer> {
  for (const name of query.keys()) {
    if (LIST.includes(name)) continue
    const hint = didYouMean(name, LIST)
    return json({ error: `${printable(name, 80)}: there is no such parameter, only ${LIST.join(', ')}${hint}` }, 400)
  }
  const search = (query.get('search') ?? '').trim()
  const [start, limit] = [numberOf(query, 'start', 0), numberOf(query, 'limit', 50)]
  if (start === null || limit === null) {
    const name = start === null ? 'start' : 'limit'
    const given = printable(query.get(name)!, 80)
    return json(
      { error: `${name} is a number, 0 or more, not "${given}"; an answer has ${MOST_A_PAGE} mails at most` },
      400,
    )
  }
  const { total, entries } = await store.page(search, start, Math.min(limit, MOST_A_PAGE))
  return json({ total, all: store.size, octets: store.octets, dropped: store.dropped, mails: entries.map(listed) })
}

function numberOf(query: URLSearchParams, name: string, byDefault: number): number | null {
  const value = query.get(name)
  if (value === null) return byDefault
  return /^\d{1,9}$/.test(value) ? Number(value) : null
}

function detailOf(entry: MailEntry, mail: ParsedMail): object {
  const { headers, replyTo, date, text, html, problem } = mail
  const attachments = mail.attachments.map(({ filename, contentType, disposition, contentId, content }) => {
    return { filename, contentType, disposition, contentId, size: content.length }
  })
  return { ...entry, headers, replyTo, date, text, hasHtml: html !== null, attachments, problem }
}

function deleteOne(store: MailStore, { params }: WebRequest): WebAnswer {
  if (params['id'] === 'latest') return json({ error: 'latest is for reading; give the id of a mail' }, 400)
  return store.remove([params['id']!]) === 1 ? json({ deleted: 1 }) : NOT_FOUND
}

function htmlOf({ html, attachments }: ParsedMail): WebAnswer {
  return html === null ? NOT_FOUND : htmlAnswer(html, attachments)
}

/** Answers with the octets of a message. */
export async function source(store: MailStore, { params }: WebRequest): Promise<WebAnswer> {
  const entry = store.entry(params['id']!)
  const octets = entry === null ? null : await store.source(entry.id)
  return octets === null ? NOT_FOUND : sourceAnswer(octets)
}

function attachment({ attachments }: ParsedMail, { params }: WebRequest): WebAnswer {
  const index = params['index']!
  const found = /^\d{1,6}$/.test(index) ? attachments[Number(index)] : undefined
  return found === undefined ? NOT_FOUND : attachmentAnswer(found)
}

function setRules({ server, rules, streams }: CatchApi, { body, headers }: WebRequest): WebAnswer {
  // A form of a browser cannot send this type without asking first, which is not answered.
  if (!/^application\/json\b/i.test(headers['content-type'] ?? '')) {
    return json({ error: 'the body is JSON: send Content-Type: application/json with it' }, 415)
  }
  let given
  try {
    given = JSON.parse(body.toString()) as unknown
  } catch (error) {
    return json({ error: `the body is not JSON: ${(error as Error).message}` }, 400)
  }
  try {
    const read = readRules((given as { rules?: unknown } | null)?.rules)
    server.misbehave(read.policy)
    rules.current = read.rules
    streams().send({ event: 'misbehaviour', data: { rules: read.rules } })
    return json({ rules: read.rules })
  } catch (error) {
    return json({ error: (error as Error).message }, 400)
  }
}

/** A Message-ID without its angle brackets. */
export function bare(messageId: string | null): string {
  return messageId?.replace(/^<(.*)>$/, '$1') ?? ''
}
