// What a search asks for: words, phrases in quotes, words of one field, and what must not be there.
//
//   welcome "reset your password" to:anna@example.org -subject:draft

/** The fields that a word may name: `subject:welcome`. */
export type SearchField = 'from' | 'to' | 'cc' | 'subject' | 'message-id'

/** A word or a phrase, in lower case. */
export interface SearchTerm {
  /** Null: anywhere. */
  readonly field: SearchField | null
  readonly text: string
  /** True if it must not be there. */
  readonly isExcluded: boolean
}

const FIELDS: readonly string[] = ['from', 'to', 'cc', 'subject', 'message-id'] satisfies SearchField[]
const TERM = /(?<not>[-!]?)(?:(?<field>[a-z-]+):)?(?:"(?<phrase>[^"]*)"?|(?<word>[^\s"]\S*))/gi
/** Characters of a search; what is behind them is left out. */
export const MOST_QUERY = 200

/** Reads a search. A word with another name in front of its colon is looked for as it is: `https://…`. */
export function readQuery(query: string): SearchTerm[] {
  const terms = [...query.trim().slice(0, MOST_QUERY).matchAll(TERM)].map(({ 0: all, groups }) => {
    const { not = '', field, phrase, word = '' } = groups!
    const known = field !== undefined && FIELDS.includes(field.toLowerCase())
    const text = known || field === undefined ? (phrase ?? word) : all.slice(not.length).replaceAll('"', '')
    return {
      field: known ? (field.toLowerCase() as SearchField) : null,
      text: searchable(text),
      isExcluded: not !== '',
    }
  })
  return terms.filter(({ text }) => text !== '')
}

/** A text as it is compared: in lower case, each run of white space as one space. */
export function searchable(text: string): string {
  return text
    .normalize()
    .toLowerCase()
    .replaceAll(/\s{2,}|[^\S ]/g, ' ') // most are one space already
    .trim()
}
