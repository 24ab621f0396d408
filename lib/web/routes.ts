// Which route a path leads to.

import type { IncomingHttpHeaders } from 'node:http'
import type { WebAnswer } from './answer.ts'

/** A request that passed the checks. */
export interface WebRequest {
  readonly method: string
  /** The path as it came, without the query. */
  readonly path: string
  /** The parts of the path that the route names, decoded. */
  readonly params: Readonly<Record<string, string>>
  readonly query: URLSearchParams
  readonly headers: IncomingHttpHeaders
  /** The body; empty unless the route takes one. */
  readonly body: Buffer
}

/** A route of a web page. */
export interface Route {
  /** The path: `/status`, `/messages/:id/source`. `:name` stands for one part that is not empty. */
  readonly path: string
  /** @defaultValue GET, which answers HEAD too */
  readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** True if anybody who can connect may ask: no Host, origin and token is checked. For probes, never for a page. */
  readonly open?: boolean
  /** Octets of the body that the route takes; a longer one gets 413. @defaultValue 0, the body is discarded unread */
  readonly takes?: number
  /** Answers. What it throws or rejects with is a warning of the process, and the client gets 500. */
  readonly handle: (request: WebRequest) => WebAnswer | Promise<WebAnswer>
}

/** A route for a path, with the named parts of it; or the methods that the path has, if the request's is none of them. */
export type Found =
  | { readonly route: Route; readonly params: Readonly<Record<string, string>> }
  | { readonly allow: readonly string[] }

/** Finds the first route for a method and a path; null if no route has the path. */
export function findRoute(routes: readonly Route[], method: string, path: string): Found | null {
  const allow: string[] = []
  for (const route of routes) {
    const params = match(route.path, path)
    if (params === null) continue
    const own = route.method ?? 'GET'
    if (own === method || (own === 'GET' && method === 'HEAD')) return { route, params }
    allow.push(...(own === 'GET' ? ['GET', 'HEAD'] : [own]))
  }
  return allow.length === 0 ? null : { allow }
}

function match(pattern: string, path: string): Record<string, string> | null {
  const wanted = pattern.split('/')
  const given = path.split('/')
  if (wanted.length !== given.length) return null
  const params: Record<string, string> = Object.create(null) as Record<string, string>
  for (const [i, part] of wanted.entries()) {
    if (!part.startsWith(':')) {
      if (part !== given[i]) return null
      continue
    }
    const value = decode(given[i]!)
    if (value === null || value === '') return null
    params[part.slice(1)] = value
  }
  return params
}

function decode(text: string): string | null {
  try {
    return decodeURIComponent(text)
  } catch {
    return null
  }
}
