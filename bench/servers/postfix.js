// A private Postfix whose smtpd passes mail on by smtpd_proxy_filter; the fixture of the tests starts it.

/** Starts it in front of a server; its CPU is that of master and what master has started. */
export async function startPostfix(upstream) {
  const { startPostfix: begin } = await import('../../dist/test/fixtures/postfix.js')
  const endings = []
  const t = { teardown: ending => void endings.unshift(ending) }
  const { port, pid } = await begin(t, {
    smtpd_proxy_filter: `127.0.0.1:${upstream}`,
    smtpd_authorized_xforward_hosts: '127.0.0.1',
    smtpd_client_connection_count_limit: '0',
    default_process_limit: '200',
    max_use: '1000000',
    max_idle: '3600s',
  })
  return { port, pid, end: async () => endings.reduce((before, ending) => before.then(ending), Promise.resolve()) }
}
