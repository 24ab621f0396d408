// What a route answers, and the headers that every answer has.

import { createHash } from 'node:crypto'
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'

/** The answer of a route. */
export interface WebAnswer {
  /** @defaultValue 200 */
  readonly status?: number
  /** The media type. @defaultValue text/plain; charset=utf-8 */
  readonly type?: string
  /** A stream is destroyed if the client leaves. @defaultValue empty */
  readonly body?: string | Uint8Array | Readable
  /** Headers beside those of {@link SECURITY_HEADERS}, or in their place. Names in lower case. */
  readonly headers?: OutgoingHttpHeaders
  /** Takes the response over after its headers were sent, in place of `body`. */
  readonly take?: (response: ServerResponse) => void
}

/** The media type of plain text. */
export const PLAIN = 'text/plain; charset=utf-8'

/** The headers of every answer: nothing runs, nothing frames it, nothing keeps it, no other origin embeds it. */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'cache-control': 'no-store',
  'content-security-policy': contentPolicy({}),
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
}

/** What a page may do, beside what {@link contentPolicy} always says. */
export interface PagePolicy {
  /** The exact texts of its `<script>` elements; each may run, and no other. */
  readonly scripts?: readonly string[]
  /** The exact texts of its `<style>` elements. */
  readonly styles?: readonly string[]
  /** More directives: `{ 'frame-src': "'self'" }`; they replace those of the same name. */
  readonly more?: Readonly<Record<string, string>>
}

/**
 * Returns a Content-Security-Policy: inline scripts and styles by their hash alone, images from this server and `data:`,
 * requests and forms to this server alone, no `<base>`, and no page may frame it.
 */
export function contentPolicy({ scripts = [], styles = [], more = {} }: PagePolicy): string {
  const directives: Record<string, string> = {
    'default-src': "'none'",
    'script-src': sources(scripts),
    'style-src': sources(styles),
    'img-src': "'self' data:",
    'connect-src': "'self'",
    'form-action': "'self'",
    'base-uri': "'none'",
    'frame-ancestors': "'none'",
    ...more,
  }
  return Object.entries(directives)
    .map(([name, value]) => `${name} ${value}`)
    .join('; ')
}

function sources(texts: readonly string[]): string {
  if (texts.length === 0) return "'none'"
  return texts.map(text => `'sha256-${createHash('sha256').update(text).digest('base64')}'`).join(' ')
}
