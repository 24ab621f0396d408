// `mailhandler catch` as a user runs it.

import { join } from 'node:path'
import { createTransport } from 'nodemailer'
import t from 'tap'
import { readCommandLine } from '../lib/cli/command-line.ts'
import { run, start } from './fixtures/command.ts'
import { MAIL } from './fixtures/catcher.ts'

t.test('it takes mail, shows it, keeps it in a folder, and ends by a signal', async t => {
  const folder = join(t.testdir(), 'mails')
  for (const [signal, mails] of [
    ['SIGINT', 1],
    ['SIGTERM', 2],
  ] as const) {
    const words = ['catch', '-l', '127.0.0.1:0', '-p', '127.0.0.1:0', '-f', folder]
    const { child, ended } = start(words, t.testdirName)
    t.teardown(() => child.kill('SIGKILL'))
    let output = ''
    await new Promise<void>(resolve => {
      child.stdout!.setEncoding('utf8').on('data', (text: string) => {
        output += text
        if (output.includes('The page is')) resolve()
      })
    })
    const [, port, kept, page = ''] =
      /^Taking mail on \S+:(\d+), none leaves; it is kept (.*)\.\nThe page is (.*)\n$/.exec(output) ?? []
    t.equal(kept, `in ${folder}`)
    await createTransport({ host: '127.0.0.1', port: Number(port) }).sendMail(MAIL)
    const list = (await (await fetch(new URL('/api/mails', page))).json()) as { total: number }
    t.equal(list.total, mails, 'with those of the run before')
    child.kill(signal)
    t.equal((await ended).code, 0)
  }
})

t.test('what is wrong is said', async t => {
  const folder = t.testdir({ file: '' })
  t.match(await run(['catch', '--page', 'x'], folder), {
    code: 2,
    stderr: /^mailhandler: --page takes HOST:PORT, not "x"/,
  })
  const options: [string, RegExp][] = [
    ['--port', /^catch has no option "--port"; that is --listen HOST:PORT$/],
    ['--smtp-port=1', /"--smtp-port"; that is --listen HOST:PORT$/],
    ['--web', /; that is --page HOST:PORT$/],
    ['--pages', /; did you mean --page\?$/],
    ['--quiet-please', /^catch has no option "--quiet-please"; mailhandler help catch lists its options$/],
  ]
  for (const [option, message] of options) t.throws(() => readCommandLine(['catch', option]), { message })
  t.match(await run(['catch', '--port', '25'], folder), { code: 2, stderr: /no option "--port"; that is --listen/ })
  const words = ['catch', '-l', '127.0.0.1:0', '-p', '127.0.0.1:0', '-f', 'file/mails']
  t.match(await run(words, folder), { code: 1, stderr: /^mailhandler: .*file\/mails: ENOTDIR/ })
})
