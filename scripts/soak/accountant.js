// Compares what was sent, what was acknowledged and what arrived: message by message, recipient by recipient.
//
//   messages   { id, digest, kind, recipients }     kind `mail`: to be delivered; `cut`: never sent to its end
//   attempts   { id, attempt, at, protocol, endSent, reset?, verdicts: [{ recipient, outcome, step?, code?, text? }] }
//     outcome  `acknowledged`   250 after the end of the mail data
//              `refused`        another reply, at `step`: `rcpt`, `end`, or `other`
//              `lost`           the connection was lost after the end of the mail data, before a reply [RFC 1047]
//              `unfinished`     the connection was lost before the end of the mail data
//   copies     { id, attempt, digest, recipients, place, process, at }     what one of the places stored:
//     place    `smtp`     a copy for all recipients of the attempt
//              `lmtp`     a copy for those that were not refused behind it
//              `boxes`    a copy for one recipient
//   kills      { process, at }      of the processes that store copies
//   deaths     [at]                 of the gateway's workers
//   troubled   [id]                 of messages in whose sessions the gateway has logged that the store has failed
//
// A double is a copy for a recipient beyond the one that was acknowledged. It is explained if the reply to its attempt was
// lost: between sender and gateway, or between gateway and the place, whose process was killed after it had stored the
// copy [RFC 1047]. There is one other reason: of a message by SMTP that LMTP refused for some recipients, the others have
// a copy; the store knows that, and if it fails the message is delivered again (docs/gateway.md).

import { isExpected } from './places.js'

/** Milliseconds that a refusal may be noted after a place was killed: reconnecting does not delay it. */
const NOTICED_WITHIN = 30_000

/** Milliseconds after the death of a worker in which its connections are found to be lost, on a busy machine. */
const LOST_WITHIN = 10_000

const REASONS = ['reset', 'worker', 'killed', 'store']

/** Compares. Each finding is the id of a message with what is wrong with it. */
export function account({ messages, attempts, copies, kills, deaths, troubled }) {
  const byId = new Map(messages.map(message => [message.id, { ...message, attempts: new Map(), copies: [] }]))
  const found = { lost: [], partial: [], unexplained: [], unfinished: [], refused: [], dropped: [] }
  const counts = { sent: 0, acknowledged: 0, arrived: 0, doubled: 0 }
  const reasons = { ...Object.fromEntries(REASONS.map(reason => [reason, 0])), recognized: 0 }
  for (const attempt of attempts) byId.get(attempt.id)?.attempts.set(attempt.attempt, attempt)
  for (const copy of copies) {
    const message = byId.get(copy.id)
    if (message === undefined) found.partial.push(`${copy.id}: a copy of a message that was never sent`)
    else message.copies.push(copy)
  }
  for (const message of byId.values()) {
    const whole = message.copies.filter(copy => {
      const why = whyPartial(message, copy)
      if (why !== null) found.partial.push(`${message.id}: ${why}`)
      return why === null
    })
    if (message.kind === 'cut') continue
    counts.sent++
    const all = message.recipients.map(recipient =>
      judge(message, recipient, whole, { kills, hadTrouble: troubled.includes(message.id) }),
    )
    if (all.every(({ isSettled }) => isSettled)) counts.acknowledged++
    else found.unfinished.push(`${message.id}: never acknowledged`)
    if (all.every(({ hasArrived }) => hasArrived)) counts.arrived++
    const most = reason => Math.max(0, ...all.map(({ doubles }) => doubles.filter(each => each === reason).length))
    for (const reason of REASONS) {
      reasons[reason] += most(reason)
      if (reason !== 'store') counts.doubled += most(reason)
    }
    for (const key of ['lost', 'unexplained', 'refused']) found[key].push(...new Set(all.flatMap(each => each[key])))
    counts.doubled += new Set(all.flatMap(each => each.unexplained)).size
    if (all.some(({ wasRecognized }) => wasRecognized)) reasons.recognized++
  }
  found.dropped.push(...dropped(attempts, deaths))
  return { ...counts, ...found, reasons }
}

/** Why a copy is not the message as it was sent; null if it is. */
function whyPartial(message, copy) {
  const attempt = message.attempts.get(copy.attempt)
  if (message.kind === 'cut') return 'arrived, but its end was never sent'
  if (copy.digest !== message.digest) return 'arrived with other content'
  if (attempt === undefined) return 'arrived in an attempt that was never made'
  const sentTo = attempt.verdicts.filter(({ step }) => step !== 'rcpt').map(({ recipient }) => recipient)
  const isForThem = copy.recipients.every(recipient => sentTo.includes(recipient))
  if (!isForThem || (copy.place === 'smtp' && copy.recipients.length !== sentTo.length)) {
    return 'arrived for other recipients'
  }
  return null
}

