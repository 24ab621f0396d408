// The cases of fuzz/corpus: each failed once.

import { readdirSync, readFileSync } from 'node:fs'

const FOLDER = new URL('corpus/', import.meta.url)

/** Every case by its file's name. */
export function readCorpus() {
  return readdirSync(FOLDER)
    .filter(name => name.endsWith('.json'))
    .toSorted()
    .map(name => ({ name, case: JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8')) }))
}
