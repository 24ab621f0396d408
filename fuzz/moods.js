// What the hooks of a case do. It is said in the addresses of the dialogue itself, `<throw-ok-read-7@a.example>`, so that
// the model knows it from the octets alone, and a case is a list of texts.

/** In the place of a reply code: the hook destroys the handler, and the client hears nothing more. */
export const GONE = 0

/** Of a hook that judges: the code that the client hears; null: none of its own. */
export const JUDGES = {
  ok: null,
  later: null,
  words: 250,
  refuse: 554,
  refuselater: 554,
  defer: 450,
  throw: 451,
  reject: 451,
  smtperror: 458,
  gone: GONE,
  gonebad: GONE,
  gonelater: GONE,
  gonethrow: GONE,
}

/**
 * Of `onMessage`: the code of a message that is whole and good, and whether it is known before the message is read, or is
 * a refusal that comes before any other. `byRecipient`: each recipient has a verdict of its own; `fails`: behind the first.
 */
export const TAKERS = {
  read: { code: 250 },
  readlater: { code: 250 },
  raw: { code: 250 },
  flow: { code: 250 },
  readrefuse: { code: 554 },
  readthrow: { code: 451 },
  unread: { code: 250, leaves: true },
  leave: { code: 250, leaves: true },
  early: { code: 554, isEarly: true },
  throw: { code: 451, isEarly: true },
  destroy: { code: 451, isEarly: true },
  each: { byRecipient: true },
  eachone: { byRecipient: true },
  eachmany: { byRecipient: true },
  eachfew: { code: 451 },
  eachfail: { byRecipient: true, fails: true },
  eachearly: { byRecipient: true, isEarly: true, leaves: true },
  eachahead: { byRecipient: true, isEarly: true, leaves: true },
  eachgone: { byRecipient: true, isGone: true },
  gone: { code: GONE, isEarly: true },
  gonebad: { code: GONE, isEarly: true },
  gonelater: { code: GONE, isEarly: true },
  goneread: { code: GONE, isEarly: true },
  gonewhole: { code: GONE },
}

/** Of a delivery that answers by recipient: the code for one, said in the recipient's address. */
export const VERDICTS = { ok: 250, words: 250, refuse: 554, defer: 450 }

/** The mood of a verdict, `ok` unless the word is one. */
export const verdictOf = address => {
  const word = moodsIn(address)[1]
  return Object.hasOwn(VERDICTS, word ?? '') ? word : 'ok'
}

/** What `onMessage` says for each of the recipients, if nothing is wrong with the message. */
export function codesFor(mood, recipients) {
  const { code, byRecipient, fails, isGone } = TAKERS[mood]
  if (byRecipient !== true) return recipients.map(() => code)
  const said = recipients.map(address => VERDICTS[verdictOf(address)])
  if (isGone) return said.map((each, i) => (i === 0 ? each : GONE))
  return fails ? said.map((each, i) => (i < FAILS_AT ? each : 451)) : said
}

/** A delivery that fails between two verdicts gives that many. */
export const FAILS_AT = 1

/** Destroys the handler, not only the message. */
export const isGone = mood => mood.includes('gone')

/** What a local part says: `sender-data-message-…` of MAIL, `recipient-verdict-…` of RCPT. */
export function moodsIn(address) {
  const words = (/^[a-z]+(?:-[a-z]+)*(?=-?\d*@)/.exec(address ?? '')?.[0] ?? '').split('-')
  return words
}

/** The mood of a judging hook, `ok` unless the word is one. */
export const judge = word => (Object.hasOwn(JUDGES, word ?? '') ? word : 'ok')

/** The mood of onMessage, `read` unless the word is one. */
export const taker = word => (Object.hasOwn(TAKERS, word ?? '') ? word : 'read')
