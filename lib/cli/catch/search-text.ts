// The text of a message that a search looks at.

import type { ParsedMail } from '../../testing/catch/parsed-mail.ts'
import { searchable } from './search-query.ts'

/** Characters of a message that a search looks at; docs/catch.md tells them. */
export const SEARCHED = { header: 16_384, text: 65_536, html: 65_536, names: 4096 } as const
/** Characters of HTML source that are looked through for its text. */
const MOST_SOURCE = 524_288

/** The header, the text, the text and the links of the HTML, and the names of attachments, as they are compared. */
export function searchText({ headers, text, html, attachments }: ParsedMail): string {
  const header = join(
    headers.map(({ name, value }) => `${name}: ${value}`),
    SEARCHED.header,
  )
  const names = join(
    attachments.map(({ filename }) => filename ?? ''),
    SEARCHED.names,
  )
  const fromHtml = html === null ? '' : textOfHtml(html.slice(0, MOST_SOURCE)).slice(0, SEARCHED.html)
  return searchable([header, (text ?? '').slice(0, SEARCHED.text), fromHtml, names].join('\n'))
}

/** Joins lines, and cuts the result to `most` characters. */
function join(lines: readonly string[], most: number): string {
  let all = ''
  for (const line of lines) {
    if (all.length >= most) break
    all += `${line.slice(0, most)}\n`
  }
  return all.slice(0, most)
}

/** Elements whose content a browser does not show. */
const UNSEEN = /^(?:style|script)(?![^\s/>])/i
/** What a tag says besides its name. */
const ATTRIBUTE = /[\s"'](?:href|src|alt|title)=(?:"([^"]*)"|'([^']*)')/gi
/** Tags that do not end a word: `Wel<b>come</b>`. */
const INLINE = /^\/?(?:a|abbr|b|em|font|i|mark|small|span|strong|sub|sup|u|wbr)(?![^\s/>])/i

/** The text of HTML, its links and the texts of its images. Each character is looked at a few times at most. */
export function textOfHtml(html: string): string {
  const parts: string[] = []
  const lower = html.toLowerCase()
  let at = 0
  while (at < html.length) {
    const open = html.indexOf('<', at)
    parts.push(html.slice(at, open < 0 ? html.length : open))
    if (open < 0) break
    const isComment = html.startsWith('!--', open + 1)
    const close = html.indexOf(isComment ? '-->' : '>', open)
    if (close < 0) break
    const tag = html.slice(open + 1, close)
    at = close + (isComment ? 3 : 1)
    if (isComment) continue
    parts.push(INLINE.test(tag) ? '' : ' ')
    for (const [, double, single] of tag.matchAll(ATTRIBUTE)) parts.push(` ${double ?? single ?? ''} `)
    const [unseen] = UNSEEN.exec(tag) ?? []
    if (unseen === undefined) continue
    const end = lower.indexOf(`</${unseen.toLowerCase()}`, at)
    if (end < 0) break
    at = end
  }
  return parts.join('').replaceAll(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|(amp|lt|gt|quot|apos|nbsp));/gi, entity)
}

const NAMED: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: ' ' }

function entity(all: string, decimal?: string, hex?: string, name?: string): string {
  if (name !== undefined) return NAMED[name.toLowerCase()]!
  const code = decimal === undefined ? Number.parseInt(hex!, 16) : Number(decimal)
  return code > 0 && code <= 0x10_ff_ff ? String.fromCodePoint(code) : all
}
