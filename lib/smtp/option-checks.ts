// What is wrong with an option is found when the handler is made: each throws `ERR_OPTION`.

import { MailHandlerError } from '../words/errors.ts'
import { wrong } from '../words/option-checks.ts'
import { reply } from '../words/reply.ts'
import { HOOKS, type Filter, type Policy } from './hooks.ts'
import type { SmtpHandlerOptions } from './options.ts'

const CHOICES = {
  oversize: ['drain', 'close'],
  addresses: ['strict', 'lenient'],
  bareNewline: ['reject', 'normalize', 'allow'],
  unlawfulPipelining: ['refuse', 'allow'],
  earlyTalkers: ['refuse', 'allow'],
} as const

/** What is wrong where two would deliver. */
export const TWO_TAKERS = 'onMessage has two takers: one delivers, who only wants to look is a filter'

interface ResolvedLists {
  readonly policies: readonly Policy[]
  readonly filters: readonly Filter[]
}

/** Options that are one of a few words. */
export function checkChoices(options: SmtpHandlerOptions): void {
  for (const [name, choices] of Object.entries(CHOICES)) {
    const value = options[name as keyof typeof CHOICES]
    if (value !== undefined && !(choices as readonly string[]).includes(value)) {
      throw wrong(`${name} is one of ${choices.join(', ')}, not ${value}`)
    }
  }
}

/** Policies are objects, hooks are functions, and one of them delivers. */
export function checkHooks(options: SmtpHandlerOptions, policies: readonly Policy[]): void {
  for (const hook of HOOKS) {
    for (const hooks of [...policies, options]) {
      if (typeof hooks !== 'object' || hooks === null) throw wrong('policies are objects with hooks')
      if (hooks[hook] !== undefined && typeof hooks[hook] !== 'function') throw wrong(`${hook} is a function`)
    }
  }
  if (policies.some(({ attach }) => attach !== undefined && typeof attach !== 'function')) {
    throw wrong('attach is a function')
  }
  if (policies.filter(policy => policy.onMessage !== undefined).length > 1) throw wrong(TWO_TAKERS)
}

/** The greeting is made of them: `220 name banner`. [RFC 5321 §4.2] */
export function checkGreeting(name: string, banner: string): void {
  if (typeof name !== 'string' || !/^[^\s]{1,255}$/.test(name)) throw wrong('name is a host name')
  if (typeof banner !== 'string') throw wrong('banner is a text')
  try {
    reply(220, `${name} ${banner}`)
  } catch (cause) {
    throw new MailHandlerError('ERR_OPTION', 'name and banner are one line of printable text', { cause })
  }
}

/** A list, or none. */
export function list<K extends 'policies' | 'filters'>(name: K, options: SmtpHandlerOptions): ResolvedLists[K] {
  const given = options[name] ?? []
  if (!Array.isArray(given)) throw wrong(`${name} is a list`)
  return Object.freeze([...given]) as ResolvedLists[K]
}
