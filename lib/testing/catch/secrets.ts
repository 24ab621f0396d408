// Takes passwords out of a dialogue before anybody sees it.

import { linesOf, type Turn } from '../transcript-log.ts'

/** What stands in place of a secret: for people, or such that the dialogue can be played. */
export type Mask = 'stars' | 'playable'

const base64 = (text: string): string => Buffer.from(text).toString('base64')

const USER: string = base64('user')
const PASSWORD: string = base64('password')
const BOTH: string = base64('\0user\0password')

const AUTH_LINE = /^(auth +)(\S+)( +)(\S+)(\r?\n)?$/i

/** Returns the turns with the secrets of AUTH replaced. [RFC 4954] */
export function withoutSecrets(turns: readonly Turn[], mask: Mask): Turn[] {
  return turns.map((turn, i) => {
    if (turn.side !== 'C') return turn
    const before = turns[i - 1]?.octets.toString('latin1') ?? ''
    const asked = /(?:^|\n)(334|354)(?: ([^\r\n]*))?\r?\n$/.exec(before)
    if (asked?.[1] === '354') return turn
    const question = asked === null ? null : (asked[2] ?? '')
    const lines = linesOf(turn.octets).map((line, j) => hide(line, j === 0 ? question : null, mask))
    return { ...turn, octets: Buffer.concat(lines) }
  })
}

/** `question` is what the server asked for in this line, in base64; null if the line is a command. */
function hide(line: Buffer, question: string | null, mask: Mask): Buffer {
  const text = line.toString('latin1')
  if (question !== null) {
    const [end = ''] = /\r?\n$/.exec(text) ?? []
    if (text.trimEnd() === '*') return line // cancelled
    return Buffer.from(`${mask === 'stars' ? '***' : answerTo(question)}${end}`)
  }
  const match = AUTH_LINE.exec(text)
  if (match === null) return line
  const [, auth = '', mechanism = '', space = '', , end = ''] = match
  const secret = mechanism.toUpperCase() === 'LOGIN' ? USER : BOTH
  return Buffer.from(`${auth}${mechanism}${space}${mask === 'stars' ? '***' : secret}${end}`)
}

function answerTo(question: string): string {
  const asked = Buffer.from(question, 'base64').toString().toLowerCase()
  if (asked.startsWith('user')) return USER
  return asked.startsWith('pass') ? PASSWORD : BOTH
}
