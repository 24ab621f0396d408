// The turns of the event loop, shared by all sessions of the process.
//
//   input arrives ─ mayStep() ─ yes: the session takes one step (a command, a piece of mail data)
//                             └ no: the turn's budget is spent; the session waits for its share of the next turn
//   turn ends     ─ every waiting session gets an equal share, in turn ─ then all replies leave
//
// The budget is real time, not a handler's clock: it protects the other sessions of the process. Replies leave at the
// end of a turn: what came in one chunk is answered in one write [RFC 2920 §3.2], and a peer that one write has woken is
// still awake for the next, which makes writes in a row cheaper than writes with work in between.

/** Milliseconds of a turn that all sessions together may spend on input. */
const BUDGET = 5
/** The clock is read before every fourth step; one step is far shorter than the budget. */
const STEPS_PER_READING = 4

/** Is told when a turn ends; an object, so that no session needs a closure for it. */
export interface TurnEndListener {
  turnEnds(): void
}

let listeners: TurnEndListener[] = []
let waiting: (() => void)[] = []
/** How many of those, the first, the last turn had no time for. */
let carried = 0
let isScheduled = false
let isSharing = false
let steps = 0
let deadline = 0

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

/** Calls `goOn` once, when the session's share of a later turn begins. */
export function waitForShare(goOn: () => void): void {
  waiting.push(goOn)
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
 * Gives each waiting session its share. Those that the turn has no time for come first in the next one, and then take a
 * step whatever the time is: so a command waits two turns at the most, on a busy machine too.
 */
function shareTurn(sessions: readonly (() => void)[]): void {
  waiting = []
  const share = BUDGET / sessions.length
  const end = performance.now() + BUDGET
  const atLeast = Math.max(1, carried)
  let next = 0
  isSharing = true
  while (next < sessions.length) {
    const now = performance.now()
    if (next >= atLeast && now >= end) break
    steps = 0 // its first step is always taken
    deadline = Math.min(now + share, end)
    sessions[next++]!()
  }
  isSharing = false
  carried = sessions.length - next
  waiting = [...sessions.slice(next), ...waiting]
  if (waiting.length > 0) schedule()
}
