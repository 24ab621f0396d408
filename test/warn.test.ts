import { once } from 'node:events'
import t from 'tap'
import { warn } from '../lib/log/warn.ts'

type Warning = Error & { readonly detail?: string }

async function warned(thrown: unknown): Promise<Warning> {
  const heard = once(process, 'warning') as Promise<[Warning]>
  warn(thrown)
  return (await heard)[0]
}

t.test('an error with its stack', async t => {
  const { message, detail } = await warned(new Error('it failed'))
  t.equal(message, 'it failed')
  t.match(detail, /^ {4}at /)
})

t.test('with its cause', async t => {
  const { detail } = await warned(new Error('it failed', { cause: new Error('the disk is full') }))
  t.match(detail, 'caused by: Error: the disk is full')
})

t.test('without a stack', async t => {
  const error = new Error('it failed')
  delete (error as { stack?: string }).stack
  t.equal((await warned(error)).detail, '')
})

t.test('what is no error', async t => {
  t.equal((await warned('a text')).message, 'a text')
})

t.test('an error that cannot be extended, or has a detail already', async t => {
  t.equal((await warned(Object.freeze(new Error('frozen')))).message, 'frozen')
  t.equal((await warned(Object.assign(new Error('it failed'), { detail: 'its own' }))).detail, 'its own')
})
