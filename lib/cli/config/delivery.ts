// The table [delivery]: a Maildir for each recipient, a service over HTTP, or a module of one's own. And [[policy]].

import type { WebhookTimeouts } from '../../deliveries/webhook/options.ts'
import { pathPattern } from '../../deliveries/maildirs/path-pattern.ts'
import { resolve } from 'node:path'
import { leaf, list, maybe, oneOf, table, whole, type path, type Schema } from './leaves.ts'
import { readDuration } from './units.ts'

/** A service: `[delivery.webhook]`. */
export interface WebhookConfig {
  readonly url: string
  readonly secretFile?: string
  readonly tokenFile?: string
  readonly form?: 'multipart' | 'raw'
  readonly headers?: Readonly<Record<string, string>>
  readonly ca?: string
  readonly timeouts?: Readonly<Partial<WebhookTimeouts>>
}

/** A module with options. */
export interface ModuleConfig {
  /** An absolute path, or the name of a package. */
  readonly module: string
  /** As they are in the file: the module checks them. */
  readonly options?: unknown
}

/** Where messages go: `[delivery]`. One of `maildir`, `webhook` and `module`. */
export interface DeliveryConfig extends Partial<ModuleConfig> {
  /** A path with `{local}`. */
  readonly maildir?: string
  readonly recipientsFile?: string
  readonly separator?: string
  readonly most?: number
  readonly webhook?: WebhookConfig
}

const ONE_MAILDIR = 'it has no {local}; for one Maildir for all, set maildir above the first [table]'
const duration = leaf('a duration such as "30s", "5m" or "1h"', value => readDuration(value))
const url = leaf('an address such as "https://app.example/mail"', value => {
  return typeof value === 'string' && URL.canParse(value) ? value : null
})
const headers = leaf('a table of headers and their values', value => {
  const isTable = typeof value === 'object' && value !== null && !Array.isArray(value)
  return isTable && Object.values(value).every(each => typeof each === 'string')
    ? (value as Record<string, string>)
    : null
})
const options = leaf('a table', value => {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date) ? value : null
})

function moduleLeaf(folder: string): Schema<string> {
  return leaf('a file, "./policy.js", or the name of a package', value => {
    if (typeof value !== 'string' || value === '' || value.includes('\0')) return null
    return value.startsWith('.') ? resolve(folder, value) : value
  })
}

/** Makes the schema of `[delivery]` for a configuration in this folder. */
export function deliveryTable(folder: string, file: ReturnType<typeof path>): Schema<DeliveryConfig> {
  return table<DeliveryConfig>({
    maildir: maybe(
      leaf('a path such as "/var/mail/{domain}/{local}"', value => {
        if (typeof value === 'string' && !value.includes('{')) throw new Error(ONE_MAILDIR)
        pathPattern(value)
        return resolve(folder, value as string)
      }),
    ),
    recipientsFile: maybe(file),
    separator: maybe(leaf('a text, "" for none', value => (typeof value === 'string' ? value : null))),
    most: maybe(whole(1, 1000)),
    webhook: maybe(
      table<WebhookConfig>({
        url,
        secretFile: maybe(file),
        tokenFile: maybe(file),
        form: maybe(oneOf('multipart', 'raw')),
        headers: maybe(headers),
        ca: maybe(file),
        timeouts: maybe(
          table<Partial<WebhookTimeouts>>({
            connect: maybe(duration),
            silence: maybe(duration),
            answer: maybe(duration),
          }),
        ),
      }),
    ),
    module: maybe(moduleLeaf(folder)),
    options: maybe(options),
  })
}

/** Makes the schema of `[[policy]]`. */
export function policyList(folder: string): Schema<ModuleConfig[]> {
  const policy = table<ModuleConfig>({ module: moduleLeaf(folder), options: maybe(options) })
  return list(policy, 'tables, each begun by [[policy]]', 1)
}
