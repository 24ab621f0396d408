// Compares what was sent, what was acknowledged and what arrived, message by message.
//
//   messages   { id, digest, kind }        kind `mail`: to be delivered; `cut`: never sent to its end
//   attempts   { id, attempt, outcome, recipients, code?, text?, at }
//     outcome  `acknowledged`   250 after the end of the mail data
//              `refused`        another reply, at any step
//              `lost`           the connection was lost after the end of the mail data, before a reply [RFC 1047]
//              `unfinished`     the connection was lost before the end of the mail data
//   copies     { id, attempt, digest, recipients, generation, at }     one for each message that the upstream stored
//   kills      { generation, at }          of the upstream; a generation is one process of it
//   deaths     [at]                        of workers
//
// A double is a copy beyond the first. A copy that was not acknowledged is explained if its own attempt was lost after
// the end; or, between gateway and upstream, if it was refused with 4yz after the end and the upstream was killed after
// it had stored the copy: there the gateway is the sender that got no reply.

/** Milliseconds that a refusal may be noted after the upstream was killed: reconnecting does not delay it. */
const NOTICED_WITHIN = 30_000

/** Milliseconds after the death of a worker in which its connections are found to be lost, on a busy machine. */
const LOST_WITHIN = 5000

/** Compares. Each finding is the id of a message with what is wrong with it. */
export function account({ messages, attempts, copies, kills, deaths }) {
  const byId = new Map(messages.map(message => [message.id, { ...message, attempts: new Map(), copies: [] }]))
  const found = { lost: [], partial: [], unexplained: [], unfinished: [], refused: [], dropped: [] }
  for (const attempt of attempts) byId.get(attempt.id)?.attempts.set(attempt.attempt, attempt)
  for (const copy of copies) {
    const message = byId.get(copy.id)
    if (message === undefined) found.partial.push(`${copy.id}: a copy of a message that was never sent`)
    else message.copies.push(copy)
  }
  const counts = { sent: 0, acknowledged: 0, arrived: 0, doubled: 0 }
  for (const message of byId.values()) {
    const whole = message.copies.filter(copy => {
      const why = whyPartial(message, copy)
      if (why !== null) found.partial.push(`${message.id}: ${why}`)
      return why === null
    })
    if (message.kind === 'cut') continue
    counts.sent++
    if (whole.length > 0) counts.arrived++
    counts.doubled += Math.max(0, whole.length - 1)
    found.unexplained.push(...unexplainedCopies(message, whole, kills))
    const outcomes = [...message.attempts.values()]
    const acknowledged = outcomes.filter(({ outcome }) => outcome === 'acknowledged')
    found.refused.push(...outcomes.filter(({ code }) => code >= 500).map(({ text }) => `${message.id}: ${text}`))
    if (acknowledged.length === 0) found.unfinished.push(`${message.id}: never acknowledged`)
    else counts.acknowledged++
    // A copy of another attempt would hide it.
    const missing = acknowledged.find(({ attempt }) => !whole.some(copy => copy.attempt === attempt))
    if (missing !== undefined) {
      found.lost.push(`${message.id}: acknowledged in attempt ${missing.attempt}, and did not arrive in it`)
    }
  }
  found.dropped.push(...dropped(attempts, deaths))
  return { ...counts, ...found }
}

/** Why a copy is not the message as it was sent; null if it is. */
function whyPartial(message, copy) {
  const attempt = message.attempts.get(copy.attempt)
  if (message.kind === 'cut') return 'arrived, but its end was never sent'
  if (copy.digest !== message.digest) return 'arrived with other content'
  if (attempt === undefined) return 'arrived in an attempt that was never made'
  const recipients = JSON.stringify([...copy.recipients].toSorted())
  if (recipients !== JSON.stringify([...attempt.recipients].toSorted())) return 'arrived for other recipients'
  return null
}

/** The copies that must not be: two of one attempt, or one of an attempt that was refused, if there are several. */
function unexplainedCopies(message, copies, kills) {
  if (copies.length < 2) return []
  const seen = new Set()
  return copies.flatMap(copy => {
    const twice = seen.has(copy.attempt)
    seen.add(copy.attempt)
    if (twice) return [`${message.id}: two copies of attempt ${copy.attempt}`]
    const attempt = message.attempts.get(copy.attempt)
    if (isExplained(attempt, copy, kills)) return []
    return [`${message.id}: a copy of attempt ${copy.attempt}, which was ${attempt.outcome}: ${attempt.text ?? ''}`]
  })
}

function isExplained(attempt, copy, kills) {
  if (attempt.outcome === 'acknowledged' || attempt.outcome === 'lost') return true
  if (attempt.outcome !== 'refused' || !attempt.endSent || attempt.code >= 500) return false
  return kills.some(({ generation, at }) => {
    return generation === copy.generation && at >= copy.at && attempt.at >= at && attempt.at - at < NOTICED_WITHIN
  })
}

/** Connections that were lost though the sender did not reset them, nor a worker died. */
function dropped(attempts, deaths) {
  const lost = attempts.filter(
    ({ outcome, reset }) => (outcome === 'lost' || outcome === 'unfinished') && reset !== true,
  )
  const found = lost.filter(({ at }) => !deaths.some(death => at >= death && at - death < LOST_WITHIN))
  return found.map(({ id, attempt, outcome, text }) => `${id}: attempt ${attempt} was ${outcome}: ${text}`)
}

/** Why copies were not acknowledged: the sender's own reset, a worker that died, an upstream that died. */
export function reasonsOf({ attempts, copies }) {
  const byKey = new Map(attempts.map(attempt => [`${attempt.id}+${attempt.attempt}`, attempt]))
  const reasons = { reset: 0, lost: 0, refused: 0 }
  for (const { id, attempt } of copies) {
    const { outcome, reset } = byKey.get(`${id}+${attempt}`) ?? {}
    const reason = outcome === 'lost' && reset === true ? 'reset' : outcome
    if (reason in reasons) reasons[reason]++
  }
  return reasons
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
