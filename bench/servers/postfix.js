// A private Postfix; the fixture of the tests starts it. Its CPU is that of master and what master has started.

const MANY = {
  smtpd_client_connection_count_limit: '0',
  default_process_limit: '200',
  max_use: '1000000',
  max_idle: '3600s',
}

/** Its smtpd passes mail on by smtpd_proxy_filter. */
export function startPostfix(upstream) {
  return start({ smtpd_proxy_filter: `127.0.0.1:${upstream}`, smtpd_authorized_xforward_hosts: '127.0.0.1' })
}

/** Takes mail for example.org into its queue, and delivers it by virtual(8) into the Maildir `folder`. */
export function startDelivering(folder, owner) {
  return start({
    virtual_mailbox_domains: 'example.org',
    virtual_mailbox_base: folder,
    virtual_mailbox_maps: 'static:box/',
    virtual_uid_maps: `static:${owner}`,
    virtual_gid_maps: `static:${owner}`,
    virtual_minimum_uid: '1',
    virtual_mailbox_limit: '0',
    virtual_destination_concurrency_limit: '100',
  })
}

async function start(settings) {
  const { startPostfix: begin } = await import('../../dist/test/fixtures/postfix.js')
  const endings = []
  const t = { teardown: ending => void endings.unshift(ending) }
  const { port, pid } = await begin(t, { ...MANY, ...settings })
  return { port, pid, end: async () => endings.reduce((before, ending) => before.then(ending), Promise.resolve()) }
}
