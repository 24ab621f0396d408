// mailhandler/maildir: delivery to a Maildir.
/// <reference types="node" preserve="true" />

export { maildir } from './deliveries/maildir.ts'
export type { Maildir, MaildirOptions, StoredMessage } from './deliveries/maildir.ts'
export { maildirs, type Maildirs, type MaildirsOptions } from './deliveries/maildirs/maildirs.ts'
