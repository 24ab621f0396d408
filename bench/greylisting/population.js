// The population of population.json: read, with guesses as they are or scaled.

import { readFileSync } from 'node:fs'

export const readPopulation = (file = new URL('population.json', import.meta.url)) =>
  JSON.parse(readFileSync(file, 'utf8'))

const isGuess = value => value !== null && typeof value === 'object' && value.guess === true

/** The population with plain numbers; `scale` gives each guess's factor by its group. */
export function plain(value, scale = () => 1, path = []) {
  if (isGuess(value)) {
    const scaled = value.value * scale(groupOf(path))
    return isProbability(path) ? Math.min(scaled, 1) : isCount(path) ? Math.max(1, Math.round(scaled)) : scaled
  }
  if (Array.isArray(value)) return value.map(each => plain(each, scale, [...path, each?.id ?? '']))
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, plain(each, scale, [...path, key])]))
}

/** The groups of guesses, which are swept together: a share is its row's, a sign, a retry and a pool its whole side's. */
export function guessGroups(value, path = [], found = new Set()) {
  if (isGuess(value)) found.add(groupOf(path))
  else if (Array.isArray(value)) for (const each of value) guessGroups(each, [...path, each?.id ?? ''], found)
  else if (value !== null && typeof value === 'object')
    for (const [key, each] of Object.entries(value)) guessGroups(each, [...path, key], found)
  return found
}

const groupOf = path => (path[2] === 'share' || path[0] === 'site' ? path : [path[0], '*', ...path.slice(2)]).join('.')
const isProbability = path => path.includes('signs') || ['familiar', 'perAttempt'].includes(path.at(-1))
const isCount = path => ['organisations', 'addresses', 'recipients'].includes(path.at(-1))
