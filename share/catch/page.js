// The page of `mailhandler catch`. What comes from a message is put in as text, never as HTML; its HTML is shown in a
// sandboxed frame alone.

const PAGE = 100
const MOST_ROWS = 500
const MOST_SHOWN = 500_000
const MOST_FIELDS = 1000
const MOST_VALUE = 20_000
const PRESETS = [
  ['452 at RCPT: the mailbox is full', { at: 'RCPT', reply: '452 4.2.2 Mailbox full' }],
  ['550 at RCPT: no such user', { at: 'RCPT', reply: '550 5.1.1 No such user here' }],
  [
    '451 at the first RCPT alone: greylisting',
    { at: 'RCPT', nth: 1, reply: '451 4.7.1 Greylisted, try again in 60 seconds' },
  ],
  ['421 at the greeting: overloaded', { at: 'greeting', reply: '421 4.3.2 Too busy, try again later', cut: 'close' }],
  ['552 after the mail data: too large', { at: 'verdict', reply: '552 5.3.4 Message too large' }],
  ['cut after 1,000 octets of mail data', { at: 'body', afterOctets: 1000, cut: 'reset' }],
  ['taken, but the answer is lost', { at: 'verdict', cut: 'close' }],
  ['slow: 2 seconds before each reply', { at: 'command', delay: 2000 }],
  ['no AUTH for anybody', { at: 'AUTH', reply: '535 5.7.8 Wrong user or password' }],
]

const $ = id => document.getElementById(id)
const state = { view: 'mails', limit: PAGE, chosen: null, tab: null, rules: [], counts: '' }

/** Makes an element with texts and elements in it. */
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) {
    if (key === 'onclick') element.addEventListener('click', value)
    else element.setAttribute(key, value)
  }
  element.append(...children)
  return element
}

async function ask(path, options) {
  const response = await fetch(path, options)
  const answer = await response.json()
  if (!response.ok) throw new Error(answer.error ?? response.statusText)
  return answer
}

function say(text) {
  if ($('status').textContent !== text) $('status').textContent = text
}

// Controls, and what turns the text around, could make a text look like another one.
const plain = text =>
  text.replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g, each => {
    return `[U+${each.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}]`
  })
const some = (list, all = list.length, most = 20) =>
  all <= most ? list.join(', ') : `${list.slice(0, most).join(', ')} and ${all - most} more`
const size = octets =>
  octets < 1000 ? `${octets} B` : octets < 1e6 ? `${(octets / 1e3).toFixed(1)} kB` : `${(octets / 1e6).toFixed(1)} MB`
const time = iso => new Date(iso).toLocaleTimeString()
const who = address =>
  address === null ? '' : plain(address.name === '' ? address.address : `${address.name} <${address.address}>`)

// ── The list ──

let loading = false
let again = false

/** Loads the list; while it loads, further calls become one. */
async function load() {
  if (loading) {
    again = true
    return
  }
  loading = true
  try {
    await (state.view === 'sessions' ? loadSessions() : loadMails())
  } catch (error) {
    say(`Cannot load: ${error.message}`)
  }
  await new Promise(resolve => setTimeout(resolve, 200))
  loading = false
  if (again) {
    again = false
    load()
  }
}

async function loadMails() {
  const search = $('search').value.trim()
  const query = new URLSearchParams({ search, limit: String(state.limit) })
  const { mails, total, all, octets } = await ask(`/api/mails?${query}`)
  if (state.view !== 'mails') return
  say(`${search === '' ? '' : `${total} of `}${all} ${all === 1 ? 'mail' : 'mails'}, ${size(octets)}`)
  const rows = mails.map(mail => {
    const clip = mail.attachments === 0 ? '' : `, ${mail.attachments} attached`
    return row(
      mail.id,
      plain(mail.subject) || '(no subject)',
      `${who(mail.from) || plain(mail.envelope.from) || '<>'} → ${plain(some(mail.envelope.to, mail.recipients))}`,
      `${time(mail.receivedAt)}, ${size(mail.size)}${clip}`,
    )
  })
  showRows(rows, total, search === '' ? 'No mail has come yet.' : 'No mail has all of these words.')
}

