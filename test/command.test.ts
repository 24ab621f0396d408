import t from 'tap'
import { parseCommand } from '../lib/protocol/commands/command.ts'

t.test('a line is cut at its first space; the verb is in upper case', t => {
  const table: [line: string, verb: string, argument: string, words: string[]][] = [
    ['QUIT', 'QUIT', '', ['QUIT']],
    ['quit', 'QUIT', '', ['quit']],
    ['mAiL FROM:<a@b>  SIZE=1', 'MAIL', 'FROM:<a@b>  SIZE=1', ['mAiL', 'FROM:<a@b>', 'SIZE=1']],
    ['NOOP ', 'NOOP', '', ['NOOP']],
    ['NOOP\tx', 'NOOP\tX', '', ['NOOP', 'x']],
    ['NOOP\t', 'NOOP', '', ['NOOP']],
    ['quit \t ', 'QUIT', '', ['quit']],
    ['MAIL FROM:<a@b>\t', 'MAIL', 'FROM:<a@b>', ['MAIL', 'FROM:<a@b>']],
    ['  x ', '', ' x', ['x']],
    [' \t', '', '', []],
    ['', '', '', []],
    ['xyzzy z', 'XYZZY', 'z', ['xyzzy', 'z']],
  ]
  for (const [line, verb, argument, words] of table) {
    const command = parseCommand(line)
    t.strictSame(
      { verb: command.verb, argument: command.argument, words: command.words, line: command.line },
      { verb, argument, words, line },
    )
  }
  t.end()
})

t.test('letters beyond ASCII do not become ASCII ones', t => {
  // toUpperCase() makes MAIL, QUIT and STARTTLS of them.
  for (const verb of ['maıl', 'quıt', 'ſtarttls']) t.equal(parseCommand(verb).verb, verb)
  t.equal(parseCommand('\x7fquit').verb, '\x7fQUIT', 'DEL is ASCII')
  t.end()
})
