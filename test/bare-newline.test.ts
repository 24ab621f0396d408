// A bare CR or LF in mail data: 'reject', 'normalize', 'allow', for who reads the message and for a relay's raw().

import t from 'tap'
import { SmtpHandler, type SmtpHandlerOptions } from '../lib/index.ts'
import { converse } from '../lib/testing/index.ts'

type Mode = NonNullable<SmtpHandlerOptions['bareNewline']>
type Way = 'DATA' | 'BDAT'

interface Taken {
  readonly message: string | null
  readonly replies: readonly string[]
}

/** What becomes of mail data as it stands on the wire; behind it comes NOOP. */
async function send(mode: Mode, way: Way, raw: boolean, wire: string, body = '8BITMIME'): Promise<Taken> {
  let message: string | null = null
  const handler = new SmtpHandler({
    name: 'mx',
    bareNewline: mode,
    async onMessage(given) {
      let text = ''
      for await (const chunk of raw ? given.raw() : given) text += (chunk as Buffer).toString('latin1')
      message = text
    },
  })
  const c = converse(handler)
  await c.expect(220)
  for (const line of ['EHLO c', `MAIL FROM:<a@b> BODY=${body}`, 'RCPT TO:<c@d>']) await c.command(line, 250)
  if (way === 'DATA') await c.command('DATA', 354)
  c.write(way === 'DATA' ? `${wire}\r\n.\r\n` : `BDAT ${wire.length} LAST\r\n${wire}`)
  const verdict = await c.expect()
  await c.command('NOOP', '250 2.0.0 OK')
  if (c.unread > 0) throw new Error('a reply too many')
  return { message, replies: [`${verdict.code} ${verdict.status}`] }
}

/** What some servers take for the end of mail data, plain and with its dot stuffed. */
const FALSE_ENDS = ['\n.\n', '\n.\r\n', '\r\n.\n', '\r.\r', '\r.\r\n', '\r\n.\r', '\n\0.\r\n', '\r\n.\0\n'].flatMap(
  end => [end, end.replace('.', '..')],
)

/** By the rules: no new line out of a CR, and behind a bare newline of DATA one of two dots is transparency. */
function normalized(wire: string, way: Way): string {
  const spaced = wire.replaceAll(/\r(?!\r*\n)/g, ' ')
  const lines = spaced.replaceAll(/(\r*\n)(\.{0,2})/g, (_, end: string, dots: string) => {
    const isStuffed = way === 'DATA' && (end === '\r\n' ? dots !== '' : dots === '..')
    return `\n${isStuffed ? dots.slice(1) : dots}`
  })
  return lines.replaceAll('\n', '\r\n')
}

const shown = (text: string): string => JSON.stringify(text)

for (const way of ['DATA', 'BDAT'] as const) {
  t.test(`${way}, reject: 550 after the true end, and nothing is run`, async t => {
    for (const end of FALSE_ENDS) {
      for (const raw of [false, true]) {
        const { message, replies } = await send('reject', way, raw, `a${end}MAIL FROM:<evil@x>\r\nb`)
        t.strictSame([message, replies], [null, ['550 5.5.2']], shown(end))
      }
    }
    const { replies } = await send('reject', way, false, 'a\r\nb')
    t.strictSame(replies, ['250 2.0.0'])
  })

  t.test(`${way}, allow: as it came`, async t => {
    for (const end of FALSE_ENDS) {
      const wire = `a${end}b`
      const stuffs = way === 'DATA' ? wire.replace(/\r\n\./, '\r\n') : wire
      const read = await send('allow', way, false, wire)
      t.strictSame(read, { message: way === 'DATA' ? `${stuffs}\r\n` : wire, replies: ['250 2.0.0'] }, shown(end))
    }
  })

  t.test(`${way}, normalize: every line ends with CRLF, and a dot that begins one is stuffed in raw()`, async t => {
    for (const end of FALSE_ENDS) {
      const wire = `a${end}b`
      const clean = normalized(wire, way)
      const ending = way === 'DATA' ? '\r\n' : ''
      const read = await send('normalize', way, false, wire)
      t.strictSame(read, { message: clean + ending, replies: ['250 2.0.0'] }, shown(end))
      const raw = await send('normalize', way, true, wire)
      t.equal(raw.message?.replaceAll('\r\n.', '\r\n'), clean + ending, `raw, without its transparency ${shown(end)}`)
      t.notMatch(raw.message, /(?:^|\r\n)\.(?:\r\n|$)/, 'no end of data for whoever comes next')
    }
  })
}

