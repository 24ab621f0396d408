// A model of the server's side of a session, from RFC 5321, 3030, 2033, 2920, 3207, 4954. It is fed what the client
// sends and what the server replies, and throws a Wrong at the first reply that is not possible there. Where the RFCs
// leave the server a choice, it follows the reply. Nothing of lib/ is used here.
//
//   feed(octets) ─→ advance: the next unit of the input ─ expect(codes, then) ─→ onReply(code) ─→ then ─→ advance …

import { codesFor, GONE, moodsIn, taker, TAKERS } from '../moods.js'
import { runCommand } from './commands.js'
import { contentOf, endOfData, offenceOf, OFFENCES } from './content.js'
import { cutLine } from './lines.js'

/** What the server did and must not do. */
export class Wrong extends Error {}

export class SessionModel {
  phase = 'connected'
  extended = false
  tls = false
  user = null
  /** The transaction: sender, recipients, parameters; null between two. */
  mail = null
  /** `command`, `data`, `counted`, or a function that takes the next line: the response to a 334. */
  mode = 'command'
  /** Messages that came to their end: what the delivery must have got, and what the client was told. */
  messages = []
  isClosed = false
  /** True after the 220 of STARTTLS: the driver begins the handshake. */
  wantsTls = false
  input = ''
  /** Octets of an overlong line are skipped up to its LF. */
  isSkipping = false
  /** Errors since the last accepted mail: at least, at most. */
  errors = { least: 0, most: 0 }
  /** Wrong credentials: at least, at most. */
  guesses = { least: 0, most: 0 }
  /** What the client has sent of the message under way, as it came. */
  wire = ''
  /** Octets that are left of a BDAT; `null` outside. */
  chunk = null
  #due = []

  constructor(options) {
    this.options = options
    const refused = options.greeting === 'refuse'
    this.expect([refused ? 554 : 220], () => {
      if (!refused) return
      this.phase = 'refused'
      this.errors.most += 1
    })
  }

  // ── Replies ──

  /** True while a reply is due. */
  get isDue() {
    return this.#due.length > 0
  }

  /** The next reply has one of these codes; `then` is called with it. */
  expect(codes, then = () => {}, what = '') {
    this.#due.push({ codes, then, what })
  }

  /** Each reply that is due may be this refusal instead. */
  alsoTake(code, closes = false) {
    for (const due of this.#due) {
      const { then } = due
      due.codes = [...due.codes, code]
      if (closes) due.then = (got, reply) => (then(got, reply), void (got === code && this.close()))
    }
  }

  onReply(code, reply) {
    const due = this.#due.shift()
    if (due === undefined) throw new Wrong(`a reply too many: ${code}`)
    if (!due.codes.includes(code))
      throw new Wrong(`${code} for ${due.what || 'the greeting'}, not ${due.codes.join(' or ')}`)
    due.then(code, reply)
    if (!this.isDue) this.advance()
  }

  /** The server has ended its side. */
  onEnd() {
    if (this.isDue) throw new Wrong(`the end, and no reply to ${this.#due[0].what || 'the client'}`)
    if (!this.isClosed) throw new Wrong('the server ended the session without a reason')
  }

  // ── Input ──

  feed(octets) {
    this.input += octets
    if (!this.isDue) this.advance()
  }

  /** True if the client sent more than the unit at hand. */
  get hasMore() {
    return this.input !== ''
  }

  advance() {
    while (!this.isDue && !this.isClosed && this.input !== '') {
      const before = this.input.length
      if (this.mode === 'data') this.#takeData()
      else if (this.chunk !== null) this.takeChunk()
      else this.#takeLine()
      if (this.input.length === before) return // not all of the unit is there
    }
  }

