// A job in BullMQ for each message; the octets are in a file, not in Redis. queue-worker.ts takes the jobs.
//
//   npm install bullmq ioredis
//
// The file is on the disk before the job is added, and the job is added before the 250. If Redis is down the sender
// gets 451 and the message comes again.

import { createWriteStream } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { once } from 'node:events'
import { pipeline } from 'node:stream/promises'
import { Queue } from 'bullmq'
import { Redis } from 'ioredis'
import { allowRecipients, reply, type SmtpHandlerOptions } from 'mailhandler'
import { createServer } from 'mailhandler/server'

const FOLDER = process.env['FOLDER'] ?? 'spool'

/** What a job has. */
export interface MailJob {
  file: string
  sender: string
  recipients: string[]
}

// A client waits: an error at once is better than a command that waits for Redis.
const connection = new Redis(process.env['REDIS_URL'] ?? 'redis://127.0.0.1:6379', {
  enableOfflineQueue: false,
  maxRetriesPerRequest: 0,
  commandTimeout: 2000,
})
connection.on('error', error => console.error('Redis:', error.message || error))
const queue = new Queue<MailJob>('mail', { connection })
queue.on('error', () => {}) // the same errors once more

const options: SmtpHandlerOptions = {
  policies: [allowRecipients(['example.org'])],
  async onMessage(message, { envelope }) {
    const { id, sender, recipients } = envelope
    if (connection.status !== 'ready') throw new Error('Redis is down') // BullMQ would wait for it
    const file = join(FOLDER, `${id}.eml`)
    await mkdir(FOLDER, { recursive: true })
    try {
      const octets = createWriteStream(file, { flush: true })
      await pipeline(message, octets)
      if (!octets.closed) await once(octets, 'close')
      const job = { file, sender: sender.address, recipients: recipients.map(({ address }) => address) }
      await queue.add('mail', job, { jobId: id, attempts: 5, backoff: { type: 'exponential', delay: 1000 } })
    } catch (error) {
      await rm(file, { force: true })
      throw error
    }
    return reply(250, '2.0.0', `Queued as ${id}`)
  },
}

const server = createServer({}, options)
server.listen(Number(process.env['PORT'] ?? 2525), '127.0.0.1', () => {
  console.log('Listening on port', (server.address() as AddressInfo).port)
})
