// A server that takes mail from a client or a relay, sometimes does wrong, and takes any line end for one: CRLF, LF, CR.
// What it believes to have got is what a smuggler would have achieved.

import { setImmediate as turn } from 'node:timers/promises'
import { Random } from '../scripts/soak/random.js'

const END_OF_DATA = /(?:^|\r\n|\r|\n)\.(?:\r\n|\r|\n)/
const END_OF_LINE = /\r\n|\r(?!$)|\n/

/** What a bend makes of a reply; `null` is silence. */
const BENDS = {
  defer: () => '450 4.2.1 Not now\r\n',
  refuse: () => '550 5.1.1 No\r\n',
  leave: () => '421 4.3.2 Bye\r\n',
  odd: () => '252 Perhaps\r\n',
  more: () => '354 Go on\r\n',
  three: () => '334 \r\n',
  garbage: () => 'What is this?\r\n',
  control: code => `${code} a\x07b\r\n`,
  empty: code => `${code}\r\n`,
  long: () => `2${'0'.repeat(9000)}\r\n`,
  lines: code => `${code}-one\r\n${code}-two\r\n${code} three\r\n`,
  mixed: code => `${code}-one\r\n550 two\r\n`,
  lf: code => `${code} OK\n`,
  twice: code => `${code} OK\r\n${code} OK\r\n`,
  silent: () => '',
  half: code => `${code} O`,
}
const ENDS = ['close', 'reset', 'answer and close']

export const BEND_NAMES = [...Object.keys(BENDS), ...ENDS]

/** What the upstreams of a case have seen. */
export class Seen {
  lines = []
  /** Whole messages: content as it is believed, recipients, whether it was taken (2yz). */
  messages = []
  /** Codes that were said. */
  codes = new Set()
  replies = 0
}

/** Serves one connection. `bends` says what to do wrong at the n-th reply of all connections. */
export function serve(stream, { extensions, bends, lmtp = false, seed = 1 }, seen) {
  const random = new Random(seed)
  let buffer = ''
  let mode = 'command'
  let sequence = ''
  let recipients = []
  let isAnswering = Promise.resolve()
  stream.on('error', () => {})

  const send = text => {
    isAnswering = isAnswering.then(async () => {
      for (let at = 0; at < text.length;) {
        const size = random.chance(0.7) ? text.length : random.whole(1, 5)
        if (stream.destroyed || stream.writableEnded) return
        stream.write(Buffer.from(text.slice(at, at + size), 'latin1'))
        at += size
        if (at < text.length) await turn()
      }
    })
  }
  /** Says a reply, or what its bend makes of it; true if it was positive. */
  const say = (code, text = 'OK') => {
    const bend = bends[seen.replies++]
    if (bend === undefined) {
      seen.codes.add(code)
      send(
        Array.isArray(text)
          ? text.map((line, i) => `${code}${i === text.length - 1 ? ' ' : '-'}${line}\r\n`).join('')
          : `${code} ${text}\r\n`,
      )
      return code
    }
    if (bend === 'close') return void isAnswering.then(() => stream.end())
    if (bend === 'reset') return void stream.destroy()
    if (bend === 'answer and close') {
      send(`${code} ${text}\r\n`)
      void isAnswering.then(() => stream.end())
      return code
    }
    const bent = BENDS[bend](code)
    const said = /^[2-5]\d\d/.exec(bent)?.[0]
    if (said !== undefined) seen.codes.add(Number(said))
    send(bent)
    return said === undefined ? null : Number(said)
  }
  const verdicts = () => {
    const count = lmtp ? Math.max(1, recipients.length) : 1
    const codes = Array.from({ length: count }, () => say(250, 'Taken'))
    recipients = []
    return codes
  }
  const whole = content => seen.messages.push({ content, recipients: [...recipients], codes: verdicts() })

  const command = line => {
    seen.lines.push(line)
    const [verb = '', size] = line.trim().toUpperCase().split(' ')
    if (/^(?:EHLO|LHLO)$/.test(verb)) say(250, ['mx.example', ...extensions])
    else if (verb === 'RCPT') {
      if (isPositive(say(250))) recipients.push(/<(.*)>/.exec(line)?.[1])
    } else if (verb === 'DATA') {
      if (say(354, 'Go on') === 354) mode = 'data'
    } else if (verb === 'BDAT') mode = { left: Number(size), isLast: / LAST$/i.test(line) }
    else if (verb === 'QUIT') {
      say(221, 'Bye')
      void isAnswering.then(() => stream.end())
    } else {
      if (verb === 'RSET' || verb === 'MAIL') recipients = []
      if (verb === 'RSET' || verb === 'MAIL') sequence = ''
      say(250)
    }
  }
  const step = () => {
    if (typeof mode === 'object') {
      if (buffer.length < mode.left) return false
      const { left, isLast } = mode
      sequence += buffer.slice(0, left)
      buffer = buffer.slice(left)
      mode = 'command'
      if (isLast) whole(sequence)
      else say(250)
      if (isLast) sequence = ''
      return true
    }
    const end = (mode === 'data' ? END_OF_DATA : END_OF_LINE).exec(buffer)
    if (end === null) return false
    const before = buffer.slice(0, end.index) + (mode === 'data' ? /^(?:\r\n|\r|\n)?/.exec(end[0])[0] : '')
    buffer = buffer.slice(end.index + end[0].length)
    if (mode === 'command') command(before)
    else {
      mode = 'command'
      whole(before.replaceAll(/(^|\r\n)\./g, '$1'))
    }
    return true
  }
  stream.on('data', chunk => {
    buffer += chunk.toString('latin1')
    while (step());
  })
  stream.on('end', () => void isAnswering.then(() => stream.end()))
  say(220, 'mx.example')
}

export const isPositive = code => code !== null && code !== undefined && code >= 200 && code < 300

/** What a client of this project says, and nothing else. */
const OWN_COMMAND =
  /^(?:EHLO|LHLO|HELO|MAIL FROM:<a@a\.example>|RCPT TO:<\d\.\d@b\.example>|DATA|BDAT \d+( LAST)?|RSET|QUIT)(?: |$)/

/** A command that an upstream read and nobody sent, out of the content of a mail; undefined without one. */
export function strayCommand({ lines }) {
  return lines.find(line => !OWN_COMMAND.test(line))
}

/** Mail data ends with a line end, which a server adds. */
export const ended = content => (content === '' || content.endsWith('\r\n') ? content : `${content}\r\n`)
