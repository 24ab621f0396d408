// A message on its way to the upstream.
//
//   Message ─ header read, loops refused ─ raw() ─ DATA ─→ the upstream, which has answered 354
//                                        └ as it is ─ BDAT ─→ LAST once the message has ended

import type { SmtpClient } from '../../client/smtp-client.ts'
import { pipeline, type Transform } from 'node:stream'
import type { ReceivedReply } from '../../protocol/replies/received-reply.ts'
import { headerFields, type HeaderFields } from '../../protocol/header/header-field.ts'
import type { Message } from '../../smtp/message.ts'
import { SmtpError } from '../../words/smtp-error.ts'
import { readHeader } from './header-end.ts'
import type { Lease } from './lease.ts'
import { TOO_SLOW } from './relayed-replies.ts'

const ignore = (): void => {} // an error of the one destroys the other with it

/** How a message is sent. */
export interface SendOptions {
  /** True: by BDAT; false: by DATA, which has been answered 354. */
  readonly byBdat: boolean
  /** Fields to put in front. */
  readonly fields: HeaderFields | null
  /** What the message passes through first. */
  readonly through: Transform | null
  /** Of the connection. */
  readonly watch: Lease['watch']
  /** Is called with each reply to the whole message, as it comes. */
  readonly onReply: (reply: ReceivedReply) => void
}

/**
 * Sends a message and resolves with the replies to it, as `SmtpClient.data` does. If the message fails, no end of it is
 * sent, and its own error is thrown.
 */
export async function sendMessage(
  client: SmtpClient,
  message: Message,
  { byBdat, fields, through, watch, onReply }: SendOptions,
): Promise<readonly ReceivedReply[]> {
  // What comes in with transparency leaves with it, untouched.
  const from = byBdat ? message : message.raw()
  const source = through === null ? from : pipeline(from, through, ignore)
  const endWatch = watch(() => void source.destroy(new SmtpError(TOO_SLOW)))
  source.once('end', endWatch) // before the end of mail data leaves
  try {
    const whole = await readHeader(source, fields === null ? '' : headerFields(fields))
    const data = whole ?? source
    return await (byBdat ? client.bdat(data, { onReply }) : client.sendData(data, { stuffed: true, onReply }))
  } catch (error) {
    throw source.errored ?? error
  } finally {
    endWatch()
  }
}