t.test('raw() of counted octets is stuffed, at any cut', async t => {
  for (const mode of ['reject', 'normalize', 'allow'] as const) {
    const { message } = await send(mode, 'BDAT', true, '.\r\n.x\r\n..\r\nNOOP\r\n.')
    t.equal(message, '..\r\n..x\r\n...\r\nNOOP\r\n..', mode)
    const counted = 'a\r\n.\r\nb'
    for (let at = 0; at <= counted.length; at++) {
      let raw = ''
      const handler = new SmtpHandler({
        name: 'mx',
        bareNewline: mode,
        async onMessage(given) {
          for await (const chunk of given.raw()) raw += (chunk as Buffer).toString()
        },
      })
      const c = converse(handler)
      await c.expect(220)
      for (const line of ['EHLO c', 'MAIL FROM:<a@b>', 'RCPT TO:<c@d>']) await c.command(line, 250)
      c.write(`BDAT ${at}\r\n${counted.slice(0, at)}BDAT ${counted.length - at} LAST\r\n${counted.slice(at)}`)
      await c.expect(250)
      await c.expect(250)
      t.equal(raw, 'a\r\n..\r\nb')
    }
  }
})

t.test('raw() of what came stuffed is what came', async t => {
  for (const mode of ['reject', 'normalize', 'allow'] as const) {
    const { message } = await send(mode, 'DATA', true, '..\r\n..x\r\n...\r\n')
    t.equal(message, '..\r\n..x\r\n...\r\n\r\n', mode)
  }
})

t.test('the size counts mail data without transparency, for every reader [RFC 1870 §3]', async t => {
  const content = '.\r\n.x\r\n..\r\n'
  const modes = ['reject', 'normalize', 'allow'] as const
  for (const [size, code] of [
    [content.length, 250],
    [content.length - 1, 552],
  ] as const) {
    for (const mode of modes) {
      for (const raw of [false, true]) {
        for (const way of ['DATA', 'BDAT'] as const) {
          const handler = new SmtpHandler({
            name: 'mx',
            size,
            bareNewline: mode,
            extensions: { SIZE: false },
            async onMessage(message) {
              for await (const _ of raw ? message.raw() : message);
            },
          })
          const c = converse(handler)
          await c.expect(220)
          for (const line of ['EHLO c', 'MAIL FROM:<a@b>', 'RCPT TO:<c@d>']) await c.command(line, 250)
          if (way === 'DATA') {
            await c.command('DATA', 354)
            await c.data(content)
          } else c.write(`BDAT ${content.length} LAST\r\n${content}`)
          t.equal((await c.expect()).code, code, `${way} ${mode} ${raw ? 'raw' : 'read'} ${size}`)
        }
      }
    }
  }
})

t.test('BINARYMIME has no lines: nothing is refused or changed in it', async t => {
  for (const mode of ['reject', 'normalize', 'allow'] as const) {
    const read = await send(mode, 'BDAT', false, 'a\nb\rc\0\n', 'BINARYMIME')
    t.strictSame(read, { message: 'a\nb\rc\0\n', replies: ['250 2.0.0'] }, mode)
  }
})

t.test('raw() comes first or not at all', async t => {
  for (const options of [{}, { bareNewline: 'normalize' }] as const) {
    let code: unknown = null
    const handler = new SmtpHandler({
      name: 'mx',
      ...options,
      async onMessage(message) {
        for await (const _ of message) {
          try {
            message.raw()
          } catch (error) {
            code = (error as NodeJS.ErrnoException).code
          }
        }
      },
    })
    const c = converse(handler)
    await c.expect(220)
    for (const line of ['EHLO c', 'MAIL FROM:<a@b>', 'RCPT TO:<c@d>']) await c.command(line, 250)
    await c.command('DATA', 354)
    await c.data('x')
    await c.expect(250)
    t.equal(code, 'ERR_BODY_STARTED')
  }
})

t.test('raw() that nobody reads, or that is left, holds nobody up; its error is not thrown', async t => {
  for (const bareNewline of ['reject', 'normalize'] as const) {
    for (const leave of [false, true]) {
      const handler = new SmtpHandler({
        name: 'mx',
        bareNewline,
        onMessage(message) {
          const raw = message.raw()
          if (leave) raw.destroy()
        },
      })
      const c = converse(handler)
      await c.expect(220)
      for (const line of ['EHLO c', 'MAIL FROM:<a@b>', 'RCPT TO:<c@d>']) await c.command(line, 250)
      await c.command('DATA', 354)
      for (let i = 0; i < 30; i++) c.write(`${'x'.repeat(20_000)}\r\n`)
      c.write('.\r\n')
      await c.expect(250)
    }
    const handler = new SmtpHandler({
      name: 'mx',
      bareNewline,
      onMessage(message) {
        message.raw().resume()
        return new Promise(() => {})
      },
    })
    const c = converse(handler)
    await c.expect(220)
    for (const line of ['EHLO c', 'MAIL FROM:<a@b>', 'RCPT TO:<c@d>']) await c.command(line, 250)
    await c.command('DATA', 354)
    c.write('half')
    c.reset()
    await c.closed()
    await new Promise(setImmediate)
  }
  t.pass()
})
