// Control characters, format characters (bidi controls and zero-width ones are among them), lone surrogates, separators.
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u

/**
 * The text in a form that is safe in one line of a log, a header or a terminal: every control character (C0, DEL, C1), U+2028,
 * U+2029, every bidirectional or other invisible format character and every lone surrogate is written as `\x0d`, `\u202e`
 * or `\u{e0001}`. At most `max` UTF-16 units; a text that was cut ends with `…`. A backslash is kept, so that printable text is
 * not changed.
 */
export function printable(text: string, max = 1000): string {
  if (text.length <= max && !UNSAFE.test(text)) return text
  let shown = ''
  let cut = 0
  for (const character of text) {
    const next = UNSAFE.test(character) ? escaped(character) : character
    if (shown.length + next.length > max) return `${shown.slice(0, cut)}…`
    shown += next
    if (shown.length < max) cut = shown.length
  }
  return shown
}

function escaped(character: string): string {
  const code = character.codePointAt(0) as number
  const hex = code.toString(16)
  if (code <= 0xff) return `\\x${hex.padStart(2, '0')}`
  return code <= 0xffff ? `\\u${hex.padStart(4, '0')}` : `\\u{${hex}}`
}
