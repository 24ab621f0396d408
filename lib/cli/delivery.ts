// [delivery] → where messages go.

import { readFileSync } from 'node:fs'
import { maildirs } from '../deliveries/maildirs/maildirs.ts'
import { fixedPart } from '../deliveries/maildirs/path-pattern.ts'
import { webhook } from '../deliveries/webhook/webhook.ts'
import type { HeaderFields } from '../protocol/header/header-field.ts'
import type { Delivery } from '../smtp/hooks.ts'
import type { Session } from '../smtp/session.ts'
import type { Attempt } from './certificates.ts'
import type { DeliveryConfig, WebhookConfig } from './config/delivery.ts'
import { given } from './config/given.ts'
import { COMMON, toOther, type Destination } from './destination.ts'
import { watched } from './lists.ts'

/** What {@link toDelivery} needs beside its table. */
export interface DeliveryParts {
  /** The fields that go before a message, and before the copy of one mailbox among several. */
  readonly header: {
    message(this: void, session: Session): HeaderFields
    copy(this: void, session: Session, mailbox: string): HeaderFields
  }
  readonly attempt: Attempt
  /** Makes the delivery of the module; null if there is none. */
  readonly make: (() => Delivery) | null
}

/** Makes the destination of `[delivery]`; null if a file cannot be read, or the module is not good. */
export function toDelivery(
  { maildir, recipientsFile, separator, most, webhook, module }: DeliveryConfig,
  { header, attempt, make }: DeliveryParts,
): Destination | null {
  if (maildir !== undefined) {
    const recipients = recipientsFile === undefined ? {} : { recipients: watched(recipientsFile) }
    const options = { ...recipients, ...given({ separator, most }), header: header.copy }
    return attempt(['delivery', recipientsFile === undefined ? 'maildir' : 'recipients_file'], () => {
      const delivery = maildirs(maildir, options)
      return {
        ...COMMON,
        delivery,
        kind: 'the Maildirs',
        place: maildir,
        fields: { maildirs: maildir },
        key: ['delivery', 'maildir'],
        folder: fixedPart(maildir),
        probe: () => delivery.probe(),
        hasMailbox: mailbox => delivery.hasMailbox(mailbox),
        close: () => delivery.close(),
      }
    })
  }
  if (webhook !== undefined) return toWebhook(webhook, header, attempt)
  const key = ['delivery', 'module']
  return attempt(key, () => toOther(make!(), key, module!))
}

function toWebhook(config: WebhookConfig, header: DeliveryParts['header'], attempt: Attempt): Destination | null {
  const { url, secretFile, tokenFile, form, ca, timeouts } = config
  const key = ['delivery', 'webhook']
  const read = (option: string, file: string | undefined): string | null | undefined =>
    file === undefined ? undefined : attempt([...key, option], () => readSecret(file))
  const [secret, token, authorities] = [read('secret_file', secretFile), read('token_file', tokenFile), read('ca', ca)]
  if (secret === null || token === null || authorities === null) return null
  const headers = token === undefined ? config.headers : { ...config.headers, authorization: `Bearer ${token}` }
  return attempt(key, () => {
    const tls = authorities === undefined ? undefined : { ca: authorities }
    const delivery = webhook({ url, header: header.message, ...given({ secret, form, headers, tls, timeouts }) })
    return {
      ...COMMON,
      delivery,
      kind: 'the webhook',
      place: delivery.place,
      fields: { webhook: delivery.place },
      key,
      probe: () => delivery.probe(),
    }
  })
}

function readSecret(file: string): string {
  const text = readFileSync(file, 'utf8').trimEnd()
  if (text === '') throw new Error(`${file} is empty`)
  return text
}
