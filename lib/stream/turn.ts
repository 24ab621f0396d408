// The turns of the event loop, shared by all sessions of the process.
//
//   input arrives ─ mayStep() ─ yes: the session takes one step (a command, a piece of mail data)
//                             └ no: the turn's budget is spent; the session waits for its share of a later turn
//   turn ends     ─ sessions that wait get equal shares, who has had least time first ─ then all replies leave
//
// The budget is real time, not a handler's clock: it protects the other sessions of the process. A client that asks now
// and then has had less time than those that send without end, so it never stands behind them. Replies leave at the
// end of a turn: what came in one chunk is answered in one write [RFC 2920 §3.2], and a peer that one write has woken is
// still awake for the next, which makes writes in a row cheaper than writes with work in between.

/** Milliseconds of a turn that all sessions together may spend on new input, and as many on the shares. */
const BUDGET = 2
/** Milliseconds of shares after which not even those that have had nothing get one in this turn. */
const MOST = 10
/** The clock is read before every fourth step; one step is far shorter than the budget. */
const STEPS_PER_READING = 4
/** Milliseconds. What a session has had in this period and the one before counts; so nobody stays behind for longer. */
const PERIOD = 100

/** Is told when a turn ends; an object, so that no session needs a closure for it. */
export interface TurnEndListener {
  turnEnds(): void
}

/** A session's part of the turns that it had to wait for. */
export class Share {
  isWaiting = false
  /** Milliseconds that it has had in its latest period, and in the one before. */
  used = 0
  usedBefore = 0
  period = 0
  readonly goOn: () => void

  /** `goOn` is called when the session may go on. */
  constructor(goOn: () => void) {
    this.goOn = goOn
  }

  get recentlyUsed(): number {
    return this.used + this.usedBefore
  }
}

let listeners: TurnEndListener[] = []
let waiting: Share[] = []
let isScheduled = false
let isSharing = false
let steps = 0
let deadline = 0
let period = 0
let periodEnd = 0

/** True if a session may take one more step of input in this turn, or of its share. */
export function mayStep(): boolean {
  if (steps === 0) {
    if (!isSharing) deadline = performance.now() + BUDGET
    if (!isScheduled) setImmediate(endTurn)
    isScheduled = true
  } else if ((isSharing || steps % STEPS_PER_READING === 0) && performance.now() >= deadline) return false
  steps += 1
  return true
}

/** Has `share.goOn` called once, in a later turn. */
export function waitForTurn(share: Share): void {
  share.isWaiting = true
  waiting.push(share)
  schedule()
}

/** Calls `turnEnds` once, at the end of this turn. */
export function callAtTurnEnd(listener: TurnEndListener): void {
  listeners.push(listener)
  schedule()
}

function schedule(): void {
  if (isScheduled) return
  isScheduled = true
  setImmediate(endTurn)
}

function endTurn(): void {
  isScheduled = false
  if (waiting.length > 0) shareTurn(waiting)
  const now = listeners
  listeners = []
  for (const listener of now) listener.turnEnds()
  steps = 0
}

/**
 * Gives one waiting session after the other its share, as far as there is time. For those that have had nothing a turn
 * takes longer: so a single command waits two turns at the most, unless more than 10 ms of such newcomers wait.
 */
function shareTurn(shares: Share[]): void {
  waiting = []
  let now = performance.now()
  const end = now + BUDGET
  const lastEnd = now + MOST
  const each = BUDGET / shares.length
  arrange(shares, now)
  let next = 0
  isSharing = true
  do {
    const share = shares[next++]!
    steps = 0 // its first step is always taken
    deadline = Math.min(now + each, end)
    share.isWaiting = false
    share.goOn()
    const then = performance.now()
    share.used += then - now
    now = then
  } while (next < shares.length && now < (shares[next]!.recentlyUsed === 0 ? lastEnd : end))
  isSharing = false
  waiting = [...shares.slice(next), ...waiting]
  if (waiting.length > 0) schedule()
}

/** Who has had least comes first, and of those that have had the same, who has waited longest. */
function arrange(shares: Share[], now: number): void {
  if (now >= periodEnd) {
    period += 1
    periodEnd = now + PERIOD
  }
  for (const share of shares) {
    if (share.period === period) continue
    share.usedBefore = share.period === period - 1 ? share.used : 0
    share.used = 0
    share.period = period
  }
  shares.sort((a, b) => a.recentlyUsed - b.recentlyUsed)
}
