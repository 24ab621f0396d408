// A policy of one's own for the command: each sender may send so many messages an hour. In the configuration:
//
//     [[policy]]
//     module = "./quota.js"
//     [policy.options]
//     messages = 100
//     except = ["newsletter@example.org"]
//
// It needs `npm install mailhandler` in its folder, also if the command is installed globally.
// With several workers each counts for itself; a store of mailhandler/stores would count for all.

import { reply } from 'mailhandler'

const HOUR = 3_600_000

/** Checks the options; `path` says which is wrong, so that the error has its line. */
export function options({ messages, except = [], ...others }) {
  for (const key of Object.keys(others)) throw wrong(key, 'there is no such option; there are messages and except')
  if (!Number.isInteger(messages) || messages < 1) throw wrong('messages', 'is a whole number from 1')
  if (!Array.isArray(except)) throw wrong('except', 'is a list of addresses')
  return { messages, except: new Set(except) }
}

export function policy({ messages, except }, { signal }) {
  let counts = new Map()
  const timer = setInterval(() => (counts = new Map()), HOUR).unref()
  signal.addEventListener('abort', () => clearInterval(timer)) // the configuration was replaced
  return {
    name: 'quota',
    onMailFrom({ address }) {
      if (address === '' || except.has(address)) return
      const count = (counts.get(address) ?? 0) + 1
      if (count > messages) return reply(451, '4.7.1', 'Too many messages from this sender, please try again later')
      counts.set(address, count)
    },
  }
}

function wrong(key, message) {
  return Object.assign(new Error(message), { path: [key] })
}
