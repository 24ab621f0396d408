// HTML from values that strangers chose: `html` escapes everything that is put into it.

/** Text that is HTML already. Only {@link html} and {@link trusted} make it. */
export class Html {
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  toString(): string {
    return this.#text
  }
}

/** What can be put into {@link html}: text and numbers are escaped, `null` and `false` are left out. */
export type HtmlValue = Html | string | number | null | false | readonly HtmlValue[]

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/**
 * Makes HTML of a template; its values are escaped, for text and for attributes in quotes. Not for values inside `<script>`
 * and `<style>`, and not for URLs that strangers chose.
 */
export function html(strings: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  return new Html(strings.map((text, i) => (i === 0 ? text : show(values[i - 1]!) + text)).join(''))
}

/** Makes HTML of a text of the program, which is not escaped: a script, a style sheet. */
export function trusted(text: string): Html {
  return new Html(text)
}

function show(value: HtmlValue): string {
  if (value === null || value === false) return ''
  if (value instanceof Html) return value.toString()
  if (typeof value === 'string') return value.replaceAll(/[&<>"']/g, character => ENTITIES[character]!)
  return typeof value === 'number' ? String(value) : value.map(show).join('')
}
