// Each message is an object in S3, uploaded while it comes in: it is never whole in memory or on the disk.
//
//   npm install @aws-sdk/client-s3 @aws-sdk/lib-storage
//
// Credentials and region come from the environment, as always with the SDK. S3_ENDPOINT is for MinIO and its like.

import type { AddressInfo } from 'node:net'
import { S3Client } from '@aws-sdk/client-s3'
import { Upload } from '@aws-sdk/lib-storage'
import { allowRecipients, reply, type SmtpHandlerOptions } from 'mailhandler'
import { createServer } from 'mailhandler/server'

const endpoint = process.env['S3_ENDPOINT']
const s3 = new S3Client({ ...(endpoint !== undefined && { endpoint, forcePathStyle: true }) })

const options: SmtpHandlerOptions = {
  policies: [allowRecipients(['example.org'])],
  async onMessage(message, { envelope }) {
    const upload = new Upload({
      client: s3,
      queueSize: 1, // with partSize, what a message may hold in memory
      partSize: 5 * 2 ** 20,
      params: {
        Bucket: process.env['BUCKET'] ?? 'mail',
        Key: `${envelope.id}.eml`,
        Body: message,
        ContentType: 'message/rfc822',
        Metadata: {
          sender: encodeURIComponent(envelope.sender.address),
          recipients: envelope.recipients.map(({ address }) => encodeURIComponent(address)).join(' '),
        },
      },
    })
    // The client is gone, or has waited too long: an upload in parts is taken back.
    envelope.signal.addEventListener('abort', () => void upload.abort())
    await upload.done()
    return reply(250, '2.0.0', `Stored as ${envelope.id}`)
  },
}

const server = createServer({}, options)
server.listen(Number(process.env['PORT'] ?? 2525), '127.0.0.1', () => {
  console.log('Listening on port', (server.address() as AddressInfo).port)
})
