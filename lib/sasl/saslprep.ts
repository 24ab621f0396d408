// SASLprep, for names and passwords beyond ASCII. The tables are loaded when the first of those arrives, never before.

const PRINTABLE_ASCII = /^[\x20-\x7e]*$/

/**
 * Prepares a name or password for comparison, so that one text typed on two keyboards is one text. Null when it holds
 * what is prohibited, or when nothing is left of it. `'query'` is for what a client presents, and allows code points
 * unassigned in Unicode 3.2; `'stored'` is for what is kept, and does not. Default `'query'`. [RFC 4013, RFC 3454 §7]
 */
export async function saslprep(text: string, kind: 'query' | 'stored' = 'query'): Promise<string | null> {
  if (PRINTABLE_ASCII.test(text)) return text || null
  const { stringprep } = await import('./stringprep.ts')
  return stringprep(text, kind === 'query') || null
}
