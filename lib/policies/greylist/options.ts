// The options of greylist(), checked, with every default filled in.

import { greylistRules, type GreylistRules } from '../../stores/rules.ts'
import type { Store } from '../../stores/store.ts'
import { systemClock, type Clock } from '../../time/clock.ts'
import { checkClock, checkKeys, show, wrong } from '../../words/option-checks.ts'
import { reply, type Reply } from '../../words/reply.ts'
import { addressList, type AddressList } from '../lists/address-list.ts'
import { liveList, type ListSource, type LiveList } from '../lists/list-source.ts'
import { checkStore } from '../store-option.ts'
import type { AllowBy } from './allow-by.ts'
import { PRESETS, type GreylistPreset, type Preset } from './presets.ts'

/** Whose mail greylisting is for: `only` those listed, and not those of `except`. See {@link GreylistOptions.recipients}. */
export interface GreylistScope {
  /** @defaultValue all */
  readonly only?: ListSource | undefined
  /** @defaultValue none */
  readonly except?: ListSource | undefined
}

/** Options of {@link greylist}. */
export interface GreylistOptions {
  /** What remembers the attempts; see `mailhandler/stores`. */
  readonly store: Store
  /**
   * The defaults of the options below: RFC 6647's, or the times and texts of Kamaelia Grey or of postgrey.
   * @defaultValue `'default'`
   */
  readonly preset?: GreylistPreset | undefined
  /** Times that differ from the preset's, in milliseconds. */
  readonly rules?: Partial<GreylistRules> | undefined
  /**
   * After which command to decide. `'rcpt'`: about each recipient by itself, about `<>` at DATA, so that a callback, which
   * ends before, passes. `'data'`: about all of them, which pass or wait together.
   * @defaultValue the preset's: `'rcpt'`, for `kamaelia` `'data'`
   */
  readonly decideAt?: 'rcpt' | 'data' | undefined
  /**
   * Whom to hold. `'suspicious'`: whom the policy `suspicion()` has found suspicious, and everybody if that is not in the
   * list before. `'all'`: everybody.
   * @defaultValue `'suspicious'`
   */
  readonly hold?: 'suspicious' | 'all' | undefined
  /** `'observe'`: decides and counts, and lets everything pass. @defaultValue `'enforce'` */
  readonly mode?: 'enforce' | 'observe' | undefined
  /**
   * What a failure of the store means: the mail passes, or gets 451 4.3.0.
   * @defaultValue `'accept'`
   */
  readonly onStoreError?: 'accept' | 'defer' | undefined
  /**
   * Recipients that greylisting is for: lists of `example.org`, `.example.org` for all below it, `anna@example.org`,
   * `abuse@` in any domain; or `{ file }`.
   */
  readonly recipients?: GreylistScope | undefined
  /** Senders that greylisting is for, as {@link GreylistOptions.recipients}; `<>` is an entry too. Senders can be forged. */
  readonly senders?: GreylistScope | undefined
  /** What the client is told: `{seconds}` is the time to wait, `{domain}` the recipient's. @defaultValue the preset's */
  readonly text?: string | undefined
  /** For the time that the store takes, and for ages. @defaultValue the system's */
  readonly clock?: Clock | undefined
}

/** Whether greylisting is for a mailbox. */
export type Scope = (mailbox: Parameters<AddressList['has']>[0]) => boolean

export interface ResolvedGreylist {
  readonly store: Store
  readonly rules: GreylistRules
  readonly decideAt: 'rcpt' | 'data'
  readonly allowBy: AllowBy
  readonly hold: 'suspicious' | 'all'
  readonly mode: 'enforce' | 'observe'
  readonly onStoreError: 'accept' | 'defer'
  readonly recipients: Scope
  readonly senders: Scope
  readonly refusal: (wait: number, domain: string) => Reply
  readonly clock: Clock
}

const CHOICES = {
  preset: Object.keys(PRESETS),
  decideAt: ['rcpt', 'data'],
  hold: ['suspicious', 'all'],
  mode: ['enforce', 'observe'],
  onStoreError: ['accept', 'defer'],
} as const
const OTHERS = ['store', 'rules', 'recipients', 'senders', 'text', 'clock'] as const

/** Throws `ERR_OPTION`. */
export function resolveGreylist(options: GreylistOptions): ResolvedGreylist {
  checkKeys('', options, [...Object.keys(CHOICES), ...OTHERS])
  for (const [name, choices] of Object.entries(CHOICES)) {
    const value = options[name as keyof typeof CHOICES]
    if (value !== undefined && !(choices as readonly string[]).includes(value)) {
      throw wrong(`${name} is one of ${choices.join(', ')}, not ${show(value)}`)
    }
  }
  const { store, rules, hold = 'suspicious', mode = 'enforce', onStoreError = 'accept' } = options
  checkStore(store)
  const preset = PRESETS[options.preset ?? 'default']
  return Object.freeze({
    store,
    rules: rules === undefined ? preset.rules : greylistRules({ ...preset.rules, ...rules }),
    decideAt: options.decideAt ?? preset.decideAt,
    allowBy: preset.allowBy,
    hold,
    mode,
    onStoreError,
    recipients: scopeOf('recipients', options.recipients),
    senders: scopeOf('senders', options.senders),
    refusal: refusalOf(preset, options.text),
    clock: checkClock(options.clock ?? systemClock),
  })
}

function scopeOf(name: string, given: GreylistScope = {}): Scope {
  checkKeys(name, given, ['only', 'except'])
  const list = (key: string, source: ListSource): LiveList<AddressList> =>
    liveList(`${name}.${key}`, source, entries => addressList(`${name}.${key}`, entries))
  const only = given.only === undefined ? null : list('only', given.only)
  const except = list('except', given.except ?? [])
  return mailbox => (only === null || only.current.has(mailbox)) && !except.current.has(mailbox)
}

/** Seconds are rounded up: who comes again after so many passes. */
function refusalOf({ code, status, text: usual }: Preset, text: string = usual): ResolvedGreylist['refusal'] {
  if (typeof text !== 'string') throw wrong(`text is a text, not ${show(text)}`)
  const refusal = (wait: number, domain: string): Reply => {
    const seconds = String(Math.max(1, Math.ceil(wait / 1000)))
    return reply(
      code,
      status,
      text.replaceAll('{seconds}', seconds).replaceAll('{domain}', () => domain),
    )
  }
  try {
    refusal(1, 'a'.repeat(255))
  } catch {
    throw wrong('text is one line of printable text, and not too long')
  }
  return refusal
}
