// The worker that parses messages for `mailhandler catch`.

import { parentPort } from 'node:worker_threads'
import { loadParser } from '../../testing/catch/parse-mail.ts'
import { EMPTY_MAIL } from '../../testing/catch/parsed-mail.ts'

const parse = await loadParser('mailhandler catch')

parentPort!.on('message', (raw: Uint8Array) => {
  parse(Buffer.from(raw.buffer, raw.byteOffset, raw.length)).then(
    mail => {
      // A small one may lie in the pool of all Buffers, which cannot be given away: it is copied.
      const whole = mail.attachments.filter(({ content }) => content.length === content.buffer.byteLength)
      parentPort!.postMessage(mail, [...new Set(whole.map(({ content }) => content.buffer as ArrayBuffer))])
    },
    (error: unknown) => parentPort!.postMessage({ ...EMPTY_MAIL, problem: (error as Error).message }),
  )
})
