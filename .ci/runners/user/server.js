// Run by Node, Bun and Deno. Tries what needs no client, then serves: SMTP, and SMTP under TLS from the first octet.
// Prints a line for each thing: `ok NAME`, `not ok NAME: MESSAGE`, `ports SMTP SMTPS`, `message PROTOCOL DIGEST`, `closed ENDING`.

import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SmtpHandler } from 'mailhandler'
import { createServer } from 'mailhandler/server'
import { sqliteStore } from 'mailhandler/stores'
import { converse } from 'mailhandler/testing'

const alone = {
  async 'every entry point'() {
    for (const entry of ['client', 'dns', 'maildir']) await import(`mailhandler/${entry}`)
  },

  async 'a conversation in memory'() {
    const c = converse(new SmtpHandler({ onMessage() {} }))
    await c.expect(220)
    await c.command('EHLO client.example', 250)
    await c.command('QUIT', 221)
    await c.closed()
  },

  async 'the SQLite store'() {
    if (!isBuiltin('node:sqlite')) return // Node 20
    const folder = mkdtempSync(join(tmpdir(), 'mailhandler-'))
    const store = sqliteStore({ file: join(folder, 'store.db'), timeout: 5000 })
    try {
      await store.know('a', 60_000)
      const known = await store.known(['a', 'b'])
      if (known.join() !== 'true,false') throw new Error(known.join())
    } finally {
      await store.close()
      rmSync(folder, { recursive: true })
    }
  },
}

for (const [name, run] of Object.entries(alone)) {
  await run().then(
    () => console.log(`ok ${name}`),
    error => console.log(`not ok ${name}: ${error.message.split('\n')[0]}`),
  )
}

const tls = { key: readFileSync('key.pem'), cert: readFileSync('cert.pem') }
const options = {
  tls,
  async onMessage(message, session) {
    const digest = createHash('sha256')
    for await (const chunk of message) digest.update(chunk)
    const seen = [session.client.address, session.protocol, session.tls?.version ?? '-', digest.digest('hex')]
    console.log(`message ${seen.join(' ')}`)
  },
  onClose(session) {
    console.log(`closed ${session.ending}`)
  },
}
const servers = [createServer({}, options), createServer({ tls }, options)]
for (const server of servers) await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
console.log(`ports ${servers.map(server => server.address().port).join(' ')}`)

process.on('SIGTERM', async () => {
  await Promise.all(servers.map(server => server.close({ within: 1000 })))
  console.log('server ended')
})
