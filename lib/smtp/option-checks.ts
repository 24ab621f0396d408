// What is wrong with an option is found when the handler is made: each check throws `ERR_OPTION`.

import { MailHandlerError } from '../words/errors.ts'
import { didYouMean, flag, methodsOf, show, wrong } from '../words/option-checks.ts'
import { reply } from '../words/reply.ts'
import { interposerOf } from './internals.ts'
import { DELIVERY_HOOKS, HOOKS, JUDGING_HOOKS, type Delivery, type Filter, type Policy } from './hooks.ts'

const CHOICES = {
  oversize: ['drain', 'close'],
  strictness: ['strict', 'interoperable', 'lenient'],
  bareNewline: ['reject', 'normalize', 'allow'],
  unlawfulPipelining: ['refuse', 'allow'],
  earlyTalkers: ['refuse', 'allow'],
} as const

/** The message if both a delivery and `onMessage` would take messages. */
export const TWO_TAKERS =
  'delivery and onMessage both take messages: give one of them; to look at messages before it, use a filter'

const LOWER_HOOKS: ReadonlySet<string> = new Set(HOOKS.map(hook => hook.toLowerCase()))
const POLICY_HOOKS: readonly string[] = [...JUDGING_HOOKS, 'onReset', 'onClose']

/** Options that are one of a few words. */
export function checkChoices(options: Readonly<Record<string, unknown>>): void {
  for (const [name, choices] of Object.entries(CHOICES)) {
    const value = options[name]
    if (value !== undefined && !(choices as readonly unknown[]).includes(value)) {
      throw wrong(`${name} is one of ${choices.join(', ')}, not ${show(value)}`)
    }
  }
}

/**
 * Gives a handler the hooks of its options. Refuses a subclass with a method that looks like a hook and is none: nobody
 * would call it, and a check that it makes would be missing.
 */
export function takeHooks(handler: object, base: object, options: object): void {
  const given = options as Readonly<Record<string, unknown>>
  checkClass(Object.getPrototypeOf(handler) as object, base)
  for (const hook of HOOKS) {
    if (given[hook] !== undefined) Object.defineProperty(handler, hook, { value: given[hook], writable: true })
  }
}

/** Classes that have been checked, and SmtpHandler. */
const checkedClasses = new WeakSet<object>()

function checkClass(prototype: object, base: object): void {
  if (prototype === base || checkedClasses.has(prototype)) return
  const name = mistypedHook(methodsOf(prototype, base))
  if (name !== null) throw noSuchHook(prototype, name)
  checkedClasses.add(prototype)
}

/**
 * The error for a field of a handler that looks like a hook and is none; null without one. Fields of a class are there
 * only after the constructor of its base.
 */
export function fieldMistake(handler: object): MailHandlerError | null {
  const own = handler as Readonly<Record<string, unknown>>
  const name = mistypedHook(Object.keys(own).filter(field => typeof own[field] === 'function'))
  return name === null ? null : noSuchHook(handler, name)
}

function mistypedHook(names: Iterable<string>): string | null {
  for (const name of names) {
    const isHook = (HOOKS as readonly string[]).includes(name)
    if (!isHook && (/^on[A-Z]/.test(name) || LOWER_HOOKS.has(name.toLowerCase()))) return name
  }
  return null
}

function noSuchHook(handler: object, name: string): MailHandlerError {
  return wrong(`${handler.constructor.name}.${name}: there is no such hook${didYouMean(name, HOOKS)}`)
}

/** The handler's own hooks are functions. */
export function checkOwnHooks(options: Readonly<Record<string, unknown>>): void {
  for (const hook of HOOKS) checkHook(hook, options[hook])
}

/** Policies are objects with hooks, none of them `onMessage`. */
export function checkPolicies(given: unknown): readonly Policy[] {
  const policies = list('policies', given).map((policy, i) => {
    const name = `policies[${i}]`
    if (typeof policy !== 'object' || policy === null)
      throw wrong(`${name} is an object with hooks, not ${show(policy)}`)
    const hooks = policy as Readonly<Record<string, unknown>>
    if (hooks['onMessage'] !== undefined) {
      throw wrong(`${name} has onMessage, but a policy takes no message: give it as the option delivery`)
    }
    for (const hook of POLICY_HOOKS) checkHook(`${name}.${hook}`, hooks[hook])
    checkHookNames(name, policy, POLICY_HOOKS)
    checkName(`${name}.name`, hooks['name'])
    if (!POLICY_HOOKS.some(hook => hooks[hook] !== undefined) && interposerOf(policy) === undefined) {
      throw wrong(`${name} has no hook; a policy has any of ${POLICY_HOOKS.join(', ')}`)
    }
    return policy as Policy
  })
  return Object.freeze(policies)
}

/** A delivery has `onMessage`. */
export function checkDelivery(given: unknown): Delivery | null {
  if (given === undefined) return null
  const delivery = given as Readonly<Record<string, unknown>> | null
  if (typeof delivery !== 'object' || delivery === null || delivery['onMessage'] === undefined) {
    throw wrong(`delivery is an object with onMessage, not ${show(given)}`)
  }
  for (const hook of [...DELIVERY_HOOKS, 'offer']) checkHook(`delivery.${hook}`, delivery[hook])
  flag('delivery.needsLines', delivery['needsLines'] as boolean | undefined)
  checkHookNames('delivery', delivery, DELIVERY_HOOKS)
  checkName('delivery.name', delivery['name'])
  return delivery as unknown as Delivery
}

/** Filters are functions that make a stream. */
export function checkFilters(given: unknown): readonly Filter[] {
  const filters = list('filters', given).map((filter, i) => {
    if (typeof filter === 'function') return filter as Filter
    throw wrong(`filters[${i}] is a function that makes a stream, not ${show(filter)}`)
  })
  return Object.freeze(filters)
}

/** What has the name of a hook is one. Other members are the program's own. */
function checkHookNames(name: string, given: object, known: readonly string[]): void {
  for (const member of members(given)) {
    if (!/^on[A-Z]/.test(member) || known.includes(member)) continue
    throw wrong(`${name}.${member}: there is no such hook${didYouMean(member, known)}`)
  }
}

/** The names of an object's members, those of its class among them. */
function members(given: object): Set<string> {
  const names = new Set<string>()
  for (let each = given; each !== null && each !== Object.prototype; each = Object.getPrototypeOf(each) as object) {
    for (const name of Object.getOwnPropertyNames(each)) names.add(name)
  }
  return names
}

/** What logs and metrics call it. */
function checkName(name: string, given: unknown): void {
  if (given !== undefined && typeof given !== 'string') throw wrong(`${name} is a text, not ${show(given)}`)
}

function checkHook(name: string, hook: unknown): void {
  if (hook !== undefined && typeof hook !== 'function') throw wrong(`${name} is a function, not ${show(hook)}`)
}

function list(name: string, given: unknown = []): readonly unknown[] {
  if (!Array.isArray(given)) throw wrong(`${name} is a list, not ${show(given)}`)
  return given
}

/** The greeting is made of them: `220 name banner`. [RFC 5321 §4.2] */
export function checkGreeting(name: string, banner: string): void {
  if (typeof name !== 'string' || !/^[^\s]{1,255}$/.test(name)) throw wrong(`name is a host name, not ${show(name)}`)
  if (typeof banner !== 'string') throw wrong(`banner is a text, not ${show(banner)}`)
  try {
    reply(220, `${name} ${banner}`)
  } catch (cause) {
    throw new MailHandlerError('ERR_OPTION', 'name and banner are one line of printable text', { cause })
  }
}
