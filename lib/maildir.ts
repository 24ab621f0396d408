// mailhandler/maildir: delivery to a Maildir.

export { maildir } from './policies/maildir.ts'
export type { Delivery, Maildir, MaildirOptions } from './policies/maildir.ts'