async function loadSessions() {
  const { sessions } = await ask('/api/sessions')
  if (state.view !== 'sessions') return
  say(`${sessions.length} ${sessions.length === 1 ? 'session' : 'sessions'}`)
  const rows = sessions.map(session => {
    return row(
      session.id,
      `${session.address}, ${plain(session.helo ?? 'no name')}`,
      `${session.protocol}, ${session.ending === null ? 'goes on' : `ended: ${session.ending}`}`,
      time(session.startedAt),
    )
  })
  showRows(rows.slice(0, state.limit), rows.length, 'No client has connected yet.')
}

function row(id, title, ...lines) {
  const button = make(
    'button',
    { type: 'button', 'data-id': id, onclick: () => choose(id) },
    make('strong', {}, title),
    ...lines.map(line => make('span', {}, line)),
  )
  return make('li', {}, button)
}

function showRows(rows, total, none) {
  const focused = document.activeElement?.dataset?.id
  $('rows').replaceChildren(...rows)
  $('more').hidden = total <= rows.length || state.limit >= MOST_ROWS
  const isCut = total > rows.length && $('more').hidden
  $('none').hidden = rows.length > 0 && !isCut
  $('none').textContent = isCut ? `The newest ${rows.length} are here. Search for older ones.` : none
  markChosen()
  if (focused !== undefined) rowOf(focused)?.focus()
}

const rowOf = id => $('rows').querySelector(`[data-id="${CSS.escape(id)}"]`)

// The list is one stop of the Tab key; the arrow keys move in it.
function markChosen() {
  const buttons = [...$('rows').querySelectorAll('button')]
  for (const button of buttons) {
    const isChosen = button.dataset.id === state.chosen
    button.setAttribute('aria-current', String(isChosen))
    button.tabIndex = isChosen ? 0 : -1
  }
  if (buttons.length > 0 && !buttons.some(({ tabIndex }) => tabIndex === 0)) buttons[0].tabIndex = 0
}

$('rows').addEventListener('keydown', event => {
  const buttons = [...$('rows').querySelectorAll('button')]
  const at = buttons.indexOf(document.activeElement)
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key]
  if (to === undefined || buttons[to] === undefined || event.altKey || event.ctrlKey || event.metaKey) return
  event.preventDefault()
  for (const button of buttons) button.tabIndex = -1
  buttons[to].tabIndex = 0
  buttons[to].focus()
})

function show(...children) {
  $('shown').replaceChildren(...children)
}

function choose(id) {
  state.chosen = id
  markChosen()
  document.body.classList.add('chosen')
  if (matchMedia('(max-width: 700px)').matches) {
    scrollTo(0, 0)
    $('back').focus()
  }
  if (state.view === 'sessions') showSession(id)
  else showMail(id)
}

// ── A message ──

async function showMail(id) {
  let mail
  try {
    mail = await ask(`/api/mails/${id}`)
  } catch (error) {
    show(make('p', { class: 'alarm' }, `This mail cannot be shown: ${error.message}.`))
    return
  }
  if (state.chosen !== id) return
  const tabs = [
    'text',
    ...(mail.hasHtml ? ['html'] : []),
    'source',
    'headers',
    `attachments (${mail.attachments.length})`,
    'dialogue',
  ]
  const tab = tabs.includes(state.tab) ? state.tab : mail.text === null && mail.hasHtml ? 'html' : 'text'
  const bar = make('div', { class: 'bar', role: 'group', 'aria-label': 'Parts' })
  for (const name of tabs) {
    const label = name === 'html' ? 'HTML' : name[0].toUpperCase() + name.slice(1)
    bar.append(
      make('button', { type: 'button', 'data-tab': name, 'aria-pressed': 'false', onclick: () => pick(name) }, label),
    )
  }
  bar.append(make('button', { type: 'button', onclick: () => remove(id) }, 'Delete'))
  const pick = name => {
    state.tab = name
    showPart(mail, name, bar)
  }
  show(
    make('h2', {}, plain(mail.subject) || '(no subject)'),
    make(
      'p',
      { class: 'facts' },
      `From ${who(mail.from) || '(nobody)'} to ${some(mail.to.map(who)) || '(nobody)'}. Envelope: <${mail.envelope.from}> to ${some(mail.envelope.to.map(to => `<${to}>`))}. ${new Date(mail.receivedAt).toLocaleString()}, ${size(mail.size)}.`,
    ),
    ...(mail.problem === null ? [] : [make('p', { class: 'alarm' }, `It cannot be parsed: ${mail.problem}`)]),
    bar,
    make('div', { id: 'part' }),
  )
  await showPart(mail, tab, bar)
}

