// Addresses and texts for the status page: escaped, cut, and by default without the local parts of addresses.

import { printable } from '../../words/printable.ts'

/** UTF-16 units of a text on the page. */
const LONGEST = 300
/** UTF-16 units of a text that are looked at. */
const READ = 4000
const MASKED = '…'

/** How addresses and texts are shown. */
export interface Shown {
  /** An address; `<>` for the empty one. */
  address(text: string): string
  /** A text of a policy, a server, a store: addresses in it are masked too. */
  text(text: string): string
}

/** Returns how they are shown. */
export function shownBy({ mask }: { readonly mask: boolean }): Shown {
  return {
    address: text => (text === '' ? '<>' : printable(mask ? maskAddress(text) : text, LONGEST)),
    text: text => printable(mask ? maskText(text) : text, LONGEST),
  }
}

function maskAddress(address: string): string {
  const at = address.lastIndexOf('@')
  return at === -1 ? MASKED : MASKED + address.slice(at)
}

/** Cuts a text between words: one that is cut may be a local part without its `@`. */
function shorten(text: string): string {
  if (text.length <= READ) return text
  const end = Math.max(text.lastIndexOf(' ', READ), text.lastIndexOf('\n', READ))
  return text.slice(0, end + 1) + MASKED
}

/** Masks each word with an `@`; a quoted local part may have spaces in it. */
function maskText(text: string): string {
  const words = shorten(text)
    .replaceAll(/"[^"]*"@/g, '@')
    .split(/([\s<>(),;:]+)/)
  return words.map(word => (word.includes('@') ? maskAddress(word) : word)).join('')
}
