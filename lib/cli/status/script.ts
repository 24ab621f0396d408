// The script of the status page: puts the parts that the server sends in their places. Without it the page shows what was
// true when it was loaded.

export const SCRIPT = `
'use strict'
const live = document.getElementById('live')
const button = document.getElementById('pause')
let held = null
const show = parts => {
  for (const [id, text] of Object.entries(parts)) {
    const element = document.getElementById(id)
    if (element !== null) element.innerHTML = text
  }
}
const say = text => { if (live.textContent !== text) live.textContent = text }
const connect = () => {
  const source = new EventSource('status/events')
  source.addEventListener('open', () => say(held === null ? 'Live' : 'Paused'))
  source.addEventListener('parts', event => {
    const parts = JSON.parse(event.data)
    if (held === null) show(parts)
    else Object.assign(held, parts)
  })
  source.addEventListener('error', () => {
    say('Not connected: what you see is old')
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, 10000)
  })
}
button.hidden = false
button.addEventListener('click', () => {
  if (held === null) held = {}
  else { show(held); held = null }
  button.setAttribute('aria-pressed', String(held !== null))
  say(held === null ? 'Live' : 'Paused')
})
connect()
`