  #takeLine() {
    const line = cutLine(this)
    if (line === null) return
    if (typeof this.mode === 'function') {
      const answer = this.mode
      this.mode = 'command'
      return answer(line)
    }
    this.countLine(() => runCommand(this, line))
  }

  /** Of a session with many errors, or many wrong passwords, the end may come instead. */
  countLine(run) {
    const { errors, authFailures } = this.options.limits
    if (this.errors.least >= errors || this.guesses.least >= authFailures) {
      return this.expect([421], () => this.close(), 'one command too many')
    }
    run()
    const due = this.#due[0]
    if (due === undefined || (this.errors.most < errors && this.guesses.most < authFailures)) return
    due.codes = [...due.codes, 421]
    const { then } = due
    due.then = (code, reply) => (code === 421 ? this.close() : then(code, reply))
  }

  /** The command at hand got this code. */
  countReply(code, isJunk = false) {
    if (code >= 500) this.errors.least += 1
    if (code >= 400 || isJunk) this.errors.most += 1
  }

  close() {
    this.isClosed = true
    this.input = ''
    this.#due = []
    if (this.mail !== null) this.abandon()
  }

  // ── Mail data ──

  #messageRules(ended) {
    const { bareNewline, size, header } = this.options
    const counted = this.mode !== 'data'
    const isBinary = this.mail.body === 'BINARYMIME'
    return { counted, bareNewline: isBinary ? 'allow' : bareNewline, size, header, ended }
  }

  #takeData() {
    const end = endOfData(this.input)
    const { size, oversize } = this.options
    const wire = end === -1 ? this.input : this.input.slice(0, end - 3)
    const rules = this.#messageRules(end !== -1)
    if (oversize === 'close' && size > 0 && offenceOf(wire, rules) === 'size') {
      return this.expect([552], () => this.close(), 'mail data over the size')
    }
    if (end === -1) return
    this.wire = wire
    this.input = this.input.slice(end)
    this.conclude(rules)
  }

  /** Takes the octets of a BDAT; behind them its reply is due. */
  takeChunk() {
    const { count, then } = this.chunk
    if (this.input.length < count) return
    const octets = this.input.slice(0, count)
    this.input = this.input.slice(count)
    this.chunk = null
    then(octets)
  }

  /** The message is whole: its verdict, in LMTP one for each recipient. [RFC 2033 §4.2] */
  conclude(rules = this.#messageRules(true)) {
    const mood = taker(this.mail.moods[2])
    const offence = offenceOf(this.wire, rules)
    const content = contentOf(this.wire, rules)
    const message = { ...this.mail, mood, content, wire: this.wire, codes: [], rules }
    this.messages.push(message)
    const codes = this.#verdicts(mood, offence)
    for (const [i, expected] of codes.entries()) {
      this.expect(
        [expected],
        code => {
          message.codes.push(code)
          if (i === codes.length - 1) this.#afterVerdict(message.codes)
        },
        'the message',
      )
    }
  }

  /** A refusal by size or line ends comes in the place of what would have been accepted. */
  #verdicts(mood, offence) {
    const { recipients } = this.mail
    const codes = codesFor(mood, this.options.lmtp ? recipients : recipients.slice(0, 1))
    if (offence === null) return codes
    const { isEarly } = TAKERS[mood]
    return codes.map(code => (isEarly === true && (code >= 400 || code === GONE) ? code : OFFENCES[offence]))
  }

  /** A message is one error, however many recipients are refused. */
  #afterVerdict(codes) {
    this.endTransaction()
    const isRefused = codes.some(code => code >= 400)
    if (codes.some(code => code < 400)) this.errors = { least: 0, most: isRefused ? 1 : 0 }
    else this.countReply(Math.min(...codes))
  }

  /** A chunk was taken that is not the last: why it may be refused now. */
  get earlyRefusals() {
    const mood = taker(this.mail.moods[2])
    const codes = codesFor(mood, this.options.lmtp ? this.mail.recipients : this.mail.recipients.slice(0, 1))
    const isRefused = TAKERS[mood].isEarly === true && codes.every(code => code >= 400 || code === GONE)
    const offence = this.offenceSoFar(false)
    return [...(isRefused ? codes : []), ...(offence === null ? [] : [OFFENCES[offence]])]
  }

  offenceSoFar(ended) {
    return offenceOf(this.wire, this.#messageRules(ended))
  }

  // ── Transactions ──

  begin(address, parameters) {
    this.wire = ''
    this.mail = {
      sender: address,
      moods: moodsIn(address),
      recipients: [],
      body: parameters.get('BODY')?.toUpperCase() ?? null,
      utf8: parameters.has('SMTPUTF8'),
      started: false,
    }
    this.phase = 'sender'
  }

  /** A message that was begun and never came to its end: no delivery may take it for whole. */
  abandon() {
    if (this.mail.started || this.mode === 'data') this.messages.push({ ...this.mail, codes: null, wire: this.wire })
    this.mail = null
  }

  endTransaction() {
    this.mail = null
    this.mode = 'command'
    if (this.phase !== 'connected' && this.phase !== 'refused') this.phase = 'greeted'
  }

  reset() {
    if (this.mail !== null) this.abandon()
    this.endTransaction()
  }

  startAgain() {
    this.reset()
    this.phase = 'connected'
    this.extended = false
    this.user = null
  }
}
