// What a client of each mechanism sends, step by step, right or bent. [RFC 5802, RFC 2195, RFC 7628, RFC 4954 §4]

import { JUDGES } from './moods.js'
import { digestOf, NONCE, PASSWORD, proofOf, serverFirstOf, TOKEN } from './model/secrets.js'
import { encodings } from './vocabulary.js'

/** The mechanisms of a case that has more than PLAIN and LOGIN. */
export const MECHANISMS = ['PLAIN', 'LOGIN', 'SCRAM-SHA-256', 'CRAM-MD5', 'OAUTHBEARER', 'XOAUTH2']

const CLIENT_NONCE = 'fyko+d2lbbFgONRv9qkxdawL'

/** The messages of an exchange, for a user and how right the secret is; `choose` takes one of a list. */
const MESSAGES = {
  PLAIN: (user, isRight) => [`\0${user}\0${isRight ? PASSWORD : 'wrong'}`],
  LOGIN: (user, isRight) => [user, isRight ? PASSWORD : 'wrong'],
  'CRAM-MD5': (user, isRight, choose) => {
    if (isRight) return [`${user} ${digestOf(PASSWORD)}`]
    const digest = digestOf('wrong')
    return [choose([`${user} ${digest}`, `${user}`, `${user} ${digest}0`, `${user} ${digestOf(PASSWORD).toUpperCase()}`, ` ${digest}`, `\xff ${digest}`, `${user}\0 ${digestOf(PASSWORD)}`])] // prettier-ignore
  },
  'SCRAM-SHA-256': scram,
  OAUTHBEARER: (user, isRight, choose) => {
    const field = `auth=Bearer ${TOKEN}`
    if (isRight)
      return [`${choose(['n', 'y'])},a=${user},\x01${choose(['', 'host=mx.example\x01port=587\x01'])}${field}\x01\x01`]
    return [
      choose([
        `n,a=${user},\x01auth=Bearer wrong\x01\x01`,
        `n,a=${user},\x01auth=\x01\x01`,
        `n,a=${user},\x01auth=Basic x\x01\x01`,
        `n,,\x01${field}\x01\x01`,
        `n,a=${user},\x01${field}\x01`,
        `n,a=${user},${field}\x01\x01`,
        `n,a=${user},\x01${field}\x01${field}\x01\x01`,
        `n,a=${user},\x01port=0\x01${field}\x01\x01`,
        `p=tls-unique,a=${user},\x01${field}\x01\x01`,
        `n,a==2Z${user},\x01${field}\x01\x01`,
        '\x01\x01',
        `n,a=${user},\x01host=x\x01\x01`,
      ]),
      choose(['\x01', '', 'x']),
    ]
  },
  XOAUTH2: (user, isRight, choose) => {
    if (isRight) return [`user=${user}\x01auth=Bearer ${TOKEN}\x01\x01`]
    return [
      choose([
        `user=${user}\x01auth=Bearer wrong\x01\x01`,
        `auth=Bearer ${TOKEN}\x01\x01`,
        `user=${user}\x01\x01`,
        `user=${user}\x01auth=Bearer ${TOKEN}`,
        `user=\x01auth=Bearer ${TOKEN}\x01\x01`,
      ]),
      choose(['', '\x01']),
    ]
  },
}

/** How a first or a last message of SCRAM is bent. */
const BENT_FIRST = ['p=tls-unique,,', 'n,a=other,', 'n,', '', 'x,,', 'n,a=,']
const BENT_LAST = ['proof', 'nonce', 'binding', 'order', 'mandatory', 'short', 'none', 'control']

function scram(user, isRight, choose) {
  const bend = isRight ? null : choose(['first', 'bare', ...BENT_LAST, ...BENT_LAST])
  const header = bend === 'first' ? choose(BENT_FIRST) : choose(['n,,', 'y,,', `n,a=${user},`])
  const bares = [
    `r=${CLIENT_NONCE},n=${user}`,
    `m=x,n=${user},r=${CLIENT_NONCE}`,
    `n=${user}`,
    `n=a=b,r=x`,
    `n=,r=x`,
    `n=${user},r=a b`,
    `n=${user},r=${'x'.repeat(200)}`,
  ]
  const bare = bend === 'bare' ? choose(bares) : `n=${user},r=${CLIENT_NONCE}${choose(['', '', ',x=y'])}`
  const nonce = bend === 'nonce' ? choose([CLIENT_NONCE, `${CLIENT_NONCE}${NONCE}x`, NONCE]) : `${CLIENT_NONCE}${NONCE}`
  const bound = Buffer.from(bend === 'binding' ? 'y,a=x,' : header, 'latin1').toString('base64')
  const start =
    bend === 'order'
      ? `r=${nonce},c=${bound}`
      : `c=${bound},r=${nonce}${bend === 'mandatory' ? ',m=x' : choose(['', ',x=y'])}`
  const right = proofOf(`${bare},${serverFirstOf(CLIENT_NONCE)},${start}`)
  const proofs = { proof: proofOf('x'), short: right.slice(4), none: '', control: `${right}\0` }
  return [
    `${header}${bare}`,
    `${start},p=${Object.hasOwn(proofs, bend) ? proofs[bend] : right}`,
    choose(['', '', '', 'x', '=']),
  ]
}

/** The lines of an AUTH command with a mechanism. `line` ends a text as a line. */
export function exchange(random, mechanism, { user, line }) {
  const choose = list => list[random.whole(0, list.length - 1)]
  const name = random.chance(0.8)
    ? user
    : choose([...Object.keys(JUDGES).filter(each => !each.includes('gone')), 'a1', '\xc3\xa9'])
  const messages = MESSAGES[mechanism](name, random.chance(0.65), choose)
  const base64 = text => Buffer.from(text, 'latin1').toString('base64')
  const encode = text => (random.chance(0.06) ? choose(encodings(text)) : base64(text))
  const units = []
  const [first, ...rest] = messages
  const isInitial = random.chance(mechanism === 'CRAM-MD5' ? 0.05 : 0.6)
  if (isInitial) units.push(line(`AUTH ${mechanism} ${first === '' ? '=' : encode(first)}`))
  else units.push(line(`AUTH ${mechanism}`), line(encode(first)))
  for (const message of rest) units.push(line(encode(message)))
  return random.chance(0.06) ? units.slice(0, -1) : units
}