async function showPart(mail, name, bar) {
  for (const button of bar.querySelectorAll('[data-tab]'))
    button.setAttribute('aria-pressed', String(button.dataset.tab === name))
  let content
  try {
    content = await partOf(mail, name)
  } catch (error) {
    content = make('p', { class: 'alarm' }, error.message)
  }
  if (state.chosen !== mail.id) return
  content.id = 'part'
  $('part').replaceWith(content)
}

async function partOf(mail, name) {
  const path = `/api/mails/${mail.id}`
  switch (name.split(' ')[0]) {
    case 'html':
      return make('iframe', {
        sandbox: '',
        title: 'The HTML of the mail',
        referrerpolicy: 'no-referrer',
        src: `${path}/html`,
      })
    case 'source': {
      const text = await (await fetch(`${path}/source`)).text()
      const all = make('a', { href: `${path}/source`, download: 'mail.eml' }, 'Save')
      return make('div', {}, make('p', {}, all), make('pre', {}, text.slice(0, MOST_SHOWN)))
    }
    case 'headers':
      return table(['Name', 'Value'], mail.headers, ({ name, value }) => [
        plain(name),
        plain(value.slice(0, MOST_VALUE)),
      ])
    case 'attachments':
      return table(['File', 'Type', 'Size'], mail.attachments, (each, i) => [
        make('a', { href: `${path}/attachments/${i}`, download: '' }, plain(each.filename ?? `attachment ${i + 1}`)),
        each.contentType,
        size(each.size),
      ])
    case 'dialogue':
      return dialogue(await ask(`${path}/dialogue`))
    default:
      return make('pre', {}, (mail.text ?? '(no text)').slice(0, MOST_SHOWN))
  }
}

function table(names, all, cellsOf) {
  const head = make('thead', {}, make('tr', {}, ...names.map(name => make('th', { scope: 'col' }, name))))
  const rows = all.slice(0, MOST_FIELDS).map((each, i) => {
    return make('tr', {}, ...cellsOf(each, i).map(cell => make('td', {}, cell)))
  })
  const rest = all.length - rows.length
  const more = rest === 0 ? [] : [make('p', {}, `… and ${rest} more`)]
  return make('div', {}, make('table', {}, head, make('tbody', {}, ...rows)), ...more)
}

function dialogue({ turns, dropped, ending }) {
  const rows = turns.map(({ side, at, text, more }) => {
    const rest = more === 0 ? '' : `\n… ${more} more octets`
    const name = side === 'C' ? 'Client' : 'Server'
    return make(
      'div',
      { class: `turn ${side}` },
      make('b', {}, `${name} +${at} ms`),
      make('pre', {}, plain(text.replaceAll('\r\n', '\n')) + rest),
    )
  })
  if (dropped > 0) rows.unshift(make('p', {}, `… ${dropped} turns before`))
  return make(
    'div',
    { class: 'dialogue' },
    ...rows,
    make('p', { class: 'facts' }, ending === null ? 'The session goes on.' : `The session has ended: ${ending}.`),
  )
}

async function showSession(id) {
  try {
    const session = await ask(`/api/sessions/${id}`)
    if (state.chosen !== id) return
    show(
      make('h2', {}, `Session of ${session.address}`),
      make(
        'p',
        { class: 'facts' },
        `${session.protocol}, began ${new Date(session.startedAt).toLocaleString()}${session.user === null ? '' : `, user ${session.user}`}`,
      ),
      dialogue(session),
    )
  } catch (error) {
    show(make('p', { class: 'alarm' }, `This session cannot be shown: ${error.message}.`))
  }
}

async function remove(id) {
  const item = rowOf(id)?.parentElement
  const next = (item?.nextElementSibling ?? item?.previousElementSibling)?.querySelector('button').dataset.id
  await ask(`/api/mails/${id}`, { method: 'DELETE' }).catch(error => say(error.message))
  nothingChosen()
  // The list may have been loaded again meanwhile: its rows are others.
  ;((next === undefined ? null : rowOf(next)) ?? $('search')).focus()
}

