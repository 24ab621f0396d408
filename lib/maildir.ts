// mailhandler/maildir: delivery to a Maildir.

export { maildir } from './deliveries/maildir.ts'
export type { Delivery, Maildir, MaildirOptions } from './deliveries/maildir.ts'
