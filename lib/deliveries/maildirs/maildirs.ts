// maildirs(): a Maildir for each recipient.
//
//   RCPT ─ onRcptTo ─→ mailboxes of the recipient ─→ 550 if there are none
//   mail data ─ onMessage ─→ tmp/ of each ─ fsync ─ link all ─→ new/ of each ─ fsync ─→ 250

import { stat } from 'node:fs/promises'
import { hostname as osHostname } from 'node:os'
import { liveList, type ListSource, type LiveList } from '../../policies/lists/list-source.ts'
import { canonicalDomain } from '../../protocol/addresses/domain.ts'
import { headerFields, type HeaderFields } from '../../protocol/header/header-field.ts'
import type { Recipient } from '../../smtp/envelope.ts'
import type { Delivery } from '../../smtp/hooks.ts'
import type { Message } from '../../smtp/message.ts'
import type { SessionInTransaction } from '../../smtp/session.ts'
import { BoundedMap } from '../../stores/bounded-map.ts'
import { checkFunction, checkKeys, show, wrong } from '../../words/option-checks.ts'
import { reply, type Reply } from '../../words/reply.ts'
import { SmtpError } from '../../words/smtp-error.ts'
import { checkAwaited, onDisk } from '../maildir-file.ts'
import { nameHost, uniqueName } from '../maildir-folder.ts'
import { MaildirState } from '../maildir-state.ts'
import { probeMaildir } from '../probe-maildir.ts'
import { linkCopies, removeDrafts, writeCopies, type Copy } from './copies.ts'
import { fixedPart, pathPattern, type MailboxName } from './path-pattern.ts'
import { nameOf, recipientList, type RecipientList } from './recipients.ts'

/** Options of {@link maildirs}. */
export interface MaildirsOptions {
  /**
   * The mailboxes and aliases that there are, a line each: `anna@example.org`; `info@example.org: anna@example.org,
   * bob@example.org`; `postmaster@: anna@example.org` in any domain; `@example.org: anna@example.org` for everybody else.
   * Others get 550. A file is watched, and its list is replaced as a whole.
   * @defaultValue none: a recipient has to have a folder already
   */
  readonly recipients?: ListSource
  /** What separates a name from a detail: `anna+news` is `anna`, unless it is known itself; `''` for nothing. @defaultValue `'+'` */
  readonly separator?: string
  /** Maildirs of one transaction at the most; further recipients get 452. @defaultValue 50 */
  readonly most?: number
  /** The host in file names. @defaultValue the host name of the system */
  readonly hostname?: string
  /** Milliseconds since 1970, for file names and the age of stale files. @defaultValue `Date` */
  readonly clock?: Pick<DateConstructor, 'now'>
  /** Fields to put in front of each copy; `mailbox` is whose it is, as `anna@example.org`. By default there are none. */
  readonly header?: (session: SessionInTransaction, mailbox: string) => HeaderFields
}

/** A delivery to the Maildirs of recipients; made by {@link maildirs}. */
export interface Maildirs extends Delivery {
  /** `'maildirs'` */
  readonly name: string
  /** Finds the mailboxes of a recipient: 550 5.1.1 if there are none. Throws an SmtpError with 451 if that cannot be seen. */
  onRcptTo(recipient: Recipient, session: SessionInTransaction): Promise<Reply | void>
  /** Stores a copy in each mailbox, or none. Throws an SmtpError with 451 or 452 if the file system fails. */
  onMessage(message: Message, session: SessionInTransaction): Promise<Reply>
  /**
   * Tells whether there is a mailbox for a recipient, or an alias. Each domain needs one for `postmaster`. Rejects with an
   * SmtpError with 451 if that cannot be seen.
   *
   * @see RFC 5321 §4.5.1
   */
  hasMailbox(mailbox: { readonly localPart: string; readonly domain: string }): Promise<boolean>
  /** Resolves if the folder that all Maildirs are in can be written to; rejects with the system's error. */
  probe(): Promise<void>
  /** Ends watching the file of recipients. */
  close(): void
}

/** Maildirs of which something is remembered. */
const REMEMBERED = 10_000
const MOST = 50

const UNKNOWN: Reply = reply(550, '5.1.1', 'There is no such mailbox here')
const TOO_MANY: Reply = reply(452, '4.5.3', 'Send this recipient in another transaction')

/** Where a recipient's mail goes, by folder: the mailbox, as `anna@example.org`. */
type Places = ReadonlyMap<string, string>

/**
 * Delivers to a Maildir for each recipient: `delivery: maildirs('/var/mail/{domain}/{local}')`. `{local}` and `{domain}` are
 * in lower case; a local part that cannot be the name of a folder has no mailbox. Only recipients whose folder is there
 * get mail, or those that are listed in `recipients`, whose folders are made. Policies judge before, as always:
 * `allowRecipients()` says for which domains mail comes in.
 *
 * All copies are on the disk before the first is linked to `new/`. If that fails, those that are linked are removed, and the
 * client is told 451.
 *
 * @throws {MailHandlerError} `ERR_OPTION` if an option is wrong, or the file of recipients.
 */
