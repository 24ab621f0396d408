// A pipelining client: MAIL, RCPT and DATA of each mail in one write, the mail data in another; each waits for the replies
// to what was sent before. [RFC 2920]
//
//   node clients/pipelining.js PORT SESSIONS MESSAGES OCTETS
//
// A process of its own, so that the runner's work is not in the server's way. Ends with 1 where a reply is not the right one.

import { connect } from 'node:net'

const [port, sessions, messages, octets] = process.argv.slice(2).map(Number)

const GROUP = 'MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n'
const HEADER = 'From: <a@example.org>\r\nTo: <b@example.org>\r\nSubject: bench\r\n\r\n'
const LINE = `${'X'.repeat(78)}\r\n`
const BODY = HEADER + LINE.repeat(Math.ceil((octets - HEADER.length) / LINE.length))
const MAIL = Buffer.from(`${BODY.slice(0, octets - 2)}\r\n.\r\n`)

/** How the last line of each reply to what was sent must begin. */
const STEPS = {
  greeting: { expects: ['220 '] },
  ehlo: { sends: 'EHLO bench.example\r\n', expects: ['250 '] },
  group: { sends: GROUP, expects: ['250 ', '250 ', '354 '] },
  mail: { sends: MAIL, expects: ['250 '] },
  quit: { sends: 'QUIT\r\n', expects: ['221 '] },
}

let left = messages

function session() {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  let step = 'greeting'
  let replies = ''
  socket.setEncoding('latin1')
  socket.on('data', text => {
    replies += text
    const lines = replies.split('\r\n')
    if (lines.at(-1) !== '') return
    const last = lines.filter(line => line[3] === ' ')
    const { expects } = STEPS[step]
    if (!last.every((line, index) => line.startsWith(expects[index]))) fail(`${step}: ${replies}`)
    if (last.length < expects.length) return
    replies = ''
    step = next(step)
    if (step === null) socket.end()
    else socket.write(STEPS[step].sends)
  })
  socket.on('error', error => fail(error.message))
}

function next(step) {
  if (step === 'greeting') return 'ehlo'
  if (step === 'group') return 'mail'
  if (step === 'quit') return null
  if (left === 0) return 'quit'
  left -= 1
  return 'group'
}

function fail(why) {
  console.error(why)
  process.exit(1)
}

for (let count = 0; count < sessions; count += 1) session()
