// Takes the jobs of queue.ts: what is done with the message goes where the console.log is.

import { readFile, rm } from 'node:fs/promises'
import { Worker } from 'bullmq'
import { Redis } from 'ioredis'
import type { MailJob } from './queue.ts'

const connection = new Redis(process.env['REDIS_URL'] ?? 'redis://127.0.0.1:6379', { maxRetriesPerRequest: null })

// A job that fails comes again: the file is removed once it has succeeded.
const worker = new Worker<MailJob>(
  'mail',
  async ({ data: { file, sender, recipients } }) => {
    const octets = await readFile(file)
    console.log(`${octets.length} octets from <${sender}> for ${recipients.join(', ')}`)
  },
  { connection },
)
worker.on('completed', ({ data }) => void rm(data.file, { force: true }))
worker.on('failed', (_job, error) => console.error(error.message))
