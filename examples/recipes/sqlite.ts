// Inbound mail in SQLite: one row for each message, with its octets, and one for each recipient.
//
// The driver is Node's own from 22.13 on; on Node 20 it is `npm install @photostructure/sqlite@1.2.1`.

import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import type * as Driver from '@photostructure/sqlite'
import { allowRecipients, type SmtpHandlerOptions } from 'mailhandler'
import { createServer } from 'mailhandler/server'

const database = await openDatabase(process.env['DATABASE'] ?? 'mail.sqlite')
database.exec(`
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL; -- 250 means that it is on the disk
  CREATE TABLE IF NOT EXISTS message (id TEXT PRIMARY KEY, arrived TEXT, client TEXT, sender TEXT, octets BLOB);
  CREATE TABLE IF NOT EXISTS recipient (message TEXT REFERENCES message, address TEXT);
`)
const insertMessage = database.prepare('INSERT INTO message VALUES (?, ?, ?, ?, ?)')
const insertRecipient = database.prepare('INSERT INTO recipient VALUES (?, ?)')

const options: SmtpHandlerOptions = {
  size: 10 * 2 ** 20, // a message is in memory until it is whole
  policies: [allowRecipients(['example.org'])],
  async onMessage(message, { envelope, client }) {
    const { id, sender, recipients } = envelope
    const octets = await buffer(message)
    // Nothing is awaited from here to COMMIT, so that no other session comes in between.
    database.exec('BEGIN IMMEDIATE')
    try {
      insertMessage.run(id, new Date().toISOString(), client.address, sender.address, octets)
      for (const { address } of recipients) insertRecipient.run(id, address)
      database.exec('COMMIT')
    } catch (error) {
      database.exec('ROLLBACK')
      throw error // 451: the message comes again
    }
  },
}

async function openDatabase(file: string): Promise<Driver.DatabaseSyncInstance> {
  const builtIn: string = 'node:sqlite' // a variable, since the types of Node 20 do not have it
  const driver = (await import(builtIn).catch(() => import('@photostructure/sqlite'))) as typeof Driver
  return new driver.DatabaseSync(file)
}

const server = createServer({ maxConnections: 50 }, options)
server.listen(Number(process.env['PORT'] ?? 2525), '127.0.0.1', () => {
  console.log('Listening on port', (server.address() as AddressInfo).port)
})