function nothingChosen() {
  state.chosen = null
  document.body.classList.remove('chosen')
  markChosen()
  show(make('p', {}, 'Choose an entry of the list.'))
}

// ── Misbehaviour ──

function showRules(rules) {
  state.rules = rules
  $('warning').hidden = rules.length === 0
  $('warning').textContent =
    `The server misbehaves on purpose: ${rules.length} ${rules.length === 1 ? 'rule' : 'rules'}.`
  if (document.activeElement !== $('json')) $('json').value = JSON.stringify(rules, null, 2)
  if ($('presets').contains(document.activeElement)) return
  const set = rules.map(({ when, ...rule }) => JSON.stringify(rule))
  for (const [i, [, rule]] of PRESETS.entries()) $(`preset-${i}`).checked = set.includes(JSON.stringify(rule))
}

async function setRules(rules) {
  try {
    showRules(
      (
        await ask('/api/misbehaviour', {
          method: 'PUT',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ rules }),
        })
      ).rules,
    )
    $('problem').textContent = ''
  } catch (error) {
    $('problem').textContent = error.message
  }
}

function rulesOfPresets() {
  const recipient = $('recipient').value.trim()
  const rules = PRESETS.flatMap(([, rule], i) => {
    if (!$(`preset-${i}`).checked) return []
    return [recipient === '' || rule.at === 'greeting' ? rule : { ...rule, when: { recipient } }]
  })
  $('json').value = JSON.stringify(rules, null, 2)
}

for (const [i, [text]] of PRESETS.entries()) {
  const box = make('input', { type: 'checkbox', id: `preset-${i}` })
  box.addEventListener('change', rulesOfPresets)
  $('presets').append(make('label', { for: `preset-${i}` }, box, ` ${text}`))
}
$('recipient').addEventListener('input', rulesOfPresets)
$('apply').addEventListener('click', () => {
  try {
    setRules(JSON.parse($('json').value))
  } catch (error) {
    $('problem').textContent = `This is not JSON: ${error.message}`
  }
})
$('behave').addEventListener('click', () => {
  for (const box of $('presets').querySelectorAll('input')) box.checked = false
  $('json').blur()
  setRules([])
})

// ── The page ──

for (const button of document.querySelectorAll('[data-view]')) {
  button.addEventListener('click', () => {
    state.view = button.dataset.view
    state.limit = PAGE
    for (const each of document.querySelectorAll('[data-view]'))
      each.setAttribute('aria-pressed', String(each === button))
    const isRules = state.view === 'rules'
    $('rules').hidden = !isRules
    $('list').hidden = isRules
    $('detail').hidden = isRules
    for (const each of document.querySelectorAll('[data-for]')) each.hidden = each.dataset.for !== state.view
    $('rows').replaceChildren()
    $('none').hidden = true
    $('more').hidden = true
    nothingChosen()
    if (!isRules) load()
  })
}

$('back').addEventListener('click', () => {
  const chosen = state.chosen === null ? null : rowOf(state.chosen)
  nothingChosen()
  ;(chosen ?? $('search')).focus()
})

let typing = null
$('search').addEventListener('input', () => {
  clearTimeout(typing)
  typing = setTimeout(() => {
    state.limit = PAGE
    load()
  }, 150)
})
$('more').addEventListener('click', () => {
  state.limit = Math.min(state.limit + PAGE, MOST_ROWS)
  load()
})
$('clear').addEventListener('click', async () => {
  if (!confirm('Delete all mails?')) return
  await ask('/api/mails', { method: 'DELETE' }).catch(error => say(error.message))
  nothingChosen()
})

/** Listens; if there is no room for one more page, it looks every few seconds meanwhile. */
function listen() {
  const events = new EventSource('/api/events')
  events.addEventListener('open', load)
  events.addEventListener('error', () => {
    say('The connection is lost; trying again …')
    if (events.readyState !== EventSource.CLOSED) return
    load()
    setTimeout(listen, 3000)
  })
  events.addEventListener('mail', load)
  events.addEventListener('removed', load)
  events.addEventListener('session', () => state.view === 'sessions' && load())
  events.addEventListener('misbehaviour', ({ data }) => showRules(JSON.parse(data).rules))
}

listen()
ask('/api/misbehaviour').then(
  ({ rules }) => showRules(rules),
  error => say(error.message),
)
