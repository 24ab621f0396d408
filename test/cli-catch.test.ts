// `mailhandler catch` as a user runs it.

import { join } from 'node:path'
import { createTransport } from 'nodemailer'
import t from 'tap'
import { readCatchOptions } from '../lib/cli/catch/catch-options.ts'
import { MailFiles } from '../lib/cli/catch/mail-files.ts'
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
  const values: [string[], RegExp][] = [
    [['--folder', ''], /^--folder takes DIR, not ""$/],
    [['--size', 'big'], /^--size takes a size above 0, such as 256MiB, not "big"$/],
    [['--size', '0'], /^--size takes a size above 0/],
    [['--messages', '1e3'], /^--messages takes a number from 1 to 9999999, not "1e3"$/],
    [['--host', 'a b'], /^--host takes a host name without a port, not "a b"$/],
    [['--cert', 'a'], /^--cert and --key go together$/],
    [['--cert', '/no/file', '--key', '/no/file'], /^\/no\/file: there is no such file$/],
    [['--rules', '/no/file'], /^\/no\/file: there is no such file$/],
    [['--rules', folder], /: it is a folder, not a file$/],
    [['--rules', join(folder, 'file/x')], /file\/x: ENOTDIR/],
    [['--cert', join(folder, 'file'), '--key', 'x'], /file is not PEM: it has no line that begins with -----BEGIN$/],
  ]
  for (const [words, message] of values) {
    t.throws(() => readCatchOptions(readCommandLine(['catch', ...words])), { message })
  }
  t.match(readCatchOptions(readCommandLine(['catch', '--host', 'mail.test', '--host', 'a'])).hosts, ['mail.test', 'a'])
  t.throws(() => new MailFiles(join(folder, 'file')), { message: /file: it is not a folder$/ })
  t.match(await run(['catch', '--quiet-please'], folder), { stderr: /lists its options\n$/ })
  t.match(await run(['catch', '--port', '25'], folder), { code: 2, stderr: /no option "--port"; that is --listen/ })
  const words = ['catch', '-l', '127.0.0.1:0', '-p', '127.0.0.1:0', '-f', 'file/mails']
  t.match(await run(words, folder), { code: 1, stderr: /^mailhandler: .*file\/mails: ENOTDIR/ })
})