export function maildirs(path: string, options: MaildirsOptions = {}): Maildirs {
  const made = new MaildirSet(path, options)
  return {
    name: 'maildirs',
    onRcptTo: (recipient, session) => made.rcpt(recipient, session),
    onMessage: (message, session) => made.message(message, session),
    hasMailbox: mailbox => made.has(mailbox),
    probe: () => probeMaildir(fixedPart(path)),
    close: () => made.list?.close(),
  }
}

class MaildirSet {
  /** Null if whoever has a folder gets mail. */
  readonly list: LiveList<RecipientList> | null
  readonly #folderOf: (name: MailboxName) => string | null
  readonly #options: MaildirsOptions
  readonly #host: string
  readonly #folders = new BoundedMap<MaildirState>(REMEMBERED)
  /** As they were found at RCPT: the list may be another one after that. */
  readonly #places = new WeakMap<Recipient, Places>()

  constructor(path: string, options: MaildirsOptions) {
    checkOptions(options)
    this.#folderOf = pathPattern(path)
    this.#options = options
    this.#host = nameHost(options.hostname ?? osHostname())
    const { recipients } = options
    this.list = recipients === undefined ? null : liveList('recipients', recipients, recipientList)
  }

  async has(mailbox: { readonly localPart: string; readonly domain: string }): Promise<boolean> {
    return (await this.#find(nameOf(mailbox))).size > 0
  }

  async rcpt(recipient: Recipient, { serverName, envelope }: SessionInTransaction): Promise<Reply | void> {
    const { local, domain } = nameOf(recipient)
    // Postmaster may have no domain. [RFC 5321 §4.5.1]
    const name = { local, domain: domain === '' ? canonicalDomain(serverName) : domain }
    const places = await this.#find(name)
    if (places.size === 0) return UNKNOWN
    const all = this.#together([...envelope.recipients, recipient], places)
    if (envelope.recipients.length > 0 && all.size > (this.#options.most ?? MOST)) return TOO_MANY
    this.#places.set(recipient, places)
  }

  async message(message: Message, session: SessionInTransaction): Promise<Reply> {
    const { clock = Date, header } = this.#options
    const { recipients, signal } = session.envelope
    message.on('error', () => {}) // it may fail before the files are open; pipeline() reports that later
    const places = this.#together(recipients)
    const copies: Copy[] = []
    try {
      for (const [folder, mailbox] of places) {
        const state = this.#stateOf(folder)
        await onDisk(state.make())
        const fields = header === undefined ? '' : headerFields(header(session, mailbox))
        copies.push({ folder, id: uniqueName(clock.now(), this.#host), flush: state.flush, header: fields })
      }
      await writeCopies(copies, message)
      await linkCopies(copies, () => checkAwaited(signal))
      return reply(250, '2.0.0', `Delivered as ${copies[0]!.id}`)
    } catch (error) {
      // Folders may be gone.
      if (error instanceof SmtpError) for (const folder of places.keys()) this.#folders.delete(folder)
      if (!message.destroyed) message.destroy()
      throw error
    } finally {
      await removeDrafts(copies)
      for (const { folder } of copies) this.#folders.get(folder)?.cleanHourly(clock.now())
    }
  }

  async #find(name: MailboxName): Promise<Places> {
    const names = [name, ...this.#withoutDetail(name)]
    const found = new Map<string, string>()
    for (const each of this.list?.current.find(names) ?? names) {
      const folder = this.#folderOf(each)
      if (folder === null || (this.list === null && !(await isFolder(folder)))) continue
      found.set(folder, `${each.local}@${each.domain}`)
      if (this.list === null) break
    }
    return found
  }

  #withoutDetail({ local, domain }: MailboxName): MailboxName[] {
    const { separator = '+' } = this.#options
    const at = separator === '' ? -1 : local.indexOf(separator)
    return at > 0 ? [{ local: local.slice(0, at), domain }] : []
  }

  #together(recipients: readonly Recipient[], more: Places = new Map()): Places {
    const all = recipients.flatMap(recipient => [...(this.#places.get(recipient) ?? [])])
    return new Map([...all, ...more])
  }

  #stateOf(folder: string): MaildirState {
    let state = this.#folders.get(folder)
    if (state === undefined) this.#folders.put(folder, (state = new MaildirState(folder)), () => false)
    return state
  }
}

/** True for a folder; false if there is nothing of the name. Throws an SmtpError with 451 if that cannot be seen. */
async function isFolder(path: string): Promise<boolean> {
  const found = await onDisk(
    stat(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR' || error.code === 'ENAMETOOLONG') return null
      throw error
    }),
  )
  return found?.isDirectory() === true
}

function checkOptions(options: MaildirsOptions): void {
  checkKeys('maildirs', options, ['recipients', 'separator', 'most', 'hostname', 'clock', 'header'])
  const { separator = '', most = 1, hostname = '', clock = Date, header } = options
  if (typeof separator !== 'string') throw wrong(`maildirs.separator is a text, not ${show(separator)}`)
  if (!Number.isInteger(most) || most < 1) throw wrong(`maildirs.most is a whole number from 1, not ${show(most)}`)
  if (typeof hostname !== 'string') throw wrong(`maildirs.hostname is a text, not ${show(hostname)}`)
  if (typeof clock?.now !== 'function') throw wrong(`maildirs.clock is an object with now(), not ${show(clock)}`)
  checkFunction('maildirs.header', header)
}
