// What is in tmp/ of the Maildirs once all is over: nothing but what a killed worker was writing. The next start removes
// it, once it is 36 hours old.

import { existsSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { mailboxFolder, writerOf } from './arrivals.js'
import { BOXES, DOMAINS } from './places.js'
import { Session } from './session.js'

const HOURS = 37
/** One more draft, so that each run shows that it is removed. */
const PLANTED = '1700000000.M1P1Q1_0123456789abcdef.planted'
const PATIENCE = 30_000

/** Resolves with how many drafts there were, and a line for each that must not be there. `killed`: ids of processes. */
export async function checkDrafts(boxes, folder, killed) {
  const found = BOXES.flatMap(box => draftsOf(folder, box))
  const wrong = found.filter(({ name }) => !killed.has(writerOf(name)))
  const lines = wrong.map(({ box, name }) => `draft: ${name} is left in tmp/ of ${box}, and its worker was not killed`)
  const tmp = mailboxFolder(folder, BOXES[0], 'tmp')
  const planted = join(tmp, PLANTED)
  mkdirSync(tmp, { recursive: true })
  writeFileSync(planted, 'Subject: a draft')
  found.push({ box: BOXES[0], name: PLANTED, file: planted })
  await boxes.stop()
  await boxes.start()
  const then = Date.now() / 1000 - HOURS * 3600
  for (const { file } of found) utimesSync(file, then, then)
  await deliverTo(boxes.ports[0], [...new Set(found.map(({ box }) => box))])
  const end = Date.now() + PATIENCE
  const left = () => found.filter(({ file }) => existsSync(file))
  while (left().length > 0 && Date.now() < end) await pause(50)
  return {
    count: found.length - 1,
    lines: [...lines, ...left().map(({ box, name }) => `draft: ${name} stays in tmp/ of ${box} behind a start`)],
  }
}

function draftsOf(folder, box) {
  const tmp = mailboxFolder(folder, box, 'tmp')
  return existsSync(tmp) ? readdirSync(tmp).map(name => ({ box, name, file: join(tmp, name) })) : []
}

/** A message to each: a Maildir is swept behind its first delivery. */
async function deliverTo(port, boxes) {
  const session = new Session({ port, protocol: 'LMTP' })
  await session.reply()
  await session.command('LHLO soak.example')
  for (const box of boxes) {
    const lines = ['MAIL FROM:<>', `RCPT TO:<${box}@${DOMAINS.boxes}>`, 'DATA', 'Subject: sweep\r\n\r\n.']
    for (const line of lines) {
      const { code, text } = await session.command(line)
      if (code >= 400) throw new Error(`the boxes answer a message with ${text}`)
    }
  }
  await session.quit()
}
