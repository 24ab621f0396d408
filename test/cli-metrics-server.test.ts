// /healthz, /readyz, /metrics: nobody can keep them from answering others.

import { once } from 'node:events'
import { get } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { metricsServer, type MetricsSource } from '../lib/cli/metrics/http.ts'
import { until } from './fixtures/until.ts'

/** Starts a server; returns its port. */
async function listening(t: Test, source: Partial<MetricsSource> = {}): Promise<number> {
  const read = () => Promise.resolve({ text: 'a_total 1\n', type: 'text/plain' })
  const web = metricsServer({ read, whyNotReady: () => Promise.resolve(null), ...source })
  web.server.listen(0, '127.0.0.1')
  await once(web.server, 'listening')
  t.teardown(() => web.close())
  return (web.server.address() as AddressInfo).port
}

/** Asks on a connection of its own; resolves with the status, or the code of the error. */
function ask(port: number, path: string): Promise<number | string> {
  return new Promise(resolve => {
    const request = get({ port, host: '127.0.0.1', path, agent: false, timeout: 3000 }, response => {
      response.resume().on('end', () => resolve(response.statusCode ?? 0))
    })
    request.on('timeout', () => request.destroy(Object.assign(new Error(), { code: 'timeout' })))
    request.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
  })
}

function open(t: Test, port: number, text: string): Socket {
  const socket = connect(port, '127.0.0.1').on('error', () => {})
  socket.write(text)
  t.teardown(() => socket.destroy())
  return socket
}

t.test('idle connections and half requests that are refilled do not keep others out', async t => {
  const port = await listening(t)
  let opened = 0
  const refill = (): void => {
    opened += 1
    open(t, port, ['', 'GET', 'GET /healthz HTTP/1.1\r\nHost: x\r\n'][opened % 3]!).once('close', () => {
      if (opened < 5000) refill()
    })
  }
  for (let i = 0; i < 400; i++) refill()
  await new Promise(resolve => setTimeout(resolve, 200))
  for (let i = 0; i < 20; i++) {
    t.equal(await ask(port, '/healthz'), 200)
    t.equal(await ask(port, '/readyz'), 200)
    t.equal(await ask(port, '/metrics'), 200)
  }
  t.comment(`${opened} connections`)
  opened = Infinity
})

t.test('a connection that sends nothing is closed in time', async t => {
  const port = await listening(t)
  const start = performance.now()
  const sockets = ['', 'GET / HTTP/1.1\r\nX: y'].map(text => open(t, port, text))
  await Promise.all(sockets.map(socket => once(socket.resume(), 'close')))
  t.ok(performance.now() - start < 5000, `${Math.round(performance.now() - start)} ms`)
})

t.test('clients that do not read their responses do not keep others out', async t => {
  const text = `# ${'x'.repeat(2 ** 20)}\n`
  let reads = 0
  let release = (): void => {}
  const released = new Promise<void>(resolve => (release = resolve))
  const read = async () => {
    reads += 1
    await released
    return { text, type: 'text/plain' }
  }
  const port = await listening(t, { read })
  for (let i = 0; i < 150; i++) open(t, port, 'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n').pause()
  await until(() => reads > 0)
  await new Promise(resolve => setTimeout(resolve, 200))
  t.equal(await ask(port, '/healthz'), 200)
  t.equal(reads, 1, 'one read for all requests')
  release()
  await new Promise(resolve => setTimeout(resolve, 200))
  t.equal(await ask(port, '/healthz'), 200)
})

t.test('statuses', async t => {
  const port = await listening(t, {
    whyNotReady: () => Promise.resolve('stopping'),
    read: () => Promise.reject(new Error('no')),
  })
  t.equal(await ask(port, '/readyz'), 503)
  t.equal(await ask(port, '/metrics'), 500)
  t.equal(await ask(port, '/none'), 404)
})

t.test('OpenMetrics for a reader that accepts it, as Prometheus does', async t => {
  const read = async (isOpenMetrics: boolean) => ({ text: `${isOpenMetrics}`, type: 'text/plain' })
  const port = await listening(t, { read })
  const prometheus =
    'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.3'
  for (const [accept, expected] of [
    [prometheus, 'true'],
    ['Application/OpenMetrics-Text', 'true'],
    ['text/plain;version=0.0.4', 'false'],
    ['*/*', 'false'],
  ] as const) {
    const response = await fetch(`http://127.0.0.1:${port}/metrics`, { headers: { accept } })
    t.equal(await response.text(), expected, accept)
  }
})