/** What became of a message for one recipient. */
function judge(message, recipient, copies, books) {
  const { id } = message
  const history = [...message.attempts.values()].flatMap(({ attempt, at, reset, protocol, verdicts }) => {
    return verdicts
      .filter(each => each.recipient === recipient)
      .map(each => ({ ...each, attempt, at, reset, protocol }))
  })
  const own = copies
    .filter(copy => copy.recipients.includes(recipient))
    .toSorted((one, other) => one.attempt - other.attempt)
  const acknowledged = history.find(({ outcome }) => outcome === 'acknowledged')
  const refusals = history.filter(({ code }) => code >= 500)
  if (!isExpected(recipient)) {
    const lost = acknowledged === undefined ? [] : [`${id}: acknowledged for a recipient that is always refused`]
    const unexplained = own.map(({ attempt }) => `${id}: a copy of attempt ${attempt} for a recipient that was refused`)
    return { isSettled: refusals.length > 0, hasArrived: true, doubles: [], lost, unexplained, refused: [] }
  }
  const kept = own.find(({ attempt }) => attempt === acknowledged?.attempt) ?? own.at(-1)
  const wasRecognized = acknowledged !== undefined && kept !== undefined && kept.attempt !== acknowledged.attempt
  const isMissing = kept === undefined || (wasRecognized && !mayBeRecognized(history, acknowledged, kept))
  const why = own.filter(copy => copy !== kept).map(copy => [copy, reasonOf(copy, history, own, books)])
  return {
    isSettled: acknowledged !== undefined,
    hasArrived: own.length > 0,
    wasRecognized: wasRecognized && !isMissing,
    doubles: why.flatMap(([, reason]) => (reason === null ? [] : [reason])),
    unexplained: why.flatMap(([copy, reason]) => (reason === null ? [describe(id, copy, history, own)] : [])),
    refused: refusals.map(({ text }) => `${id}: ${text}`),
    lost:
      acknowledged !== undefined && isMissing
        ? [`${id}: acknowledged in attempt ${acknowledged.attempt}, and did not arrive in it`]
        : [],
  }
}

/** True if the message need not be delivered again: by SMTP, LMTP behind it gave verdicts that differed, or part of them. */
function mayBeRecognized(history, acknowledged, copy) {
  const verdict = history.find(({ attempt }) => attempt === copy.attempt)
  const isTold = verdict.outcome === 'lost' || (verdict.outcome === 'refused' && verdict.step === 'end')
  return acknowledged.protocol === 'SMTP' && copy.place !== 'smtp' && isTold && copy.attempt < acknowledged.attempt
}

/** Why there is a copy beside the one that was acknowledged; null if there is no reason. */
function reasonOf(copy, history, own, { kills, hadTrouble }) {
  const verdict = history.find(({ attempt }) => attempt === copy.attempt)
  if (own.filter(({ attempt }) => attempt === copy.attempt).length > 1) return null
  if (verdict.outcome === 'lost') return verdict.reset ? 'reset' : 'worker'
  if (verdict.outcome !== 'refused' || verdict.step !== 'end' || verdict.code >= 500) return null
  const wasKilled = kills.some(({ process, at }) => {
    return process === copy.process && at >= copy.at && verdict.at >= at && verdict.at - at < NOTICED_WITHIN
  })
  if (wasKilled) return 'killed'
  if (verdict.protocol !== 'SMTP' || copy.place === 'smtp') return null
  const next = own.find(({ attempt }) => attempt > copy.attempt)
  if (next === undefined) return null
  const until = history.find(({ attempt }) => attempt === next.attempt)
  // An attempt between the two was told that the recipient has it, but the reply was lost.
  const between = history.find(({ attempt, outcome }) => {
    return outcome === 'lost' && attempt > verdict.attempt && attempt < until.attempt
  })
  if (between !== undefined) return between.reset ? 'reset' : 'worker'
  return hadTrouble ? 'store' : null
}

function describe(id, { attempt }, history, own) {
  if (own.filter(copy => copy.attempt === attempt).length > 1) return `${id}: two copies of attempt ${attempt}`
  const { outcome, text = '' } = history.find(each => each.attempt === attempt)
  return `${id}: a copy of attempt ${attempt}, which was ${outcome}: ${text}`
}

/** Connections that were lost though the sender did not reset them, nor a worker died. */
function dropped(attempts, deaths) {
  return attempts.flatMap(({ id, attempt, at, reset, verdicts }) => {
    const lost = verdicts.find(({ outcome }) => outcome === 'lost' || outcome === 'unfinished')
    if (lost === undefined || reset === true) return []
    if (deaths.some(death => at >= death && at - death < LOST_WITHIN)) return []
    return [`${id}: attempt ${attempt} was ${lost.outcome}: ${lost.text}`]
  })
}

/** True if nothing was lost, cut, doubled without a reason, refused for good, left without an acknowledgement, or dropped. */
export function isClean({ lost, partial, unexplained, unfinished, refused, dropped }) {
  return [lost, partial, unexplained, unfinished, refused, dropped].every(list => list.length === 0)
}

/** The last line of a run. */
export function summary({ sent, acknowledged, arrived, lost, doubled, unexplained, partial }) {
  const why = unexplained.length === 0 ? 'RFC 1047' : `RFC 1047, but ${unexplained.length} without that reason`
  return `sent ${sent}, acknowledged ${acknowledged}, arrived ${arrived}, lost ${lost.length}, doubled ${doubled} (${why}), partial ${partial.length}`
}
