// Who takes mail data in memory. `open()` makes something that takes messages: `message(chunks)` sends one, the end of data
// behind it, and resolves once it has been taken whole.

import { SMTPStream } from 'smtp-server/lib/smtp-stream.js'
import { MailHandler, reply, SmtpHandler } from '../../dist/lib/index.js'

const END = Buffer.from('.\r\n')
const CRLF_DOT = Buffer.from('\r\n.')
const LF = 10

export const SUBJECTS = {
  "indexOf('\\r\\n.')": () => ({ message: async chunks => walk(chunks) }),
  'a loop over each octet': () => ({ message: async chunks => loop(chunks) }),
  'MailHandler, raw': () => mailHandler(body => body),
  'MailHandler, unstuffed': () => mailHandler(body => body.unstuffed()),
  SmtpHandler: smtpHandler,
  'smtp-server': smtpServer,
}

/** The least that can be done: one native search for the next line that begins with a dot. */
function walk(chunks) {
  for (const chunk of chunks) {
    for (let at = chunk.indexOf(CRLF_DOT); at !== -1; at = chunk.indexOf(CRLF_DOT, at + 3));
  }
}

/** The least in JavaScript: each octet is looked at once; how many end a line? */
function loop(chunks) {
  let lines = 0
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.length; at++) if (chunk[at] === LF) lines++
  }
  return lines
}

function mailHandler(choose) {
  const handler = new MailHandler({
    handleEhlo: () => reply(250, 'OK'),
    handleData: () => reply(354, 'Go ahead'),
    handleBody(body) {
      choose(body).resume()
      return new Promise(resolve => body.once('end', () => resolve(reply(250, 'OK'))))
    },
  })
  return dialogue(handler, 'DATA\r\n')
}

function smtpHandler() {
  const handler = new SmtpHandler({
    onMessage(message) {
      message.resume()
      return new Promise(resolve => message.once('end', resolve))
    },
    limits: { transactions: Infinity },
  })
  return dialogue(handler, 'MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n')
}

function dialogue(handler, commands) {
  let replies = ''
  let heard = () => {}
  handler.setEncoding('latin1').on('data', text => {
    replies += text
    heard()
  })
  const reply = code =>
    new Promise((resolve, reject) => {
      heard = () => {
        if (/^[45]\d\d/m.test(replies)) reject(new Error(replies))
        if (!replies.includes(`${code} `)) return
        replies = ''
        resolve()
      }
      heard()
    })
  const send = (text, code) => {
    handler.write(text)
    return reply(code)
  }
  const greeted = reply(220).then(() => send('EHLO bench.example\r\n', 250))
  return {
    async message(chunks) {
      await greeted
      await send(commands, 354)
      await writeAll(handler, chunks)
      await reply(250)
    },
  }
}

/** smtp-server's framing, without the session around it. */
function smtpServer() {
  const stream = new SMTPStream()
  return {
    async message(chunks) {
      const body = stream.startDataMode(Infinity)
      body.resume()
      body.once('end', () => stream.continue())
      await writeAll(stream, chunks)
    },
  }
}

function writeAll(stream, chunks) {
  return new Promise(resolve => {
    let index = 0
    const next = () => {
      if (index < chunks.length) stream.write(chunks[index++], next)
      else stream.write(END, resolve)
    }
    next()
  })
}
