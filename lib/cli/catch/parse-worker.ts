// The worker that parses messages for `mailhandler catch`.

import { parentPort } from 'node:worker_threads'
import { loadParser } from '../../testing/catch/parse-mail.ts'

const parse = await loadParser('mailhandler catch')

parentPort!.on('message', (raw: Uint8Array) => {
  void parse(Buffer.from(raw.buffer, raw.byteOffset, raw.length)).then(mail => {
    const contents = mail.attachments.map(({ content }) => content.buffer as ArrayBuffer)
    parentPort!.postMessage(mail, [...new Set(contents)])
  })
})
