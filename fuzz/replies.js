// Replies out of what a server sends, and whether they are well-formed. [RFC 5321 §4.2]

// oxlint-disable-next-line no-control-regex -- no controls in a reply
const LINE = /^([2-5]\d\d)([ -])([\t -~\x80-\xff]*)$/

/** Cuts replies; `onReply` gets each. Throws at octets that are none. */
export class ReplyCutter {
  #text = ''
  #lines = []
  /** Each reply as it came, for comparisons. */
  all = []

  constructor(onReply) {
    this.onReply = onReply
  }

  take(octets) {
    this.#text += octets.toString('latin1')
    for (;;) {
      const end = this.#text.indexOf('\n')
      if (end === -1) return
      const line = this.#text.slice(0, end + 1)
      this.#text = this.#text.slice(end + 1)
      this.#takeLine(line)
    }
  }

  #takeLine(line) {
    const [, code, more] = line.endsWith('\r\n') ? (LINE.exec(line.slice(0, -2)) ?? []) : []
    if (code === undefined || line.length > 512) throw new Error(`no reply: ${JSON.stringify(line)}`)
    if (this.#lines.length > 0 && !this.#lines[0].startsWith(code))
      throw new Error(`codes differ: ${this.#lines[0]}${line}`)
    this.#lines.push(line)
    if (more === '-') return
    const reply = this.#lines.join('')
    this.#lines = []
    this.all.push(reply)
    this.onReply(Number(code), reply)
  }

  /** What has come and is no whole reply. */
  get rest() {
    return this.#lines.join('') + this.#text
  }
}
